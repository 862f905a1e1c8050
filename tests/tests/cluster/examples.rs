//! The manifests that a user starts from, on a real API server.

use std::fs;

use anyhow::{Context as _, ensure};
use isthmus_tests::condition::eventually;
use isthmus_tests::kubernetes::Namespace;
use isthmus_tests::{Result, environment};

use crate::{definitions, shared};

/// The kind of KEDA that an example uses, as far as the API server has to know it.
const SCALED_OBJECT: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: scaledobjects.keda.sh
spec:
  group: keda.sh
  scope: Namespaced
  names: {kind: ScaledObject, plural: scaledobjects}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

/// Waits until the autoscalers have given their Bridges the least number of pods: that is a write too.
fn wait_for_autoscalers(namespace: &Namespace<'_>) -> Result<()> {
    let scalers = namespace.other("autoscaling/v2", "horizontalpodautoscalers")?;
    for scaler in scalers["items"].as_array().context("no list of autoscalers")? {
        let target = scaler["spec"]["scaleTargetRef"]["name"].as_str().context("no target")?;
        eventually("the autoscaler has given the Bridge its least number of pods", shared::PATIENCE, || {
            let replicas = &namespace.object("bridges", target)?["spec"]["replicas"];
            ensure!(*replicas == scaler["spec"]["minReplicas"], "{replicas} replicas");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn every_example_applies_unchanged_and_twice() -> Result<()> {
    let control_plane = shared::bare()?;
    control_plane.kubectl().apply(SCALED_OBJECT)?;
    control_plane.kubectl().run(&[
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd/scaledobjects.keda.sh",
    ])?;
    let mut examples = 0;
    for entry in fs::read_dir(environment::checkout("examples"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        examples += 1;
        let file = path.to_str().context("an unusual path")?;
        let namespace = Namespace::create(control_plane, "example")?;
        let kubectl = namespace.kubectl();
        // Strict: a field that the schema does not know is an error, not a warning.
        let first = kubectl.run(&["apply", "--validate=strict", "-f", file])?;
        assert!(first.lines().all(|line| line.ends_with(" created")), "{file}: {first}");
        let diff = kubectl.attempt(&["diff", "-f", file], "")?;
        assert_eq!(diff.code, Some(0), "{file}: {}", diff.output);
        wait_for_autoscalers(&namespace)?;
        // kubectl says "configured" where a list has entries with defaults, and sends what the API server has already.
        // The first such write stores the default of `status` along; from then on nothing changes.
        kubectl.run(&["apply", "-f", file])?;
        let settled = definitions::versions(&namespace)?;
        kubectl.run(&["apply", "-f", file])?;
        assert_eq!(definitions::versions(&namespace)?, settled, "{file}: applying it again wrote something");
    }
    assert!(examples > 0, "no examples");
    Ok(())
}
