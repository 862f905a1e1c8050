//! Other bridges from MQTT to Kafka, run beside ours when `tests/environment/peers.sh` has set them up.
//!
//! Each is configured for the most that it promises, and what it promises is said beside its figure: a PUBACK before Kafka
//! has the record is cheaper and weaker.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use isthmus_tests::condition::eventually;
use isthmus_tests::process::Process;
use isthmus_tests::{Result, environment, port};

use crate::server::Server;

const PATIENCE: Duration = Duration::from_secs(20);

/// A program to compare with.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What a PUBACK means.
    pub(crate) promise: &'static str,
    /// Whether it writes to Kafka.
    pub(crate) kafka: bool,
    /// What `peers.sh` calls its programs.
    programs: &'static [&'static str],
}

pub(crate) const PEERS: &[Peer] = &[
    Peer { name: "mosquitto", promise: "in the broker's memory; no Kafka", kafka: false, programs: &["mosquitto"] },
    Peer {
        name: "mosquitto + Telegraf",
        promise: "in the broker's memory; Kafka later, acks=all",
        kafka: true,
        programs: &["mosquitto", "telegraf"],
    },
    Peer {
        name: "comqtt",
        promise: "in the broker's memory; Kafka later, leader only",
        kafka: true,
        programs: &["comqtt"],
    },
    Peer { name: "rmqtt", promise: "in the broker's memory; Kafka later, acks=all", kafka: true, programs: &["rmqtt"] },
];

impl Peer {
    /// Its programs, or the name of one that is not set up.
    fn programs(&self) -> Result<Vec<PathBuf>> {
        let place = |name: &&str| -> Result<PathBuf> {
            let mut script = Command::new(environment::file("peers.sh"));
            let output = script.args(["--installed", name]).stdin(Stdio::null()).output()?;
            if !output.status.success() {
                bail!("not set up: tests/environment/peers.sh {name}");
            }
            Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
        };
        self.programs.iter().map(place).collect()
    }

    /// Why it cannot be run.
    pub(crate) fn missing(&self) -> Option<String> {
        self.programs().err().map(|error| format!("missing: {error:#}"))
    }

    /// Starts it between devices and this topic.
    pub(crate) fn start(&self, kafka: &str, topic: &str) -> Result<Server> {
        let programs = self.programs()?;
        let folder = tempfile::Builder::new().prefix("isthmus-peer-").tempdir()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()?));
        let mut processes = Vec::new();
        for program in &programs {
            let name = program.file_name().and_then(|name| name.to_str()).context("a program without name")?;
            let (file, mut command) = configured(name, program, folder.path(), address, kafka, topic)?;
            fs::write(folder.path().join(file.0), file.1)?;
            let process = Process::start(name, command.current_dir(folder.path()))?;
            if name == "telegraf" {
                // It says so when its subscription stands.
                process.line("that it is connected", PATIENCE, |line| line.contains("Connected [").then_some(()))?;
            }
            processes.push(process);
            eventually(&format!("{name} listens"), PATIENCE, || TcpStream::connect(address))?;
        }
        Ok(Server::of(address, processes, folder))
    }
}

type File = (&'static str, String);

/// The configuration of a program and how it is started on it.
fn configured(
    name: &str,
    program: &Path,
    folder: &Path,
    address: SocketAddr,
    kafka: &str,
    topic: &str,
) -> Result<(File, Command)> {
    let mut command = Command::new(program);
    let port = address.port();
    let file = match name {
        "mosquitto" => {
            command.args(["-c", "mosquitto.conf"]);
            let text = format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n\
                 max_inflight_messages 0\nmax_queued_messages 0\nlog_type none\nuser root\n"
            );
            ("mosquitto.conf", text)
        }
        "telegraf" => {
            command.args(["--config", "telegraf.conf"]);
            let text = format!(
                r#"[agent]
flush_interval = "100ms"
metric_batch_size = 5000
metric_buffer_limit = 1000000
omit_hostname = true
[[inputs.mqtt_consumer]]
servers = ["tcp://{address}"]
topics = ["v1/#"]
qos = 1
max_undelivered_messages = 10000
data_format = "value"
data_type = "string"
[[outputs.kafka]]
brokers = ["{kafka}"]
topic = "{topic}"
required_acks = -1
routing_tag = "topic"
data_format = "template"
template = '{{{{ .Field "value" }}}}'
"#
            );
            ("telegraf.conf", text)
        }
        "comqtt" => {
            command.args(["-conf", "comqtt.yml"]);
            fs::write(
                folder.join("kafka.yml"),
                format!(
                    "kafka-options:\n  brokers: [\"{kafka}\"]\n  topic: {topic}\n  balancer: 2\n  async: true\n  \
                     required-acks: 1\n  compression: 0\n  write-timeout: 10\nrules:\n  topics: [\"v1/#\"]\n  filters: [none]\n"
                ),
            )?;
            let text = format!(
                "storage-way: 0\nbridge-way: 1\nbridge-path: kafka.yml\nauth:\n  way: 0\nmqtt:\n  tcp: 127.0.0.1:{port}\n  \
                 ws: 127.0.0.1:{}\n  http: 127.0.0.1:{}\n  options:\n    client-write-buffer-size: 1024\n    \
                 client-read-buffer-size: 1024\n    sys-topic-resend-interval: 1\n    capabilities:\n      \
                 maximum-session-expiry-interval: 4294967295\n      maximum-client-writes-pending: 65535\n      \
                 receive-maximum: 1024\n      maximum-qos: 2\n      retain-available: 1\n      wildcard-sub-available: 1\n      \
                 sub-id-available: 1\n      shared-sub-available: 1\n      minimum-protocol-version: 3\nlog:\n  enable: false\n",
                port::free()?,
                port::free()?
            );
            ("comqtt.yml", text)
        }
        "rmqttd" => {
            command.args(["-f", "rmqtt.toml"]);
            fs::create_dir(folder.join("plugins"))?;
            fs::write(
                folder.join("plugins/rmqtt-bridge-egress-kafka.toml"),
                format!(
                    "task_concurrency_limit = 10000\n[[bridges]]\nenable = true\nname = \"bench\"\nservers = \"{kafka}\"\n\
                     concurrent_client_limit = 1\n[bridges.properties]\n\"acks\" = \"all\"\n\"linger.ms\" = \"5\"\n\
                     [[bridges.entries]]\nlocal.topic_filter = \"v1/#\"\nremote.topic = \"{topic}\"\n\
                     remote.queue_timeout = \"1m\"\n"
                ),
            )?;
            let text = format!(
                "log.to = \"off\"\nrpc.server_addr = \"127.0.0.1:{}\"\nnode.busy.check_enable = false\n\
                 plugins.dir = \"plugins/\"\nplugins.default_startups = [\"rmqtt-bridge-egress-kafka\"]\n\
                 plugins.disabled_default_startups = [\"rmqtt-http-api\", \"rmqtt-counter\", \"rmqtt-acl\"]\n\
                 [listener.tcp.bench]\naddr = \"{address}\"\nallow_anonymous = true\nnodelay = true\nmax_inflight = 65535\n\
                 max_mqueue_len = 1000000\nmqueue_rate_limit = \"1000000,1s\"\n",
                port::free()?,
            );
            ("rmqtt.toml", text)
        }
        other => bail!("no configuration for {other}"),
    };
    Ok((file, command))
}
