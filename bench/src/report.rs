//! The report: medians and ranges over the rounds, as JSON and as a table to read.

use std::fmt::Write as _;
use std::path::Path;

use isthmus_tests::Result;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::load::latencies;
use crate::machine::Machine;
use crate::peer::Peer;
use crate::round::Round;
use crate::shape::{Goal, Load, Shape};
use crate::verify::Verdict;

/// What became of a shape.
pub(crate) enum Entry {
    /// The product cannot do it yet, for this reason.
    NotYet(String),
    /// It could not be measured.
    Failed(String),
    Measured(Box<Rounds>),
}

/// The rounds of a shape.
#[derive(Default)]
pub(crate) struct Rounds {
    pub(crate) product: Vec<Round>,
    pub(crate) floor: Vec<Round>,
    /// The loader against the null server.
    pub(crate) null: Option<Round>,
    pub(crate) peers: Vec<PeerRounds>,
}

/// The rounds of another bridge beside the product's.
pub(crate) struct PeerRounds {
    pub(crate) peer: &'static Peer,
    pub(crate) rounds: Vec<Round>,
    /// Why it has none, or not all of them.
    pub(crate) trouble: Option<String>,
}

/// Median and range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
        Some(Self { median, least, most })
    }
}

fn cpu(round: &Round) -> f64 {
    per_message(round.cpu, round)
}

fn per_message(cpu: std::time::Duration, round: &Round) -> f64 {
    cpu.as_secs_f64() * 1e6 / round.messages.max(1) as f64
}

fn rate(round: &Round) -> f64 {
    round.messages as f64 / round.time.as_secs_f64()
}

fn verdict(rounds: &[Round]) -> Verdict {
    let mut sum = Verdict::default();
    for round in rounds {
        sum += round.verdict;
    }
    sum
}

/// Milliseconds at a percentile over all rounds.
fn latency(rounds: &[Round], percentile: f64) -> Option<f64> {
    let mut all = latencies().ok()?;
    for round in rounds {
        // Histograms of the same bounds: adding cannot fail.
        let _ = all.add(&round.latency);
    }
    (!all.is_empty()).then(|| all.value_at_quantile(percentile / 100.0) as f64 / 1000.0)
}

impl Rounds {
    fn ratio(&self) -> Option<Spread> {
        Spread::of(self.product.iter().zip(&self.floor).map(|(product, floor)| cpu(product) / cpu(floor)))
    }

    /// Why the figures do not count.
    fn failure(&self) -> Option<String> {
        [("", &self.product), ("the floor: ", &self.floor)].into_iter().find_map(|(who, rounds)| {
            let Verdict { lost, out_of_order, unknown, .. } = verdict(rounds);
            (lost + out_of_order + unknown > 0).then(|| {
                format!(
                    "{who}{lost} acknowledged messages lost, {out_of_order} out of order, {unknown} that nobody sent"
                )
            })
        })
    }

    fn json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        figures(&mut object, "", &self.product);
        if !self.floor.is_empty() {
            figures(&mut object, "floor_", &self.floor);
        }
        if let Some(ratio) = self.ratio() {
            object.insert("ratio".into(), json!(rounded(ratio.median)));
            object.insert("ratio_range".into(), json!([rounded(ratio.least), rounded(ratio.most)]));
        }
        if let Some(null) = &self.null {
            object.insert("loader_alone_cpu_us_per_message".into(), json!(rounded(per_message(null.loader_cpu, null))));
            object.insert("null_server_messages_per_second".into(), json!(rate(null).round()));
        }
        object.insert("rounds".into(), json!(self.product.len()));
        if !self.peers.is_empty() {
            let peers = self.peers.iter().map(|peer| (peer.peer.name.to_owned(), Value::Object(peer.json())));
            object.insert("peers".into(), Value::Object(peers.collect()));
        }
        object
    }
}

impl PeerRounds {
    fn json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("puback_means".into(), json!(self.peer.promise));
        if let Some(trouble) = &self.trouble {
            object.insert("why".into(), json!(trouble));
        } else {
            figures(&mut object, "", &self.rounds);
        }
        object
    }

    fn line(&self, shape: &Shape) -> String {
        let Self { peer: Peer { name, promise, .. }, rounds, trouble } = self;
        let start = format!("| {} | {name} | {promise} |", shape.name);
        if let Some(trouble) = trouble {
            return format!("{start} {} ||||", one_line(trouble));
        }
        let Verdict { acknowledged, lost, .. } = verdict(rounds);
        let lost = if self.peer.kafka { format!("{lost} of {acknowledged}") } else { "–".to_owned() };
        format!("{start} {} | {} | {} | {lost} |", cpu_text(rounds), rate_text(rounds), latency_text(rounds))
    }
}

