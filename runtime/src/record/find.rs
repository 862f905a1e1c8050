//! Where the Kafka of the running local mode is, and which topics it has.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde::Deserialize;

use super::{METADATA_TIMEOUT, Quiet, RecordError};

/// The admin port is on this machine: it answers at once or not at all.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
struct Status {
    kafka: Option<Kafka>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kafka {
    bootstrap_servers: String,
}

/// Asks the admin port. The address may be a URL or just `HOST:PORT`.
pub(super) fn bootstrap_servers(admin: &str) -> Result<String, RecordError> {
    let url = if admin.contains("://") { admin.to_owned() } else { format!("http://{admin}") };
    let url = url.trim_end_matches('/').to_owned();
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(ADMIN_TIMEOUT)).build().into();
    let not_local = |why| RecordError::NotLocalMode { url: url.clone(), why };
    let mut answer = match agent.get(format!("{url}/v1/status")).call() {
        Ok(answer) => answer,
        Err(ureq::Error::StatusCode(_)) => return Err(not_local("it has no /v1/status")),
        Err(source) => return Err(RecordError::NoLocalMode { url, source: Box::new(source) }),
    };
    let status: Status =
        answer.body_mut().read_json().map_err(|_| not_local("its /v1/status is not the one of Isthmus"))?;
    status.kafka.map(|kafka| kafka.bootstrap_servers).ok_or_else(|| not_local("it is a pod, or not ready yet"))
}

/// The number of partitions of `topic`, or which topics there are instead.
pub(super) fn partitions(
    consumer: &BaseConsumer<Quiet>,
    bootstrap_servers: &str,
    topic: &str,
) -> Result<Vec<i32>, RecordError> {
    // All topics at once: asking for one by name may create it.
    let metadata = consumer
        .fetch_metadata(None, METADATA_TIMEOUT)
        .map_err(|source| RecordError::Silent { bootstrap_servers: bootstrap_servers.to_owned(), source })?;
    if let Some(found) = metadata.topics().iter().find(|known| known.name() == topic) {
        return Ok(found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect());
    }
    // Names that begin with two underscores are Kafka's own.
    let mut topics: Vec<_> =
        metadata.topics().iter().map(|known| known.name().to_owned()).filter(|name| !name.starts_with("__")).collect();
    topics.sort_unstable();
    Err(RecordError::UnknownTopic { topic: topic.to_owned(), topics })
}
