//! The text of `/metrics`, and the table in `docs/metrics.md`.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::memory::Usage;
use crate::status::{Link, LinkState, Mqtt, Rule, Sink, Source};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
const START: &str = "<!-- the table below is checked against the program by a test -->\n";

fn full() -> Snapshot {
    Snapshot {
        revision: "0123456789abcdef".to_owned(),
        memory: Usage {
            limit: Some(134_217_728),
            usable: Some(80_530_600),
            granted: 262_144,
            under_pressure: true,
            refusals: 7,
        },
        mqtt: Mqtt {
            connections: 3,
            refused: vec![("not_authorized", 2)],
            received: [5, 7],
            delivery_dropped: vec![("queue_full", 4)],
            subscriptions_refused: vec![("limit", 6)],
            bytes: [100, 200],
            ..Mqtt::default()
        },
        sinks: vec![Sink {
            name: "vehicles".to_owned(),
            link: Link { state: LinkState::Connected, reason: "Connected", message: String::new() },
            matched: 20,
            success: 10,
            dropped: 3,
            dropped_by: vec![("queue_full", 2), ("sink_deleted", 1)],
            queuing: 5,
            inflight: 2,
            ..Sink::default()
        }],
        removed_sink_records_lost: 8,
        sources: vec![Source { name: "commands".to_owned(), lag: Some(9), ..Source::default() }],
        rules: vec![Rule { name: "speeding".to_owned(), matched: 6, ..Rule::default() }],
        ..Snapshot::default()
    }
}

/// Sample name and labels to value.
fn samples(text: &str) -> BTreeMap<String, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            (sample.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[test]
fn the_text_is_what_prometheus_reads() {
    let process = Process { resident_bytes: 20_971_520, cpu_seconds: 1.5, open_files: 12 };
    let text = encode_figures(Figures { snapshot: full(), process: Some(process) }).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn every_metric_has_a_sample_once_there_is_something_to_count() {
    let text = encode(full()).unwrap();
    for metric in METRICS {
        let name = metric.sample_name();
        assert!(
            text.lines().any(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "))),
            "{name}"
        );
    }
}

#[test]
fn names_are_unique_and_follow_the_conventions() {
    let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len());
    for metric in METRICS {
        assert!(metric.name.starts_with("isthmus_") || metric.name.starts_with("process_"), "{}", metric.name);
        assert!(!metric.name.ends_with("_total"), "the suffix is added: {}", metric.name);
        assert!(!metric.help.ends_with('.'), "a help text has no full stop: {}", metric.name);
    }
}

#[test]
fn the_document_lists_every_metric() {
    let mut table = String::from("| metric | kind | labels | unit | meaning |\n|---|---|---|---|---|\n");
    for metric in METRICS {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        writeln!(table, "| `{}` | {kind} | {labels} | {} | {} |", metric.sample_name(), metric.unit, metric.help)
            .unwrap();
    }
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (introduction, found) = document.split_once(START).expect("the marker is missing in docs/metrics.md");
    if found != table {
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(DOCUMENT, format!("{introduction}{START}{table}")).unwrap();
        } else {
            panic!(
                "docs/metrics.md is not what the program has: run this test with UPDATE_DOCS=1, then look at the difference"
            );
        }
    }
}

prop_compose! {
    fn any_sink()(
        success in 0..u64::from(u32::MAX),
        failed in 0..1_000_000_u64,
        queue_full in 0..1_000_000_u64,
        other in 0..1_000_u64,
        queuing in 0..1_000_000_u64,
        inflight in 0..100_000_u64,
        retried in 0..1_000_u64,
    ) -> Sink {
        Sink {
            matched: success + failed + queue_full + other + queuing + inflight,
            success,
            failed,
            dropped: queue_full + other,
            dropped_by: vec![("queue_full", queue_full), ("other", other)],
            queuing,
            inflight,
            retried,
            ..Sink::default()
        }
    }
}

proptest! {
    #[test]
    fn the_identity_of_a_sink_holds_in_the_text(mut sinks in proptest::collection::vec(any_sink(), 0..5)) {
        for (at, sink) in sinks.iter_mut().enumerate() {
            sink.name = format!("sink-{at}");
        }
        let text = encode(Snapshot { sinks: sinks.clone(), ..Snapshot::default() }).unwrap();
        let samples = samples(&text);
        for sink in &sinks {
            let value = |name: &str| samples[&format!("isthmus_sink_{name}{{sink=\"{}\"}}", sink.name)];
            let prefix = format!("isthmus_sink_dropped_total{{sink=\"{}\",", sink.name);
            let dropped: f64 = samples.iter().filter(|(sample, _)| sample.starts_with(&prefix)).map(|(_, value)| value).sum();
            let sum = value("success_total") + value("failed_total") + dropped + value("queuing") + value("inflight");
            prop_assert!((value("matched_total") - sum).abs() < 0.5, "{text}");
        }
    }
}
