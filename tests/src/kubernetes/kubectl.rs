//! `kubectl`, driven as the program that users have.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::control_plane::program;
use crate::Result;
use crate::process::Process;

/// How long a command may take that does not wait for anything itself.
const COMMAND: Duration = Duration::from_secs(120);

/// `kubectl` with one set of credentials, in one namespace.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    /// Its own cache of what kinds there are: one in the home folder would outlive the server.
    cache: PathBuf,
    namespace: String,
}

/// A command that ran to its end.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard output and standard error as they came.
    pub output: String,
}

impl Kubectl {
    pub(super) fn new(kubeconfig: &Path, cache: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), cache: cache.to_owned(), namespace: "default".to_owned() }
    }

    /// The same in another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    /// Runs `kubectl ARGUMENTS…` and returns its standard output; an error when it fails.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_with(arguments, "")
    }

    /// Like [`Kubectl::run`], with a text as standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        let finished = self.attempt(arguments, input)?;
        if finished.code != Some(0) {
            bail!("kubectl {} failed:\n{}", arguments.join(" "), finished.output);
        }
        Ok(finished.stdout)
    }

    /// Runs `kubectl ARGUMENTS…` to its end, whatever the outcome.
    pub fn attempt(&self, arguments: &[&str], input: &str) -> Result<Finished> {
        let mut process = Process::start_with_input("kubectl", &mut self.command(arguments)?, input)?;
        let status = process.wait(COMMAND)?;
        Ok(Finished { code: status.code(), stdout: process.stdout_lines().join("\n"), output: process.output() })
    }

    /// `kubectl apply` of this text, as a user does it; returns what it printed.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        self.run_with(&["apply", "-f", "-"], manifests)
    }

    /// `kubectl get WHAT… -o json`.
    pub fn get(&self, what: &[&str]) -> Result<Value> {
        let text = self.run(&[&["get", "-o", "json"], what].concat())?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program("kubectl")?);
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--cache-dir").arg(&self.cache);
        command.args(["--namespace", &self.namespace]).args(arguments);
        Ok(command)
    }
}
