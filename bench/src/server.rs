//! What is measured, as a process: the product, the floor, the null server.

use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use isthmus_tests::certificates::{Authority, Certificate};
use isthmus_tests::isthmus::{self, Isthmus};
use isthmus_tests::manifest::{self, Resource};
use isthmus_tests::mqtt::{Client, Packet, Version, packet};
use isthmus_tests::process::Process;
use isthmus_tests::secrets::{Secret, Volume};
use isthmus_tests::{Result, port};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tempfile::TempDir;

use crate::load::USER;
use crate::shape::{Publish, Rule};

/// How long a program may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program that devices connect to.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Its processes: what they use is added up.
    pub(crate) pids: Vec<u32>,
    /// With TLS, what its certificate is checked against.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    kept: Kept,
}

/// What must live as long as the server; dropped it ends.
enum Kept {
    Isthmus { isthmus: Box<Isthmus>, _secrets: Volume },
    Processes { _processes: Vec<Process>, _folder: Option<TempDir> },
}

/// How the product is started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Under<'a>(pub(crate) &'a [&'a str]);

impl Under<'_> {
    pub(crate) const NOTHING: Under<'static> = Under(&[]);

    fn command(self) -> Result<Command> {
        let binary = isthmus::binary()?;
        Ok(match self.0 {
            [] => Command::new(binary),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary);
                command
            }
        })
    }
}

