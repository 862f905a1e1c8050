//! The CustomResourceDefinitions on a real API server: taken, unchanged by it, and shown to users.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use isthmus_tests::condition::eventually;
use isthmus_tests::kubernetes::{ControlPlane, Namespace};
use isthmus_tests::{Result, environment};
use serde_json::{Value, json};

/// How long the API server may take to serve new kinds.
const SERVED: Duration = Duration::from_secs(60);

const EVERY_FIELD: &str = include_str!("every_field.yaml");

/// The shared control plane, with the definitions of the checkout.
pub fn installed() -> Result<&'static ControlPlane> {
    static INSTALLED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let control_plane = ControlPlane::shared()?;
    let installed = INSTALLED.get_or_init(|| install(control_plane).map_err(|error| format!("{error:#}")));
    installed.clone().map_err(|error| anyhow!("{error}"))?;
    Ok(control_plane)
}

/// Applies the definitions and waits until the API server serves their kinds.
pub fn install(control_plane: &ControlPlane) -> Result<()> {
    let kubectl = control_plane.kubectl();
    kubectl.run(&["apply", "-f", &folder()])?;
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", "-f", &folder()];
    kubectl.run(&wait)?;
    // Established is said a moment before every path answers.
    eventually("every kind is served", SERVED, || {
        for definition in committed(control_plane)? {
            let plural = &definition["spec"]["names"]["plural"];
            let path = format!("/apis/isthmus.dev/v1alpha1/{}", plural.as_str().context("no plural")?);
            let answer = control_plane.api().get(&path)?;
            ensure!(answer.code == 200, "{path}: {}", answer.body);
        }
        Ok(())
    })
}

fn folder() -> String {
    environment::checkout("crds/yaml").display().to_string()
}

/// The definitions as the files have them.
pub fn committed(control_plane: &ControlPlane) -> Result<Vec<Value>> {
    as_json(control_plane, &["-f", &folder()], "")
}

/// The manifests of `every_field.yaml`.
pub fn every_field(control_plane: &ControlPlane) -> Result<Vec<Value>> {
    as_json(control_plane, &["-f", "-"], EVERY_FIELD)
}

/// Manifests as kubectl reads them, without the API server's defaults.
fn as_json(control_plane: &ControlPlane, files: &[&str], input: &str) -> Result<Vec<Value>> {
    let arguments = [&["create", "--dry-run=client", "--validate=false", "-o", "json"], files].concat();
    let text = control_plane.kubectl().run_with(&arguments, input)?;
    serde_json::Deserializer::from_str(&text).into_iter().map(|object| Ok(object?)).collect()
}

/// The names of objects and their versions, which a write changes.
fn versions(namespace: &Namespace<'_>) -> Result<Vec<(String, String)>> {
    let list = namespace.kubectl().get(&["isthmus"])?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().context("not a list")?;
    let version = |item: &Value| (text(&item["kind"]), text(&item["metadata"]["resourceVersion"]));
    Ok(items.iter().map(version).collect())
}

#[test]
fn api_server_takes_the_definitions_and_finds_nothing_to_complain_about() -> Result<()> {
    let control_plane = installed()?;
    let list = control_plane.kubectl().get(&["crd"])?;
    let items = list["items"].as_array().context("not a list")?;
    assert_eq!(items.len(), 5);
    for item in items {
        let conditions = item["status"]["conditions"].as_array().context("no conditions")?;
        for (kind, status) in [("NamesAccepted", "True"), ("Established", "True"), ("NonStructuralSchema", "False")] {
            let condition = conditions.iter().find(|condition| condition["type"] == kind);
            // A schema without fault has no condition about faults.
            let found = condition.map_or(if kind == "NonStructuralSchema" { "False" } else { "none" }, |condition| {
                condition["status"].as_str().unwrap_or_default()
            });
            assert_eq!(found, status, "{}: {conditions:?}", item["metadata"]["name"]);
        }
    }
    Ok(())
}

