//! Real Apache Kafka: one broker for the whole run, and private ones for tests that hurt it.
//!
//! The broker itself is in [`broker`], one with users and TLS in [`secure`]; reading and writing with programs that share no code with
//! Isthmus is in [`client`].

pub mod broker;
pub mod client;
pub mod secure;

use std::env;
use std::net::Ipv4Addr;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};

pub use self::broker::Broker;
pub use self::client::Record;
pub use self::secure::Secure;

use crate::{Result, python};

/// A Kafka that a test talks to.
pub struct Kafka {
    bootstrap: String,
    broker: Option<Broker>,
}

impl Kafka {
    /// The broker of this test run, started when first asked for; tests share it, each with topics
    /// and groups of its own. `KAFKA_BOOTSTRAP` (`HOST:PORT`) names another one to use.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<std::result::Result<Kafka, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| match env::var("KAFKA_BOOTSTRAP") {
                Ok(bootstrap) => Ok(Self { bootstrap, broker: None }),
                Err(_) => Self::private().map_err(|error| format!("{error:#}")),
            })
            .as_ref()
            .map_err(|error| anyhow!("the shared Kafka did not start: {error}"))
    }

    /// A broker that belongs to one test, which may stop it.
    pub fn private() -> Result<Self> {
        let broker = Broker::start().context("cannot start Apache Kafka")?;
        Ok(Self { bootstrap: broker.bootstrap(), broker: Some(broker) })
    }

    /// The same with this setting (`name=value`).
    pub fn private_with(setting: &str) -> Result<Self> {
        let broker = Broker::start_with(setting).context("cannot start Apache Kafka")?;
        Ok(Self { bootstrap: broker.bootstrap(), broker: Some(broker) })
    }

    /// The same at another address of this machine than loopback.
    pub fn private_at(host: Ipv4Addr) -> Result<Self> {
        let broker = Broker::start_at(host).context("cannot start Apache Kafka")?;
        Ok(Self { bootstrap: broker.bootstrap(), broker: Some(broker) })
    }

    /// A private broker's address with no broker behind it yet; [`Broker::start_again`] starts it.
    pub fn not_started() -> Result<Self> {
        let broker = Broker::prepare()?;
        Ok(Self { bootstrap: broker.bootstrap(), broker: Some(broker) })
    }

    /// `HOST:PORT` of the broker.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The broker's process; an error for one given by `KAFKA_BOOTSTRAP`.
    pub fn broker(&mut self) -> Result<&mut Broker> {
        self.broker.as_mut().context("this broker was not started by the test")
    }

    /// Creates a topic with a name of its own that starts with `stem`, one partition.
    pub fn topic(&self, stem: &str) -> Result<String> {
        self.topic_with(stem, 1, &[])
    }

    /// Creates a topic with a name of its own, with partitions and settings (`name=value`).
    pub fn topic_with(&self, stem: &str, partitions: u32, settings: &[&str]) -> Result<String> {
        let name = Self::unused_name(stem);
        self.create_topic(&name, partitions, settings)?;
        Ok(name)
    }

    /// Creates a topic of this very name.
    pub fn create_topic(&self, name: &str, partitions: u32, settings: &[&str]) -> Result<()> {
        let mut command = python::script("create_topic.py")?;
        command.args([&self.bootstrap, name, &partitions.to_string()]).args(settings);
        crate::process::Process::run("create_topic.py", Duration::from_secs(30), &mut command)?;
        Ok(())
    }

    /// Deletes a topic with all of its records.
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        let mut command = python::script("delete_topic.py")?;
        command.args([&self.bootstrap, name]);
        crate::process::Process::run("delete_topic.py", Duration::from_secs(30), &mut command)?;
        Ok(())
    }

    /// A name for a topic or group that nothing else on this broker has.
    pub fn unused_name(stem: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{stem}-{}-{number}", process::id())
    }
}
