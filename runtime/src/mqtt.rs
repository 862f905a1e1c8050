//! The MQTT edge.
pub mod codec;
