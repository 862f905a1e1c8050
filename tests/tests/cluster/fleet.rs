//! What most scenarios begin with: a Bridge whose pods carry messages from MQTT to Kafka.

use anyhow::{Context as _, anyhow};
use isthmus_tests::Result;
use isthmus_tests::kafka::{Kafka, Record};
use isthmus_tests::kubernetes::{ControlPlane, Namespace, Pod};
use isthmus_tests::manifest::{self, Resource, rule, sink};
use serde_json::{Value, json};

use crate::shared::{self, PATIENCE};

/// A namespace with room for one Bridge, `fleet`, and a Kafka topic.
pub(crate) struct Fleet<'a> {
    /// The namespace.
    pub(crate) namespace: Namespace<'a>,
    /// The Kafka that the Connector names.
    pub(crate) kafka: &'static Kafka,
    /// Whether it is on the shared cluster, whose operator and node can say what they saw.
    pub(crate) is_shared: bool,
    /// The topic that the Sink `load` writes to.
    pub(crate) topic: String,
}

/// The Rule `stamp`, which marks each record with its version.
pub(crate) fn stamp(version: u32) -> Resource {
    rule("stamp", &format!(r#"SELECT payload, {version} AS version FROM "load/#""#)).to_sink("load")
}

impl Fleet<'static> {
    /// A fleet in a new namespace of the shared cluster, with nothing applied yet.
    pub(crate) fn new(stem: &str) -> Result<Self> {
        shared::operator()?;
        Ok(Self { is_shared: true, ..Self::on(shared::control_plane()?, stem)? })
    }

    /// A fleet with these many pods, applied and ready.
    pub(crate) fn ready(stem: &str, replicas: usize) -> Result<Self> {
        let fleet = Self::new(stem)?;
        fleet.namespace.apply(&fleet.resources(replicas))?;
        fleet.wait_until_ready()?;
        fleet.pods(replicas)?;
        Ok(fleet)
    }
}

impl<'a> Fleet<'a> {
    /// A fleet in a new namespace of this control plane, with nothing applied yet.
    pub(crate) fn on(control_plane: &'a ControlPlane, stem: &str) -> Result<Self> {
        let kafka = Kafka::shared()?;
        let namespace = Namespace::create(control_plane, stem)?;
        Ok(Self { namespace, kafka, is_shared: false, topic: kafka.topic(stem)? })
    }

    /// A fleet that exists.
    pub(crate) fn attach(control_plane: &'a ControlPlane, namespace: &str, topic: &str) -> Result<Self> {
        let namespace = Namespace::attach(control_plane, namespace);
        Ok(Self { namespace, kafka: Kafka::shared()?, is_shared: false, topic: topic.to_owned() })
    }

    /// The Bridge, the Connector, the Sink `load`, and the Rule `stamp` in its version 1.
    pub(crate) fn resources(&self, replicas: usize) -> Vec<Resource> {
        let connector = manifest::connector().with("kafka.bootstrapServers", json!([self.kafka.bootstrap()]));
        let sink = sink("load", &self.topic).with("requestMode", "Sync");
        vec![manifest::bridge().with("replicas", replicas), connector, sink, stamp(1)]
    }

    /// Waits until each of the four resources is Ready at its newest generation.
    pub(crate) fn wait_until_ready(&self) -> Result<()> {
        for (plural, name) in [("bridges", "fleet"), ("connectors", "kafka"), ("sinks", "load"), ("rules", "stamp")] {
            self.wait(plural, name, "Ready", "True")?;
        }
        Ok(())
    }

    /// Waits until a condition has this status for the newest generation, and returns it.
    pub(crate) fn wait(&self, plural: &str, name: &str, kind: &str, status: &str) -> Result<Value> {
        self.wait_for(plural, name, kind, status, |_| true)
    }

    /// Like [`Fleet::wait`], with a reason.
    pub(crate) fn wait_for_reason(
        &self,
        plural: &str,
        name: &str,
        kind: &str,
        status: &str,
        reason: &str,
    ) -> Result<Value> {
        self.wait_for(plural, name, kind, status, |condition| condition["reason"] == reason)
    }

    fn wait_for(
        &self,
        plural: &str,
        name: &str,
        kind: &str,
        status: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        self.namespace
            .wait_for(plural, name, kind, status, PATIENCE, is_so)
            .with_context(|| if self.is_shared { self.story() } else { String::new() })
    }

    /// What the operator and the pods of the shared cluster printed about this namespace.
    fn story(&self) -> String {
        let name = self.namespace.name();
        let (Ok(operator), Ok(kubelet)) = (shared::operator(), shared::kubelet()) else { return String::new() };
        let lines = operator.process().lines().into_iter().filter(|line| line.contains(name));
        format!("the operator:\n{}\nthe node:\n{}", lines.collect::<Vec<_>>().join("\n"), kubelet.log(name))
    }

    /// The pods of the Bridge, once exactly so many exist and all are ready.
    pub(crate) fn pods(&self, count: usize) -> Result<Vec<Pod>> {
        self.namespace.pods(count, PATIENCE).with_context(|| if self.is_shared { self.story() } else { String::new() })
    }

    /// The newest record of the topic.
    pub(crate) fn newest_record(&self) -> Result<Record> {
        self.kafka.read_all(&self.topic)?.pop().ok_or_else(|| anyhow!("{} is empty", self.topic))
    }
}
