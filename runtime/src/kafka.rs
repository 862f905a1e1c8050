//! Everything that speaks Kafka's protocol, through librdkafka.
//!
//! Only the modules below may name `rdkafka`'s clients; the rest of the data path knows records, offsets and
//! receipts. What is sent and when belongs to [`sink`](crate::sink) and [`buffer`](crate::buffer), what becomes of a
//! received record to [`source`](crate::source).

pub mod client;
pub mod consumer;
pub mod embedded;
mod handshake;
pub mod producer;
pub mod security;
pub mod topics;
