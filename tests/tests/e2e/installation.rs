//! What an administrator of the cluster does: Helm, with the charts of this checkout.

use std::time::Duration;

use anyhow::ensure;
use isthmus_tests::kubernetes::{ControlPlane, Namespace};
use isthmus_tests::operator::NAMESPACE;
use isthmus_tests::process::Process;
use isthmus_tests::{Result, helm};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(180);
/// The images that `scripts/e2e.sh` makes.
const IMAGES: [&str; 8] = [
    "--set=image.registry=isthmus.test",
    "--set=image.tag=e2e",
    "--set=image.pullPolicy=Never",
    "--set=runtimeImage.registry=isthmus.test",
    "--set=runtimeImage.tag=e2e",
    "--set=runtimeImage.pullPolicy=Never",
    "--set=replicas=2",
    "--set=log.format=text",
];

/// `helm` with the rights of an administrator.
pub(crate) struct Helm<'a> {
    control_plane: &'a ControlPlane,
}

impl<'a> Helm<'a> {
    pub(crate) fn new(control_plane: &'a ControlPlane) -> Self {
        Self { control_plane }
    }

    /// Installs both charts in a namespace of the restricted standard, and waits until they are up.
    pub(crate) fn install(&self) -> Result<()> {
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let metadata = json!({"name": NAMESPACE, "labels": labels});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        self.control_plane.kubectl().apply(&namespace.to_string())?;
        self.run(&["install", "isthmus-crds", "isthmus-crds"])?;
        self.run(&[&["install", "isthmus", "isthmus", "--wait", "--timeout=150s"][..], &IMAGES].concat())
    }

    /// What the notes of the chart tell a user to do first.
    pub(crate) fn test(&self) -> Result<()> {
        self.run(&["test", "isthmus", "--timeout=120s"])
    }

    /// Removes the operator, then the namespace of a Bridge, which nothing may hold up; the definitions stay.
    pub(crate) fn uninstall_and_delete(&self, namespace: &Namespace<'_>) -> Result<()> {
        self.run(&["uninstall", "isthmus", "--wait", "--timeout=120s"])?;
        self.run(&["uninstall", "isthmus-crds", "--wait", "--timeout=120s"])?;
        let kubectl = self.control_plane.kubectl();
        ensure!(kubectl.run(&["get", "crds", "-o", "name"])?.contains("bridges.isthmus.dev"), "the definitions went");
        kubectl.run(&["delete", "namespace", namespace.name(), "--timeout=110s"])?;
        Ok(())
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        let mut command = helm::command()?;
        command.arg("--kubeconfig").arg(self.control_plane.kubeconfig()).args(["--namespace", NAMESPACE]);
        let outcome = Process::run("helm", PATIENCE, command.args(arguments)).map(drop);
        outcome.map_err(|error| error.context(self.story()))
    }

    /// What the pods of the operator say.
    fn story(&self) -> String {
        let kubectl = self.control_plane.kubectl().in_namespace(NAMESPACE);
        let said = [
            kubectl.run(&["get", "pods,events", "-o", "wide"]),
            kubectl.run(&["logs", "-l", "app.kubernetes.io/name=isthmus-operator", "--tail=50"]),
        ];
        said.map(|text| text.unwrap_or_else(|error| format!("{error:#}"))).join("\n")
    }
}
