//! The figures of the process as Prometheus metrics.
//!
//! Owns names, kinds, labels and meaning of every metric, in one table: `/metrics` and `docs/metrics.md` are both
//! made from it. The figures come from one [`Snapshot`] per scrape, so that within a scrape
//! `matched = success + failed + dropped + queuing + inflight` holds for every Sink (row X6). Does not own the
//! HTTP side ([`admin`](crate::admin)) nor any counter.

mod process;
mod table;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

pub use self::process::{Process, resident};
pub use self::table::METRICS;
use crate::status::Snapshot;

/// Content type of [`encode`]: `OpenMetrics` 1.0, which Prometheus and its relatives read.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process runs; its samples carry the suffix `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A value of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A count.
    Count(u64),
    /// A measurement.
    Measure(f64),
}

/// What a metric is made from.
#[derive(Debug)]
pub struct Figures {
    /// The data path.
    pub snapshot: Snapshot,
    /// The process; absent where the operating system does not say.
    pub process: Option<Process>,
}

/// Where the samples of a metric go: label values in the order of [`Metric::labels`], and the number.
pub type Emit<'e> = dyn FnMut(&[&str], Number) + 'e;

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Family name; a counter's samples have `_total` after it.
    pub name: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What is counted, for the documentation: `records`, `bytes`, …
    pub unit: &'static str,
    /// What it means, one sentence without a full stop.
    pub help: &'static str,
    read: fn(&Figures, &mut Emit<'_>),
}

impl Metric {
    /// The name of its samples.
    pub fn sample_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Gauge => self.name.to_owned(),
        }
    }
}

/// All metrics as text. Fails only when the formatter does, which writing to memory never does.
pub fn encode(snapshot: Snapshot) -> Result<String, fmt::Error> {
    encode_figures(Figures { snapshot, process: Process::read() })
}

fn encode_figures(figures: Figures) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(figures));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in METRICS {
            let kind = match metric.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            let mut result = Ok(());
            (metric.read)(self, &mut |values, number| {
                let labels: Vec<_> = metric.labels.iter().copied().zip(values.iter().copied()).collect();
                let sample = if labels.is_empty() {
                    encode_sample(&mut family, metric.kind, number)
                } else {
                    family.encode_family(&labels).and_then(|mut one| encode_sample(&mut one, metric.kind, number))
                };
                result = result.and(sample);
            });
            result?;
        }
        Ok(())
    }
}

fn encode_sample(encoder: &mut MetricEncoder<'_>, kind: Kind, number: Number) -> fmt::Result {
    match (kind, number) {
        (Kind::Counter, Number::Count(count)) => encoder.encode_counter::<NoLabelSet, _, u64>(&count, None),
        (Kind::Counter, Number::Measure(measure)) => encoder.encode_counter::<NoLabelSet, _, u64>(&measure, None),
        (Kind::Gauge, Number::Count(count)) => encoder.encode_gauge(&count),
        (Kind::Gauge, Number::Measure(measure)) => encoder.encode_gauge(&measure),
    }
}

#[cfg(test)]
mod tests;
