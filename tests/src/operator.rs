//! The operator as a process, with the rights of its own service account and nothing more.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use serde_json::json;

use crate::condition::eventually;
use crate::kubernetes::audit::Entry;
use crate::kubernetes::{ControlPlane, Faults};
use crate::process::Process;
use crate::{Result, helm, isthmus, port};

/// Where the operator and its lease live.
pub const NAMESPACE: &str = "isthmus-system";
/// Its service account.
pub const ACCOUNT: &str = "isthmus";

const START: Duration = Duration::from_secs(60);
/// The kinds of the chart that give the operator its rights.
const RIGHTS: [&str; 5] = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

/// The built program; `ISTHMUS_OPERATOR_BIN` names another one to test.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<std::result::Result<PathBuf, String>> = OnceLock::new();
    BINARY
        .get_or_init(|| match env::var_os("ISTHMUS_OPERATOR_BIN") {
            Some(path) => Ok(path.into()),
            None => isthmus::build("isthmus-operator").map_err(|error| format!("{error:#}")),
        })
        .as_deref()
        .map_err(|error| anyhow!("{error}"))
}

/// A running operator.
pub struct Operator {
    process: Process,
    admin: String,
}

/// What an administrator does before the first start: namespace, service account, and the rights that the chart gives.
pub fn install(control_plane: &ControlPlane) -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let chart = helm::template("isthmus", &[])?;
    let is_right =
        |document: &&str| RIGHTS.iter().any(|kind| document.lines().any(|line| line == format!("kind: {kind}")));
    let rights: Vec<&str> = helm::documents(&chart).into_iter().filter(is_right).collect();
    ensure!(rights.len() >= RIGHTS.len(), "the chart gives no rights:\n{chart}");
    control_plane.kubectl().in_namespace(NAMESPACE).apply(&format!("{namespace}\n---\n{}", rights.join("\n---\n")))?;
    Ok(())
}

/// Writes a kubeconfig with the operator's service account.
pub fn credentials(control_plane: &ControlPlane, name: &str) -> Result<PathBuf> {
    let kubectl = control_plane.kubectl().in_namespace(NAMESPACE);
    let token = kubectl.run(&["create", "token", ACCOUNT, "--duration=24h"])?;
    control_plane.credentials().kubeconfig_with_token(name, token.trim())
}

impl Operator {
    /// Starts a replica of this name that watches all namespaces and gives its pods this image.
    /// Returns before it leads or serves.
    pub fn start(control_plane: &ControlPlane, name: &str, image: &str) -> Result<Self> {
        Self::start_with(&credentials(control_plane, name)?, name, image, &[])
    }

    /// The same, with its traces sent to this receiver.
    pub fn start_traced(control_plane: &ControlPlane, name: &str, image: &str, receiver: &str) -> Result<Self> {
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver), ("OTEL_BSP_SCHEDULE_DELAY", "200")];
        Self::start_with(&credentials(control_plane, name)?, name, image, &variables)
    }

    /// The same with an API server that has faults.
    pub fn start_behind(control_plane: &ControlPlane, faults: &Faults, name: &str, image: &str) -> Result<Self> {
        let kubeconfig = control_plane.credentials().kubeconfig_of_proxy(&format!("{name}-behind"), &faults.url())?;
        Self::start_with(&kubeconfig, name, image, &[])
    }

    fn start_with(kubeconfig: &Path, name: &str, image: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let admin = format!("127.0.0.1:{}", port::free()?);
        let mut command = Command::new(binary()?);
        command
            .arg(format!("--admin={admin}"))
            .env("KUBECONFIG", kubeconfig)
            .envs([
                ("RUNTIME_IMAGE", image),
                ("WATCH_NAMESPACES", ""),
                ("POD_NAMESPACE", NAMESPACE),
                ("POD_NAME", name),
            ])
            .env("RUST_LOG", "info,isthmus_operator=debug")
            .envs(variables.iter().copied());
        Ok(Self { process: Process::start(name, &mut command)?, admin })
    }

    /// Waits until `/readyz` says so.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        eventually("the operator is ready", START, || {
            ensure!(self.process.is_running()?, "it has ended:\n{}", self.process.output());
            let answer = ureq::get(format!("http://{}/readyz", self.admin)).call();
            answer.map(drop).map_err(|error| anyhow!("/readyz: {error}\n{}", self.process.output()))
        })
    }

    /// What `/readyz` answers: code and text.
    pub fn readiness(&self) -> Result<(u16, String)> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(format!("http://{}/readyz", self.admin)).call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }

    /// A metric, summed over its labels, or over those that follow the ones given (`calls{verb="apply"`).
    pub fn metric(&self, name: &str) -> Result<f64> {
        let text = ureq::get(format!("http://{}/metrics", self.admin)).call()?.body_mut().read_to_string()?;
        let samples = text.lines().filter_map(|line| line.strip_prefix(name));
        let samples =
            samples.filter(|rest| rest.starts_with(['{', ' ', ','])).filter_map(|rest| rest.rsplit(' ').next());
        samples.map(|value| Ok(value.parse::<f64>()?)).sum()
    }

    /// Waits until it has visited so many Bridges since its start, and has none left to visit.
    pub fn wait_until_visited(&self, bridges: usize) -> Result<()> {
        eventually("every Bridge has been visited", START, || {
            let visits = self.metric("isthmus_operator_reconciles_total")?;
            let left =
                self.metric("isthmus_operator_queue_depth")? + self.metric("isthmus_operator_reconciles_running")?;
            ensure!(visits >= bridges as f64 && left == 0.0, "{visits} visits, {left} left\n{}", self.process.output());
            Ok(())
        })
    }

    /// The process, for its output, memory and signals.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process, for its end.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The writes of operators so far, leases apart: those are renewed every few seconds.
pub fn writes(control_plane: &ControlPlane) -> Result<Vec<Entry>> {
    let mut entries = control_plane.audit().entries(NAMESPACE, ACCOUNT)?;
    entries.retain(|entry| entry.is_write() && entry.resource != "leases");
    Ok(entries)
}
