//! What `isthmus check` says to mistakes in manifests: each with its file, line and fix.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its work fails its test")]

use std::path::{Path, PathBuf};

use isthmus_api::{BridgeSpec, SinkSpec, SourceSpec, connector::Kafka, rule::Republish, source::TopicMapping};
use isthmus_runtime::{
    check::{CheckReport, check},
    manifest::{self, File},
};

const QUICKSTART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart.yaml");

/// One column more than an event can have in a test.
const TOO_MANY_COLUMNS: &str = "        {a0: 0, a1: 0, a2: 0, a3: 0, a4: 0, a5: 0, a6: 0, a7: 0, a8: 0, a9: 0, \
b0: 0, b1: 0, b2: 0, b3: 0, b4: 0, b5: 0, b6: 0, b7: 0, b8: 0, b9: 0, c0: 0, c1: 0, c2: 0, c3: 0, c4: 0, c5: 0, \
c6: 0, c7: 0, c8: 0, c9: 0, d0: 0, d1: 0, d2: 0, d3: 0, d4: 0, d5: 0, d6: 0, d7: 0, d8: 0, d9: 0, e0: 0, e1: 0, \
e2: 0, e3: 0, e4: 0, e5: 0, e6: 0, e7: 0, e8: 0, e9: 0, f0: 0, f1: 0, f2: 0, f3: 0, f4: 0, f5: 0, f6: 0, f7: 0, \
f8: 0, f9: 0, g0: 0, g1: 0, g2: 0, g3: 0, g4: 0}\n";

/// Checks one file with this content. Its name in the report is `fleet.yaml`.
fn checked(text: &str) -> CheckReport {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.yaml");
    std::fs::write(&path, text).unwrap();
    let report = check(&[path], false);
    let prefix = format!("{}/", folder.path().display());
    CheckReport { text: report.text.replace(&prefix, ""), ..report }
}

/// The quick start with one text replaced.
fn quickstart_with(from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(QUICKSTART).unwrap();
    assert!(text.contains(from), "the quick start has no `{from}`");
    text.replacen(from, to, 1)
}

fn refused(text: &str) -> String {
    let report = checked(text);
    assert_eq!((report.exit_code(), report.errors), (1, 1), "{}", report.text);
    report.text
}

/// The quick start with one mistake: exactly one error, drawn at its place.
macro_rules! mistakes {
    ($($name:ident: $from:expr => $to:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(refused(&quickstart_with($from, $to)));
        }
    )*};
}

