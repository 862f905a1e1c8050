//! The Bridge of a plan: which one it is, and its settings.

use isthmus_api::{Bridge, ObjectRef, bridge::Access};

use super::{Options, Scope, link::not_found};
use crate::{
    Finding, Resources, document,
    finding::reason,
    resources::{DEFAULT_NAMESPACE, namespace, reference},
};

/// The Bridge to render; when there is none, or several and none is named, that is a finding.
pub(super) fn choose<'a>(
    resources: &'a Resources,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Option<&'a Bridge> {
    if let Some((wanted_namespace, wanted)) = &options.bridge {
        let here: Vec<&Bridge> =
            resources.bridges.iter().filter(|bridge| namespace(*bridge) == wanted_namespace).collect();
        let found = here.iter().copied().find(|bridge| bridge.metadata.name.as_ref() == Some(wanted));
        if found.is_none() {
            let object = ObjectRef::new("Bridge", wanted_namespace, wanted);
            let known: Vec<String> = here.iter().filter_map(|bridge| bridge.metadata.name.clone()).collect();
            findings.push(not_found(&object, "", "Bridge", wanted, known.iter()));
        }
        return found;
    }
    match resources.bridges.as_slice() {
        [] => {
            let object = ObjectRef::new("Bridge", DEFAULT_NAMESPACE, "");
            findings.push(Finding::error(&object, "", reason::BRIDGE_NOT_CHOSEN, "there is no Bridge").with_help(
                "add one: `apiVersion: isthmus.dev/v1alpha1`, `kind: Bridge`, `metadata: {name: fleet}`, `spec: {}`",
            ));
            None
        }
        [only] => Some(only),
        [first, others @ ..] => {
            let same = |other: &&Bridge| reference(*other) == reference(first);
            if others.iter().all(|other| same(&other)) {
                // Indexing reports the duplicates.
                return Some(first);
            }
            for other in others.iter().filter(|other| !same(other)) {
                let message = format!("there is another Bridge, `{}`, and none was chosen", reference(first).name);
                findings.push(
                    Finding::error(&reference(other), "metadata.name", reason::BRIDGE_NOT_CHOSEN, message)
                        .with_help("one process runs one Bridge: keep one of them"),
                );
            }
            None
        }
    }
}

/// The settings of the Bridge. Its own errors do not leave it out: a plan needs a Bridge.
pub(super) fn render(
    bridge: &Bridge,
    resources: &Resources,
    options: &Options,
    scope: &mut Scope<'_>,
) -> document::Bridge {
    let object = reference(bridge);
    let authentication = &bridge.spec.authentication;
    let secret = authentication.users_secret_ref.as_ref();
    if let Some(secret) = secret
        && !resources.secrets.contains(&(object.namespace.clone(), secret.name.clone()))
    {
        let known: Vec<String> = resources
            .secrets
            .iter()
            .filter(|(namespace, _)| *namespace == object.namespace)
            .map(|(_, name)| name.clone())
            .collect();
        let path = "spec.authentication.usersSecretRef.name";
        scope.report(not_found(&object, path, "Secret", &secret.name, known.iter()));
    }
    let anonymous = authentication.anonymous == Access::Allow;
    if !anonymous && secret.is_none() {
        scope.report(
            Finding::warning(
                &object,
                "spec.authentication",
                reason::NOBODY_CAN_CONNECT,
                "no device can connect: anonymous access is denied and there are no users",
            )
            .with_help("name a Secret with users in usersSecretRef, or set anonymous to Allow"),
        );
    }
    document::Bridge {
        namespace: object.namespace,
        name: object.name,
        listeners: bridge.spec.listeners.clone(),
        authentication: document::Authentication {
            anonymous,
            users: secret
                .map(|secret| document::Users { secret: secret.name.clone(), path: options.users_path.clone() }),
        },
        mqtt: bridge.spec.mqtt.clone(),
        drain: bridge.spec.drain.clone(),
    }
}