/// Adds the figures of one program, their names with a prefix.
fn figures(object: &mut Map<String, Value>, prefix: &str, rounds: &[Round]) {
    let mut add = |name: &str, value: Value| {
        object.insert(format!("{prefix}{name}"), value);
    };
    let spread = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value));
    if let Some(cpu) = spread(cpu) {
        add("cpu_us_per_message", json!(rounded(cpu.median)));
        add("cpu_us_per_message_range", json!([rounded(cpu.least), rounded(cpu.most)]));
    }
    if let Some(rate) = spread(rate) {
        add("messages_per_second", json!(rate.median.round()));
        add("messages_per_second_range", json!([rate.least.round(), rate.most.round()]));
    }
    let [p50, p99, p999] = [50.0, 99.0, 99.9].map(|percentile| latency(rounds, percentile));
    if p50.is_some() {
        add("latency_ms", json!({"p50": p50, "p99": p99, "p99_9": p999}));
    }
    if let Some(memory) = spread(|round| round.peak_memory as f64) {
        add("peak_memory_bytes", json!(memory.median));
    }
    if let Some(kafka) = spread(|round| per_message(round.kafka_cpu, round)).filter(|kafka| kafka.median > 0.0) {
        add("kafka_cpu_us_per_message", json!(rounded(kafka.median)));
    }
    if let Some(loader) = spread(|round| per_message(round.loader_cpu, round)) {
        add("loader_cpu_us_per_message", json!(rounded(loader.median)));
    }
    if let Some(idle) = Spread::of(rounds.iter().filter_map(|round| round.idle_memory)) {
        add("resident_bytes_per_idle_connection", json!(idle.median.round()));
    }
    if let Some(recovery) = Spread::of(rounds.iter().filter_map(|round| round.recovery)) {
        add("recovery_seconds", json!(rounded(recovery.median)));
        add("recovery_seconds_range", json!([rounded(recovery.least), rounded(recovery.most)]));
    }
    if let Ok(Value::Object(verdict)) = serde_json::to_value(verdict(rounds)) {
        verdict.into_iter().for_each(|(name, value)| add(&name, value));
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// All shapes of a run.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) entries: Vec<(Shape, Entry)>,
}

impl Report {
    fn measured(&self, name: &str) -> Option<&Rounds> {
        self.entries.iter().find_map(|(shape, entry)| match entry {
            Entry::Measured(rounds) if shape.name == name => Some(&**rounds),
            _ => None,
        })
    }

    /// What was hoped for in words, and whether it is so.
    fn goal(&self, shape: &Shape, rounds: &Rounds) -> Option<(String, bool)> {
        let median = |rounds: &Rounds| Spread::of(rounds.product.iter().map(cpu)).map(|spread| spread.median);
        Some(match shape.goal? {
            Goal::Floor(most) => (format!("≤ {most} × floor"), rounds.ratio()?.median <= most),
            Goal::Shape(other, most) => {
                let ratio = median(rounds)? / median(self.measured(other)?)?;
                (format!("≤ {most} × {other}, is {ratio:.2}"), ratio <= most)
            }
            Goal::Latency(more) => {
                let (own, floor) = (latency(&rounds.product, 99.0)?, latency(&rounds.floor, 99.0)?);
                (format!("p99 ≤ the floor's + {more} ms"), own <= floor + more)
            }
            Goal::Recovery(most) => {
                let recovery = Spread::of(rounds.product.iter().filter_map(|round| round.recovery))?.median;
                (format!("≤ {most} s, is {recovery:.2}"), recovery <= most)
            }
            Goal::IdleBytes(most) => {
                let idle = Spread::of(rounds.product.iter().filter_map(|round| round.idle_memory))?.median;
                (format!("≤ {most} B per idle connection, is {idle:.0}"), idle <= most)
            }
        })
    }