mistakes! {
    a_typo_in_a_field_names_the_field_that_was_meant: "  requestMode: Sync" => "  requestmode: Sync";
    a_missing_field_is_asked_for: "  topic: vehicles\n" => "";
    an_unknown_kind_names_the_nearest: "kind: Sink" => "kind: Snik";
    an_unknown_version_names_ours: "apiVersion: isthmus.dev/v1alpha1\nkind: Rule" => "apiVersion: isthmus.dev/v1\nkind: Rule";
    a_misspelled_group_is_not_taken_for_somebody_elses: "apiVersion: isthmus.dev/v1alpha1\nkind: Rule" => "apiVersion: isthmos.dev/v1alpha1\nkind: Rule";
    a_reference_to_nothing_names_the_nearest: "sinkRef:\n        name: vehicles" => "sinkRef:\n        name: vehicle";
    a_bad_sql_is_shown_inside_the_block: "payload.speed > 120" => "payload.speed >> 120";
    an_unknown_function_is_shown_inside_the_block: "clientid AS vehicle" => "uper(clientid) AS vehicle";
    a_wrong_enum_value_names_the_nearest: "requestMode: Sync" => "requestMode: sync";
    a_number_out_of_bounds_says_the_bounds: "port: 1883" => "port: 70000";
    a_quoted_number_is_to_be_written_without_quotes: "port: 1883" => "port: '1883'";
    a_word_that_yaml_takes_for_a_boolean_is_to_be_quoted: "key: ${.vehicle}" => "key: on";
    a_duration_without_unit_says_how_to_write_it: "requestMode: Sync" => "syncTimeout: 5";
    a_duration_of_another_form_says_how_to_write_it: "requestMode: Sync" => "syncTimeout: 5sec";
    a_duration_out_of_bounds_says_the_bounds: "requestMode: Sync" => "syncTimeout: 1h";
    a_size_out_of_bounds_says_the_bounds: "requestMode: Sync" => "buffer: {totalLimit: 1Ki}";
    a_text_where_a_list_belongs: "    bootstrapServers:\n      - kafka:9092" => "    bootstrapServers: kafka:9092";
    a_list_of_servers_in_one_text: "      - kafka:9092" => "      - kafka-0:9092,kafka-1:9092";
    an_action_of_two_kinds_is_refused: "    - name: to-kafka\n" => "    - name: to-kafka\n      console: {}\n";
    an_action_of_no_kind_is_refused: "      sinkRef:\n        name: vehicles\n" => "";
    idempotence_needs_all_replicas: "requestMode: Sync" => "acks: LeaderOnly";
    two_listeners_on_one_port: "      port: 1883\n" => "      port: 1883\n    - {name: other, port: 1883}\n";
    two_actions_of_one_name: "- name: alarm" => "- name: to-kafka";
    a_kafka_topic_mapped_twice: "    - kafkaTopic: commands\n" => "    - kafkaTopic: commands\n    - kafkaTopic: commands\n";
    a_field_given_twice: "  topic: vehicles\n" => "  topic: vehicles\n  topic: others\n";
    an_illegal_kafka_topic: "topic: vehicles" => "topic: vehicles/fast";
    publishing_to_a_wildcard: "mqttTopic: cmd/${.key}" => "mqttTopic: cmd/+";
    a_name_kubernetes_refuses: "  name: speeding" => "  name: Speeding_Cars";
    a_resource_without_a_name: "metadata:\n  name: speeding\n" => "metadata: {}\n";
    a_spec_that_is_missing: "metadata:\n  name: kafka\nspec:\n" => "metadata:\n  name: kafka\nspce:\n";
    text_that_is_not_yaml: "  description: Vehicles faster than 120 km/h" => "  description: Vehicles: faster than 120 km/h";
    a_bracket_that_is_not_closed: "  name: kafka\n" => "  name: {kafka\n";
    a_choice_that_yaml_takes_for_a_boolean: "anonymous: Allow" => "anonymous: Yes";
    a_tab_in_the_indentation: "    - kafkaTopic: commands\n" => "\t- kafkaTopic: commands\n";
    a_resource_defined_twice: "---\n# A Sink" => "---\napiVersion: isthmus.dev/v1alpha1\nkind: Connector\nmetadata: {name: kafka}\nspec: {bridgeRef: {name: fleet}, kafka: {bootstrapServers: [other:9092]}}\n---\n# A Sink";
    users_whose_secret_is_not_there: "    anonymous: Allow" => "    usersSecretRef: {name: users}";
    an_authentication_of_two_mechanisms_is_refused: "      - kafka:9092" => "      - kafka:9092\n    authentication: {plain: {secretRef: {name: a}}, scramSha256: {secretRef: {name: a}}}";
    a_user_name_from_two_places_is_refused: "      - kafka:9092" => "      - kafka:9092\n    authentication: {plain: {secretRef: {name: a}, username: bob, usernameKey: user}}";
    half_of_the_keys_of_a_certificate_is_refused: "      - kafka:9092" => "      - kafka:9092\n    tls: {certificateSecretRef: {name: a, certificateKey: crt}}";
    a_ca_that_nothing_is_checked_against_is_refused: "      - kafka:9092" => "      - kafka:9092\n    tls: {caSecretRef: {name: a}, insecureSkipVerify: true}";
    client_certificates_need_a_ca: "      port: 1883" => "      port: 1883\n      tls: {secretRef: {name: a}, clientAuth: Required}";
    a_ca_without_client_certificates_is_refused: "      port: 1883" => "      port: 1883\n      tls: {secretRef: {name: a}, caSecretRef: {name: a}}";
    a_key_kubernetes_refuses: "      - kafka:9092" => "      - kafka:9092\n    tls: {caSecretRef: {name: a, key: ../a}}";
    credentials_whose_secret_is_not_there: "      - kafka:9092" => "      - kafka:9092\n    authentication: {scramSha512: {secretRef: {name: kafka-user}}}";
    a_rule_that_fails_its_own_test: "payload.speed > 120" => "payload.speed > 12";
    a_test_whose_output_is_another: "vehicle: car-7, speed: 130" => "vehicle: car-8, speed: 130";
    a_test_with_a_column_no_event_has: "        clientid: car-7\n" => "        clientId: car-7\n";
    a_test_of_an_event_that_does_not_exist: "        clientid: car-7\n" => "        event: client.conected\n";
    a_test_that_expects_nothing: "        noMatch: true" => "        {}";
    a_test_that_expects_two_things: "        noMatch: true" => "        noMatch: true\n        error: true";
    a_test_that_expects_a_match_of_no_kind: "        noMatch: true" => "        noMatch: false";
    a_test_without_a_name: "    - name: a slow vehicle is not\n      event:" => "    - event:";
    two_tests_of_one_name: "a slow vehicle is not" => "a fast vehicle is reported";
    a_test_with_too_many_columns: "        topic: vehicles/car-7/telemetry\n        payload: {speed: 30}\n" => TOO_MANY_COLUMNS;
    broker_events_are_not_there_yet: "\"vehicles/+/telemetry\"" => "\"$events/client/connected\"";
}

