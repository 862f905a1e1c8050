//! Resources in, plan and findings out.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its work fails its test")]

use isthmus_api::{
    Bridge, BridgeSpec, Connector, ConnectorSpec, LocalReference, Rule, RuleSpec, Sink, SinkSpec, Source, SourceSpec,
    bridge::Access,
    connector::Kafka,
    rule::{Action, Console, Republish},
    sink::PartitionStrategy,
    source::TopicMapping,
};
use isthmus_plan::{Diff, Options, Plan, Rendered, Resources, Severity, finding::reason, render};
use serde_json::json;

const SQL: &str =
    r#"SELECT clientid, payload.speed AS speed, timestamp FROM "vehicles/+/telemetry" WHERE payload.speed > 120"#;

fn named(name: &str) -> LocalReference {
    LocalReference { name: name.to_owned() }
}

fn bridge(name: &str) -> Bridge {
    let mut spec = BridgeSpec::default();
    spec.authentication.anonymous = Access::Allow;
    in_default(Bridge::new(name, spec))
}

fn connector(name: &str, bridge: &str) -> Connector {
    let kafka = Kafka::new(vec!["kafka:9092".to_owned()]);
    in_default(Connector::new(name, ConnectorSpec { bridge_ref: named(bridge), kafka }))
}

fn sink(name: &str, topic: &str) -> Sink {
    in_default(Sink::new(name, SinkSpec::new("kafka", topic)))
}

fn source(name: &str, topics: &[&str]) -> Source {
    let mapping = topics
        .iter()
        .map(|topic| TopicMapping { mqtt_topic: Some("cmd/${.key}".to_owned()), ..TopicMapping::new(*topic) })
        .collect();
    in_default(Source::new(name, SourceSpec::new("kafka", mapping)))
}

fn rule(name: &str, sql: &str, actions: Vec<Action>) -> Rule {
    let spec = RuleSpec {
        bridge_ref: named("fleet"),
        sql: sql.to_owned(),
        actions,
        enabled: true,
        description: String::new(),
        tests: Vec::new(),
    };
    in_default(Rule::new(name, spec))
}

fn to_sink(sink: &str) -> Action {
    Action { name: "to-kafka".to_owned(), sink_ref: Some(named(sink)), republish: None, console: None }
}

fn republish(topic: &str, payload: &str) -> Action {
    let republish = Republish { payload: payload.to_owned(), ..Republish::new(topic) };
    Action { name: "again".to_owned(), sink_ref: None, republish: Some(republish), console: None }
}

fn in_default<K: kube::Resource>(mut object: K) -> K {
    object.meta_mut().namespace = Some("default".to_owned());
    object
}

fn fleet() -> Resources {
    Resources {
        bridges: vec![bridge("fleet")],
        connectors: vec![connector("kafka", "fleet")],
        sinks: vec![sink("vehicles", "vehicles")],
        sources: vec![source("commands", &["commands"])],
        rules: vec![rule("speeding", SQL, vec![to_sink("vehicles")])],
        ..Resources::default()
    }
}

fn rendered(resources: &Resources) -> Rendered {
    render(resources, &Options::default(), None)
}

fn plan(resources: &Resources) -> Plan {
    rendered(resources).plan.unwrap()
}

/// Findings as lines: severity and reason, resource, path, message, help.
fn findings(resources: &Resources) -> Vec<String> {
    let lines = rendered(resources).findings;
    lines.iter().map(|finding| format!("[{}] {finding}", finding.reason)).collect()
}

#[test]
fn five_resources_become_one_plan_without_findings() {
    let rendered = rendered(&fleet());
    assert_eq!(rendered.findings, []);
    insta::assert_json_snapshot!(rendered.plan);
}

