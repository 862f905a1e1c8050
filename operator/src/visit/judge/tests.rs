use serde_json::json;

use super::*;
use crate::{
    fixtures,
    history::History,
    status::{
        diagnose::LastGood,
        report::{Link, Report, Sink},
    },
};

/// What is said when one ready pod runs `running` and `wanted` is the newest plan.
struct Case {
    key: BridgeKey,
    wanted: Plan,
    running: Plan,
    blocked: Option<Blocked>,
    memory: Option<u64>,
}

const SQL: &str = r#"SELECT * FROM "a""#;

fn now() -> Timestamp {
    Timestamp::from_second(1_000).unwrap()
}

fn plan(sql: &str) -> Plan {
    fixtures::plan(&fixtures::bridge(&json!({})), vec![fixtures::rule("edited", sql), fixtures::rule("same", SQL)])
}

fn case() -> Case {
    Case { key: BridgeKey::new("plant", "fleet"), wanted: plan(SQL), running: plan(SQL), blocked: None, memory: None }
}

impl Case {
    fn judge<T>(&self, look: impl FnOnce(&Judgement<'_>) -> T) -> T {
        let history = History::default();
        history.note(&self.key, &self.running, now());
        let link = Link { state: "Connected".to_owned(), ..Link::default() };
        let sink = Sink { name: "vehicles".to_owned(), link, ..Sink::default() };
        let report = Report { revision: self.running.revision.clone(), sinks: vec![sink], ..Report::default() };
        let answers = [Answer { pod: "fleet-1".to_owned(), report: Ok(report) }];
        look(&Judgement {
            key: &self.key,
            revisions: history.note(&self.key, &self.wanted, now()),
            rollout: None,
            blocked: self.blocked.clone(),
            answers: &answers,
            plan: Some(&self.wanted),
            memory: self.memory,
            outdated: BTreeMap::from([("Connector".to_owned(), "the field `spec.kafka.tls`".to_owned())]),
            now: now(),
        })
    }

    fn rule(&self, name: &str) -> Verdict {
        let rule = fixtures::rule(name, SQL);
        self.judge(|judgement| ready(&judgement.rule(name, Some(&rule), &judgement.planned_rules(), &good())))
    }
}

fn good() -> Diagnosis {
    Diagnosis::of(&[], |_| None)
}

fn ready(verdicts: &Verdicts) -> Verdict {
    said(verdicts, kind::READY)
}

fn said(verdicts: &Verdicts, wanted: &str) -> Verdict {
    verdicts.iter().find(|(kind, _)| *kind == wanted).unwrap().1.clone()
}

#[test]
fn all_is_well_when_pods_run_what_they_should() {
    assert_eq!(case().rule("same"), Verdict::yes(reason::READY, "The one ready pod runs it."));
    let sink = case().judge(|judgement| ready(&judgement.sink("vehicles", &good())));
    assert_eq!(sink, Verdict::yes(reason::READY, "Kafka answers every ready pod."));
}

#[test]
fn an_edited_rule_is_on_its_way_and_the_others_stay_ready() {
    let case = Case { wanted: plan(r#"SELECT * FROM "b""#), ..case() };
    assert_eq!(case.rule("edited"), Verdict::no(reason::PROGRAMMING, "0 of 1 ready pods run it."));
    assert!(case.rule("same").is_true());
}

#[test]
fn a_rule_that_is_not_enabled_is_ready_and_says_so() {
    let mut rule = fixtures::rule("off", SQL);
    rule.spec.enabled = false;
    let verdict =
        case().judge(|judgement| ready(&judgement.rule("off", Some(&rule), &judgement.planned_rules(), &good())));
    assert!(verdict.is_true());
    assert_eq!(verdict.reason, reason::DISABLED);
}

/// What is said of a resource whose generation 4 names something that does not exist while generation 3 runs.
fn lost() -> Diagnosis {
    let object = isthmus_api::ObjectRef::new("Sink", "plant", "vehicles");
    let reason = isthmus_plan::finding::reason::REF_NOT_FOUND;
    let finding = isthmus_plan::Finding::error(&object, "spec.connectorRef.name", reason, "there is no `kafak`");
    Diagnosis::of(&[&finding], |_| None).going_on(LastGood { running: Some(3), newest: 4 })
}

#[test]
fn last_good_version_goes_on_and_is_not_said_to_be_the_newest() {
    let verdicts = case().judge(|judgement| judgement.sink("vehicles", &lost()));
    assert_eq!(
        said(&verdicts, kind::RESOLVED_REFS),
        Verdict::no("RefNotFound", "spec.connectorRef.name: there is no `kafak`. Generation 3 goes on in the pods.")
    );
    assert_eq!(
        said(&verdicts, kind::PROGRAMMED),
        Verdict::no(
            reason::LAST_GOOD_VERSION,
            "The pods run generation 3; generation 4 does not, because: spec.connectorRef.name: there is no `kafak`."
        )
    );
    assert!(said(&verdicts, kind::CONNECTED).is_true(), "its link is the one that it had");
    assert_eq!(ready(&verdicts).reason, "RefNotFound");
    // What is wrong with the pods says more.
    let stuck = Case { blocked: Some(Blocked::Suspended), ..case() };
    let verdicts = stuck.judge(|judgement| judgement.sink("vehicles", &lost()));
    assert_eq!(said(&verdicts, kind::PROGRAMMED).reason, reason::SUSPENDED);
    // One that never ran is not there.
    let never = case().judge(|judgement| judgement.sink("other", &Diagnosis { last_good: None, ..lost() }));
    assert_eq!(said(&never, kind::PROGRAMMED).reason, reason::REFS_NOT_RESOLVED);
}

#[test]
fn rule_whose_sink_is_gone_says_which_action_fails() {
    let mut plan = plan(SQL);
    plan.rules[1].actions =
        vec![document::Action { name: "store".to_owned(), kind: ActionKind::Missing("gone".to_owned()) }];
    let case = Case { wanted: plan.clone(), running: plan, ..case() };
    let rule = fixtures::rule("same", SQL);
    let diagnosis = Diagnosis { last_good: None, ..lost() };
    let verdicts = case.judge(|judgement| judgement.rule("same", Some(&rule), &judgement.planned_rules(), &diagnosis));
    let programmed = said(&verdicts, kind::PROGRAMMED);
    assert!(programmed.is_true());
    assert_eq!(
        programmed.message,
        "The one ready pod runs it. Its action `store` fails for every message, because the Sink `gone` is not there any more."
    );
    assert_eq!(ready(&verdicts).reason, "RefNotFound");
}

#[test]
fn what_blocks_the_bridge_is_said_on_what_belongs_to_it() {
    for (blocked, expected) in [
        (Blocked::Missing, ("False", "RefsNotResolved")),
        (Blocked::Bridge, ("False", "BridgeNotAccepted")),
        (Blocked::Suspended, ("Unknown", "Suspended")),
        (Blocked::Failed(Verdict::no(reason::PLAN_TOO_LARGE, "Too large.")), ("False", "PlanTooLarge")),
    ] {
        let verdict = Case { blocked: Some(blocked), ..case() }.rule("same");
        assert_eq!((verdict.holds.text(), verdict.reason.as_str()), expected);
    }
}

#[test]
fn a_connector_that_nobody_uses_claims_nothing() {
    let verdicts = case().judge(|judgement| judgement.connector("other", &[], &good()));
    assert_eq!(ready(&verdicts).holds, Holds::Unknown);
    assert_eq!(ready(&verdicts).reason, reason::UNUSED);
}

#[test]
fn an_outdated_definition_is_said_where_fields_may_be_lost() {
    let verdicts = case().judge(|judgement| judgement.connector("kafka", &["vehicles"], &good()));
    let accepted = said(&verdicts, kind::ACCEPTED);
    assert!(accepted.is_true() && ready(&verdicts).is_true());
    assert_eq!(accepted.reason, reason::CRD_OUTDATED);
    assert!(accepted.message.contains("does not know the field `spec.kafka.tls`"), "{}", accepted.message);
}

#[test]
fn every_kind_has_all_its_conditions_from_the_first_visit() {
    case().judge(|judgement| {
        let kinds = |verdicts: Verdicts| verdicts.iter().map(|(kind, _)| *kind).collect::<Vec<_>>();
        let diagnosis = good();
        assert_eq!(
            kinds(judgement.bridge(&diagnosis)),
            ["Accepted", "ResolvedRefs", "Programmed", "Available", "MemoryPressure", "Ready"]
        );
        let link = ["Accepted", "ResolvedRefs", "Programmed", "Connected", "Ready"];
        assert_eq!(kinds(judgement.connector("kafka", &[], &diagnosis)), link);
        assert_eq!(kinds(judgement.sink("vehicles", &diagnosis)), link);
        assert_eq!(kinds(judgement.source("commands", &diagnosis)), link);
        assert_eq!(
            kinds(judgement.rule("same", None, &judgement.planned_rules(), &diagnosis)),
            ["Accepted", "ResolvedRefs", "Programmed", "Ready"]
        );
    });
}

#[test]
fn buffers_beyond_the_memory_are_a_warning_and_no_error() {
    let case = Case { memory: Some(128 << 20), ..case() };
    let verdicts = case.judge(|judgement| judgement.bridge(&good()));
    let accepted = &verdicts[0].1;
    assert_eq!((accepted.holds, accepted.reason.as_str()), (Holds::True, "BuffersExceedMemory"));
    let mut warned = good();
    warned.accepted = Verdict::yes(reason::ACCEPTED_WITH_WARNINGS, "Something else.");
    let both = case.judge(|judgement| judgement.bridge(&warned)).remove(0).1;
    assert_eq!(both.reason, "AcceptedWithWarnings");
    assert!(both.message.starts_with("Something else.\nThe buffers of the Sinks"), "{}", both.message);
    let enough = Case { memory: Some(2 << 30), ..case };
    assert_eq!(enough.judge(|judgement| judgement.bridge(&good())).remove(0).1.reason, "Accepted");
}