impl Server {
    /// The product with these resources beside its Bridge; devices have a name and a password.
    pub(crate) fn product(under: Under<'_>, bridge: Resource, others: &[Resource], tls: bool) -> Result<Self> {
        let authority = Authority::new("bench")?;
        let Certificate { chain, key } = authority.issue("bench", &["localhost"])?;
        let mut listener = json!({"name": "mqtt", "port": port::free()?});
        if tls {
            listener["tls"] = json!({"secretRef": {"name": "tls"}});
        }
        let bridge = bridge.with("listeners", json!([listener]));
        let bridge = bridge.with("authentication", json!({"anonymous": "Deny", "usersSecretRef": {"name": "users"}}));
        let mut resources = vec![bridge];
        resources.extend_from_slice(others);
        let (user, password) = USER;
        let password = format!("plain:{password}");
        let users = [(user, password.as_str())];
        let pair = [("tls.crt", chain.as_str()), ("tls.key", key.as_str())];
        let all: &[Secret<'_>] = &[("users", &users), ("tls", &pair)];
        let needed = if tls { all } else { &all[..1] };
        let secrets = Volume::with(needed)?;
        let plan = isthmus::render(&manifest::with_secrets(&manifest::documents(&resources), needed))?;
        let isthmus = Isthmus::pod_under(&mut under.command()?, plan, secrets.path(), "warn")?;
        let tls = if tls { Some(trust(&authority)?) } else { None };
        let (address, pid) = (isthmus.mqtt(), isthmus.process().pid());
        Ok(Self {
            address,
            pids: vec![pid],
            tls,
            kept: Kept::Isthmus { isthmus: Box::new(isthmus), _secrets: secrets },
        })
    }

    /// The product as a bridge from devices to a topic.
    pub(crate) fn bridge(under: Under<'_>, kafka: &str, topic: &str, publish: &Publish) -> Result<Self> {
        let window = publish.window.max(100);
        let bridge = manifest::bridge().with("mqtt.receiveMaximum", window);
        let sink = manifest::sink("events", topic)
            .with("requestMode", if publish.asynchronous { "Async" } else { "Sync" })
            .with("partitionStrategy", "KeyDispatch")
            .with("linger", format!("{}ms", publish.linger))
            // Longer than any outage here: a device keeps its connection while Kafka is away.
            .with("syncTimeout", "2m");
        let sink = match publish.rule {
            Rule::Payload | Rule::Filters(_) => sink.with("value", "${.payload}"),
            Rule::Event | Rule::Json => sink,
        };
        let mut resources = vec![connector(kafka), sink];
        let rule = |name: &str, sql: &str| manifest::rule(name, sql).to_sink("events");
        match publish.rule {
            Rule::Payload | Rule::Event => resources.push(rule("all", r#"SELECT * FROM "v1/#""#)),
            Rule::Json => {
                resources
                    .push(rule("some", r#"SELECT payload.temp AS t, clientid FROM "v1/#" WHERE payload.temp > 0"#));
            }
            Rule::Filters(count) => resources.extend(
                (0..count).map(|number| rule(&format!("rule-{number}"), &format!(r#"SELECT * FROM "v1/{number}/#""#))),
            ),
        }
        let server = Self::product(under, bridge, &resources, publish.tls)?;
        if let Kept::Isthmus { isthmus, .. } = &server.kept {
            isthmus.wait_for_state("sinks", "events", "Connected")?;
        }
        Ok(server)
    }

    /// The product with a Source that hands the records of a topic to subscribers of `cmd/all`.
    pub(crate) fn source(kafka: &str, topic: &str) -> Result<Self> {
        let mapping = json!({"kafkaTopic": topic, "mqttTopic": "cmd/all", "payloadTemplate": "${.value}"});
        // A group of its own: one whose member was killed waits for it.
        let source = manifest::source("commands")
            .with("groupId", topic)
            .with("offsetReset", "Earliest")
            .and("topicMapping", mapping);
        // A subscriber at QoS 0 that is slower than Kafka would lose what its queue does not hold.
        let bridge = manifest::bridge().with("mqtt.maxQueuedMessages", 1_000_000).with("mqtt.maxQueuedBytes", "1Gi");
        let server = Self::product(Under::NOTHING, bridge, &[connector(kafka), source], false)?;
        if let Kept::Isthmus { isthmus, .. } = &server.kept {
            isthmus.wait_for_state("sources", "commands", "Connected")?;
        }
        Ok(server)
    }

    /// The floor.
    pub(crate) fn floor(kafka: &str, topic: &str, publish: &Publish) -> Result<Self> {
        Self::own(&["floor", "--kafka", kafka, "--topic", topic, "--linger", &publish.linger.to_string()])
    }

    /// The null server.
    pub(crate) fn null() -> Result<Self> {
        Self::own(&["null"])
    }

    fn own(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        let process = Process::start(arguments[0], command.args(arguments))?;
        let address = process.line("its address", PATIENCE, |line| line.strip_prefix("listening on ")?.parse().ok())?;
        Ok(Self {
            address,
            pids: vec![process.pid()],
            tls: None,
            kept: Kept::Processes { _processes: vec![process], _folder: None },
        })
    }

    /// Other programs, with the folder of their configuration.
    pub(crate) fn of(address: SocketAddr, processes: Vec<Process>, folder: TempDir) -> Self {
        let pids = processes.iter().map(Process::pid).collect();
        Self { address, pids, tls: None, kept: Kept::Processes { _processes: processes, _folder: Some(folder) } }
    }

    /// Ends the product as a pod's end would, so that it has time to write what a profiler wants.
    pub(crate) fn stop(self, within: Duration) -> Result<()> {
        if let Kept::Isthmus { isthmus, .. } = self.kept {
            isthmus.stop_within(within)?;
        }
        Ok(())
    }

    /// The highest QoS that it says it takes.
    pub(crate) fn maximum_qos(&self) -> Result<u8> {
        let mut client = Client::open(self.address, Version::V5)?;
        client.send(&packet::connect_as(Version::V5, "probe", 60, Some(USER)))?;
        match client.receive()? {
            Packet::ConnAck { code: 0, properties } => maximum_qos(&properties),
            other => anyhow::bail!("the probe is not let in: {other:?}"),
        }
    }
}

fn connector(kafka: &str) -> Resource {
    manifest::connector().with("kafka.bootstrapServers", json!([kafka]))
}

fn trust(authority: &Authority) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Looks for Maximum QoS among the properties of a CONNACK (5.0 §3.2.2.3); without it everything is taken.
fn maximum_qos(mut properties: &[u8]) -> Result<u8> {
    while let [identifier, rest @ ..] = properties {
        let length = match identifier {
            0x24 => return rest.first().copied().context("a short property"),
            0x25 | 0x28 | 0x29 | 0x2A => 1,
            0x13 | 0x21 | 0x22 => 2,
            0x11 | 0x27 => 4,
            0x12 | 0x15 | 0x16 | 0x1A | 0x1C | 0x1F => 2 + text_length(rest)?,
            0x26 => {
                let name = 2 + text_length(rest)?;
                name + 2 + text_length(rest.get(name..).context("a short property")?)?
            }
            other => anyhow::bail!("CONNACK has a property {other:#x}"),
        };
        properties = rest.get(length..).context("a short property")?;
    }
    Ok(2)
}

fn text_length(bytes: &[u8]) -> Result<usize> {
    match bytes {
        [high, low, ..] => Ok(u16::from_be_bytes([*high, *low]).into()),
        _ => anyhow::bail!("a short property"),
    }
}

/// Whether a program of this path can be measured: a debug build says nothing about speed.
pub(crate) fn is_debug(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("debug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maximum_qos_is_found_behind_other_properties() -> Result<()> {
        assert_eq!(maximum_qos(&[])?, 2);
        assert_eq!(maximum_qos(&[0x21, 0, 100, 0x24, 1])?, 1);
        assert_eq!(maximum_qos(&[0x26, 0, 1, b'a', 0, 1, b'b', 0x27, 0, 0, 1, 0, 0x24, 0])?, 0);
        assert!(maximum_qos(&[0x21, 0]).is_err());
        Ok(())
    }
}
