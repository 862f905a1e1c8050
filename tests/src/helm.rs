//! Helm, as somebody who installs the charts runs it, and what it renders.

use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, ensure};

use crate::Result;
use crate::environment::{self, HELM};

/// `helm`, in the folder of the charts, with no configuration of this machine.
pub fn command() -> Result<Command> {
    let mut command = Command::new(HELM.place()?.join("helm"));
    command.current_dir(environment::checkout("charts")).stdin(Stdio::null());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HELM_")) {
        command.env_remove(name);
    }
    Ok(command)
}

/// Runs `helm ARGUMENTS…` to its end, whatever the outcome.
pub fn run(arguments: &[&str]) -> Result<Output> {
    command()?.args(arguments).output().context("cannot run helm")
}

/// What `helm template` makes of a chart with these `--set …` or `--values …`, as a release called `isthmus` in `isthmus-system`.
pub fn template(chart: &str, values: &[&str]) -> Result<String> {
    let output = templated(chart, values)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The error of `helm template` with these values.
pub fn refusal(chart: &str, values: &[&str]) -> Result<String> {
    let output = templated(chart, values)?;
    ensure!(!output.status.success(), "helm takes {values:?}");
    Ok(String::from_utf8(output.stderr)?)
}

fn templated(chart: &str, values: &[&str]) -> Result<Output> {
    run(&[&["template", "isthmus", chart, "--namespace", "isthmus-system"], values].concat())
}

/// The YAML documents of rendered output, each without the separator and the comment that names its template.
pub fn documents(rendered: &str) -> Vec<&str> {
    rendered
        .split("---\n")
        .map(|document| match document.strip_prefix("# Source: ") {
            Some(named) => named.split_once('\n').map_or("", |(_, rest)| rest),
            None => document,
        })
        .filter(|document| !document.trim().is_empty())
        .collect()
}
