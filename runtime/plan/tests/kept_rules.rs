//! Rules that are rendered again and again are compiled once for each generation, and forgotten when they are gone.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its work fails its test")]

use isthmus_api::{Bridge, Rule};
use isthmus_plan::{Borrowed, Options, Rendered, Resources, RuleCache, finding::reason, render, render_kept};
use serde_json::{Value, json};

fn object<K: serde::de::DeserializeOwned>(kind: &str, name: &str, generation: i64, spec: &Value) -> K {
    let metadata =
        json!({"name": name, "namespace": "plant", "uid": format!("uid-of-{name}"), "generation": generation});
    let whole = json!({"apiVersion": "isthmus.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    serde_json::from_value(whole).unwrap()
}

fn bridge() -> Bridge {
    object("Bridge", "fleet", 1, &json!({"authentication": {"anonymous": "Allow"}}))
}

/// A Rule with a test that holds as long as the limit is below 130.
fn rule(name: &str, generation: i64, limit: u32) -> Rule {
    let sql = format!(r#"SELECT payload.speed AS speed FROM "vehicles/+" WHERE payload.speed > {limit}"#);
    let event = json!({"topic": "vehicles/7", "payload": {"speed": 130}});
    let test = json!({"name": "fast", "event": event, "expect": {"output": {"speed": 130}}});
    object("Rule", name, generation, &json!({"bridgeRef": {"name": "fleet"}, "sql": sql, "tests": [test]}))
}

fn rendered(rules: &[Rule], cache: &mut RuleCache) -> Rendered {
    let resources = Resources { bridges: vec![bridge()], rules: rules.to_vec(), ..Resources::default() };
    let options = Options { bridge: Some(("plant".to_owned(), "fleet".to_owned())) };
    let kept = render_kept(&Borrowed::from(&resources), &options, cache, None);
    assert_eq!(kept, render(&resources, &options, None), "what is kept must not show in the plan");
    kept
}

#[test]
fn rule_is_compiled_once_for_each_generation() {
    let mut cache = RuleCache::default();
    let mut rules = vec![rule("a", 1, 100), rule("b", 1, 100)];
    for _ in 0..3 {
        assert_eq!(rendered(&rules, &mut cache).plan.unwrap().rules.len(), 2);
        assert_eq!(cache.compiled(), 2);
    }
    // The edit makes its own test fail, which is said each time.
    rules[1] = rule("b", 2, 200);
    for _ in 0..3 {
        let rendered = rendered(&rules, &mut cache);
        assert_eq!(rendered.plan.unwrap().rules.len(), 1);
        assert_eq!(rendered.findings[0].reason, reason::TEST_FAILED);
        assert_eq!(cache.compiled(), 3);
    }
}

#[test]
fn rule_that_is_gone_is_forgotten_and_one_of_its_name_is_another() {
    let mut cache = RuleCache::default();
    rendered(&[rule("a", 1, 100), rule("b", 1, 100)], &mut cache);
    rendered(&[rule("b", 1, 100)], &mut cache);
    assert_eq!((cache.len(), cache.compiled()), (1, 2));
    let mut again = rule("b", 1, 120);
    again.metadata.uid = Some("another".to_owned());
    let plan = rendered(&[again], &mut cache).plan.unwrap();
    assert!(plan.rules[0].sql.ends_with("> 120"));
    assert_eq!((cache.len(), cache.compiled()), (1, 3));
    rendered(&[], &mut cache);
    assert!(cache.is_empty());
}

#[test]
fn rule_of_a_file_has_nothing_to_be_recognised_by() {
    let mut cache = RuleCache::default();
    let mut local = rule("a", 1, 100);
    local.metadata.generation = None;
    rendered(&[local.clone()], &mut cache);
    rendered(&[local], &mut cache);
    assert_eq!((cache.len(), cache.compiled()), (0, 2));
}

#[test]
fn source_that_appears_is_seen_without_compiling_again() {
    let mut cache = RuleCache::default();
    let reader: Rule = object(
        "Rule",
        "reader",
        1,
        &json!({"bridgeRef": {"name": "fleet"}, "sql": "SELECT * FROM \"$sources/kafka_consumer:commands\""}),
    );
    let mut resources = Resources { bridges: vec![bridge()], rules: vec![reader], ..Resources::default() };
    let options = Options { bridge: Some(("plant".to_owned(), "fleet".to_owned())) };
    let before = render_kept(&Borrowed::from(&resources), &options, &mut cache, None);
    assert_eq!(before.findings[0].reason, reason::REF_NOT_FOUND);
    let kafka = json!({"bridgeRef": {"name": "fleet"}, "kafka": {"bootstrapServers": ["k:9092"]}});
    resources.connectors.push(object("Connector", "kafka", 1, &kafka));
    let source = json!({"connectorRef": {"name": "kafka"}, "topicMapping": [{"kafkaTopic": "commands"}]});
    resources.sources.push(object("Source", "commands", 1, &source));
    let after = render_kept(&Borrowed::from(&resources), &options, &mut cache, None);
    assert_eq!(after.plan.unwrap().rules.len(), 1);
    assert_eq!(cache.compiled(), 1);
}
