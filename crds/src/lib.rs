//! The five Isthmus resources as Rust types, with the schema the Kubernetes API server enforces.
//!
//! | kind | what it says | refers to |
//! |---|---|---|
//! | [`Bridge`] | a fleet of pods, each an MQTT broker with a rule engine and Kafka clients | Secrets: its users, its certificates |
//! | [`Connector`] | how to reach one Kafka cluster | a Bridge, and Secrets for it |
//! | [`Sink`] | where and how records go to Kafka | a Connector |
//! | [`Source`] | what comes from Kafka | a Connector |
//! | [`Rule`] | which messages, reshaped how, go where | a Bridge, and Sinks in its actions |
//!
//! References point inside one namespace. Every field works: a field enters these types in the change that
//! makes it work. Static defaults and both bounds of every number, text and list are in the schema, so a
//! resource that the API server stored needs no second check of its own shape; what needs several resources
//! or a compiler (references, SQL, templates) is checked when a plan is rendered.
//!
//! This crate owns the shapes and [`schema`], which turns them into `CustomResourceDefinition`s. It holds
//! no client, no runtime and no file access; `crdgen` (a binary beside this library) writes what is [`generated`].

pub mod bridge;
mod chart;
pub mod condition;
pub mod connector;
pub mod duration;
pub mod generated;
pub mod quantity;
pub mod reference;
pub mod reference_page;
pub mod rule;
pub mod sasl;
pub mod schema;
pub mod sink;
pub mod size;
pub mod source;
pub mod tls;
pub mod yaml;

pub use bridge::{Bridge, BridgeSpec, BridgeStatus};
pub use condition::Status;
pub use connector::{Connector, ConnectorSpec};
pub use duration::Duration;
pub use quantity::Quantity;
pub use reference::{LocalReference, ObjectRef};
pub use rule::{Rule, RuleSpec, RuleStatus};
pub use sink::{Sink, SinkSpec, SinkStatus};
pub use size::Size;
pub use source::{Source, SourceSpec, SourceStatus};

/// API group of every kind.
pub const GROUP: &str = "isthmus.dev";
/// API version of every kind.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` as manifests write it.
pub const API_VERSION: &str = "isthmus.dev/v1alpha1";
