//! Short ways against the long ones: whatever a rule is spared because others ran over the event before it, or because
//! its names are known, its output and the work that is counted are the same.

use proptest::prelude::*;

use crate::environment::{Environment, FixedHost};
use crate::event::{Event, MapColumns};
use crate::limits::Limits;
use crate::output::Output;
use crate::plan::{Body, Plan};
use crate::value::json::write_value;
use crate::value::{Map, Value};
use crate::{compile, sql};

fn plan(text: &str) -> Plan {
    let query = sql::parse(text).unwrap();
    compile::check(&query, text).0.plan
}

/// The same plan without the names that its rows would share.
fn without_names(mut plan: Plan) -> Plan {
    match &mut plan.body {
        Body::Select(items) => items.names = None,
        Body::Foreach(foreach) => {
            foreach.bindings.names = None;
            foreach.each.iter_mut().for_each(|items| items.names = None);
        }
    }
    plan
}

/// The rows as JSON, written at once and by way of a map, with the work that was counted; or the error.
fn outcome(plan: &Plan, event: &Event<'_>) -> Result<(Vec<String>, usize), String> {
    let (host, limits) = (FixedHost::default(), Limits::default());
    let id = "r".into();
    let mut env = Environment::new(&host, &limits, &id);
    let rows = plan.run(event, &mut env).map_err(|error| error.to_string())?;
    let rows = rows.iter().map(|output| {
        let mut written = b"before".to_vec();
        let _ = output.write_json(&mut written);
        let mut by_map = b"before".to_vec();
        let _ = write_value(&output.to_value(), &mut by_map);
        assert_eq!(written, by_map);
        if let Output::Row(row) = output {
            assert_eq!(row.iter().count(), row.len());
            for (name, value) in row.iter() {
                assert_eq!(row.get(name), Some(value));
            }
        }
        String::from_utf8(written).unwrap()
    });
    Ok((rows.collect(), env.used.bytes))
}

fn columns(payload: &str) -> MapColumns {
    let columns = [("clientid", "car-7"), ("topic", "a/topic/that/is/too/long/to/be/kept/in/place"), ("username", "u")];
    let mut columns = Map::from_iter(columns);
    columns.insert("payload", Value::from(payload));
    columns.insert("qos", 1);
    MapColumns::new(columns).unwrap()
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "long_key_of_a_sensor"])
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        r"-?(0|[1-9][0-9]{0,3})",
        r"-?(0|[1-9][0-9]{0,9})\.[0-9]{1,9}",
        r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        prop::sample::select(vec!["-0", "-0.0", "9223372036854775807", "-9223372036854775808", "9223372036854775808"])
            .prop_map(str::to_owned),
    ]
}

/// A JSON text of maps, lists and scalars under a few keys, some of them written with an escape or more than once.
fn payload() -> impl Strategy<Value = String> {
    let text = prop::sample::select(vec![r#""""#, r#""x""#, r#""\u00e9\n""#, r#""{\"a\":{\"b\":1}}""#]);
    let leaf = prop_oneof![
        4 => number(),
        1 => text.prop_map(str::to_owned),
        1 => prop::sample::select(vec!["true", "null"]).prop_map(str::to_owned),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop_oneof![4 => key().prop_map(str::to_owned), 1 => Just(r"\u0061".to_owned())];
        let map = prop::collection::vec((key, inner.clone()), 0..5);
        let map = map.prop_map(|entries| {
            let entries: Vec<_> = entries.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}}}", entries.join(","))
        });
        prop_oneof![
            3 => map,
            1 => prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    });
    prop_oneof![20 => value, 1 => Just("no JSON".to_owned())]
}

/// A place that an item or a condition reads.
fn place() -> impl Strategy<Value = String> {
    let step = prop_oneof![4 => key().prop_map(str::to_owned), 1 => Just("a[1]".to_owned())];
    prop_oneof![
        6 => prop::collection::vec(step, 1..4).prop_map(|steps| format!("payload.{}", steps.join("."))),
        2 => prop::sample::select(vec!["clientid", "topic", "username", "qos", "payload", "metadata.rule_id", "alias"])
            .prop_map(str::to_owned),
    ]
}

fn item() -> impl Strategy<Value = String> {
    let alias = prop_oneof![
        4 => prop::sample::select(vec!["alias", "x", "clientid", "\"a b\"", "\"é\\\"", "\"tab\tname\"", "\"a.b\""])
            .prop_map(str::to_owned),
        1 => prop::sample::select(vec!["x.y", "payload.a", "x[1]"]).prop_map(str::to_owned),
    ];
    prop_oneof![
        1 => Just("*".to_owned()),
        4 => place(),
        8 => (place(), alias.clone()).prop_map(|(place, alias)| format!("{place} AS {alias}")),
        1 => alias.prop_map(|alias| format!("str(qos) AS {alias}")),
        1 => Just("[1, payload.a] AS list".to_owned()),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    let constant = prop::sample::select(vec!["0", "-1", "2.5", "9223372036854775808", "'x'", "'1'", "true", "qos"]);
    let condition = (place(), prop::sample::select(vec![">", "=", "<=", "!="]), constant);
    let condition = prop_oneof![
        Just(String::new()),
        condition.prop_map(|(place, op, constant)| format!(" WHERE {place} {op} {constant}")),
    ];
    (prop::collection::vec(item(), 1..5), condition, 0..4).prop_map(|(items, condition, foreach)| {
        let items = items.join(", ");
        match foreach {
            0 => format!("FOREACH payload.a AS e DO {items} FROM \"t\"{condition}"),
            _ => format!("SELECT {items} FROM \"t\"{condition}"),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_over_one_event_do_what_each_does_alone(
        payload in payload(),
        rules in prop::collection::vec(rule(), 1..8),
    ) {
        let columns = columns(&payload);
        let shared = Event::new(&columns);
        // Twice, so that each runs over an event that it has read before.
        for sql in rules.iter().chain(&rules) {
            let expected = outcome(&without_names(plan(sql)), &Event::new(&columns));
            prop_assert_eq!(outcome(&plan(sql), &shared), expected, "{}", sql);
        }
    }
}