#[test]
fn a_plan_survives_its_json_form() {
    let plan = plan(&fleet());
    let text = serde_json::to_string_pretty(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn a_plan_with_a_field_this_version_does_not_know_is_refused() {
    let mut json = serde_json::to_value(plan(&fleet())).unwrap();
    json["sinks"][0]["fromTheFuture"] = true.into();
    assert!(serde_json::from_value::<Plan>(json).unwrap_err().to_string().contains("fromTheFuture"));
}

#[test]
fn revision_follows_content_and_nothing_else() {
    let one = plan(&fleet());
    assert_eq!(one.revision.len(), 16);
    let mut reordered = fleet();
    reordered.sinks.insert(0, sink("another", "another"));
    let with_another = plan(&reordered).revision;
    reordered.sinks.reverse();
    assert_eq!(plan(&reordered).revision, with_another, "the order of Sinks says nothing");
    assert_ne!(with_another, one.revision);
    let mut described = fleet();
    described.rules[0].spec.description = "cars that are too fast".to_owned();
    described.rules[0].metadata.resource_version = Some("7".to_owned());
    assert_eq!(plan(&described).revision, one.revision, "what pods do not run does not change the revision");
}

#[test]
fn a_group_is_named_after_the_source_unless_it_is_given() {
    let mut resources = fleet();
    assert_eq!(plan(&resources).sources[0].group_id, "isthmus-default-commands");
    resources.sources[0].spec.group_id = "mine".to_owned();
    assert_eq!(plan(&resources).sources[0].group_id, "mine");
}

#[test]
fn older_rules_come_first_and_rules_without_age_keep_their_order() {
    let mut resources = fleet();
    resources.rules = ["c", "a", "b"].map(|name| rule(name, SQL, vec![])).to_vec();
    let order =
        |resources: &Resources| -> Vec<String> { plan(resources).rules.into_iter().map(|rule| rule.name).collect() };
    assert_eq!(order(&resources), ["c", "a", "b"]);
    for (rule, time) in resources.rules.iter_mut().zip(["2026-01-03", "2026-01-01", "2026-01-02"]) {
        let time = serde_json::from_value(format!("{time}T00:00:00Z").into()).unwrap();
        rule.metadata.creation_timestamp = Some(time);
    }
    assert_eq!(order(&resources), ["a", "b", "c"]);
    resources.rules.reverse();
    assert_eq!(order(&resources), ["a", "b", "c"]);
}

#[test]
fn a_reference_to_nothing_leaves_out_what_refers_and_nothing_else() {
    let mut resources = fleet();
    resources.rules.push(rule("lost", SQL, vec![to_sink("vehicle")]));
    resources.sinks.push(in_default(Sink::new("orphan", SinkSpec::new("kafak", "x"))));
    resources.rules.push(rule("reader", r#"SELECT * FROM "$sources/kafka_consumer:comands""#, vec![]));
    insta::assert_snapshot!(findings(&resources).join("\n"));
    let plan = plan(&resources);
    assert_eq!((plan.sinks.len(), plan.sources.len(), plan.rules.len()), (1, 1, 1));
}

#[test]
fn what_depends_on_something_broken_says_so() {
    let mut resources = fleet();
    resources.sinks[0].spec.topic = "with/slash".to_owned();
    resources.connectors.push(connector("lost", "flet"));
    resources.sinks.push(in_default(Sink::new("far", SinkSpec::new("lost", "x"))));
    insta::assert_snapshot!(findings(&resources).join("\n"));
    assert_eq!(plan(&resources).rules, []);
}

#[test]
fn sql_that_does_not_compile_is_located() {
    let mut resources = fleet();
    resources.rules[0].spec.sql = r#"SELECT uper(clientid) AS c FROM "t""#.to_owned();
    let findings = rendered(&resources).findings;
    assert_eq!((findings[0].reason, findings[0].path.as_str()), (reason::INVALID_SQL, "spec.sql"));
    let span = findings[0].span.clone().unwrap();
    assert_eq!(&resources.rules[0].spec.sql[span], "uper");
    assert_eq!(plan(&resources).rules, []);
}

#[test]
fn a_disabled_rule_is_checked_and_left_out() {
    let mut resources = fleet();
    resources.rules[0].spec.enabled = false;
    assert_eq!(findings(&resources), Vec::<String>::new());
    assert_eq!(plan(&resources).rules, []);
    resources.rules[0].spec.sql = "SELECT".to_owned();
    assert!(rendered(&resources).has_errors());
}

#[test]
fn events_are_refused_until_they_are_delivered() {
    let mut resources = fleet();
    resources.rules[0].spec.sql = r#"SELECT clientid FROM "t", "$events/client/connected""#.to_owned();
    let findings = rendered(&resources).findings;
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].reason, reason::EVENT_NOT_DELIVERED);
    let span = findings[0].span.clone().unwrap();
    assert_eq!(&resources.rules[0].spec.sql[span], r#""$events/client/connected""#);
}

#[test]
fn variables_the_select_never_gives_are_warnings_on_the_rule() {
    let mut resources = fleet();
    resources.sinks[0].spec.topic = "site-${site}".to_owned();
    resources.rules = vec![rule(
        "r",
        r#"SELECT payload.speed AS speed FROM "t/#""#,
        vec![to_sink("vehicles"), republish("alarm/${clientid}", "${payload}")],
    )];
    insta::assert_snapshot!(findings(&resources).join("\n"));
    assert_eq!(plan(&resources).rules.len(), 1, "a warning leaves nothing out");
}

#[test]
fn a_select_of_everything_may_give_any_variable() {
    let mut resources = fleet();
    resources.rules =
        vec![rule("r", r#"SELECT * FROM "t/#""#, vec![to_sink("vehicles"), republish("a/${clientid}", "${.}")])];
    assert_eq!(findings(&resources), Vec::<String>::new());
}

#[test]
fn variables_no_record_has_are_warnings_on_the_source() {
    let mut resources = fleet();
    resources.sources[0].spec.topic_mapping[0].mqtt_topic = Some("cmd/${.client}/${.headers.site}".to_owned());
    insta::assert_snapshot!(findings(&resources).join("\n"));
}

#[test]
fn a_kafka_topic_is_mapped_once() {
    let mut resources = fleet();
    resources.sources = vec![source("commands", &["a", "b", "a"])];
    insta::assert_snapshot!(findings(&resources).join("\n"));
    assert_eq!(plan(&resources).sources, []);
}

#[test]
fn publishing_to_a_wildcard_is_refused() {
    let mut resources = fleet();
    resources.rules[0].spec.actions.push(republish("alarms/#", "${.}"));
    resources.sources[0].spec.topic_mapping[0].mqtt_topic = Some("cmd/+".to_owned());
    insta::assert_snapshot!(findings(&resources).join("\n"));
}

#[test]
fn dispatching_by_an_empty_key_is_refused() {
    let mut resources = fleet();
    resources.sinks[0].spec.partition_strategy = PartitionStrategy::KeyDispatch;
    resources.sinks[0].spec.key = String::new();
    assert_eq!(rendered(&resources).findings[0].reason, reason::EMPTY_KEY);
}

#[test]
fn the_second_of_two_equal_names_is_the_finding() {
    let mut resources = fleet();
    resources.sinks.push(sink("vehicles", "other"));
    insta::assert_snapshot!(findings(&resources).join("\n"));
    assert_eq!(plan(&resources).sinks[0].topic, "vehicles");
}

#[test]
fn an_action_is_exactly_one_thing() {
    let mut resources = fleet();
    let both = Action { console: Some(Console {}), ..to_sink("vehicles") };
    resources.rules[0].spec.actions = vec![both];
    assert_eq!(rendered(&resources).findings[0].reason, reason::INVALID_ACTION);
}

#[test]
fn without_a_bridge_there_is_no_plan() {
    let mut resources = fleet();
    resources.bridges.clear();
    let rendered = rendered(&resources);
    assert_eq!(rendered.plan, None);
    assert_eq!(rendered.findings[0].reason, reason::BRIDGE_NOT_CHOSEN);
}

#[test]
fn each_bridge_gets_its_own_resources() {
    let mut resources = fleet();
    resources.bridges.push(bridge("lab"));
    resources.connectors.push(connector("lab-kafka", "lab"));
    resources.sinks.push(in_default(Sink::new("lab-sink", SinkSpec::new("lab-kafka", "lab"))));
    assert_eq!(rendered(&resources).plan, None, "none was chosen");
    let of = |name: &str| {
        let bridge = Some(("default".to_owned(), name.to_owned()));
        render(&resources, &Options { bridge }, None)
    };
    let (fleet, lab) = (of("fleet"), of("lab"));
    assert_eq!((fleet.findings, lab.findings), (vec![], vec![]));
    let sinks = |plan: Option<Plan>| -> Vec<String> { plan.unwrap().sinks.into_iter().map(|sink| sink.name).collect() };
    assert_eq!((sinks(fleet.plan), sinks(lab.plan)), (vec!["vehicles".to_owned()], vec!["lab-sink".to_owned()]));
}

#[test]
fn a_sink_of_another_bridge_is_refused() {
    let mut resources = fleet();
    resources.bridges.push(bridge("lab"));
    resources.connectors.push(connector("lab-kafka", "lab"));
    resources.sinks.push(in_default(Sink::new("lab-sink", SinkSpec::new("lab-kafka", "lab"))));
    resources.rules[0].spec.actions = vec![to_sink("lab-sink")];
    let bridge = Some(("default".to_owned(), "fleet".to_owned()));
    let findings = render(&resources, &Options { bridge }, None).findings;
    assert_eq!(findings[0].reason, reason::REF_OF_OTHER_BRIDGE);
}

#[test]
fn a_bridge_nobody_can_connect_to_is_a_warning() {
    let mut resources = fleet();
    resources.bridges[0].spec.authentication.anonymous = Access::Deny;
    let findings = rendered(&resources).findings;
    assert_eq!((findings[0].reason, findings[0].severity), (reason::NOBODY_CAN_CONNECT, Severity::Warning));
}

#[test]
fn a_reload_touches_only_what_changed() {
    let old = fleet();
    let mut new = fleet();
    new.sinks[0].spec.topic = "fast-vehicles".to_owned();
    new.sinks.push(sink("more", "more"));
    new.sources.clear();
    new.bridges[0].spec.mqtt.receive_maximum = 7;
    let diff = Diff::between(&plan(&old), &plan(&new));
    assert!(diff.settings && diff.listeners.is_empty() && diff.rules.is_empty() && !diff.is_empty());
    assert_eq!(diff.sinks.changed, ["vehicles"]);
    assert_eq!(diff.sinks.added, ["more"]);
    assert_eq!(diff.sources.removed, ["commands"]);
    assert_eq!(diff.rules.unchanged, ["speeding"]);
    assert!(Diff::between(&plan(&old), &plan(&old)).is_empty());
}

#[test]
fn a_changed_connector_changes_its_sinks_and_sources() {
    let old = fleet();
    let mut new = fleet();
    new.connectors[0].spec.kafka.bootstrap_servers = vec!["other:9092".to_owned()];
    let diff = Diff::between(&plan(&old), &plan(&new));
    assert_eq!((diff.sinks.changed.len(), diff.sources.changed.len()), (1, 1));
    assert!(diff.rules.is_empty() && !diff.settings);
}

#[test]
fn another_order_of_rules_is_a_change() {
    let mut old = fleet();
    old.rules = ["a", "b"].map(|name| rule(name, SQL, vec![])).to_vec();
    let mut new = old.clone();
    new.rules.reverse();
    let diff = Diff::between(&plan(&old), &plan(&new));
    assert!(diff.rules.is_empty() && diff.rule_order && !diff.is_empty());
}

/// A test of the rule [`SQL`]; `event` and `expect` as in a manifest.
#[expect(clippy::needless_pass_by_value, reason = "its callers write JSON in place")]
fn own_test(name: &str, event: serde_json::Value, expect: serde_json::Value) -> isthmus_api::rule::Test {
    serde_json::from_value(serde_json::json!({"name": name, "event": event, "expect": expect})).unwrap()
}

/// The fleet with a rule of this SQL, without actions when the SQL is not [`SQL`].
fn with_tests(sql: &str, tests: Vec<isthmus_api::rule::Test>) -> Resources {
    let mut resources = fleet();
    if sql != SQL {
        resources.rules[0].spec.actions.clear();
    }
    sql.clone_into(&mut resources.rules[0].spec.sql);
    resources.rules[0].spec.tests = tests;
    resources
}

#[test]
fn a_rule_that_passes_its_own_tests_is_in_the_plan_and_its_tests_are_not() {
    let fast = json!({"topic": "vehicles/7/telemetry", "clientid": "car-7", "payload": {"speed": 130}});
    let text = json!({"topic": "vehicles/7/telemetry", "payload": "{\"speed\": 130}"});
    let slow = json!({"topic": "vehicles/7/telemetry", "payload": {"speed": 30}});
    let tests = vec![
        own_test("fast", fast, json!({"output": {"speed": 130, "clientid": "car-7"}})),
        own_test("text", text, json!({"output": {"speed": 130}})),
        own_test("slow", slow, json!({"noMatch": true})),
        own_test("elsewhere", json!({"topic": "boats/7"}), json!({"noMatch": true})),
        own_test("broken", json!({"topic": "vehicles/7/telemetry", "payload": "{"}), json!({"error": true})),
    ];
    let resources = with_tests(SQL, tests);
    assert_eq!(findings(&resources), [""; 0]);
    assert_eq!(plan(&resources).revision, plan(&fleet()).revision);
}

#[test]
fn a_rule_that_fails_its_own_test_is_left_out() {
    let event = |speed: i32| json!({"topic": "vehicles/7/telemetry", "clientid": "car-7", "payload": {"speed": speed}});
    let tests = vec![
        own_test("passes", event(130), json!({"output": {"speed": 130}})),
        own_test("other output", event(130), json!({"output": {"speed": 131}})),
        own_test("slow", event(30), json!({"output": {"speed": 30}})),
        own_test("elsewhere", json!({"topic": "boats/7"}), json!({"output": {"speed": 30}})),
        own_test("matches", event(130), json!({"noMatch": true})),
        own_test("raises", json!({"topic": "vehicles/7/telemetry", "payload": "{"}), json!({"noMatch": true})),
        own_test("raises not", event(130), json!({"error": true})),
        own_test("rows", event(130), json!({"outputs": [{"speed": 130}]})),
    ];
    let resources = with_tests(SQL, tests);
    insta::assert_snapshot!(findings(&resources).join("\n"));
    assert_eq!(plan(&resources).rules, []);
}

#[test]
fn rows_of_a_foreach_are_tested_in_order() {
    let sql = "FOREACH payload.list AS i DO i.a AS a INCASE i.a > 1 FROM \"t\"";
    let event = |list: serde_json::Value| json!({"topic": "t", "payload": {"list": list}});
    let good = vec![
        own_test("two", event(json!([{"a": 2}, {"a": 1}, {"a": 3}])), json!({"outputs": [{"a": 2}, {"a": 3}]})),
        own_test("none", event(json!([])), json!({"outputs": []})),
    ];
    assert_eq!(findings(&with_tests(sql, good)), [""; 0]);
    let bad = vec![own_test("order", event(json!([{"a": 2}, {"a": 3}])), json!({"outputs": [{"a": 3}, {"a": 2}]}))];
    assert_eq!(findings(&with_tests(sql, bad)).len(), 1);
}

#[test]
fn tests_of_a_rule_over_a_source_name_it_in_their_event() {
    let sql = "SELECT value.a AS a, key FROM \"$sources/kafka_consumer:commands\"";
    let event = |name: &str| json!({"event": name, "key": "k", "value": {"a": 1}});
    let tests = vec![
        own_test("ours", event("$sources/kafka_consumer:commands"), json!({"output": {"a": 1, "key": "k"}})),
        own_test("other", event("$sources/kafka_consumer:other"), json!({"noMatch": true})),
    ];
    assert_eq!(findings(&with_tests(sql, tests)), [""; 0]);
}

#[test]
fn a_test_of_no_event_says_which_column_or_event_is_meant() {
    let tests = vec![
        own_test("column", json!({"clientId": "car-7"}), json!({"noMatch": true})),
        own_test("event", json!({"event": "client.conected"}), json!({"noMatch": true})),
    ];
    insta::assert_snapshot!(findings(&with_tests(SQL, tests)).join("\n"));
}

#[test]
fn tests_of_a_rule_that_is_not_enabled_are_run_too() {
    let mut resources = with_tests(SQL, vec![own_test("never", json!({}), json!({"error": true}))]);
    resources.rules[0].spec.enabled = false;
    assert_eq!(findings(&resources).len(), 1);
}
