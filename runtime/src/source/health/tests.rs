use std::time::Duration;

use isthmus_api::source::OffsetReset;
use rdkafka::error::RDKafkaErrorCode;

use super::*;
use crate::kafka::client::AUTHENTICATION_FAILED;
use crate::kafka::security::Security;

fn health() -> Health {
    Health::new(&Settings {
        name: "commands".to_owned(),
        bootstrap_servers: "kafka:9092".to_owned(),
        security: Security::default(),
        group_id: "isthmus-default-commands".to_owned(),
        topics: vec!["commands".to_owned(), "audit".to_owned()],
        offset_reset: OffsetReset::Latest,
        max_fetch_bytes: 917_504,
        max_wait: Duration::from_secs(1),
        commit_interval: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(5),
        metadata_request_timeout: Duration::from_secs(5),
        min_metadata_refresh_interval: Duration::from_secs(3),
        request_timeout: Duration::from_secs(30),
        session_timeout: Duration::from_secs(45),
        statistics_interval: Duration::from_secs(1),
    })
}

fn statistics(state: &str, end: i64) -> Statistics {
    serde_json::from_str(&format!(
        r#"{{"brokers":{{"b":{{"nodeid":1,"state":"{state}"}}}},"topics":{{"commands":{{"partitions":
           {{"0":{{"ls_offset":{end},"hi_offset":{end},"next_offset":4,"committed_offset":-1001}}}}}}}}}}"#
    ))
    .unwrap()
}

fn unreachable(all_brokers: bool) -> Trouble {
    Trouble { reason: KAFKA_UNREACHABLE, message: "no broker".to_owned(), all_brokers, not_connected: false }
}

#[test]
fn a_link_is_up_when_brokers_answer_and_the_group_was_joined() {
    let health = health();
    assert_eq!(health.link().reason, GROUP_REBALANCING);
    health.statistics(statistics("UP", 9));
    health.member(true);
    assert_eq!(health.link(), Link { state: LinkState::Connected, reason: CONNECTED, message: String::new() });
}

#[test]
fn an_outage_is_told_and_forgotten_when_kafka_answers_again() {
    let health = health();
    health.statistics(statistics("UP", 9));
    health.member(true);
    health.trouble(unreachable(true));
    assert_eq!(health.link().reason, KAFKA_UNREACHABLE);
    health.statistics(statistics("UP", 9));
    assert_eq!(health.link().reason, CONNECTED);
    health.statistics(statistics("DOWN", 9));
    assert_eq!(health.link().reason, KAFKA_UNREACHABLE);
}

#[test]
fn a_refusal_stands_until_a_broker_takes_the_client_or_is_gone() {
    let health = health();
    let refused = || Trouble::of(RDKafkaErrorCode::Authentication, "SASL authentication error", "kafka:9092");
    health.trouble(refused());
    health.trouble(unreachable(true));
    assert_eq!(health.link().reason, AUTHENTICATION_FAILED, "silence after a refusal says nothing new");
    health.trouble(Trouble { not_connected: true, ..unreachable(false) });
    assert_eq!(health.link().reason, KAFKA_UNREACHABLE);
    health.trouble(refused());
    health.statistics(statistics("UP", 9));
    health.member(true);
    assert_eq!(health.link().reason, CONNECTED);
}

#[test]
fn one_broker_of_several_going_away_does_not_take_the_link_down() {
    let health = health();
    health.statistics(statistics("UP", 9));
    health.member(true);
    health.trouble(unreachable(false));
    assert_eq!(health.link().reason, CONNECTED);
}

#[test]
fn a_missing_topic_takes_the_link_down_until_it_is_there() {
    let health = health();
    health.statistics(statistics("UP", 9));
    health.trouble(Trouble {
        reason: TOPIC_NOT_FOUND,
        message: "Subscribed topic not available: audit: Broker: Unknown topic or partition".to_owned(),
        all_brokers: false,
        not_connected: false,
    });
    health.member(true);
    assert_eq!(health.link().reason, TOPIC_NOT_FOUND);
    assert_eq!(health.missing_topics(), ["audit"]);
    health.topic_found("audit");
    assert_eq!(health.link().reason, CONNECTED);
}

#[test]
fn a_link_is_up_only_when_it_knows_where_it_reads() {
    let health = health();
    health.statistics(statistics("UP", -1001));
    health.assigned(&("commands".into(), 0));
    health.member(true);
    assert_eq!(health.link().reason, OFFSETS_UNKNOWN);
    health.statistics(statistics("UP", -1001));
    assert_eq!(health.link().message, "asking Kafka where to start in partition 0 of topic commands");
    health.statistics(statistics("UP", 4));
    assert_eq!(health.link().reason, CONNECTED);
}

#[test]
fn lag_is_what_kafka_has_beyond_what_was_received() {
    let health = health();
    assert_eq!(health.figures().lag, None);
    let progress = health.assigned(&("commands".into(), 0));
    health.statistics(statistics("UP", 9));
    assert_eq!(health.figures().lag, Some(5));
    progress.received(6, 1);
    let figures = health.figures();
    assert_eq!((figures.lag, figures.pending, figures.partitions), (Some(2), 1, 1));
    progress.received(20, 0);
    assert_eq!(health.figures().lag, Some(0));
}
