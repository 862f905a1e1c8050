//! How healthy tools for continuous delivery find the five kinds: Argo CD with the script beside the charts, and
//! kstatus (Flux, Helm, `kubectl` plugins) by its own rules.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::environment::{self, HEALTH};
use serde_json::Value;

/// What each of the two says about an object of `charts/argocd/testdata`.
const EXPECTED: [(&str, &str, &str); 17] = [
    ("bridge-deleting", "Progressing", "Terminating"),
    ("bridge-edited", "Progressing", "InProgress"),
    ("bridge-first-visit", "Progressing", "InProgress"),
    ("bridge-new", "Progressing", "InProgress"),
    ("bridge-ready", "Healthy", "Current"),
    ("bridge-rollout-stuck", "Degraded", "InProgress"),
    // kstatus looks at no generation of a condition, so the operator writes both in one patch.
    ("bridge-status-ahead-of-condition", "Progressing", "Current"),
    ("bridge-suspended", "Suspended", "InProgress"),
    // An object that no API server has seen. kstatus asks for nothing that is not there; in a cluster the schema's
    // default is, which is `bridge-new`.
    ("bridge-without-status", "Progressing", "Current"),
    ("connector-connected", "Healthy", "Current"),
    ("connector-kafka-away", "Degraded", "InProgress"),
    ("rule-bad-sql", "Degraded", "InProgress"),
    ("rule-ready", "Healthy", "Current"),
    ("sink-programming", "Progressing", "InProgress"),
    ("sink-ready", "Healthy", "Current"),
    ("source-missing-connector", "Degraded", "InProgress"),
    ("source-ready", "Healthy", "Current"),
];

fn objects() -> Result<Vec<PathBuf>> {
    let folder = environment::checkout("charts/argocd/testdata");
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn ask(files: &[PathBuf]) -> Result<Vec<Value>> {
    let mut command = Command::new(HEALTH.place()?.join("health"));
    command.arg(environment::checkout("charts/argocd/health.lua")).args(files).stdin(Stdio::null());
    let output = command.output().context("cannot run health")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout)?;
    lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn text<'a>(answer: &'a Value, pointer: &str) -> &'a str {
    answer.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn argo_cd_and_kstatus_tell_ready_from_waiting_and_broken() -> Result<()> {
    let files = objects()?;
    let names: Vec<_> = files.iter().filter_map(|file| file.file_stem()?.to_str()).collect();
    let answers = ask(&files)?;
    let found: Vec<_> = names
        .iter()
        .zip(&answers)
        .map(|(name, answer)| (*name, text(answer, "/argocd/status"), text(answer, "/kstatus/status")))
        .collect();
    assert_eq!(found, EXPECTED);
    Ok(())
}

#[test]
fn what_is_wrong_is_said_in_the_words_of_the_operator() -> Result<()> {
    let file = environment::checkout("charts/argocd/testdata/connector-kafka-away.yaml");
    let answers = ask(&[file])?;
    let words = "No broker answers at kafka:9092: check bootstrapServers.";
    assert_eq!(text(&answers[0], "/argocd/message"), format!("BrokersUnreachable: {words}"));
    assert_eq!(text(&answers[0], "/kstatus/message"), words);
    Ok(())
}

#[test]
fn the_configuration_of_argo_cd_holds_the_script_as_it_is() -> Result<()> {
    let script = fs::read_to_string(environment::checkout("charts/argocd/health.lua"))?;
    let patch = fs::read_to_string(environment::checkout("charts/argocd/argocd-cm.yaml"))?;
    let (_, block) = patch.split_once("      health.lua: |\n").context("no script in argocd-cm.yaml")?;
    let embedded: Vec<_> = block.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect();
    assert_eq!(embedded.join("\n"), script.trim_end());
    Ok(())
}
