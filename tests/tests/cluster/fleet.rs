//! What most scenarios begin with: a Bridge whose pods carry messages from MQTT to Kafka.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, anyhow, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::kafka::{Kafka, Record};
use isthmus_tests::kubernetes::{ControlPlane, Namespace};
use isthmus_tests::manifest::{self, Resource, rule, sink};
use isthmus_tests::mosquitto::{self, Version::V5};
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

/// A pod that is ready.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pod {
    /// Its name.
    pub(crate) name: String,
    /// Its address.
    pub(crate) ip: IpAddr,
    /// How often its container ended.
    pub(crate) restarts: u64,
}

impl Pod {
    /// Where the listener `mqtt` is.
    pub(crate) fn mqtt(&self) -> SocketAddr {
        SocketAddr::new(self.ip, 1883)
    }

    /// Publishes with an independent client; returns when the pod has acknowledged, which means that
    /// Kafka has the record.
    pub(crate) fn publish(&self, payload: &str) -> Result<()> {
        mosquitto::publish(self.mqtt(), V5, "load/1", payload, &[])
    }
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
        eventually(&format!("{plural} {name} has {kind}={status}"), PATIENCE, || {
            let object = self.namespace.object(plural, name)?;
            let conditions = object["status"]["conditions"].as_array();
            let condition = conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
            let condition = condition.with_context(|| format!("no {kind}: {:#}", object["status"]))?;
            let newest = condition["observedGeneration"] == object["metadata"]["generation"];
            ensure!(newest && condition["status"] == status && is_so(condition), "{:#}", object["status"]);
            Ok(condition.clone())
        })
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
        eventually(&format!("there are {count} pods, all ready"), PATIENCE, || {
            let list = self.namespace.other("v1", "pods")?;
            let items = list["items"].as_array().context("not a list")?;
            let ready: Vec<Pod> = items.iter().filter_map(ready).collect();
            ensure!(items.len() == count && ready.len() == count, "{:#}", list["items"]);
            Ok(ready)
        })
        .with_context(|| if self.is_shared { self.story() } else { String::new() })
    }

    /// The newest record of the topic.
    pub(crate) fn newest_record(&self) -> Result<Record> {
        self.kafka.read_all(&self.topic)?.pop().ok_or_else(|| anyhow!("{} is empty", self.topic))
    }
}

fn ready(pod: &Value) -> Option<Pod> {
    let conditions = pod["status"]["conditions"].as_array()?;
    let ready = conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    // One that is on its way out no longer counts.
    if !ready || !pod["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    Some(Pod {
        name: pod["metadata"]["name"].as_str()?.to_owned(),
        ip: pod["status"]["podIP"].as_str()?.parse().ok()?,
        restarts: pod["status"]["containerStatuses"][0]["restartCount"].as_u64()?,
    })
}
