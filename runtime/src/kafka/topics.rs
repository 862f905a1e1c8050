//! Topics that local mode creates in a Kafka that it did not start itself (`--kafka HOST:PORT`).
//!
//! Pods never create topics: in a cluster they belong to whoever runs Kafka.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client;
use super::security::{Security, describe};

/// What became of one topic that the manifests name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// It was there already.
    Present,
    /// It was created, with the broker's default partition count and replication factor.
    Created,
    /// It could not be created; the sentence says why and what to do.
    Failed(String),
}

/// Creates those of `topics` that Kafka does not have: each has its own answer, in the order given. `Err` says why
/// Kafka could not be asked at all.
pub async fn ensure_topics(
    bootstrap_servers: &str,
    security: &Security,
    topics: &[String],
    within: Duration,
) -> Result<Vec<(String, Ensured)>, String> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let results = create(bootstrap_servers, security, topics, within).await.map_err(|error| {
        format!(
            "Kafka at {bootstrap_servers} does not answer ({}): check `--kafka`; topics are created when it does",
            describe(&error)
        )
    })?;
    let answers = results
        .into_iter()
        .map(|result| match result {
            Ok(topic) => (topic, Ensured::Created),
            Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => (topic, Ensured::Present),
            Err((topic, code)) => (topic, Ensured::Failed(format!("{code}: create the topic yourself"))),
        })
        .collect();
    Ok(answers)
}

async fn create(
    bootstrap_servers: &str,
    security: &Security,
    topics: &[String],
    within: Duration,
) -> Result<Vec<rdkafka::admin::TopicResult>, KafkaError> {
    let mut config = client::base(bootstrap_servers, "topics");
    security.apply(&mut config);
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    // -1 asks the broker for its own defaults (KIP-464).
    let topics: Vec<_> = topics.iter().map(|topic| NewTopic::new(topic, -1, TopicReplication::Fixed(-1))).collect();
    let options = AdminOptions::new().request_timeout(Some(within)).operation_timeout(Some(within));
    admin.create_topics(&topics, &options).await
}
