//! The binary under test, used from outside only: files, sockets, output and exit code.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::condition::eventually;
use crate::kafka::Kafka;
use crate::process::{Process, Signal};
use crate::{Result, environment};

/// How long a start, a reload or a stop may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// The built program. `ISTHMUS_BIN` names another one to test, for example a release build;
/// otherwise it is built first, so that a test never runs against a stale one.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    BINARY
        .get_or_init(|| match env::var_os("ISTHMUS_BIN") {
            Some(path) => Ok(path.into()),
            None => build("isthmus").map_err(|error| format!("{error:#}")),
        })
        .as_deref()
        .map_err(|error| anyhow!("{error}"))
}

/// Builds a program of the workspace as the tests were built, and returns its path.
pub(crate) fn build(program: &str) -> Result<PathBuf> {
    // target/PROFILE/deps/system-HASH, or target/PROFILE/isthmus-bench
    let own = env::current_exe()?;
    let above = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    let folder = above.context("an unusual target folder")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    // The whole workspace, so that features, and with them the dependencies, stay the same.
    build.args(["build", "--workspace", "--bin", program]).current_dir(environment::checkout(""));
    if folder.ends_with("release") {
        build.arg("--release");
    }
    // What cargo tells a test of its package is not for another build: ring's build script would run again for it, and
    // with it everything that knows TLS be compiled once more.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|own| name.starts_with(own)) {
            build.env_remove(&*name);
        }
    }
    let output = build.stdin(Stdio::null()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(folder.join(program))
}

/// A command of the program that runs to its end.
#[derive(Debug)]
pub struct Finished {
    /// The exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard output and standard error as they came.
    pub output: String,
}

/// Runs `isthmus ARGUMENTS…` to its end, whatever the outcome.
pub fn run(arguments: &[&str]) -> Result<Finished> {
    let mut command = Command::new(binary()?);
    command.args(arguments);
    let mut process = Process::start("isthmus", &mut command)?;
    let status = process.wait(PATIENCE)?;
    let stdout = process.stdout_lines().join("\n");
    Ok(Finished { status, stdout, output: process.output() })
}

/// How to start the local mode.
#[derive(Debug, Clone, Default)]
pub struct Start {
    kafka: Option<String>,
    mqtt: Option<String>,
    environment: Vec<(String, String)>,
}

impl Start {
    /// On the embedded broker, with free ports.
    pub fn embedded() -> Self {
        Self::default()
    }

    /// On this Kafka, with free ports.
    pub fn on(kafka: &Kafka) -> Self {
        Self { kafka: Some(kafka.bootstrap().to_owned()), ..Self::default() }
    }

    /// On the Kafka at this address, with free ports.
    pub fn at(bootstrap: &str) -> Self {
        Self { kafka: Some(bootstrap.to_owned()), ..Self::default() }
    }