    fn json(&self) -> Value {
        let mut shapes = Map::new();
        for (shape, entry) in &self.entries {
            let mut object = match entry {
                Entry::NotYet(why) => json_object(json!({"status": "not yet", "why": why})),
                Entry::Failed(why) => json_object(json!({"status": "failed", "why": why})),
                Entry::Measured(rounds) => {
                    let mut object = rounds.json();
                    match rounds.failure() {
                        None => object.insert("status".into(), json!("measured")),
                        Some(why) => {
                            // A rate with a lost message is no rate.
                            object.remove("messages_per_second");
                            object.remove("messages_per_second_range");
                            object.insert("why".into(), json!(why));
                            object.insert("status".into(), json!("failed"))
                        }
                    };
                    if let Some((text, met)) = self.goal(shape, rounds) {
                        object.insert("goal".into(), json!({"text": text, "met": met && rounds.failure().is_none()}));
                    }
                    object
                }
            };
            object.insert("what".into(), json!(shape.what));
            shapes.insert(shape.name.to_owned(), Value::Object(object));
        }
        json!({"machine": self.machine, "shapes": shapes})
    }

    fn markdown(&self) -> Result<String> {
        let mut text = String::from("# Benchmarks\n\n");
        writeln!(text, "{}\n", self.machine)?;
        text.push_str(HEAD);
        for (shape, entry) in &self.entries {
            write!(text, "| {} | {} |", shape.name, shape.what)?;
            match entry {
                Entry::NotYet(why) => writeln!(text, " not yet: {why} |||||||||")?,
                Entry::Failed(why) => writeln!(text, " **failed**: {} |||||||||", one_line(why))?,
                Entry::Measured(rounds) => writeln!(text, "{}", self.line(shape, rounds))?,
            }
        }
        text.push_str(NOTES);
        let mut head = Some(PEERS_HEAD);
        for (shape, entry) in &self.entries {
            let Entry::Measured(rounds) = entry else { continue };
            for peer in &rounds.peers {
                text.push_str(head.take().unwrap_or_default());
                writeln!(text, "{}", peer.line(shape))?;
            }
        }
        Ok(text)
    }

    fn line(&self, shape: &Shape, rounds: &Rounds) -> String {
        if let Some(why) = rounds.failure() {
            return format!(" **failed**: {why} |||||||||");
        }
        let ratio = rounds.ratio().map_or_else(none, |ratio| format!("**{:.2}**", ratio.median));
        let memory = Spread::of(rounds.product.iter().map(|round| round.peak_memory as f64 / 1_048_576.0));
        let memory = memory.map_or_else(none, |memory| format!("{:.0}", memory.median));
        let loader =
            rounds.null.as_ref().map_or_else(none, |null| format!("{:.2}", per_message(null.loader_cpu, null)));
        let goal = match self.goal(shape, rounds) {
            Some((text, true)) => format!("met: {text}"),
            Some((text, false)) => format!("**not met**: {text}"),
            None => none(),
        };
        let Verdict { lost, missing, .. } = verdict(&rounds.product);
        let missing = if matches!(shape.load, Load::Publish(_)) && missing == 0 {
            String::new()
        } else {
            format!(" ({missing})")
        };
        format!(
            " {} | {} | {ratio} | {} | {} | {} | {memory} | {loader} | {lost}{missing} | {goal} |",
            cpu_text(&rounds.product),
            cpu_text(&rounds.floor),
            rate_text(&rounds.product),
            rate_text(&rounds.floor),
            [latency_text(&rounds.product), latency_text(&rounds.floor)].join(" · "),
        )
    }

    /// Writes `report.json` and `report.md`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("report.json"), serde_json::to_string_pretty(&self.json())? + "\n")?;
        std::fs::write(folder.join("report.md"), self.markdown()?)?;
        Ok(())
    }

    /// Whether something that should have worked did not.
    pub(crate) fn has_failures(&self) -> bool {
        self.entries.iter().any(|(_, entry)| match entry {
            Entry::NotYet(_) => false,
            Entry::Failed(_) => true,
            Entry::Measured(rounds) => rounds.failure().is_some(),
        })
    }
}

fn cpu_text(rounds: &[Round]) -> String {
    let spread = Spread::of(rounds.iter().map(cpu));
    spread.map_or_else(none, |cpu| format!("{:.2} ({:.2}–{:.2})", cpu.median, cpu.least, cpu.most))
}

