//! The parts that are fetched or built once, and where they are.
//!
//! The scripts under `tests/environment/` own the recipes and the cache; each prints the place of
//! its part, so that `make test` can prepare everything beforehand and a single `cargo test` works
//! as well.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, anyhow, ensure};

use crate::Result;

/// A part that a script provides, looked up once per test run.
pub struct Part {
    script: &'static str,
    argument: &'static str,
    place: OnceLock<std::result::Result<PathBuf, String>>,
}

impl Part {
    const fn new(script: &'static str, argument: &'static str) -> Self {
        Self { script, argument, place: OnceLock::new() }
    }

    /// The folder or program that the script names.
    pub fn place(&self) -> Result<&Path> {
        self.place
            .get_or_init(|| run(self.script, self.argument).map_err(|error| format!("{error:#}")))
            .as_deref()
            .map_err(|error| anyhow!("{error}"))
    }
}

/// The broker's jars, class path and class archive.
pub static KAFKA: Part = Part::new("kafka.sh", "broker");
/// The jars of Kafka's command-line tools.
pub static KAFKA_TOOLS: Part = Part::new("kafka.sh", "tools");
/// The programs of a Kubernetes control plane, and `kubectl`.
pub static KUBERNETES: Part = Part::new("kubernetes.sh", "");
/// The folder with the DNS server of a cluster.
pub static COREDNS: Part = Part::new("coredns.sh", "");
/// The folder with the image of the program that holds a pod's namespaces.
pub static PAUSE: Part = Part::new("pause.sh", "");
/// The Python interpreter with the independent clients.
pub static PYTHON: Part = Part::new("python.sh", "");
/// The folder with `helm`.
pub static HELM: Part = Part::new("helm.sh", "");
/// The folder with `health`, which says what Argo CD and kstatus make of an object.
pub static HEALTH: Part = Part::new("health.sh", "");

/// A file under `tests/environment/`.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("environment").join(path)
}

/// A file of the checkout, by its path from the root.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn run(script: &str, argument: &str) -> Result<PathBuf> {
    let output = Command::new(file(script))
        .args((!argument.is_empty()).then_some(argument))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {script}"))?;
    ensure!(output.status.success(), "{script} {argument} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
