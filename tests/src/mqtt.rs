//! A small MQTT client on a plain socket, which does exactly what a test says, right or wrong.
//!
//! [`packet`] writes and reads packets, [`client`] owns the socket. Neither is shared with the
//! code under test.

pub mod client;
pub mod packet;

pub use self::client::Client;
pub use self::packet::{Packet, Publish, Version};
