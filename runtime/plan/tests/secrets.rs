//! Secrets that resources name: found, checked, named in the plan, never in it.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its work fails its test")]

use std::collections::BTreeSet;

use isthmus_api::{
    Bridge, BridgeSpec, Connector, ConnectorSpec, LocalReference, Sink, SinkSpec, Source, SourceSpec,
    bridge::Access,
    connector::Kafka,
    sasl::{Authentication, Credentials},
    source::TopicMapping,
    tls::{CaReference, ClientAuth, ClientCertificate, KafkaTls, ListenerTls},
};
use isthmus_plan::{
    Options, Plan, Rendered, Resources,
    document::{Keys, SecretKey, Username},
    finding::reason,
    render,
};

fn named(name: &str) -> LocalReference {
    LocalReference { name: name.to_owned() }
}

/// A Bridge open to everyone, a Connector, a Sink and a Source, and no Secret.
fn fleet() -> Resources {
    let mut spec = BridgeSpec::default();
    spec.authentication.anonymous = Access::Allow;
    let kafka = Kafka::new(vec!["kafka:9092".to_owned()]);
    Resources {
        bridges: vec![Bridge::new("fleet", spec)],
        connectors: vec![Connector::new("kafka", ConnectorSpec { bridge_ref: named("fleet"), kafka })],
        sinks: vec![Sink::new("vehicles", SinkSpec::new("kafka", "vehicles"))],
        sources: vec![Source::new("commands", SourceSpec::new("kafka", vec![TopicMapping::new("commands")]))],
        ..Resources::default()
    }
}

fn with_secret(mut resources: Resources, name: &str, keys: &[&str]) -> Resources {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    resources.secrets.insert(("default".to_owned(), name.to_owned()), keys);
    resources
}

fn rendered(resources: &Resources) -> Rendered {
    render(resources, &Options::default(), None)
}

fn plan(resources: &Resources) -> Plan {
    let rendered = rendered(resources);
    assert_eq!(rendered.findings, []);
    rendered.plan.unwrap()
}

/// Findings as lines: reason, resource, path, message, help.
fn findings(resources: &Resources) -> String {
    let lines = rendered(resources).findings;
    lines.iter().map(|finding| format!("[{}] {finding}", finding.reason)).collect::<Vec<_>>().join("\n")
}

fn scram(credentials: Credentials) -> Authentication {
    Authentication { scram_sha512: Some(credentials), ..Authentication::default() }
}

fn authenticated(authentication: Authentication) -> Resources {
    let mut resources = fleet();
    resources.connectors[0].spec.kafka.authentication = Some(authentication);
    resources
}

fn these(keys: &[&str]) -> Keys {
    Keys::These(keys.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>())
}

#[test]
fn users_are_a_secret_that_must_exist_and_is_used_whole() {
    let mut resources = fleet();
    resources.bridges[0].spec.authentication.users_secret_ref = Some(named("users"));
    assert_eq!(rendered(&resources).findings[0].reason, reason::SECRET_NOT_FOUND);
    let plan = plan(&with_secret(resources, "users", &["car-7"]));
    assert_eq!(plan.bridge.authentication.users.as_ref().unwrap().secret, "users");
    assert_eq!(plan.secrets().into_iter().collect::<Vec<_>>(), [("users".to_owned(), Keys::All)]);
}

#[test]
fn a_basic_auth_secret_works_by_its_name() {
    let resources = with_secret(authenticated(scram(Credentials::new("kafka"))), "kafka", &["username", "password"]);
    let plan = plan(&resources);
    let sasl = plan.sinks[0].kafka.authentication.clone().unwrap();
    assert_eq!(sasl.username, Username::Secret(SecretKey::new("kafka", "username")));
    assert_eq!(sasl.password, SecretKey::new("kafka", "password"));
    assert_eq!(plan.sources[0].kafka, plan.sinks[0].kafka);
    assert_eq!(plan.secrets()["kafka"], these(&["password", "username"]));
}

#[test]
fn the_user_of_a_strimzi_secret_is_called_as_the_secret_is() {
    let resources =
        with_secret(authenticated(scram(Credentials::new("my-user"))), "my-user", &["password", "sasl.jaas.config"]);
    let plan = plan(&resources);
    let sasl = plan.sinks[0].kafka.authentication.clone().unwrap();
    assert_eq!(sasl.username, Username::Name("my-user".to_owned()));
    assert_eq!(plan.secrets()["my-user"], these(&["password"]), "a pod gets what it uses");
}

