//! What the tests of this binary share: one control plane with the definitions, and one node.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use isthmus_tests::condition::eventually;
use isthmus_tests::kubernetes::ControlPlane;
use isthmus_tests::kubernetes::kubelet::Kubelet;
use isthmus_tests::operator::{self, Operator};
use isthmus_tests::{Result, environment, isthmus};
use serde_json::Value;

/// The image of the runtime, which the node has.
pub(crate) const RUNTIME_IMAGE: &str = "isthmus.test/runtime:dev";
/// An image whose program ends at once with an error.
pub(crate) const BROKEN_IMAGE: &str = "isthmus.test/runtime:broken";

/// How long a pod, a rollout or a condition may take on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A control plane with the definitions, where nobody but the test acts.
pub(crate) fn bare() -> Result<&'static ControlPlane> {
    static BARE: Once<ControlPlane> = OnceLock::new();
    once(&BARE, start)
}

/// A control plane with the definitions, for the node and the operator.
pub(crate) fn control_plane() -> Result<&'static ControlPlane> {
    static CONTROL_PLANE: Once<ControlPlane> = OnceLock::new();
    once(&CONTROL_PLANE, start)
}

/// The node of [`control_plane`].
pub(crate) fn kubelet() -> Result<&'static Kubelet> {
    static KUBELET: Once<Kubelet> = OnceLock::new();
    once(&KUBELET, || Kubelet::start(control_plane()?, images()?))
}

/// The operator of [`control_plane`], with a node for its pods.
pub(crate) fn operator() -> Result<&'static Operator> {
    static OPERATOR: Once<Operator> = OnceLock::new();
    kubelet()?;
    once(&OPERATOR, || {
        operator::install(control_plane()?)?;
        let mut operator = Operator::start(control_plane()?, "operator-0", RUNTIME_IMAGE)?;
        operator.wait_until_ready()?;
        Ok(operator)
    })
}

/// Something that is started when first asked for, or the reason why that failed.
pub(crate) type Once<T> = OnceLock<std::result::Result<T, String>>;

pub(crate) fn once<T>(cell: &'static Once<T>, start: impl FnOnce() -> Result<T>) -> Result<&'static T> {
    cell.get_or_init(|| start().map_err(|error| format!("{error:#}"))).as_ref().map_err(|error| anyhow!("{error}"))
}

/// A control plane with the definitions.
pub(crate) fn start() -> Result<ControlPlane> {
    let control_plane = ControlPlane::start()?;
    install(&control_plane)?;
    Ok(control_plane)
}

/// The images that a node has.
pub(crate) fn images() -> Result<BTreeMap<String, PathBuf>> {
    let runtime = (RUNTIME_IMAGE.to_owned(), isthmus::binary()?.to_owned());
    Ok(BTreeMap::from([runtime, (BROKEN_IMAGE.to_owned(), PathBuf::from("/bin/false"))]))
}

/// The folder with the definitions.
pub(crate) fn definitions() -> String {
    environment::checkout("crds/yaml").display().to_string()
}

/// Applies the definitions and waits until the API server serves their kinds.
pub(crate) fn install(control_plane: &ControlPlane) -> Result<()> {
    let kubectl = control_plane.kubectl();
    kubectl.run(&["apply", "-f", &definitions()])?;
    kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", "-f", &definitions()])?;
    // Established is said a moment before every path answers.
    eventually("every kind is served", PATIENCE, || {
        for definition in committed(control_plane)? {
            let plural = definition["spec"]["names"]["plural"].as_str().context("no plural")?;
            let path = format!("/apis/isthmus.dev/v1alpha1/{plural}");
            let answer = control_plane.api().get(&path)?;
            ensure!(answer.code == 200, "{path}: {}", answer.body);
        }
        Ok(())
    })
}

/// The definitions as the files have them.
pub(crate) fn committed(control_plane: &ControlPlane) -> Result<Vec<Value>> {
    as_json(control_plane, &definitions(), "")
}

/// The manifests of a file, or of a text for `-`, as kubectl reads them: without the API server's
/// defaults.
pub(crate) fn as_json(control_plane: &ControlPlane, file: &str, input: &str) -> Result<Vec<Value>> {
    let arguments = ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", file];
    let text = control_plane.kubectl().run_with(&arguments, input)?;
    let mut objects = Vec::new();
    for object in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
        let mut object = object?;
        match object.get_mut("items").and_then(Value::as_array_mut) {
            Some(items) => objects.append(items),
            None => objects.push(object),
        }
    }
    Ok(objects)
}
