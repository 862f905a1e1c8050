//! Connectors: how to reach Kafka, with the places of what is in Secrets.

use std::collections::BTreeMap;

use isthmus_api::{
    Connector, ObjectRef,
    connector::Kafka,
    sasl::{Authentication, Mechanism, USERNAME_KEY},
    tls::{CERTIFICATE_KEY, ClientCertificate, KafkaTls, PRIVATE_KEY_KEY},
};

use super::{Scope, link, secret};
use crate::{
    document::{self, Certificate, SecretKey, Username},
    resources::reference,
};

/// Keys of a certificate in the Secret of a Strimzi `KafkaUser`.
const STRIMZI_CERTIFICATE: [&str; 2] = ["user.crt", "user.key"];

/// How to reach Kafka, by the name of the Connector.
pub(super) type Connectors = BTreeMap<String, document::Kafka>;

/// The Connectors of the Bridge that is rendered. Those whose Bridge does not exist are reported.
pub(super) fn render_all(scope: &mut Scope<'_>) -> Connectors {
    let connectors: Vec<&Connector> = scope.connectors.values().copied().collect();
    let mut rendered = Connectors::new();
    for connector in connectors {
        let object = reference(connector);
        if let link::Link::Here = link::to_bridge(&object, &connector.spec.bridge_ref.name, scope) {
            let kafka = render(&object, &connector.spec.kafka, scope);
            rendered.insert(object.name, kafka);
        }
    }
    rendered
}

fn render(object: &ObjectRef, kafka: &Kafka, scope: &mut Scope<'_>) -> document::Kafka {
    document::Kafka {
        bootstrap_servers: kafka.bootstrap_servers.clone(),
        authentication: kafka.authentication.as_ref().and_then(|given| authentication(object, given, scope)),
        tls: kafka.tls.as_ref().map(|given| tls(object, given, scope)),
        connect_timeout: kafka.connect_timeout,
        metadata_request_timeout: kafka.metadata_request_timeout,
        min_metadata_refresh_interval: kafka.min_metadata_refresh_interval,
        request_timeout: kafka.request_timeout,
    }
}

fn authentication(object: &ObjectRef, given: &Authentication, scope: &mut Scope<'_>) -> Option<document::Sasl> {
    // The schema lets exactly one through.
    let (mechanism, credentials) = given.mechanism()?;
    let path = format!("spec.kafka.authentication.{}", mechanism.field());
    let name = &credentials.secret_ref.name;
    let keys = secret::find(object, &format!("{path}.secretRef.name"), name, scope);
    let named_after_secret = mechanism != Mechanism::Plain && keys.is_some_and(|keys| !keys.contains(USERNAME_KEY));
    let username = if !credentials.username.is_empty() {
        Username::Name(credentials.username.clone())
    } else if credentials.username_key.is_empty() && named_after_secret {
        // As Strimzi has it: the Secret of a user is called as the user is.
        Username::Name(name.clone())
    } else {
        let key = if credentials.username_key.is_empty() { USERNAME_KEY } else { &credentials.username_key };
        if let Some(keys) = keys {
            let help = "add it, name the key that holds the user name in `usernameKey`, or write it in `username`";
            secret::need(object, format!("{path}.usernameKey"), name, keys, key, help, scope);
        }
        Username::Secret(SecretKey::new(name, key))
    };
    if let Some(keys) = keys {
        let help = "add it, or name the key that holds the password in `passwordKey`";
        secret::need(object, format!("{path}.passwordKey"), name, keys, &credentials.password_key, help, scope);
    }
    Some(document::Sasl { mechanism, username, password: SecretKey::new(name, &credentials.password_key) })
}

fn tls(object: &ObjectRef, given: &KafkaTls, scope: &mut Scope<'_>) -> document::KafkaTls {
    let path = "spec.kafka.tls";
    let ca = given.ca_secret_ref.as_ref().map(|ca| secret::ca(object, &format!("{path}.caSecretRef"), ca, scope));
    let certificate = given.certificate_secret_ref.as_ref().map(|given| certificate(object, path, given, scope));
    document::KafkaTls {
        ca,
        certificate,
        verify_hostname: given.verify_hostname,
        insecure_skip_verify: given.insecure_skip_verify,
    }
}

/// Under the keys that are named, else under those that the Secret has of the two usual pairs.
fn certificate(object: &ObjectRef, path: &str, given: &ClientCertificate, scope: &mut Scope<'_>) -> Certificate {
    let path = format!("{path}.certificateSecretRef");
    let keys = scope.secrets.get(given.name.as_str());
    let strimzi = keys.is_some_and(|keys| {
        !keys.contains(CERTIFICATE_KEY) && STRIMZI_CERTIFICATE.iter().any(|key| keys.contains(*key))
    });
    let [chain, key] = if !given.certificate_key.is_empty() || !given.key_key.is_empty() {
        [given.certificate_key.as_str(), &given.key_key]
    } else if strimzi {
        STRIMZI_CERTIFICATE
    } else {
        [CERTIFICATE_KEY, PRIVATE_KEY_KEY]
    };
    secret::certificate(object, &path, &given.name, [("certificateKey", chain), ("keyKey", key)], scope)
}
