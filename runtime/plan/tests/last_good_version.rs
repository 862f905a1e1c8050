//! A wrong edit changes nothing that runs: rendering with the plan in force.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its work fails its test")]

use isthmus_api::{
    Bridge, BridgeSpec, Connector, ConnectorSpec, LocalReference, Rule, RuleSpec, Sink, SinkSpec, Source, SourceSpec,
    bridge::Access,
    connector::Kafka,
    rule::{Action, Test},
    sink::PartitionStrategy,
    source::TopicMapping,
};
use isthmus_plan::{
    Diff, Options, Plan, Rendered, Resources,
    document::{self, ActionKind},
    finding::reason,
    render, render_readable,
};
use kube::ResourceExt as _;
use serde_json::json;

fn named(name: &str) -> LocalReference {
    LocalReference { name: name.to_owned() }
}

/// As the API server has it: the first generation, with a uid.
fn stored<K: kube::Resource>(mut object: K) -> K {
    let meta = object.meta_mut();
    meta.namespace = Some("default".to_owned());
    meta.generation = Some(1);
    meta.uid = meta.name.as_ref().map(|name| format!("uid-of-{name}"));
    object
}

fn bridge(name: &str) -> Bridge {
    let mut spec = BridgeSpec::default();
    spec.authentication.anonymous = Access::Allow;
    stored(Bridge::new(name, spec))
}

fn connector(name: &str, bridge: &str) -> Connector {
    let kafka = Kafka::new(vec![format!("{name}:9092")]);
    stored(Connector::new(name, ConnectorSpec { bridge_ref: named(bridge), kafka }))
}

fn rule(name: &str, sinks: &[&str]) -> Rule {
    let action = |sink: &&str| Action {
        name: format!("to-{sink}"),
        sink_ref: Some(named(sink)),
        republish: None,
        console: None,
    };
    let spec = RuleSpec {
        bridge_ref: named("fleet"),
        sql: r#"SELECT clientid, payload FROM "t/#""#.to_owned(),
        actions: sinks.iter().map(action).collect(),
        enabled: true,
        description: String::new(),
        tests: Vec::new(),
    };
    stored(Rule::new(name, spec))
}

fn fleet() -> Resources {
    let mapping = TopicMapping { mqtt_topic: Some("cmd/${.key}".to_owned()), ..TopicMapping::new("commands") };
    Resources {
        bridges: vec![bridge("fleet"), bridge("other")],
        connectors: vec![connector("kafka", "fleet"), connector("elsewhere", "other")],
        sinks: ["a", "b"].map(|name| stored(Sink::new(name, SinkSpec::new("kafka", name)))).to_vec(),
        sources: vec![stored(Source::new("commands", SourceSpec::new("kafka", vec![mapping])))],
        rules: vec![rule("first", &["a", "b"]), rule("second", &["a"])],
        ..Resources::default()
    }
}

fn options() -> Options {
    Options { bridge: Some(("default".to_owned(), "fleet".to_owned())) }
}

fn over(resources: &Resources, in_force: Option<&Plan>) -> Rendered {
    render(resources, &options(), in_force)
}

fn running() -> Plan {
    let rendered = over(&fleet(), None);
    assert!(!rendered.has_errors());
    rendered.plan.unwrap()
}

