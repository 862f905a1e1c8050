//! Any rule over any event. The first line of the input is the event, a JSON object of columns or else the payload of
//! a message; the rest is the SQL. The world around the rule is fixed, so that every finding can be reproduced.

#![no_main]

use isthmus_rules::{Environment, Event, FixedHost, Limits, Map, MapColumns, Rule, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (event, rest) = input.split_at(end);
    let Ok(sql) = std::str::from_utf8(rest) else { return };
    let Ok(compiled) = Rule::compile(sql) else { return };
    let Some(columns) = columns(event) else { return };

    let (host, limits) = (FixedHost::default(), Limits::default());
    let (event, name) = (Event::new(&columns), "fuzz".into());
    match compiled.rule.evaluate(&event, &mut Environment::new(&host, &limits, &name)) {
        Ok(rows) => {
            for row in rows.iter() {
                let mut json = Vec::new();
                let _ = row.write_json(&mut json);
                serde_json::from_slice::<serde_json::Value>(&json).expect("a row is JSON");
            }
        }
        Err(error) => assert!(sql.get(error.span).is_some(), "an exception points outside the text"),
    }
});

fn columns(event: &[u8]) -> Option<MapColumns> {
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(event)
        && json.is_object()
    {
        return Some(MapColumns::from_json(&json).ok()?.with_samples());
    }
    let mut columns = Map::new();
    columns.insert("payload", Value::binary(event.to_vec()));
    Some(MapColumns::new(columns).ok()?.with_samples())
}
