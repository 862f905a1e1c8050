//! What rules cost, each beside the full parse of the same payload by the fastest JSON library: `cargo bench -p
//! isthmus-rules`. Read it as ratios inside one run; single figures move with whatever else the machine does.
//!
//! | compare | with | goal |
//! |---|---|---|
//! | `not_matching` | `full_parse` | 1.0 × |
//! | `one_row_as_json` | `full_parse` | 2.0 × |
//! | `ten_rules_not_matching`, `ten_rules_as_json` | `full_parse` | 4 ×, 20 × without the shared index |
//! | `topic_among_10000_filters` | `topic_among_10_filters` | 1.5 × |

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start says why by panicking")]

use std::hint::black_box;

use bytes::Bytes;
use divan::Bencher;
use isthmus_rules::trie::FilterTrie;
use isthmus_rules::value::json::Document;
use isthmus_rules::{Environment, Event, FixedHost, Limits, Map, MapColumns, Rule, Text, Value};

fn main() {
    divan::main();
}

/// A vehicle's telemetry: 13 keys, one nested map, one list; 260 bytes.
const PAYLOAD: &str = r#"{"id":"car-7","temp":21.5,"speed":87,"heading":271.25,"fuel":0.63,"engine":{"rpm":2450,"oil":91.2,"on":true},"doors":[false,false,true,false],"position":"52.5163,13.3777","odometer":183245,"vin":"WVWZZZ1JZXW000001","driver":null,"firmware":"4.2.1","seq":99123}"#;

const NOT_MATCHING: &str = r#"SELECT payload.temp AS t, clientid FROM "vehicles/+" WHERE payload.temp > 100"#;
const MATCHING: &str = r#"SELECT payload.temp AS t, clientid FROM "vehicles/+" WHERE payload.temp > 0"#;

fn columns() -> MapColumns {
    let mut columns = Map::new();
    columns.insert("topic", "vehicles/7");
    columns.insert("clientid", "car-7");
    columns.insert("payload", Value::binary(Bytes::from_static(PAYLOAD.as_bytes())));
    MapColumns::new(columns).unwrap()
}

/// Runs `sql` once for each of `rules` over one message, its rows printed as JSON; the message is new each time.
fn run(bencher: Bencher<'_, '_>, sql: &str, rules: usize) {
    let rules: Vec<Rule> = (0..rules).map(|_| Rule::compile(sql).unwrap().rule).collect();
    let (columns, host, limits) = (columns(), FixedHost::default(), Limits::default());
    let name = Text::constant("bench");
    let mut out = Vec::with_capacity(4096);
    bencher.bench_local(|| {
        let event = Event::new(black_box(&columns));
        for rule in &rules {
            let rows = rule.evaluate(&event, &mut Environment::new(&host, &limits, name.clone())).unwrap();
            out.clear();
            rows.iter().for_each(|row| row.write_json(&mut out));
            black_box(&out);
        }
    });
}

#[divan::bench(sample_size = 1000)]
fn full_parse(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| sonic_rs::from_slice::<sonic_rs::Value>(black_box(PAYLOAD.as_bytes())).unwrap());
}

#[divan::bench(sample_size = 1000)]
fn index_alone(bencher: Bencher<'_, '_>) {
    let text = Text::constant(PAYLOAD);
    bencher.bench_local(|| Document::parse(black_box(text.clone())).unwrap());
}

#[divan::bench(sample_size = 1000)]
fn not_matching(bencher: Bencher<'_, '_>) {
    run(bencher, NOT_MATCHING, 1);
}

#[divan::bench(sample_size = 1000)]
fn one_row_as_json(bencher: Bencher<'_, '_>) {
    run(bencher, MATCHING, 1);
}

#[divan::bench(sample_size = 1000)]
fn ten_rules_not_matching(bencher: Bencher<'_, '_>) {
    run(bencher, NOT_MATCHING, 10);
}

#[divan::bench(sample_size = 1000)]
fn ten_rules_as_json(bencher: Bencher<'_, '_>) {
    run(bencher, MATCHING, 10);
}

/// Of `filters`, three match the topic.
fn topic(bencher: Bencher<'_, '_>, filters: usize) {
    let mut trie = FilterTrie::new();
    for (number, filter) in ["vehicles/+/telemetry", "vehicles/7/#", "vehicles/7/telemetry"].into_iter().enumerate() {
        trie.insert(filter, number);
    }
    for number in 3..filters {
        trie.insert(&format!("site-{}/line-{number}/+/state", number % 100), number);
    }
    bencher.bench_local(|| {
        let mut sum = 0;
        trie.for_each_match(black_box("vehicles/7/telemetry"), |value| sum += value);
        sum
    });
}

#[divan::bench(sample_size = 1000)]
fn topic_among_10_filters(bencher: Bencher<'_, '_>) {
    topic(bencher, 10);
}

#[divan::bench(sample_size = 1000)]
fn topic_among_10000_filters(bencher: Bencher<'_, '_>) {
    topic(bencher, 10_000);
}
