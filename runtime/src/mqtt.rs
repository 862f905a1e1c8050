//! The MQTT edge: devices connect here, publish, subscribe.
//!
//! MQTT 3.1.1 and 5.0 on one port, TCP or TLS, QoS 0 and 1, clean sessions. Follow a message in:
//! [`listener`] accepts the socket, `connection` reads it with the [`codec`] and hands each publication to the
//! [`Route`](crate::ingress::Route); receipts come back and become PUBACKs. And out: [`subscriptions`] finds who wants a
//! message and puts it into each `session`'s queue, from where `connection` sends it.
//! [`broker`] holds what the connections share.
//!
//! What is not offered (QoS 2, retained messages, sessions that outlive their connection, shared
//! subscriptions, subscription identifiers, topic aliases) is announced in CONNACK to 5.0 clients and refused, never
//! half done. Rules, Kafka and the configuration are not known here.

pub mod broker;
pub mod codec;
mod connection;
pub mod counters;
pub mod listener;
mod registry;
mod session;
pub mod settings;
pub mod subscriptions;
pub mod tls;
pub mod users;

pub use broker::{Broker, Drained};
pub use listener::{BindError, Listener};
pub use settings::Settings;
pub use subscriptions::Subscriptions;
pub use users::Users;
