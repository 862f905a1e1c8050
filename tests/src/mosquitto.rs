//! Mosquitto's command-line clients.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::process::Process;

const CLIENT: Duration = Duration::from_secs(20);

/// The protocol version, as the clients' `-V` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.0.
    V5,
}

impl Version {
    fn flag(self) -> &'static str {
        match self {
            Self::V311 => "mqttv311",
            Self::V5 => "mqttv5",
        }
    }
}

/// Publishes one message at QoS 1 with `mosquitto_pub`, which returns when it is acknowledged;
/// `more` are further arguments.
pub fn publish(broker: SocketAddr, version: Version, topic: &str, payload: &str, more: &[&str]) -> Result<()> {
    let mut command = client("mosquitto_pub", broker, version);
    command.args(["-q", "1", "-t", topic, "-m", payload]).args(more);
    Process::run("mosquitto_pub", CLIENT, &mut command)?;
    Ok(())
}

/// A running `mosquitto_sub`.
pub struct Subscriber(Process);

impl Subscriber {
    /// Subscribes at QoS 1, and returns when the subscription is acknowledged. A message is
    /// printed as a line `TOPIC PAYLOAD`.
    pub fn start(broker: SocketAddr, version: Version, filter: &str, more: &[&str]) -> Result<Self> {
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "mosquitto_sub", "-d"]);
        arguments(&mut command, broker, version);
        command.args(["-q", "1", "-v", "-t", filter]).args(more);
        let process = Process::start("mosquitto_sub", &mut command)?;
        process.line("that it is subscribed", CLIENT, |line| line.starts_with("Subscribed (mid").then_some(()))?;
        Ok(Self(process))
    }

    /// Waits for a message on this topic and returns its payload.
    pub fn payload(&self, topic: &str, within: Duration) -> Result<String> {
        self.0.line(&format!("a message on {topic}"), within, |line| {
            Some(line.strip_prefix(topic)?.strip_prefix(' ')?.to_owned())
        })
    }

    /// Everything printed so far.
    pub fn output(&self) -> String {
        self.0.output()
    }

    /// The process, to see whether it still runs.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.0
    }
}

fn client(program: &str, broker: SocketAddr, version: Version) -> Command {
    let mut command = Command::new(program);
    arguments(&mut command, broker, version);
    command
}

fn arguments(command: &mut Command, broker: SocketAddr, version: Version) {
    command.args(["-h", &broker.ip().to_string(), "-p", &broker.port().to_string()]);
    command.args(["-V", version.flag()]);
}
