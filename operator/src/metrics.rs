//! The operator's own figures, in the text format of Prometheus.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// The figures. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    visits: Family<VisitLabels, Counter>,
    duration: Histogram,
    compiled: Counter,
    calls: Family<CallLabels, Counter>,
    queued: Gauge,
    running: Gauge,
    leader: Gauge,
    resources: Family<ResourceLabels, Gauge>,
    conditions: Family<ConditionLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VisitLabels {
    kind: &'static str,
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    verb: &'static str,
    resource: String,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    kind: &'static str,
    r#type: String,
    status: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("isthmus_operator");
        let visits = Family::default();
        registry.register("reconciles", "Visits to Bridges and to resources without one", visits.clone());
        let duration = Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        registry.register("reconcile_duration_seconds", "Time that a visit takes", duration.clone());
        let compiled = Counter::default();
        registry.register("rules_compiled", "Rules that were compiled and tested", compiled.clone());
        let calls = Family::default();
        registry.register("api_calls", "Requests to the API server", calls.clone());
        let queued = Gauge::default();
        registry.register("queue_depth", "Bridges whose visit is due", queued.clone());
        let running = Gauge::default();
        registry.register("reconciles_running", "Visits under way", running.clone());
        let leader = Gauge::default();
        registry.register("leader", "Whether this operator is the one that writes", leader.clone());
        let resources = Family::default();
        registry.register("resources", "Resources that exist", resources.clone());
        let conditions = Family::default();
        registry.register("conditions", "Resources by condition and its status", conditions.clone());
        Self {
            registry: Arc::new(Mutex::new(registry)),
            visits,
            duration,
            compiled,
            calls,
            queued,
            running,
            leader,
            resources,
            conditions,
        }
    }
}

impl Metrics {
    /// A visit ended. `kind` is `Bridge`, or `Orphans` for resources whose Bridge does not exist.
    pub fn visited(&self, kind: &'static str, succeeded: bool, took: Duration) {
        let result = if succeeded { "success" } else { "error" };
        self.visits.get_or_create(&VisitLabels { kind, result }).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// So many Rules were compiled.
    pub fn compiled(&self, rules: u64) {
        self.compiled.inc_by(rules);
    }

    /// The API server answered a request.
    pub fn called(&self, verb: &'static str, resource: String, code: String) {
        self.calls.get_or_create(&CallLabels { verb, resource, code }).inc();
    }

    /// Whether this operator is the one that writes.
    pub fn lead(&self, leader: bool) {
        self.leader.set(i64::from(leader));
    }

    /// How many visits are due and under way.
    pub fn queue(&self, (queued, running): (usize, usize)) {
        self.queued.set(queued as i64);
        self.running.set(running as i64);
    }

    /// How many resources there are, and what how many of their conditions say: kind, type, status.
    pub fn census(&self, counts: &[(&'static str, usize)], conditions: &BTreeMap<(&'static str, &str, &str), usize>) {
        for (kind, count) in counts {
            self.resources.get_or_create(&ResourceLabels { kind }).set(*count as i64);
        }
        self.conditions.clear();
        for ((kind, condition, status), count) in conditions {
            let labels = ConditionLabels { kind, r#type: (*condition).to_owned(), status: (*status).to_owned() };
            self.conditions.get_or_create(&labels).set(*count as i64);
        }
    }

    /// All of them as text.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry.lock())?;
        Ok(text)
    }
}
