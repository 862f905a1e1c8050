//! The Bridge of a plan: which one it is, and its settings.

use isthmus_api::{
    Bridge, ObjectRef,
    bridge::{Access, Listener},
    tls::ServerCertificate,
};

use super::{Kept, Options, Scope, link::not_found, secret};
use crate::{
    Borrowed, Finding, document,
    finding::reason,
    resources::{DEFAULT_NAMESPACE, namespace, reference},
};

/// The Bridge to render; when there is none, or several and none is named, that is a finding.
pub(super) fn choose<'a>(
    resources: &Borrowed<'a>,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Option<&'a Bridge> {
    if let Some((wanted_namespace, wanted)) = &options.bridge {
        let here: Vec<&Bridge> =
            resources.bridges.iter().copied().filter(|bridge| namespace(*bridge) == wanted_namespace).collect();
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
        [only] => Some(*only),
        [first, others @ ..] => {
            let same = |other: &Bridge| reference(other) == reference(*first);
            if others.iter().all(|other| same(other)) {
                // Indexing reports the duplicates.
                return Some(*first);
            }
            for other in others.iter().copied().filter(|other| !same(other)) {
                let message = format!("there is another Bridge, `{}`, and none was chosen", reference(*first).name);
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
pub(super) fn render(bridge: &Bridge, scope: &mut Scope<'_>) -> document::Bridge {
    let object = reference(bridge);
    if scope.unreadable.contains(&object)
        && let Some(running) = scope.in_force.plan
    {
        scope.kept.push(Kept { object, generation: running.bridge.generation });
        return running.bridge.clone();
    }
    let authentication = &bridge.spec.authentication;
    let users = authentication.users_secret_ref.as_ref();
    if let Some(users) = users {
        secret::find(&object, "spec.authentication.usersSecretRef.name", &users.name, scope);
    }
    let anonymous = authentication.anonymous == Access::Allow;
    if !anonymous && users.is_none() {
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
    let listeners = bridge.spec.listeners.iter().enumerate();
    let listeners = listeners.map(|(position, spec)| listener(&object, position, spec, scope)).collect();
    document::Bridge {
        namespace: object.namespace,
        name: object.name,
        generation: bridge.metadata.generation,
        listeners,
        authentication: document::Authentication {
            anonymous,
            users: users.map(|users| document::Users { secret: users.name.clone() }),
        },
        mqtt: bridge.spec.mqtt.clone(),
        drain: bridge.spec.drain.clone(),
    }
}

fn listener(object: &ObjectRef, position: usize, spec: &Listener, scope: &mut Scope<'_>) -> document::Listener {
    let tls = spec.tls.as_ref().map(|tls| {
        let path = format!("spec.listeners[{position}].tls");
        let ServerCertificate { name, certificate_key, key_key } = &tls.secret_ref;
        let at = format!("{path}.secretRef");
        let pair = [("certificateKey", certificate_key.as_str()), ("keyKey", key_key.as_str())];
        let client_ca =
            tls.ca_secret_ref.as_ref().map(|ca| secret::ca(object, &format!("{path}.caSecretRef"), ca, scope));
        document::ListenerTls { certificate: secret::certificate(object, &at, name, pair, scope), client_ca }
    });
    document::Listener { name: spec.name.clone(), port: spec.port, protocol: spec.protocol, tls }
}
