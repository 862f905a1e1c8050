//! What must not allocate: finding the rules of a topic, however many there are; a rule that does not match, and
//! one that selects numbers and short texts; rendering a template.

use isthmus_rules::trie::FilterTrie;
use isthmus_rules::{Environment, Event, FixedHost, Limits, Map, MapColumns, Rule, RuleId};
use isthmus_rules::{MissingPolicy, Row, Template, TemplateKind, Text, Value};

#[test]
fn a_topic_is_matched_among_ten_thousand_filters_without_an_allocation() {
    let mut trie = FilterTrie::new();
    for number in 0..10_000 {
        trie.insert(&format!("site-{}/line-{number}/+/state", number % 100), number);
    }
    for filter in ["#", "vehicles/#", "vehicles/+/telemetry", "vehicles/7/+", "vehicles/7/telemetry", "+/+/+"] {
        trie.insert(filter, 1);
    }
    let mut found = 0;
    let counted = allocation_counter::measure(|| {
        for topic in ["vehicles/7/telemetry", "site-7/line-107/x/state", "a/b/c/d/e/f/g", "$SYS/x", ""] {
            trie.for_each_match(topic, |value| found += value);
        }
    });
    assert_eq!(counted.count_total, 0);
    assert!(found > 6, "the topics do match: {found}");
}

#[test]
fn a_template_is_rendered_without_an_allocation_beyond_its_output() {
    let json = r#"{"clientid":"car-7","n":-12,"f":1.25,"t":true,"z":null,"m":{"a":{"b":"x"},"l":[1,2.5,"y"]}}"#;
    let Ok(Value::Map(map)) = Value::from_json(&Text::from(json)) else { unreachable!() };
    let row = Row::from(&*map);
    let mut out = Vec::with_capacity(4096);
    for kind in [TemplateKind::Action, TemplateKind::Topic] {
        let text = "cars/${clientid}/${.n}/${f}/${t}/${z}/${m.a.b}/${m.l}/${m.nix}/${nix} ${.}";
        let template = Template::compile(text, kind).unwrap();
        let counted = allocation_counter::measure(|| {
            assert!(template.render(&row, MissingPolicy::Undefined, &mut out).is_ok_and(|rendered| rendered.missing));
        });
        assert_eq!(counted.count_total, 0, "{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn a_rule_that_reads_the_payload_and_does_not_match_allocates_nothing() {
    let sql = r#"SELECT payload.engine.rpm AS r FROM "t" WHERE payload.temp > 100 AND clientid = 'x'"#;
    let rule = Rule::compile(sql).unwrap().rule;
    let payload = r#"{"id":"car-7","temp":21.5,"engine":{"rpm":2450,"on":true},"doors":[false,true]}"#;
    let columns = Map::from_iter([("clientid", Value::from("x")), ("payload", Value::from(payload.to_owned()))]);
    let columns = MapColumns::new(columns).unwrap();
    let (host, limits, id) = (FixedHost::default(), Limits::default(), RuleId::from("r"));
    let run = || {
        let event = Event::new(&columns);
        let rows = rule.evaluate(&event, &mut Environment::new(&host, &limits, &id));
        assert!(rows.is_ok_and(|rows| rows.is_empty()));
    };
    // The first index on a thread makes the room that the next ones use.
    run();
    assert_eq!(allocation_counter::measure(run).count_total, 0);
}

#[test]
fn a_rule_that_selects_numbers_and_short_texts_allocates_nothing() {
    let sql = r#"SELECT payload.temp AS t, payload.unit AS u, clientid FROM "t" WHERE payload.temp > 0"#;
    let rule = Rule::compile(sql).unwrap().rule;
    let columns = [("clientid", "car-7"), ("payload", r#"{"id":"car-7","temp":21.5,"unit":"celsius","on":true}"#)];
    let columns = MapColumns::new(Map::from_iter(columns)).unwrap();
    let (host, limits, id) = (FixedHost::default(), Limits::default(), RuleId::from("r"));
    let mut out = Vec::with_capacity(4096);
    let mut run = || {
        let event = Event::new(&columns);
        let rows = rule.evaluate(&event, &mut Environment::new(&host, &limits, &id)).unwrap();
        rows.iter().for_each(|row| row.write_json(&mut out).unwrap());
    };
    // The first row on a thread makes the room that the next ones use.
    run();
    assert_eq!(allocation_counter::measure(&mut run).count_total, 0);
    assert_eq!(out, br#"{"t":21.5,"u":"celsius","clientid":"car-7"}"#.repeat(2));
}