fn rate_text(rounds: &[Round]) -> String {
    Spread::of(rounds.iter().map(rate)).map_or_else(none, |rate| format!("{:.0}", rate.median))
}

fn latency_text(rounds: &[Round]) -> String {
    let percentiles = [50.0, 99.0, 99.9].map(|percentile| latency(rounds, percentile));
    let texts: Vec<_> = percentiles.into_iter().flatten().map(|value| format!("{value:.1}")).collect();
    if texts.is_empty() { none() } else { texts.join(" / ") }
}

fn none() -> String {
    "–".to_owned()
}

/// Text for a cell of a table.
fn one_line(text: &str) -> String {
    text.replace(['\n', '|'], " ")
}

const HEAD: &str = "\
| shape | what | CPU µs/message | floor | ratio | messages/s | floor | latency ms p50 / p99 / p99.9 · floor | peak MiB | loader µs | lost | goal |
|---|---|---|---|---|---|---|---|---|---|---|---|
";

const PEERS_HEAD: &str = "
## Others, in the same rounds

A PUBACK that is sent before Kafka has the message costs less and promises less. CPU is that of all their processes.

| shape | who | at PUBACK the message is | CPU µs/message | messages/s | latency ms p50 / p99 / p99.9 | lost |
|---|---|---|---|---|---|---|
";

const NOTES: &str = "
CPU is user and system time of the measured process, median and range over the rounds. The ratio is the median of product
over floor, round by round. Latency is from the time at which a message was due (S4, S15, S16) or handed to the socket to
its acknowledgement. *loader µs* is what the loader costs by itself, against a server that only answers. *lost* are
acknowledged messages that an independent client did not find in Kafka; in brackets those without acknowledgement.
What each shape is and how it is measured: `docs/performance.md`.
";

fn json_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn round(messages: u64, cpu_micros: u64, lost: u64) -> Result<Round> {
        let mut latency = latencies()?;
        latency.record(2500)?;
        Ok(Round {
            messages,
            time: Duration::from_secs(2),
            cpu: Duration::from_micros(cpu_micros),
            kafka_cpu: Duration::ZERO,
            loader_cpu: Duration::from_micros(messages),
            latency,
            peak_memory: 32 << 20,
            idle_memory: None,
            recovery: None,
            verdict: Verdict {
                sent: messages,
                acknowledged: messages,
                in_kafka: messages - lost,
                lost,
                ..Verdict::default()
            },
        })
    }

    fn report(lost: u64) -> Result<Report> {
        let rounds = Rounds {
            product: vec![round(1000, 3000, 0)?, round(1000, 4000, lost)?, round(1000, 2000, 0)?],
            floor: vec![round(1000, 2000, 0)?, round(1000, 2000, 0)?, round(1000, 2000, 0)?],
            ..Rounds::default()
        };
        Ok(Report {
            machine: Machine::default(),
            entries: vec![(crate::shape::SHAPES[0], Entry::Measured(Box::new(rounds)))],
        })
    }

    #[test]
    fn medians_and_ratio_of_interleaved_rounds() -> Result<()> {
        let json = report(0)?.json();
        let shape = &json["shapes"]["S1"];
        assert_eq!(shape["cpu_us_per_message"], 3.0);
        assert_eq!(shape["cpu_us_per_message_range"], json!([2.0, 4.0]));
        assert_eq!(shape["floor_cpu_us_per_message"], 2.0);
        assert_eq!((&shape["ratio"], &shape["messages_per_second"]), (&json!(1.5), &json!(500.0)));
        assert_eq!((&shape["lost"], &shape["goal"]["met"]), (&json!(0), &json!(true)));
        assert_eq!(shape["latency_ms"]["p99"], 2.501);
        Ok(())
    }

    #[test]
    fn a_rate_with_a_lost_message_is_a_failure() -> Result<()> {
        let report = report(1)?;
        let json = report.json();
        let shape = &json["shapes"]["S1"];
        assert_eq!((&shape["status"], &shape["lost"]), (&json!("failed"), &json!(1)));
        assert_eq!((&shape["messages_per_second"], &shape["goal"]["met"]), (&Value::Null, &json!(false)));
        assert_eq!(shape["messages_per_second_range"], Value::Null);
        assert!(report.has_failures() && report.markdown()?.contains("**failed**: 1 acknowledged messages lost"));
        Ok(())
    }
}