    /// With this address for the MQTT listener instead of a free port.
    #[must_use]
    pub fn mqtt(mut self, address: &str) -> Self {
        self.mqtt = Some(address.to_owned());
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts `isthmus dev` on a file with these manifests and waits until it is ready.
    pub fn manifests(&self, manifests: &str) -> Result<Isthmus> {
        let isthmus = self.unready(manifests)?;
        isthmus.wait_until_ready()?;
        Ok(isthmus)
    }

    /// Like [`Start::manifests`], without waiting for readiness.
    pub fn unready(&self, manifests: &str) -> Result<Isthmus> {
        let folder = tempfile::Builder::new().prefix("isthmus-test-").tempdir()?;
        let file = folder.path().join("manifests.yaml");
        fs::write(&file, manifests)?;
        let process = self.spawn(&[&file])?;
        Isthmus::attach(process, folder, file)
    }

    /// Starts `isthmus dev FILE…` and returns at once.
    pub fn spawn(&self, files: &[&Path]) -> Result<Process> {
        let mut command = Command::new(binary()?);
        command.arg("dev").args(files).args(["--admin", "127.0.0.1:0"]);
        command.args(["--mqtt", self.mqtt.as_deref().unwrap_or("127.0.0.1:0")]);
        if let Some(kafka) = &self.kafka {
            command.args(["--kafka", kafka]);
        }
        // What the process keeps in a temporary folder goes with the test's, even after a crash.
        if let Some(folder) = files.first().and_then(|file| file.parent()) {
            command.env("TMPDIR", folder);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Process::start("isthmus", &mut command)
    }
}

/// Renders a plan from manifests, as a pod would be given it.
pub fn render(manifests: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("manifests.yaml");
    fs::write(&file, manifests)?;
    let mut command = Command::new(binary()?);
    command.arg("plan").arg(&file);
    Ok(Process::run("isthmus plan", PATIENCE, &mut command)?.join("\n"))
}

/// A running `isthmus dev` or `isthmus run`.
pub struct Isthmus {
    process: Process,
    mqtt: SocketAddr,
    admin: String,
    file: PathBuf,
    // Declared last: the manifests go after the process that watches them.
    folder: TempDir,
}

impl Isthmus {
    /// Starts `isthmus run` on this plan, as in a pod, and waits until it is ready.
    pub fn pod(plan: impl AsRef<[u8]>) -> Result<Self> {
        // No Secrets are there, and the plan is expected to name none.
        Self::pod_with(plan, Path::new("/nonexistent"))
    }

    /// The same with this folder of Secrets.
    pub fn pod_with(plan: impl AsRef<[u8]>, secrets: &Path) -> Result<Self> {
        Self::pod_logging(plan, secrets, "info")
    }

    /// The same with this log level.
    pub fn pod_logging(plan: impl AsRef<[u8]>, secrets: &Path, level: &str) -> Result<Self> {
        Self::pod_under(&mut Command::new(binary()?), plan, secrets, level)
    }

    /// The same, started by this command, to which the arguments of the program are added.
    pub fn pod_under(command: &mut Command, plan: impl AsRef<[u8]>, secrets: &Path, level: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("isthmus-test-").tempdir()?;
        let file = folder.path().join("plan.json");
        fs::write(&file, plan)?;
        command.arg("run").arg("--plan").arg(&file).arg("--secrets").arg(secrets);
        command.args(["--bind", "127.0.0.1", "--admin", "127.0.0.1:0", "--log", level]);
        let isthmus = Self::attach(Process::start("isthmus", command)?, folder, file)?;
        isthmus.wait_until_ready()?;
        Ok(isthmus)
    }

    /// Reads the addresses that the process prints.
    fn attach(process: Process, folder: TempDir, file: PathBuf) -> Result<Self> {
        let mqtt = process.line("the MQTT listener's address", PATIENCE, |line| {
            let (_, address) = line.split_once("mqtt listener \"mqtt\" on ")?;
            address.split_whitespace().next()?.parse().ok()
        })?;
        let admin = process.line("the admin address", PATIENCE, |line| {
            let (_, address) = line.split_once("admin on ")?;
            Some(address.split_whitespace().next()?.trim_end_matches('/').to_owned())
        })?;
        Ok(Self { process, mqtt, admin, file, folder })
    }

    /// Where the listener `mqtt` is.
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }

    /// The admin port's address, `http://HOST:PORT`.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// The process, for its output, memory and signals.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process, for its end.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The file with the manifests or the plan in force.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Waits until `/readyz` says so.
    pub fn wait_until_ready(&self) -> Result<()> {
        eventually("isthmus is ready", PATIENCE, || match self.get("/readyz")? {
            (200, _) => Ok(()),
            (code, text) => Err(anyhow!("/readyz answers {code}: {text}")),
        })
    }

    /// Replaces the manifests, or the plan, on disk in one step, as an editor does.
    pub fn edit(&self, text: impl AsRef<[u8]>) -> Result<()> {
        let new = self.folder.path().join("new");
        fs::write(&new, text)?;
        fs::rename(new, &self.file)?;
        Ok(())
    }

    /// Replaces the manifests, or the plan, and waits until the new text is in force.
    pub fn reload(&self, text: &str) -> Result<()> {
        let before = self.revision()?;
        self.edit(text)?;
        eventually("the edit is in force", PATIENCE, || {
            let now = self.revision()?;
            if now == before { Err(anyhow!("revision {now}")) } else { Ok(()) }
        })
    }

    /// The plan revision in force.
    pub fn revision(&self) -> Result<String> {
        let status = self.status()?;
        Ok(status["revision"].as_str().context("no revision in /v1/status")?.to_owned())
    }

    /// `/v1/status`.
    pub fn status(&self) -> Result<Value> {
        let (code, text) = self.get("/v1/status")?;
        ensure!(code == 200, "/v1/status answers {code}: {text}");
        serde_json::from_str(&text).with_context(|| format!("/v1/status is not JSON: {text}"))
    }

    /// One entry of a list in `/v1/status`, such as `link("sinks", "vehicles")`.
    pub fn link(&self, list: &str, name: &str) -> Result<Value> {
        let status = self.status()?;
        let entries = status[list].as_array().with_context(|| format!("no {list}: {status}"))?;
        let entry = entries.iter().find(|entry| entry["name"] == name);
        entry.cloned().with_context(|| format!("no {name} in {list}: {status}"))
    }

    /// A figure of such an entry.
    pub fn figure(&self, list: &str, name: &str, field: &str) -> Result<u64> {
        let entry = self.link(list, name)?;
        entry[field].as_u64().with_context(|| format!("no {field}: {entry}"))
    }

    /// Waits until a figure is at least `least`, and returns it.
    pub fn wait_for(&self, list: &str, name: &str, field: &str, least: u64) -> Result<u64> {
        eventually(&format!("{list} {name} has {field} >= {least}"), PATIENCE, || {
            let value = self.figure(list, name, field)?;
            if value >= least { Ok(value) } else { Err(anyhow!("{}", self.link(list, name)?)) }
        })
    }

    /// Waits until an entry has this `reason`.
    pub fn wait_for_reason(&self, list: &str, name: &str, reason: &str) -> Result<Value> {
        eventually(&format!("{list} {name} says {reason}"), PATIENCE, || {
            let entry = self.link(list, name)?;
            if entry["reason"] == reason { Ok(entry) } else { Err(anyhow!("{entry}")) }
        })
    }

    /// Waits until the status says that something was rejected, and returns what it says about that.
    pub fn wait_for_rejection(&self) -> Result<String> {
        eventually("something is rejected", PATIENCE, || {
            let status = self.status()?;
            let message = status["rejected"]["message"].as_str().map(str::to_owned);
            message.ok_or_else(|| anyhow!("{status}"))
        })
    }

    /// Waits until an entry has this `state`.
    pub fn wait_for_state(&self, list: &str, name: &str, state: &str) -> Result<Value> {
        eventually(&format!("{list} {name} is {state}"), PATIENCE, || {
            let entry = self.link(list, name)?;
            if entry["state"] == state { Ok(entry) } else { Err(anyhow!("{entry}")) }
        })
    }

    /// A sample of `/metrics`, by its name and labels as the text has them
    /// (`isthmus_sink_matched_total{sink="vehicles"}`).
    pub fn metric(&self, sample: &str) -> Result<f64> {
        let (code, text) = self.get("/metrics")?;
        ensure!(code == 200, "/metrics answers {code}: {text}");
        let value = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        Ok(value.with_context(|| format!("no {sample} in:\n{text}"))?.trim().parse()?)
    }

    /// Status code and text of a page of the admin port.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(5)))
            .build()
            .into();
        let mut response = agent.get(format!("{}{path}", self.admin)).call()?;
        Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
    }

    /// SIGTERM; checks that the process ends by itself with code 0, and returns what it printed.
    pub fn stop(self) -> Result<String> {
        self.stop_within(PATIENCE)
    }

    /// Like [`Isthmus::stop`], and within this time.
    pub fn stop_within(self, time: Duration) -> Result<String> {
        self.stop_by(Signal::TERM, time)
    }

    /// Like [`Isthmus::stop_within`], by another signal.
    pub fn stop_by(mut self, signal: Signal, time: Duration) -> Result<String> {
        self.process.signal(signal)?;
        let status = self.process.wait(time)?;
        let output = self.process.output();
        if status.code() != Some(0) {
            bail!("isthmus ended with {status}:\n{output}");
        }
        Ok(output)
    }
}
