use serde_json::{Value, json};

use super::*;
use crate::fixtures::{object, stored};

fn key(name: &str) -> BridgeKey {
    BridgeKey::new("plant", name)
}

fn keys(names: &[&str]) -> BTreeSet<BridgeKey> {
    names.iter().map(|name| key(name)).collect()
}

fn connector(bridge: &str) -> Value {
    json!({"bridgeRef": {"name": bridge}, "kafka": {"bootstrapServers": ["k:9092"]}})
}

fn rule(bridge: &str) -> Value {
    json!({"bridgeRef": {"name": bridge}, "sql": "SELECT * FROM \"a\""})
}

fn sink() -> Value {
    json!({"connectorRef": {"name": "kafka"}, "topic": "t"})
}

#[test]
fn a_rule_concerns_its_bridge_and_when_it_moves_both() {
    let mut index = Index::default();
    assert_eq!(index.put::<Rule>(&stored("r", &rule("a"))), keys(&["a"]));
    let mut moved = object("Rule", "r", &rule("b"));
    moved.metadata.generation = Some(2);
    assert_eq!(index.put::<Rule>(&Stored::read(moved)), keys(&["a", "b"]));
    assert_eq!(index.remove::<Rule>("plant", "r"), keys(&["b"]));
}

#[test]
fn a_changed_status_concerns_nobody() {
    let mut index = Index::default();
    index.put::<Rule>(&stored("r", &rule("a")));
    let mut touched = object("Rule", "r", &rule("a"));
    touched.metadata.resource_version = Some("11".to_owned());
    touched.data["status"] = json!({"observedGeneration": 1, "conditions": []});
    assert_eq!(index.put::<Rule>(&Stored::read(touched)), BTreeSet::new());
    let found = index.neighbourhood(&key("a"));
    assert!(found.rules[0].object().unwrap().status.is_some());
}

#[test]
fn an_older_version_does_not_replace_a_newer_one() {
    let mut index = Index::default();
    let mut newer = object("Rule", "r", &rule("a"));
    newer.metadata.resource_version = Some("11".to_owned());
    newer.data["status"] = json!({"observedGeneration": 1, "conditions": []});
    index.put::<Rule>(&Stored::read(newer));
    index.put::<Rule>(&stored("r", &rule("a")));
    assert!(index.neighbourhood(&key("a")).rules[0].object().unwrap().status.is_some());
}

#[test]
fn a_sink_belongs_to_the_bridge_of_its_connector_or_to_nobody() {
    let mut index = Index::default();
    index.put::<Sink>(&stored("s", &sink()));
    assert_eq!(index.keys(), keys(&[""]));
    let of = |index: &Index, name: &str| {
        let around = index.neighbourhood(&key(name));
        around.of_connectors_here(&around.sinks).count()
    };
    assert_eq!((of(&index, ""), of(&index, "a")), (1, 0));
    assert_eq!(index.put::<Connector>(&stored("kafka", &connector("a"))), keys(&["a"]));
    assert_eq!((of(&index, ""), of(&index, "a")), (0, 1));
    // Gone again, the Sink is an orphan again.
    assert_eq!(index.remove::<Connector>("plant", "kafka"), keys(&["", "a"]));
}

#[test]
fn what_cannot_be_read_keeps_its_place() {
    let mut index = Index::default();
    let broken = json!({"bridgeRef": {"name": "a"}, "sql": 5});
    assert_eq!(index.put::<Rule>(&stored("r", &broken)), keys(&["a"]));
    let around = index.neighbourhood(&key("a"));
    assert!(matches!(&around.rules[0], Stored::Unreadable(unreadable) if unreadable.message.contains("invalid type")));
}

#[test]
fn namespaces_are_worlds_of_their_own() {
    let mut index = Index::default();
    index.put::<Bridge>(&stored("a", &json!({})));
    let mut elsewhere = object("Bridge", "b", &json!({}));
    elsewhere.metadata.namespace = Some("other".to_owned());
    assert_eq!(index.put::<Bridge>(&Stored::read(elsewhere)), BTreeSet::from([BridgeKey::new("other", "b")]));
    assert_eq!(index.neighbourhood(&key("a")).bridges.len(), 1);
}

/// The plan of `a` with the Sink `s`, its Connector `kafka` and the Rule `r`.
fn plan_of_a() -> (String, Arc<Plan>) {
    let bridge = crate::fixtures::bridge(&json!({}));
    let mut plan = crate::fixtures::plan(&bridge, vec![crate::fixtures::rule("r", "SELECT * FROM \"a\"")]);
    plan.sinks[0].name = "s".to_owned();
    plan.sources.clear();
    ("a".to_owned(), Arc::new(plan))
}

#[test]
fn what_leads_nowhere_stays_with_the_bridge_whose_pods_run_it() {
    let mut index = Index::default();
    index.put::<Bridge>(&stored("a", &json!({})));
    index.put::<Bridge>(&stored("b", &json!({})));
    // Any Bridge may run what is mistyped.
    assert_eq!(index.put::<Sink>(&stored("s", &sink())), keys(&["", "a", "b"]));
    assert_eq!(index.put::<Rule>(&stored("r", &rule("aa"))), keys(&["aa", "a", "b"]));
    index.put::<Rule>(&stored("never-ran", &rule("aa")));
    let around = |name: &str| {
        let mut around = index.neighbourhood(&key(name));
        around.take_strays(&[plan_of_a()]);
        let sinks: Vec<_> = around.of_connectors_here(&around.sinks).map(|sink| sink.name().to_owned()).collect();
        let rules: Vec<_> = around.rules.iter().map(|rule| rule.name().to_owned()).collect();
        (sinks, rules)
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(around("a"), (names(&["s"]), names(&["r"])));
    assert_eq!(around("b"), (names(&[]), names(&[])));
    assert_eq!(around(""), (names(&[]), names(&[])), "not said twice");
    assert_eq!(around("aa"), (names(&[]), names(&["never-ran"])));
    let mut a = index.neighbourhood(&key("a"));
    a.take_strays(&[plan_of_a()]);
    assert!(!a.lets_go(&plan_of_a().1));
    assert!(a.lets_go(&crate::fixtures::plan(&crate::fixtures::bridge(&json!({})), Vec::new())));
    // A Rule that leads nowhere and is deleted concerns whoever runs it.
    assert_eq!(index.remove::<Rule>("plant", "r"), keys(&["aa", "a", "b"]));
}

#[test]
fn what_leads_to_another_bridge_moves_there() {
    let mut index = Index::default();
    index.put::<Bridge>(&stored("a", &json!({})));
    index.put::<Bridge>(&stored("b", &json!({})));
    index.put::<Rule>(&stored("r", &rule("b")));
    let mut a = index.neighbourhood(&key("a"));
    a.take_strays(&[plan_of_a()]);
    assert!(a.rules.is_empty());
}
