//! One Apache Kafka broker: a process in KRaft mode on loopback, with a folder of its own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::secure::{Ports, SCRAM};
use crate::certificates::Certificate;
use crate::condition::eventually;
use crate::process::{Process, Signal};
use crate::{Result, environment, guard, port};

/// A Java machine that starts fast and stays small: what a test wants.
const SMALL: &[&str] = &["-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1"];
/// A Java machine that compiles what is hot: what a benchmark wants.
const FAST: &[&str] = &["-Xms1g", "-Xmx1g"];

/// How long a start may take on a machine that is busy with the rest of the tests.
const START: Duration = Duration::from_secs(60);

/// A broker that a test can stop, freeze and start again on the same data and port.
pub struct Broker {
    host: Ipv4Addr,
    port: u16,
    process: Option<Process>,
    properties: PathBuf,
    machine: &'static [&'static str],
    // Declared last: the folder goes after the process that writes to it.
    _folder: TempDir,
}

impl Broker {
    /// Starts a broker on loopback and waits until it answers a metadata request.
    pub fn start() -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST)
    }

    /// The same at another address of this machine.
    pub fn start_at(host: Ipv4Addr) -> Result<Self> {
        let mut broker = Self::prepare_with(host, "", &[], |_| Ok(()))?;
        broker.start_again()?;
        Ok(broker)
    }

    /// Starts a broker on loopback with this line of settings more (`name=value`).
    pub fn start_with(setting: &str) -> Result<Self> {
        let mut broker = Self::prepare_with(Ipv4Addr::LOCALHOST, &format!("\n{setting}\n"), &[], |_| Ok(()))?;
        broker.start_again()?;
        Ok(broker)
    }

    /// The same as [`Broker::start`], on a Java machine for benchmarks.
    pub fn start_fast() -> Result<Self> {
        let mut broker = Self { machine: FAST, ..Self::prepare()? };
        broker.start_again()?;
        Ok(broker)
    }

    /// Starts a broker that also has listeners for users and TLS, with this certificate.
    pub fn start_secure(certificate: &Certificate, authority: &str) -> Result<(Self, Ports)> {
        let ports = Ports { sasl: port::free()?, sasl_tls: port::free()?, mutual: port::free()? };
        let more = fs::read_to_string(environment::file("kafka/secure.properties"))?
            .replace("@SASL_PORT@", &ports.sasl.to_string())
            .replace("@SASL_TLS_PORT@", &ports.sasl_tls.to_string())
            .replace("@MUTUAL_PORT@", &ports.mutual.to_string());
        let (user, password) = SCRAM;
        let users = ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(|kind| format!("{kind}=[name={user},password={password}]"));
        let mut broker = Self::prepare_with(Ipv4Addr::LOCALHOST, &more, &users, |folder| {
            // The key first, as Kafka wants a PEM key store to be.
            fs::write(folder.join("broker.pem"), format!("{}{}", certificate.key, certificate.chain))?;
            Ok(fs::write(folder.join("ca.pem"), authority)?)
        })?;
        broker.start_again()?;
        Ok((broker, ports))
    }

    /// Everything but the start: ports chosen, storage formatted.
    pub fn prepare() -> Result<Self> {
        Self::prepare_with(Ipv4Addr::LOCALHOST, "", &[], |_| Ok(()))
    }

    /// The same with more properties, users of SCRAM, and files beside them.
    fn prepare_with(
        host: Ipv4Addr,
        more: &str,
        users: &[String],
        files: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("isthmus-kafka-").tempdir()?;
        guard::remove(folder.path())?;
        files(folder.path())?;
        let (port, controller_port) = free_ports()?;
        let template = fs::read_to_string(environment::file("kafka/broker.properties"))? + more;
        let properties = folder.path().join("broker.properties");
        fs::write(
            &properties,
            template
                .replace("@DIR@", &folder.path().display().to_string())
                .replace("@HOST@", &host.to_string())
                .replace("@PORT@", &port.to_string())
                .replace("@CONTROLLER_PORT@", &controller_port.to_string()),
        )?;
        let broker = Self { host, port, process: None, properties, machine: SMALL, _folder: folder };
        let mut format = broker.java()?;
        format.args(["kafka.tools.StorageTool", "format", "--cluster-id"]);
        format.args(["4L6g3nShT-eMCtK--X86sw", "--config"]).arg(&broker.properties);
        for user in users {
            format.args(["--add-scram", user]);
        }
        Process::run("the formatting of Kafka's storage", START, &mut format)?;
        Ok(broker)
    }

    /// `HOST:PORT` for clients.
    pub fn bootstrap(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Starts the broker on its data, and waits until it answers.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the broker is running");
        let mut command = self.java()?;
        command.arg("kafka.Kafka").arg(&self.properties);
        let process = self.process.insert(Process::start("kafka", &mut command)?);
        let bootstrap = format!("{}:{}", self.host, self.port);
        eventually("Kafka answers a metadata request", START, || {
            if !process.is_running().map_err(|error| error.to_string())? {
                return Err(format!("it has ended:\n{}", process.output()));
            }
            answers(&bootstrap).map_err(|error| format!("{error:#}\n{}", process.output()))
        })
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the broker is not running")?.pid())
    }

    /// SIGKILL: what a crash of the machine leaves.
    pub fn crash(&mut self) -> Result<()> {
        self.process.take().context("the broker is not running")?.kill()
    }

    /// SIGSTOP: connections stay open and nothing answers. Returns when every thread has stopped,
    /// which on a busy machine is a while after the signal.
    pub fn freeze(&self) -> Result<()> {
        let process = self.process.as_ref().context("the broker is not running")?;
        process.signal(Signal::STOP)?;
        eventually("every thread of Kafka has stopped", START, || process.all_threads_stopped())
    }

    /// SIGCONT.
    pub fn thaw(&self) -> Result<()> {
        self.process.as_ref().context("the broker is not running")?.signal(Signal::CONT)
    }

    fn java(&self) -> Result<Command> {
        let distribution = environment::KAFKA.place()?;
        let classpath = fs::read_to_string(distribution.join("classpath"))?;
        let archive = distribution.join("classes.jsa");
        let logging = environment::file("kafka/log4j2.yaml");
        let folder = self.properties.parent().context("no folder")?;
        let mut command = Command::new("java");
        command
            .args(self.machine)
            .arg("-XX:+UseSerialGC")
            // Libraries that it unpacks go with the folder: a broker that is killed does not clean up.
            .arg(format!("-Djava.io.tmpdir={}", folder.display()))
            .arg("-XX:-UsePerfData")
            .arg(format!("-XX:SharedArchiveFile={}", archive.display()))
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .args(["-Djava.awt.headless=true", "-cp", classpath.trim()])
            .current_dir(folder);
        Ok(command)
    }
}

fn answers(bootstrap: &str) -> Result<()> {
    let output = Command::new("kcat")
        .args(["-b", bootstrap, "-L", "-m", "1"])
        .stdin(Stdio::null())
        .output()
        .context("cannot run kcat: apt-get install -y kcat")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(text.contains(" 1 brokers:"), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Two ports that were free a moment ago.
fn free_ports() -> Result<(u16, u16)> {
    let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}
