//! A pod of a Bridge that is ready.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::Result;
use crate::mosquitto::{self, Version::V5};

/// What a test wants to know of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its address.
    pub ip: IpAddr,
    /// How often its container ended.
    pub restarts: u64,
}

impl Pod {
    /// The pod of this object; nothing when it is not ready, or on its way out.
    pub(super) fn ready(pod: &Value) -> Option<Self> {
        let conditions = pod["status"]["conditions"].as_array()?;
        let ready = conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        if !ready || !pod["metadata"]["deletionTimestamp"].is_null() {
            return None;
        }
        Some(Self {
            name: pod["metadata"]["name"].as_str()?.to_owned(),
            uid: pod["metadata"]["uid"].as_str()?.to_owned(),
            ip: pod["status"]["podIP"].as_str()?.parse().ok()?,
            restarts: pod["status"]["containerStatuses"][0]["restartCount"].as_u64()?,
        })
    }

    /// Where the listener `mqtt` is.
    pub fn mqtt(&self) -> SocketAddr {
        SocketAddr::new(self.ip, 1883)
    }

    /// Publishes with an independent client; returns when the pod has acknowledged, which means that
    /// Kafka has the record.
    pub fn publish(&self, payload: &str) -> Result<()> {
        mosquitto::publish(self.mqtt(), V5, "load/1", payload, &[])
    }
}