#[test]
fn definitions_come_back_as_they_were_applied() -> Result<()> {
    let kubectl = installed()?.kubectl();
    for arguments in [&["diff", "-f"][..], &["diff", "--server-side", "--force-conflicts", "-f"]] {
        let finished = kubectl.attempt(&[arguments, &[&folder()]].concat(), "")?;
        assert_eq!(finished.code, Some(0), "{arguments:?}\n{}", finished.output);
    }
    let again = kubectl.run(&["apply", "-f", &folder()])?;
    assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    Ok(())
}

#[test]
fn resources_come_back_as_they_were_applied() -> Result<()> {
    let control_plane = installed()?;
    let namespace = Namespace::create(control_plane, "round-trip")?;
    namespace.kubectl().apply(EVERY_FIELD)?;
    for object in every_field(control_plane)? {
        let kind = object["kind"].as_str().context("no kind")?;
        let stored = namespace.kubectl().get(&[kind, "every-field"])?;
        assert_eq!(stored["spec"], object["spec"], "{kind}: the API server added or dropped something");
    }
    let diff = namespace.kubectl().attempt(&["diff", "-f", "-"], EVERY_FIELD)?;
    assert_eq!(diff.code, Some(0), "{}", diff.output);
    let before = versions(&namespace)?;
    assert_eq!(before.len(), 5);
    let again = namespace.kubectl().apply(EVERY_FIELD)?;
    assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    namespace.kubectl().run_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], EVERY_FIELD)?;
    let settled = versions(&namespace)?;
    namespace.kubectl().run_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], EVERY_FIELD)?;
    assert_eq!(versions(&namespace)?, settled, "applying the same manifests again wrote something");
    Ok(())
}

#[test]
fn new_resource_says_that_nobody_has_looked_at_it() -> Result<()> {
    let namespace = Namespace::create(installed()?, "unobserved")?;
    namespace.kubectl().apply(EVERY_FIELD)?;
    for plural in ["bridges", "connectors", "sinks", "sources", "rules"] {
        let status = namespace.object(plural, "every-field")?["status"].clone();
        assert_eq!(status["observedGeneration"], -1, "{plural}: {status}");
        assert_eq!(status["conditions"].as_array().map(Vec::len), Some(0), "{plural}: {status}");
    }
    Ok(())
}

#[test]
fn kubectl_explain_shows_what_a_field_does() -> Result<()> {
    let kubectl = installed()?.kubectl();
    let explained = kubectl.run(&["explain", "sink.spec.requestMode"])?;
    for text in ["ENUM:", "Async", "Sync", "a device gets its PUBACK when the record is in the"] {
        assert!(explained.contains(text), "no {text:?} in:\n{explained}");
    }
    let explained = kubectl.run(&["explain", "rule", "--recursive"])?;
    for text in ["sinkRef", "republish", "console", "sql", "-required-"] {
        assert!(explained.contains(text), "no {text:?} in:\n{explained}");
    }
    Ok(())
}

#[test]
fn kubectl_get_lists_all_kinds_with_their_columns() -> Result<()> {
    let namespace = Namespace::create(installed()?, "columns")?;
    namespace.kubectl().apply(EVERY_FIELD)?;
    let condition = json!({
        "type": "Ready", "status": "False", "reason": "SinkNotFound", "message": "There is no Sink vehicles.",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    });
    let patch = json!({"status": {"observedGeneration": 1, "conditions": [condition]}}).to_string();
    for kind in ["br", "cnr", "snk", "src", "rl"] {
        let arguments = ["patch", kind, "every-field", "--subresource=status", "--type=merge", "-p", &patch];
        namespace.kubectl().run(&arguments).with_context(|| format!("the short name {kind}"))?;
    }
    let listed = namespace.kubectl().run(&["get", "isthmus", "-o", "wide"])?;
    let lines = listed.lines().filter(|line| !line.is_empty());
    let table: Vec<String> = lines.map(|line| without_age(line).join("  ")).collect();
    insta::assert_snapshot!(table.join("\n"));
    Ok(())
}

/// The columns of a line; the age, which is the last one, differs from run to run.
fn without_age(line: &str) -> Vec<&str> {
    let mut columns: Vec<&str> = line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
    columns.pop();
    columns
}