fn names(plan: &Plan) -> String {
    let sinks = plan.sinks.iter().map(|sink| &sink.name);
    let sources = plan.sources.iter().map(|source| &source.name);
    let rules = plan.rules.iter().map(|rule| &rule.name);
    sinks.chain(sources).chain(rules).map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn kept(rendered: &Rendered) -> Vec<String> {
    rendered.kept.iter().map(|kept| format!("{} {}", kept.object.kind, kept.object.name)).collect()
}

fn failing_test() -> Test {
    serde_json::from_value(
        json!({"name": "never", "event": {"topic": "t/1", "payload": "x"}, "expect": {"noMatch": true}}),
    )
    .unwrap()
}

type Edit = fn(&mut Resources);

/// A wrong edit, what is kept because of it, and what is left when nothing runs yet.
const WRONG: &[(&str, Edit, &[&str], &str)] = &[
    ("bad SQL", |r| r.rules[0].spec.sql = "SELECT FROM".into(), &["Rule first"], "a b commands second"),
    ("own test", |r| r.rules[0].spec.tests.push(failing_test()), &["Rule first"], "a b commands second"),
    (
        "events",
        |r| r.rules[0].spec.sql = r#"SELECT 1 AS x FROM "$events/client/connected""#.into(),
        &["Rule first"],
        "a b commands second",
    ),
    (
        "mistyped sinkRef",
        |r| r.rules[1].spec.actions[0].sink_ref = Some(named("aa")),
        &["Rule second"],
        "a b commands first",
    ),
    (
        "mistyped Source",
        |r| r.rules[1].spec.sql = r#"SELECT * FROM "$sources/kafka_consumer:comands""#.into(),
        &["Rule second"],
        "a b commands first",
    ),
    (
        "rule: mistyped bridgeRef",
        |r| r.rules[0].spec.bridge_ref = named("flet"),
        &["Rule first"],
        "a b commands second",
    ),
    (
        "two actions of a name",
        |r| {
            let action = r.rules[1].spec.actions[0].clone();
            r.rules[1].spec.actions.push(action);
        },
        &["Rule second"],
        "a b commands first",
    ),
    ("sink: mistyped connectorRef", |r| r.sinks[0].spec.connector_ref = named("kafak"), &["Sink a"], "b commands"),
    ("sink: illegal topic", |r| r.sinks[0].spec.topic = "with/slash".into(), &["Sink a"], "b commands"),
    (
        "sink: empty key",
        |r| {
            r.sinks[1].spec.partition_strategy = PartitionStrategy::KeyDispatch;
            r.sinks[1].spec.key = String::new();
        },
        &["Sink b"],
        "a commands second",
    ),
    (
        "source: mistyped connectorRef",
        |r| r.sources[0].spec.connector_ref = named("kafak"),
        &["Source commands"],
        "a b first second",
    ),
    (
        "source: wildcard",
        |r| r.sources[0].spec.topic_mapping[0].mqtt_topic = Some("x/#".into()),
        &["Source commands"],
        "a b first second",
    ),
    ("deleted Connector", |r| drop(r.connectors.remove(0)), &["Sink a", "Sink b", "Source commands"], ""),
    (
        "connector: mistyped bridgeRef",
        |r| r.connectors[0].spec.bridge_ref = named("flet"),
        &["Sink a", "Sink b", "Source commands"],
        "",
    ),
];

#[test]
fn a_wrong_edit_changes_nothing_that_runs() {
    let running = running();
    for (what, edit, expected, alone) in WRONG {
        let mut resources = fleet();
        edit(&mut resources);
        resources.rules.iter_mut().for_each(|rule| rule.metadata.generation = Some(2));
        resources.sinks.iter_mut().for_each(|sink| sink.metadata.generation = Some(2));
        let rendered = over(&resources, Some(&running));
        assert!(rendered.has_errors(), "{what}: the error is told all the same");
        assert_eq!(kept(&rendered), *expected, "{what}");
        assert!(rendered.kept.iter().all(|kept| kept.generation == Some(1)), "{what}: the generation that goes on");
        let plan = rendered.plan.unwrap();
        assert_eq!(plan.revision, running.revision, "{what}");
        assert!(Diff::between(&running, &plan).is_empty(), "{what}");
        // What was kept is kept from then on, also by an operator that has just started.
        let again = over(&resources, Some(&serde_json::from_value(json!(plan)).unwrap()));
        assert_eq!((again.plan.as_ref(), kept(&again)), (Some(&plan), kept_names(expected)), "{what}");
        // One that never ran is left out.
        let first = over(&resources, None);
        assert_eq!((names(&first.plan.unwrap()).as_str(), first.kept.len()), (*alone, 0), "{what}");
        // The correction is taken on.
        assert_eq!(over(&fleet(), Some(&plan)).plan.unwrap(), running, "{what}");
    }
}

fn kept_names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn any_two_wrong_edits_together_lose_nothing_either() {
    let running = running();
    for (one, first, ..) in WRONG {
        for (other, second, ..) in WRONG {
            let mut resources = fleet();
            second(&mut resources);
            if !(*one == "deleted Connector" && *other == *one) {
                first(&mut resources);
            }
            // The second Connector of the list is of another Bridge: deleting it too changes nothing here.
            let plan = over(&resources, Some(&running)).plan.unwrap();
            assert_eq!(names(&plan), names(&running), "{one}, {other}");
        }
    }
}

#[test]
fn what_is_wrong_holds_back_nothing_else() {
    let mut resources = fleet();
    resources.rules[0].spec.sql = "SELECT FROM".to_owned();
    resources.sinks[0].spec.topic = "changed".to_owned();
    let plan = over(&resources, Some(&running())).plan.unwrap();
    assert_eq!(plan.sink("a").unwrap().topic, "changed");
    assert_eq!(plan.rules[0], running().rules[0]);
}

#[test]
fn what_is_taken_out_on_purpose_goes_even_with_an_error() {
    let running = running();
    let purposes: [(Edit, &str); 5] = [
        (|r| drop(r.rules.remove(1)), "a b commands first"),
        (|r| r.rules[0].spec.enabled = false, "a b commands second"),
        (|r| r.rules[0].spec.bridge_ref = named("other"), "a b commands second"),
        (|r| drop(r.sources.remove(0)), "a b first second"),
        (|r| r.sources[0].spec.connector_ref = named("elsewhere"), "a b first second"),
    ];
    for (purpose, left) in purposes {
        let mut resources = fleet();
        resources.rules[0].spec.sql = "SELECT FROM".to_owned();
        purpose(&mut resources);
        assert_eq!(names(&over(&resources, Some(&running)).plan.unwrap()), left);
    }
}

#[test]
fn one_of_the_same_name_with_another_uid_is_another_one() {
    let mut resources = fleet();
    for (edit, left) in [
        ((|r| r.rules[1].metadata.uid = Some("new".to_owned())) as Edit, "a b commands first"),
        (|r| r.sinks[1].metadata.uid = Some("new".to_owned()), "a commands first"),
        (|r| r.sources[0].metadata.uid = Some("new".to_owned()), "a first"),
    ] {
        edit(&mut resources);
        resources.rules[1].spec.sql = "SELECT FROM".to_owned();
        resources.sinks[1].spec.topic = "with/slash".to_owned();
        resources.sources[0].spec.topic_mapping[0].mqtt_topic = Some("x/#".to_owned());
        assert_eq!(names(&over(&resources, Some(&running())).plan.unwrap()), left);
    }
}

#[test]
fn a_rule_keeps_an_action_whose_sink_was_deleted_as_one_that_fails() {
    let kinds = |plan: &Plan| -> Vec<ActionKind> {
        plan.rules.iter().flat_map(|rule| &rule.actions).map(|action| action.kind.clone()).collect()
    };
    let (a, b) = (|| ActionKind::Sink("a".to_owned()), || ActionKind::Missing("b".to_owned()));
    let elsewhere: Edit = |r| r.sinks[1].spec.connector_ref = named("elsewhere");
    let deleted: Edit = |r| drop(r.sinks.remove(1));
    for (edit, why) in [(deleted, reason::REF_NOT_FOUND), (elsewhere, reason::REF_OF_OTHER_BRIDGE)] {
        let mut resources = fleet();
        edit(&mut resources);
        let rendered = over(&resources, Some(&running()));
        assert_eq!(rendered.findings.iter().map(|finding| finding.reason).collect::<Vec<_>>(), [why]);
        assert_eq!(rendered.kept, [], "the rule runs as it is written");
        let plan = rendered.plan.unwrap();
        assert_eq!(kinds(&plan), [a(), b(), a()]);
        assert_eq!(over(&resources, Some(&plan)).plan.unwrap(), plan);

        // A change of the rule is taken on.
        resources.rules[0].spec.sql = r#"SELECT 1 AS one FROM "t""#.to_owned();
        let changed = over(&resources, Some(&plan)).plan.unwrap();
        assert_eq!((&changed.rules[0].sql, kinds(&changed)), (&resources.rules[0].spec.sql, vec![a(), b(), a()]));

        // A wrong one is not, and the Sink comes back to the version that goes on.
        resources.rules[0].spec.sql = "SELECT FROM".to_owned();
        let kept = over(&resources, Some(&running())).plan.unwrap();
        assert_eq!((&kept.rules[0].sql, kinds(&kept)), (&running().rules[0].sql, vec![a(), b(), a()]));
        resources.sinks = fleet().sinks;
        assert_eq!(over(&resources, Some(&kept)).plan.unwrap(), running());

        // One that never ran with it is refused.
        let mut resources = fleet();
        edit(&mut resources);
        resources.rules.push(rule("new", &["b"]));
        assert_eq!(names(&over(&resources, Some(&running())).plan.unwrap()), "a commands first second");
    }
}

#[test]
fn another_generation_of_the_same_is_no_new_revision_and_nothing_to_do() {
    let mut resources = fleet();
    resources.bridges[0].metadata.generation = Some(7);
    resources.sinks[0].metadata.generation = Some(7);
    resources.sources[0].metadata.generation = Some(7);
    resources.rules[0].metadata.generation = Some(7);
    let (before, plan) = (running(), over(&resources, None).plan.unwrap());
    assert_eq!(plan.rules[0].generation, Some(7));
    assert_eq!(plan.bridge.generation, Some(7));
    assert_eq!(plan.revision, before.revision);
    assert!(Diff::between(&before, &plan).is_empty());
}

#[test]
fn a_sink_with_another_uid_is_removed_and_added() {
    let mut plan = running();
    let before = plan.clone();
    plan.sinks[0].uid = None;
    assert!(Diff::between(&before, &plan).is_empty(), "a plan of before there were uids");
    plan.sinks[0].uid = Some("new".to_owned());
    let sinks = Diff::between(&before, &plan).sinks;
    assert_eq!((sinks.added, sinks.removed, sinks.changed), (vec!["a".to_owned()], vec!["a".to_owned()], vec![]));
}

#[test]
fn what_this_version_cannot_run_is_not_kept() {
    let mut older = running();
    older.rules[0].sql = "SELECT of_another_version(1) AS x FROM \"t\"".to_owned();
    let mut resources = fleet();
    resources.rules[0].spec.sql = older.rules[0].sql.clone();
    assert_eq!(names(&over(&resources, Some(&older)).plan.unwrap()), "a b commands second");
}

#[test]
fn the_plan_of_another_bridge_is_no_memory() {
    let mut other = running();
    other.bridge.name = "other".to_owned();
    let mut resources = fleet();
    resources.rules[0].spec.sql = "SELECT FROM".to_owned();
    assert_eq!(names(&over(&resources, Some(&other)).plan.unwrap()), "a b commands second");
}

#[test]
fn what_cannot_be_read_goes_on_in_its_place() {
    let running = running();
    let all = fleet();
    let reference = |kind: &str, name: String| isthmus_api::ObjectRef::new(kind, "default", name);
    let unreadable = [
        reference("Bridge", "fleet".to_owned()),
        reference("Connector", "kafka".to_owned()),
        reference("Sink", all.sinks[0].name_any()),
        reference("Source", all.sources[0].name_any()),
        reference("Rule", all.rules[0].name_any()),
        reference("Rule", "never-ran".to_owned()),
    ];
    let mut rest = fleet();
    rest.bridges[0].spec = BridgeSpec::default();
    rest.connectors.remove(0);
    rest.sinks.remove(0);
    rest.sources.remove(0);
    rest.rules.remove(0);
    let rendered = render_readable(&rest, &unreadable, &options(), Some(&running));
    assert_eq!(kept(&rendered), ["Bridge fleet", "Sink b", "Sink a", "Source commands", "Rule first"]);
    assert_eq!(rendered.plan.unwrap(), running, "also the order of the rules");
    let document::Bridge { authentication, .. } = render(&rest, &options(), None).plan.unwrap().bridge;
    assert!(!authentication.anonymous, "without a plan in force the stand-in is what there is");
}
