//! The data path of Isthmus: MQTT broker, rules, Kafka producers and consumers in one process.
//!
//! # The way of one message, file by file
//!
//! From a device to Kafka:
//!
//! 1. [`mqtt::listener`] accepts the socket; `mqtt/connection.rs` reads it with the [`mqtt::codec`] and makes each
//!    PUBLISH a [`message::Message`].
//! 2. The connection tracks the message in its [`receipt::Window`] and hands it to [`ingress`].
//! 3. [`ingress`] runs the rules of its topic ([`rule::table`], over the columns of [`rule::columns`]), then delivers it
//!    to subscribers ([`mqtt::subscriptions`]).
//! 4. A rule's output goes to its actions ([`rule::action`]). A [`sink`] renders the record (`sink/writing.rs`), puts it
//!    into the log of its partition ([`buffer`]) and hands it to the producer (`sink/core.rs`, [`kafka::producer`]).
//! 5. Kafka's answer comes back to `sink/delivery.rs` on the producer's thread and resolves the receipt. The connection
//!    wakes, collects its window, and writes PUBACKs in order.
//!
//! From Kafka to a device: [`kafka::consumer`] → [`source`] (a window for each partition) → `source/mapping.rs` → [`ingress`]
//! → a session's queue (`mqtt/session.rs`) → the socket. The subscriber's PUBACK resolves the receipt, and the offset
//! is stored for commit.
//!
//! # Around it
//!
//! * [`bridge`] puts all of it together from a plan, takes on changed plans, and stops in order.
//! * [`run`] runs a plan file as a pod does; [`dev`] runs manifests ([`manifest`]) with an embedded Kafka and a [`screen`];
//!   [`check`] only says what is wrong with them; [`record`] is the Kafka side for the command line; [`rule_test`] runs a
//!   rule's SQL on sample events and nothing else; [`probe`] asks an admin port.
//! * [`secrets`] are the values that a plan only names; [`mqtt::tls`] and [`kafka::security`] use them.
//! * [`memory`] is the budget that buffers and queues take from.
//! * [`status`] is what can be said about the process; [`admin`] and [`metrics`] say it over HTTP.
//!
//! Only `kafka/` names `rdkafka`, with the exception of error codes in `sink`; nothing but [`mqtt`] knows MQTT packets.

pub mod admin;
pub mod args;
pub mod bridge;
pub mod buffer;
pub mod check;
pub mod dev;
pub mod ingress;
pub mod kafka;
pub mod manifest;
pub mod memory;
pub mod message;
pub mod metrics;
pub mod mqtt;
mod pem;
pub mod probe;
pub mod receipt;
pub mod record;
pub mod rule;
pub mod rule_test;
pub mod run;
pub mod screen;
pub mod secrets;
pub mod sink;
pub mod source;
pub mod status;
pub mod stop;
pub mod telemetry;
pub mod throttle;
mod wake;
mod watch;
mod work;