#[test]
fn the_quick_start_is_right() {
    let report = check(&[PathBuf::from(QUICKSTART)], false);
    assert_eq!(report.text, format!("{QUICKSTART}: 5 resources ok\n"));
    assert_eq!(report.exit_code(), 0);
}

#[test]
fn every_example_is_right() {
    let folder = Path::new(QUICKSTART).parent().unwrap();
    let mut examples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let report = check(std::slice::from_ref(&path), false);
            assert_eq!((report.errors, report.warnings), (0, 0), "{}", report.text);
            examples += 1;
        }
    }
    assert!(examples > 0);
}

#[test]
fn a_variable_the_select_never_gives_is_a_warning_and_not_an_error() {
    let report = checked(&quickstart_with("key: ${.vehicle}", "key: ${.car}"));
    assert_eq!((report.errors, report.warnings, report.exit_code()), (0, 1, 0));
    insta::assert_snapshot!(report.text);
}

#[test]
fn several_mistakes_are_shown_in_the_order_of_the_file() {
    let text = quickstart_with("port: 1883", "prot: 1883").replace("clientid AS vehicle", "clientid vehicle AS");
    let report = checked(&text);
    assert_eq!(report.exit_code(), 1);
    insta::assert_snapshot!(report.text);
}

#[test]
fn other_kinds_of_a_cluster_are_left_alone() {
    let text =
        quickstart_with("---\n", "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {a: b}\n---\n");
    let report = checked(&text);
    assert_eq!((report.errors, report.warnings, report.exit_code()), (0, 0, 0));
    insta::assert_snapshot!(report.text);
}

#[test]
fn secrets_of_the_same_file_are_found_and_never_shown() {
    let text = quickstart_with("    anonymous: Allow", "    usersSecretRef: {name: users}")
        + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: users}\nstringData: {car-7: 'plain:hunter2'}\ndata: {car-8: cGxhaW46eA==}\n";
    let report = checked(&text);
    assert_eq!((report.errors, report.text.as_str()), (0, "fleet.yaml: 6 resources ok\n"));
    let manifests = manifest::parse(vec![File { name: "fleet.yaml".to_owned(), text }]);
    let users = &manifests.secrets[0];
    assert_eq!(users.data["car-7"], b"plain:hunter2");
    assert_eq!(users.data["car-8"], b"plain:x");
    assert!(!format!("{manifests:?}").contains("hunter2"), "debug output keeps values to itself");
}

