//! The `CustomResourceDefinition`s on a real API server: taken, unchanged by it, and shown to users.

use anyhow::Context as _;
use isthmus_tests::Result;
use isthmus_tests::kubernetes::{ControlPlane, Namespace};
use serde_json::{Value, json};

use crate::shared;

const EVERY_FIELD: &str = include_str!("every_field.yaml");

/// The manifests of `every_field.yaml`.
pub(crate) fn every_field(control_plane: &ControlPlane) -> Result<Vec<Value>> {
    shared::as_json(control_plane, "-", EVERY_FIELD)
}

/// The names of objects and their versions, which a write changes.
pub(crate) fn versions(namespace: &Namespace<'_>) -> Result<Vec<(String, String)>> {
    let list = namespace.kubectl().get(&["isthmus"])?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().context("not a list")?;
    let version = |item: &Value| (text(&item["kind"]), text(&item["metadata"]["resourceVersion"]));
    Ok(items.iter().map(version).collect())
}

#[test]
fn api_server_takes_the_definitions_and_finds_nothing_to_complain_about() -> Result<()> {
    let control_plane = shared::bare()?;
    let list = control_plane.kubectl().get(&["crd"])?;
    let all = list["items"].as_array().context("not a list")?;
    let ours: Vec<_> = all.iter().filter(|item| item["spec"]["group"] == "isthmus.dev").collect();
    assert_eq!(ours.len(), 5);
    for item in ours {
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
    let kubectl = shared::bare()?.kubectl();
    let folder = shared::definitions();
    let diff = kubectl.attempt(&["diff", "-f", &folder], "")?;
    assert_eq!(diff.code, Some(0), "{}", diff.output);
    let again = kubectl.run(&["apply", "-f", &folder])?;
    assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    // The first server-side apply takes over the fields, which is a change of who manages them; the second is none.
    let server_side = ["--server-side", "--force-conflicts", "-f", &folder];
    kubectl.run(&[&["apply"], &server_side[..]].concat())?;
    let diff = kubectl.attempt(&[&["diff"], &server_side[..]].concat(), "")?;
    assert_eq!(diff.code, Some(0), "{}", diff.output);
    Ok(())
}

#[test]
fn resources_come_back_as_they_were_applied() -> Result<()> {
    let control_plane = shared::bare()?;
    let namespace = Namespace::create(control_plane, "round-trip")?;
    namespace.kubectl().apply(EVERY_FIELD)?;
    for object in every_field(control_plane)? {
        let kind = object["kind"].as_str().context("no kind")?;
        let name = object["metadata"]["name"].as_str().context("no name")?;
        let stored = namespace.kubectl().get(&[kind, name])?;
        // The first one of a kind has every field that it can have: nothing is added, nothing dropped.
        if name == "every-field" {
            assert_eq!(stored["spec"], object["spec"], "{kind}");
        }
    }
    let diff = namespace.kubectl().attempt(&["diff", "-f", "-"], EVERY_FIELD)?;
    assert_eq!(diff.code, Some(0), "{}", diff.output);
    let before = versions(&namespace)?;
    assert_eq!(before.len(), every_field(control_plane)?.len());
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
    let namespace = Namespace::create(shared::bare()?, "unobserved")?;
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
    let kubectl = shared::bare()?.kubectl();
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
    let namespace = Namespace::create(shared::bare()?, "columns")?;
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
