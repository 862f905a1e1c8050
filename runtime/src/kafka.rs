//! Adapter to Kafka: everything that names `rdkafka` is in here.

use rdkafka::config::RDKafkaLogLevel;

pub mod client;
pub mod error;
pub mod producer;

/// Passes librdkafka's own log on. Its connection errors repeat many times a second while Kafka is away, and the
/// link state says the same once: they are for debugging.
fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, "librdkafka: {message}");
        }
        _ => tracing::debug!(facility, "librdkafka: {message}"),
    }
}
