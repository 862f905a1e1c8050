//! What ready pods report → `Programmed`, `Connected` and figures.

use std::collections::HashMap;

use isthmus_api::{rule::RuleStatistics, sink::SinkStatistics, source::SourceStatistics};
use jiff::{SignedDuration, Timestamp};

use super::report::{Link, Report};
use crate::condition::{Verdict, reason};

/// How long something may be on its way before it is said to be stuck.
pub const DEADLINE: SignedDuration = SignedDuration::from_secs(60);

/// What one ready pod says, or why it says nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Name of the pod.
    pub pod: String,
    /// What it says.
    pub report: Result<Report, String>,
}

/// Whether every ready pod runs `what`, which `runs` tells by the revision of a pod. `since` is when that was last asked
/// of them, and `rollout` what keeps the rollout of the pods from being over.
pub fn programmed(
    answers: &[Answer],
    what: &str,
    runs: impl Fn(&str) -> bool,
    since: Timestamp,
    now: Timestamp,
    rollout: Option<&Verdict>,
) -> Verdict {
    if answers.is_empty() {
        return Verdict::unknown(reason::NO_READY_PODS, "No pod is ready; see the condition Available of the Bridge.");
    }
    let late = now.duration_since(since) > DEADLINE;
    let running = |answer: &&Answer| answer.report.as_ref().is_ok_and(|report| runs(&report.revision));
    for Answer { pod, report } in answers.iter().filter(|answer| !running(answer)) {
        if let Ok(Report { rejected: Some(rejected), .. }) = report
            && !rejected.waits_for_successor()
        {
            return Verdict::no(
                reason::PLAN_REJECTED,
                format!("The pod `{pod}` goes on with the revision before: {}", sentence(&rejected.message)),
            );
        }
    }
    let count = answers.iter().filter(running).count();
    if count == answers.len() {
        let pods = if count == 1 { "The one ready pod runs".to_owned() } else { format!("All {count} ready pods run") };
        return Verdict::yes(reason::PROGRAMMED, format!("{pods} {what}."));
    }
    if let Some(Answer { pod, report: Err(why) }) = answers.iter().find(|answer| answer.report.is_err()) {
        let message = format!(
            "The pod `{pod}` is ready and does not answer the operator on its admin port: {why}. Look for a NetworkPolicy that keeps the operator out."
        );
        return Verdict::unknown(reason::POD_NOT_ANSWERING, message);
    }
    let progress = format!("{count} of {} ready pods run {what}", answers.len());
    let waiting = answers.iter().filter(|answer| !running(answer)).find_map(|answer| {
        let rejected = answer.report.as_ref().ok()?.rejected.as_ref()?;
        rejected.waits_for_successor().then_some((&answer.pod, &rejected.message))
    });
    if let (Some((pod, why)), Some(rollout)) = (waiting, rollout) {
        let message = format!("{progress}. The pod `{pod}` is being replaced: {}", sentence(why));
        // A rollout takes as long as it takes; one that is stuck says what keeps it.
        return if rollout.reason == reason::ROLLOUT_STUCK {
            Verdict::no(reason::PROGRAMMING_STUCK, format!("{message} {}", rollout.message))
        } else {
            Verdict::no(reason::PROGRAMMING, message)
        };
    }
    if late {
        let behind =
            answers.iter().find(|answer| !running(answer)).map(|answer| answer.pod.as_str()).unwrap_or_default();
        let cause = waiting.map(|(pod, why)| format!(" The pod `{pod}` says: {}", sentence(why))).unwrap_or_default();
        let message = format!(
            "{progress}, and the pod `{behind}` has not taken it for over {} s: look into its log, or delete the pod.{cause}",
            DEADLINE.as_secs()
        );
        return Verdict::no(reason::PROGRAMMING_STUCK, message);
    }
    Verdict::no(reason::PROGRAMMING, format!("{progress}."))
}

/// Whether a link is up on every ready pod. `link` finds it in a report.
pub fn connected<'a>(answers: &'a [Answer], mut link: impl FnMut(&'a Report) -> Vec<&'a Link>) -> Verdict {
    let mut up = 0;
    let mut unknown = None;
    for Answer { pod, report } in answers {
        let Ok(report) = report else { continue };
        let links = link(report);
        if links.is_empty() {
            unknown = Some(pod);
        }
        for link in links {
            if link.state == "Connected" {
                up += 1;
            } else {
                let reason = if link.reason.is_empty() { reason::PENDING } else { &link.reason };
                let message = if link.message.is_empty() { "the link to Kafka is not up yet" } else { &link.message };
                return Verdict::no(reason, format!("Pod `{pod}`: {}", sentence(message)));
            }
        }
    }
    match (up, unknown) {
        (0, None) => Verdict::unknown(reason::NO_READY_PODS, "No ready pod tells whether Kafka can be reached."),
        (_, Some(pod)) => Verdict::unknown(reason::PENDING, format!("The pod `{pod}` does not have it yet.")),
        (_, None) => Verdict::yes(reason::CONNECTED, "Kafka answers every ready pod."),
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', '`']) { text.to_owned() } else { format!("{text}.") }
}

fn reports(answers: &[Answer]) -> impl Iterator<Item = &Report> {
    answers.iter().filter_map(|answer| answer.report.as_ref().ok())
}

/// Devices connected to all pods.
pub fn connections(answers: &[Answer]) -> u64 {
    reports(answers).map(|report| report.mqtt.connections).sum()
}

/// Figures of a Sink over all pods.
pub fn of_sink(answers: &[Answer], name: &str) -> SinkStatistics {
    let mut sum = SinkStatistics::default();
    for sink in reports(answers).flat_map(|report| &report.sinks).filter(|sink| sink.name == name) {
        sum.matched += sink.matched;
        sum.success += sink.success;
        sum.failed += sink.failed;
        sum.dropped += sink.dropped;
        sum.queuing += sink.queuing;
        sum.inflight += sink.inflight;
    }
    sum
}

/// Figures of a Source over all pods.
pub fn of_source(answers: &[Answer], name: &str) -> SourceStatistics {
    let mut sum = SourceStatistics::default();
    for source in reports(answers).flat_map(|report| &report.sources).filter(|source| source.name == name) {
        sum.received += source.received;
        sum.delivered += source.delivered;
        sum.failed += source.failed;
        sum.pending += source.pending;
        sum.lag += source.lag.unwrap_or(0);
    }
    sum
}

/// Figures of all Rules over all pods, by name: there may be thousands, so none is looked for.
pub fn of_rules(answers: &[Answer]) -> HashMap<&str, RuleStatistics> {
    let mut sums: HashMap<&str, RuleStatistics> = HashMap::new();
    for rule in reports(answers).flat_map(|report| &report.rules) {
        let sum = sums.entry(&rule.name).or_default();
        sum.matched += rule.matched;
        sum.passed += rule.passed;
        sum.failed += rule.failed_exception;
        sum.no_result += rule.failed_no_result;
        sum.actions_success += rule.actions_success;
        sum.actions_failed += rule.actions_failed;
    }
    sums
}

#[cfg(test)]
mod tests;
