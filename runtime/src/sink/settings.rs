//! A Sink's specification in the terms of librdkafka and of the buffer.

use std::time::Duration;

use isthmus_api::sink::{Acks, Compression};
use isthmus_plan::document::Sink;

use super::maintenance::{LINGER, ProducerSettings};
use crate::kafka::client;
use crate::kafka::security::Secured;

/// With idempotence, librdkafka keeps order over at most this many pipelined requests (KIP-98).
const MAX_IDEMPOTENT_INFLIGHT: u16 = 5;

/// A Sink's link is checked this often (row S12).
const HEALTH_CHECK: Duration = Duration::from_secs(15);

/// Settings of the producer of a Sink.
pub(super) fn producer(spec: &Sink, security: Secured) -> ProducerSettings {
    let kafka = &spec.kafka;
    let mut config = client::base(&kafka.bootstrap_servers.join(","), &format!("sink-{}", spec.name));
    let acks = match spec.acks {
        Acks::AllIsr => "all",
        Acks::LeaderOnly => "1",
        Acks::None => "0",
    };
    let compression = match spec.compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    let inflight = if spec.idempotence { spec.max_inflight.min(MAX_IDEMPOTENT_INFLIGHT) } else { spec.max_inflight };
    let refresh = spec.partition_count_refresh_interval.into();
    config
        .set("acks", acks)
        .set("compression.type", compression)
        .set("enable.idempotence", spec.idempotence.to_string())
        .set("max.in.flight.requests.per.connection", inflight.to_string())
        .set(LINGER, spec.linger.as_millis().to_string())
        .set("socket.timeout.ms", kafka.request_timeout.as_millis().to_string())
        .set("socket.connection.setup.timeout.ms", kafka.connect_timeout.as_millis().to_string())
        .set("socket.nagle.disable", "true")
        .set("topic.metadata.refresh.interval.ms", spec.partition_count_refresh_interval.as_millis().to_string())
        .set("allow.auto.create.topics", "false")
        // Records wait in our buffer, by our limits, for as long as it takes.
        .set("message.timeout.ms", "0")
        .set("queue.buffering.max.messages", "0")
        // The broker says what is too large, topic by topic.
        .set("message.max.bytes", "1000000000");
    ProducerSettings {
        config,
        security,
        batch_bytes: spec.max_batch_bytes.bytes(),
        metadata_timeout: kafka.metadata_request_timeout.into(),
        refresh,
        min_refresh: kafka.min_metadata_refresh_interval.into(),
        health_check: HEALTH_CHECK,
    }
}

/// Bytes that may be in flight in one partition: the window of row S8, and never so much of the buffer that nothing
/// would be left to drop when it is full.
pub(super) fn window(spec: &Sink) -> u64 {
    let window = u64::from(spec.max_inflight) * spec.max_batch_bytes.bytes();
    window.min(spec.buffer.per_partition_limit.bytes() / 2).min(spec.buffer.total_limit.bytes() / 2)
}