#[test]
fn a_plain_user_has_a_name_of_its_own() {
    let with_plain = |credentials| Authentication { plain: Some(credentials), ..Authentication::default() };
    let resources = with_secret(authenticated(with_plain(Credentials::new("kafka"))), "kafka", &["password"]);
    insta::assert_snapshot!(findings(&resources));
    let given = Credentials { username: "bob".to_owned(), ..Credentials::new("kafka") };
    let plan = plan(&with_secret(authenticated(with_plain(given)), "kafka", &["password"]));
    assert_eq!(plan.sinks[0].kafka.authentication.clone().unwrap().username, Username::Name("bob".to_owned()));
}

#[test]
fn a_username_key_that_is_named_must_be_there() {
    let credentials = Credentials { username_key: "user".to_owned(), ..Credentials::new("kafka") };
    let resources = with_secret(authenticated(scram(credentials)), "kafka", &["password"]);
    insta::assert_snapshot!(findings(&resources));
}

#[test]
fn a_client_certificate_is_found_under_the_keys_of_cert_manager_and_of_strimzi() {
    for (keys, expected) in [
        (["tls.crt", "tls.key", "ca.crt"], ["tls.crt", "tls.key"]),
        (["user.crt", "user.key", "ca.crt"], ["user.crt", "user.key"]),
    ] {
        let mut resources = with_secret(fleet(), "client", &keys);
        resources.connectors[0].spec.kafka.tls = Some(KafkaTls {
            ca_secret_ref: Some(CaReference::new("client")),
            certificate_secret_ref: Some(ClientCertificate::new("client")),
            ..KafkaTls::default()
        });
        let plan = plan(&resources);
        let tls = plan.sinks[0].kafka.tls.clone().unwrap();
        let certificate = tls.certificate.unwrap();
        assert_eq!([certificate.chain.key.as_str(), &certificate.key.key], expected);
        assert_eq!(tls.ca, Some(SecretKey::new("client", "ca.crt")));
        assert_eq!(plan.secrets()["client"], these(&keys));
    }
}

#[test]
fn a_listener_names_its_certificate_and_the_ca_of_its_devices() {
    let mut resources = with_secret(fleet(), "mqtt", &["tls.crt", "tls.key"]);
    resources = with_secret(resources, "devices", &["ca.crt"]);
    resources.bridges[0].spec.listeners[0].tls = Some(ListenerTls {
        client_auth: ClientAuth::Required,
        ca_secret_ref: Some(CaReference::new("devices")),
        ..ListenerTls::new("mqtt")
    });
    let plan = plan(&resources);
    insta::assert_json_snapshot!(plan.bridge.listeners);
    assert_eq!(plan.secrets()["mqtt"], these(&["tls.crt", "tls.key"]));
    assert_eq!(plan.secrets()["devices"], these(&["ca.crt"]));
}

#[test]
fn what_is_missing_is_told_on_the_resource_that_names_it_and_nothing_is_left_out() {
    let mut resources = with_secret(authenticated(scram(Credentials::new("kafak"))), "kafka", &["password"]);
    resources = with_secret(resources, "mqtt", &["tls.crt", "tls.pem"]);
    resources.connectors[0].spec.kafka.tls =
        Some(KafkaTls { ca_secret_ref: Some(CaReference::new("kafka")), ..KafkaTls::default() });
    resources.bridges[0].spec.listeners[0].tls = Some(ListenerTls::new("mqtt"));
    insta::assert_snapshot!(findings(&resources));
    let plan = rendered(&resources).plan.unwrap();
    assert_eq!((plan.sinks.len(), plan.sources.len()), (1, 1), "what is buffered must not go with a Secret");
}

#[test]
fn secrets_of_other_namespaces_do_not_count() {
    let mut resources = authenticated(scram(Credentials::new("kafka")));
    let keys = BTreeSet::from(["password".to_owned()]);
    resources.secrets.insert(("elsewhere".to_owned(), "kafka".to_owned()), keys);
    assert_eq!(rendered(&resources).findings[0].reason, reason::SECRET_NOT_FOUND);
}
