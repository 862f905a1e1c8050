use super::*;
use crate::status::report::{Rejected, Sink};

const NEW: &str = "2222";

fn answer(pod: &str, revision: &str) -> Answer {
    Answer { pod: pod.to_owned(), report: Ok(Report { revision: revision.to_owned(), ..Report::default() }) }
}

fn silent(pod: &str) -> Answer {
    Answer { pod: pod.to_owned(), report: Err("no answer within 2 s".to_owned()) }
}

fn after(seconds: i64, answers: &[Answer]) -> Verdict {
    rolling(seconds, answers, None)
}

fn rolling(seconds: i64, answers: &[Answer], rollout: Option<&Verdict>) -> Verdict {
    let since = Timestamp::from_second(1_000).unwrap();
    programmed(
        answers,
        "revision 2222",
        |revision| revision == NEW,
        since,
        Timestamp::from_second(1_000 + seconds).unwrap(),
        rollout,
    )
}

#[test]
fn all_pods_have_to_run_the_revision() {
    assert_eq!(
        after(1, &[answer("a", NEW), answer("b", NEW)]),
        Verdict::yes("Programmed", "All 2 ready pods run revision 2222.")
    );
    let waiting = after(1, &[answer("a", NEW), answer("b", "1111")]);
    assert_eq!(waiting, Verdict::no("Programming", "1 of 2 ready pods run revision 2222."));
}

#[test]
fn a_pod_that_does_not_follow_is_named_after_a_minute() {
    let stuck = after(61, &[answer("a", NEW), answer("b", "1111")]);
    assert_eq!(stuck.reason, "ProgrammingStuck");
    assert!(stuck.message.contains("pod `b`"), "{}", stuck.message);
}

#[test]
fn a_pod_that_refuses_says_why() {
    let mut refusing = answer("a", "1111");
    let rejected = Rejected { message: "port 1883 is taken".to_owned(), ..Rejected::default() };
    refusing.report.as_mut().unwrap().rejected = Some(rejected);
    let verdict = after(1, &[refusing]);
    assert_eq!(
        verdict,
        Verdict::no("PlanRejected", "The pod `a` goes on with the revision before: port 1883 is taken.")
    );
}

#[test]
fn a_pod_that_waits_for_its_successor_refuses_nothing() {
    let mut waiting = answer("a", "1111");
    let rejected = Rejected {
        revision: NEW.to_owned(),
        reason: "SecretNotMounted".to_owned(),
        message: "it lacks the Secret `s`, which the plan needs".to_owned(),
    };
    waiting.report.as_mut().unwrap().rejected = Some(rejected);
    let pods = [waiting, answer("b", NEW)];
    let going_on = Verdict::no(reason::ROLLING_OUT, "1 of 2 pods are ready.");
    let expected = Verdict::no(
        "Programming",
        "1 of 2 ready pods run revision 2222. The pod `a` is being replaced: it lacks the Secret `s`, which the plan needs.",
    );
    assert_eq!(rolling(1, &pods, Some(&going_on)), expected);
    assert_eq!(rolling(600, &pods, Some(&going_on)), expected, "a large fleet takes longer than a minute");
    let stuck = rolling(1, &pods, Some(&Verdict::no(reason::ROLLOUT_STUCK, "The pod `c` does not start.")));
    assert_eq!(stuck.reason, "ProgrammingStuck");
    assert!(stuck.message.ends_with("The pod `c` does not start."), "{}", stuck.message);
    assert_eq!(after(1, &pods).reason, "Programming");
    let forgotten = after(61, &pods);
    assert_eq!(forgotten.reason, "ProgrammingStuck", "no rollout replaces it");
    assert!(forgotten.message.contains("it lacks the Secret `s`"), "{}", forgotten.message);
}

#[test]
fn without_an_answer_nothing_is_claimed() {
    assert_eq!(after(1, &[]).reason, "NoReadyPods");
    let verdict = after(1, &[answer("a", NEW), silent("b")]);
    assert_eq!((verdict.holds.text(), verdict.reason.as_str()), ("Unknown", "PodNotAnswering"));
}

fn with_sink(pod: &str, state: &str, reason: &str) -> Answer {
    let link = Link {
        state: state.to_owned(),
        reason: reason.to_owned(),
        message: "the brokers are not reachable".to_owned(),
    };
    let sink = Sink { name: "vehicles".to_owned(), link, success: 5, ..Sink::default() };
    Answer { pod: pod.to_owned(), report: Ok(Report { sinks: vec![sink], ..Report::default() }) }
}

fn link_of(answers: &[Answer]) -> Verdict {
    connected(answers, |report| report.sinks.iter().map(|sink| &sink.link).collect())
}

#[test]
fn a_link_is_up_when_it_is_up_on_every_pod() {
    assert!(link_of(&[with_sink("a", "Connected", "Connected"), with_sink("b", "Connected", "Connected")]).is_true());
    let verdict =
        link_of(&[with_sink("a", "Connected", "Connected"), with_sink("b", "Connecting", "KafkaUnreachable")]);
    assert_eq!(verdict, Verdict::no("KafkaUnreachable", "Pod `b`: the brokers are not reachable."));
    assert_eq!(link_of(&[with_sink("a", "Connected", ""), answer("b", NEW)]).reason, "Pending");
    assert_eq!(link_of(&[]).reason, "NoReadyPods");
}

#[test]
fn figures_are_summed_over_pods() {
    let answers = [with_sink("a", "Connected", ""), with_sink("b", "Connected", ""), silent("c")];
    assert_eq!(of_sink(&answers, "vehicles").success, 10);
    assert_eq!(of_sink(&answers, "other").success, 0);
}
