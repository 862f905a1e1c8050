//! Manifests that are wrong: the file, the line, the fix, exit code 1, and nothing started.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::isthmus::{self, Start};
use isthmus_tests::manifest;

const BRIDGE: &str = "\
apiVersion: isthmus.dev/v1alpha1
kind: Bridge
metadata:
  name: fleet
spec:
  authentication:
    anonymous: Allow
";

const CONNECTOR: &str = "\
apiVersion: isthmus.dev/v1alpha1
kind: Connector
metadata:
  name: kafka
spec:
  bridgeRef:
    name: fleet
  kafka:
    bootstrapServers: [kafka:9092]
";

const SINK: &str = "\
apiVersion: isthmus.dev/v1alpha1
kind: Sink
metadata:
  name: vehicles
spec:
  connectorRef:
    name: kafka
  topic: vehicles
";

const RULE: &str = "\
apiVersion: isthmus.dev/v1alpha1
kind: Rule
metadata:
  name: speeding
spec:
  bridgeRef:
    name: fleet
  sql: |
    SELECT payload.speed AS speed
    FROM \"vehicles/#\"
    WHERE payload.speed > 120
  actions:
    - name: to-kafka
      sinkRef:
        name: vehicles
";

/// The good file with one text replaced, and the line (from 1) where the replacement is.
fn broken(from: &str, to: &str) -> Result<(String, usize)> {
    let good = [BRIDGE, CONNECTOR, SINK, RULE].join("---\n");
    let at = good.find(from).context("the text to replace is not there")?;
    let offset = from.bytes().zip(to.bytes()).take_while(|(a, b)| a == b).count();
    let line = good[..at + offset].lines().count().max(1);
    Ok((good.replacen(from, to, 1), line))
}

/// Both commands refuse the file, naming the file, the line and each of the `words`, and end with
/// code 1 without having opened anything.
fn is_refused(from: &str, to: &str, words: &[&str]) -> Result<()> {
    let (text, line) = broken(from, to)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("fleet.yaml");
    fs::write(&file, text)?;

    let path = file.to_str().context("an unusual folder")?;
    let check = isthmus::run(&["check", path])?;
    explains(&check.output, path, line, words)?;
    ensure!(check.status.code() == Some(1), "check ends with {}", check.status);

    let mut dev = Start::embedded().spawn(&[&file])?;
    let status = dev.wait(Duration::from_secs(20))?;
    explains(&dev.output(), path, line, words)?;
    ensure!(status.code() == Some(1), "dev ends with {status}");
    ensure!(!dev.output().contains("listener"), "nothing starts:\n{}", dev.output());
    Ok(())
}

fn explains(output: &str, path: &str, line: usize, words: &[&str]) -> Result<()> {
    let place = format!("{path}:{line}");
    ensure!(output.contains(&place), "no {place} in:\n{output}");
    for word in words {
        ensure!(output.contains(word), "no {word:?} in:\n{output}");
    }
    Ok(())
}

#[test]
fn good_manifests_pass_the_check() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("fleet.yaml");
    fs::write(&file, [BRIDGE, CONNECTOR, SINK, RULE].join("---\n"))?;
    let check = isthmus::run(&["check", file.to_str().context("an unusual folder")?])?;
    assert_eq!(check.status.code(), Some(0), "{}", check.output);
    assert!(check.output.contains("4 resources ok"), "{}", check.output);
    Ok(())
}

#[test]
fn misspelled_field_is_refused_with_its_line_and_the_right_name() -> Result<()> {
    is_refused("anonymous: Allow", "anonymus: Allow", &["anonymus", "anonymous"])
}

#[test]
fn unknown_kind_is_refused_with_its_line_and_the_nearest_kind() -> Result<()> {
    is_refused("kind: Connector", "kind: Conector", &["Conector", "Connector"])
}

#[test]
fn value_outside_its_choices_is_refused_with_the_choices() -> Result<()> {
    is_refused("anonymous: Allow", "anonymous: Maybe", &["Allow", "Deny"])
}

#[test]
fn reference_to_nothing_is_refused_with_its_line_and_what_there_is() -> Result<()> {
    is_refused("        name: vehicles\n", "        name: vehicels\n", &["vehicels", "vehicles"])
}

#[test]
fn bad_sql_is_refused_with_its_line() -> Result<()> {
    is_refused("WHERE payload.speed > 120", "WHERE payload.speed >> 120", &["syntax error", "found `>`"])
}

#[test]
fn unknown_function_is_refused_with_the_nearest_name() -> Result<()> {
    is_refused("payload.speed AS speed", "uper(payload.speed) AS speed", &["uper", "upper"])
}

#[test]
fn missing_field_is_refused_with_its_name() -> Result<()> {
    // The place of a field that is not there is that of the object which lacks it.
    let (text, _) = broken("  topic: vehicles\n", "")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("fleet.yaml");
    fs::write(&file, &text)?;
    let check = isthmus::run(&["check", file.to_str().context("an unusual folder")?])?;
    assert_eq!(check.status.code(), Some(1), "{}", check.output);
    let line = text.lines().position(|line| line == "kind: Sink").context("no Sink")? + 4;
    let places = [line, line + 1].map(|line| format!("{}:{line}", file.display()));
    assert!(places.iter().any(|place| check.output.contains(place)), "{}", check.output);
    assert!(check.output.contains("topic"), "{}", check.output);
    Ok(())
}

#[test]
fn text_that_is_not_yaml_is_refused_with_its_line() -> Result<()> {
    is_refused("  name: kafka\n", "  name: kafka: kafka\n", &["YAML"])
}

#[test]
fn missing_file_is_named() -> Result<()> {
    for command in ["check", "dev"] {
        let run = isthmus::run(&[command, "no/such/file.yaml"])?;
        assert_eq!(run.status.code(), Some(1), "{}", run.output);
        assert!(run.output.contains("no/such/file.yaml"), "{}", run.output);
    }
    Ok(())
}

#[test]
fn taken_mqtt_port_is_named_with_the_way_out() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let folder = tempfile::tempdir()?;
    let file = write_bridge(folder.path())?;
    let mut dev = Start::embedded().mqtt(&address).spawn(&[&file])?;
    let status = dev.wait(Duration::from_secs(20))?;
    let output = dev.output();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains(&address) && output.contains("--mqtt"), "{output}");
    Ok(())
}

#[test]
fn taken_admin_port_is_named_with_the_way_out() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let folder = tempfile::tempdir()?;
    let file = write_bridge(folder.path())?;
    let file = file.to_str().context("an unusual folder")?;
    let run = isthmus::run(&["dev", file, "--mqtt", "127.0.0.1:0", "--admin", &address])?;
    assert_eq!(run.status.code(), Some(1), "{}", run.output);
    assert!(run.output.contains(&address) && run.output.contains("--admin"), "{}", run.output);
    Ok(())
}

fn write_bridge(folder: &Path) -> Result<std::path::PathBuf> {
    let file = folder.join("fleet.yaml");
    fs::write(&file, manifest::documents(&[manifest::bridge()]))?;
    Ok(file)
}