#[test]
fn a_secret_without_the_key_says_which_it_has() {
    let text = quickstart_with(
        "      - kafka:9092",
        "      - kafka:9092\n    authentication: {scramSha512: {secretRef: {name: kafka}, passwordKey: pass}}",
    ) + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: kafka}\nstringData: {user: bob, password: hunter2}\n";
    let report = refused(&text);
    assert!(!report.contains("hunter2"), "values are not shown");
    insta::assert_snapshot!(report);
}

#[test]
fn a_secret_that_is_not_base64_says_where_and_how_to_write_it() {
    let text = quickstart_with("    anonymous: Allow", "    usersSecretRef: {name: users}")
        + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: users}\ndata: {car-8: 'not base64'}\n";
    let report = refused(&text);
    assert!(!report.contains("not base64"), "values are not shown");
    insta::assert_snapshot!(report);
}

#[test]
fn defaults_of_the_schema_are_those_of_the_types() {
    let text = "\
apiVersion: isthmus.dev/v1alpha1
kind: Bridge
metadata: {name: fleet}
spec: {}
---
apiVersion: isthmus.dev/v1alpha1
kind: Connector
metadata: {name: kafka}
spec: {bridgeRef: {name: fleet}, kafka: {bootstrapServers: [\"kafka:9092\"]}}
---
apiVersion: isthmus.dev/v1alpha1
kind: Sink
metadata: {name: out}
spec: {connectorRef: {name: kafka}, topic: out}
---
apiVersion: isthmus.dev/v1alpha1
kind: Source
metadata: {name: in}
spec: {connectorRef: {name: kafka}, topicMapping: [{kafkaTopic: in}]}
---
apiVersion: isthmus.dev/v1alpha1
kind: Rule
metadata: {name: again}
spec: {bridgeRef: {name: fleet}, sql: 'SELECT * FROM \"t\"', actions: [{name: a, republish: {topic: b}}]}
";
    let manifests = manifest::parse(vec![File { name: "minimal.yaml".to_owned(), text: text.to_owned() }]);
    assert_eq!(manifests.problems, []);
    let resources = manifests.resources;
    assert_eq!(resources.bridges[0].spec, BridgeSpec::default());
    assert_eq!(resources.connectors[0].spec.kafka, Kafka::new(vec!["kafka:9092".to_owned()]));
    assert_eq!(resources.sinks[0].spec, SinkSpec::new("kafka", "out"));
    assert_eq!(resources.sources[0].spec, SourceSpec::new("kafka", vec![TopicMapping::new("in")]));
    let rule = &resources.rules[0].spec;
    assert_eq!(rule.actions[0].republish, Some(Republish::new("b")));
    assert_eq!((rule.enabled, rule.description.as_str(), rule.tests.len()), (true, "", 0));
}

#[test]
fn files_refer_to_each_other() {
    let text = std::fs::read_to_string(QUICKSTART).unwrap();
    let (first, second) = text.split_at(text.find("---\n").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = [("bridge.yaml", first), ("rest.yaml", second)]
        .into_iter()
        .map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        })
        .collect();
    let report = check(&files, false);
    let expected = format!("{}: 1 resource ok\n{}: 4 resources ok\n", files[0].display(), files[1].display());
    assert_eq!(report.text, expected);
    assert_eq!(check(&files[1..], false).errors, 1, "the Bridge is missing, once");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let report = check(&[PathBuf::from("no/such/file.yaml")], false);
    assert_eq!((report.exit_code(), report.errors), (1, 1), "{}", report.text);
    insta::assert_snapshot!(report.text);
}

#[test]
fn an_empty_file_has_no_bridge() {
    insta::assert_snapshot!(refused("# nothing yet\n"));
}
