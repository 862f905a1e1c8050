//! Secrets that are missing, appear, and rotate.

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::kubernetes::Pod;
use isthmus_tests::manifest::{self, Resource};
use isthmus_tests::mosquitto::{self, Version::V5};
use serde_json::json;

use crate::fleet::Fleet;
use crate::shared::PATIENCE;

/// The Bridge, open only to the users of the Secret `users`.
fn closed() -> Resource {
    manifest::bridge()
        .with("replicas", 1)
        .with("authentication.anonymous", "Deny")
        .with("authentication.usersSecretRef", json!({"name": "users"}))
}

fn users(password: &str) -> String {
    let data = json!({"car": format!("plain:{password}")});
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "users"}, "stringData": data}).to_string()
}

fn publish(pod: &Pod, password: &str) -> Result<()> {
    mosquitto::publish(pod.mqtt(), V5, "load/1", "x", &["-u", "car", "-P", password])
}

#[test]
fn missing_secret_is_named_and_its_appearance_is_enough() -> Result<()> {
    let fleet = Fleet::new("secret")?;
    let mut resources = fleet.resources(1);
    resources[0] = closed();
    fleet.namespace.apply(&resources)?;
    let condition = fleet.wait("bridges", "fleet", "ResolvedRefs", "False")?;
    let message = condition["message"].as_str().context("no message")?;
    assert!(message.contains("users"), "{message}");
    fleet.wait("bridges", "fleet", "Ready", "False")?;
    fleet.namespace.kubectl().apply(&users("one"))?;
    fleet.wait_until_ready()?;
    publish(&fleet.pods(1)?[0], "one")?;
    Ok(())
}

#[test]
fn rotated_secret_is_in_force_without_a_restart_and_is_copied_nowhere() -> Result<()> {
    let fleet = Fleet::new("rotation")?;
    fleet.namespace.kubectl().apply(&users("first-secret"))?;
    let mut resources = fleet.resources(1);
    resources[0] = closed();
    fleet.namespace.apply(&resources)?;
    fleet.wait_until_ready()?;
    let before = fleet.pods(1)?;
    publish(&before[0], "first-secret")?;
    assert!(publish(&before[0], "second-secret").is_err());
    fleet.namespace.kubectl().apply(&users("second-secret"))?;
    eventually("the new password is good and the old one is not", PATIENCE, || {
        publish(&before[0], "second-secret")?;
        ensure!(publish(&before[0], "first-secret").is_err(), "the old password is still good");
        Ok(())
    })?;
    assert_eq!(fleet.pods(1)?, before, "the same pod, not restarted");
    let kinds = "isthmus,configmaps,deployments,pods,events,services";
    let everything = fleet.namespace.kubectl().run(&["get", kinds, "-o", "yaml"])?;
    for secret in ["first-secret", "second-secret", "Zmlyc3Qtc2VjcmV0"] {
        assert!(!everything.contains(secret), "{secret} is in:\n{everything}");
    }
    Ok(())
}
