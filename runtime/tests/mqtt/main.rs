//! The MQTT edge over real sockets, with a client of its own that can also send what no client may.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod announced;
mod bad_input;
mod client;
mod codec;
mod delivering;
mod edge;
mod narrow;
mod publishing;
mod sessions;
mod takeover;
mod tls;
