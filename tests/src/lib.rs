//! The harness of the whole-system tests: everything a test needs to treat Isthmus as a black box.
//!
//! A test starts the built binary ([`isthmus::Isthmus`]) on real Apache Kafka ([`kafka::Kafka`]),
//! feeds it with clients that share no code with it ([`mosquitto`], [`python`], [`kafka::client`])
//! or, where a well-behaved client would refuse, with bytes on a socket ([`mqtt`]), and then looks
//! at what came out on the other side.
//!
//! What the rest is for:
//!
//! * [`environment`] finds the parts that are fetched or built once (jars, Python packages, a control plane);
//! * [`operator`] is the operator as a process, [`kubernetes`] a real API server with its controllers, and a node that runs pods as processes;
//! * [`process`] starts programs, keeps what they print, and ends them; [`guard`] ends those that a
//!   crashed or interrupted test run would leave behind;
//! * [`condition`] waits for something to become true, with a deadline;
//! * [`manifest`] renders the resources of a test, [`port`] finds ports for them;
//! * [`certificates`] are made by the tests, [`secrets`] mounts them as a pod would;
//! * [`helm`] renders the charts;
//! * [`load`] is many devices at once, with a record of what was acknowledged.
//!
//! The tests themselves are two binaries, a module per subject: `tests/system` treats `isthmus` as
//! one program, `tests/cluster` is about Kubernetes. This crate does not depend on the crates it tests.

pub mod certificates;
pub mod condition;
pub mod environment;
pub mod guard;
pub mod helm;
pub mod isthmus;
pub mod kafka;
pub mod kubernetes;
pub mod load;
pub mod manifest;
pub mod mosquitto;
pub mod mqtt;
pub mod operator;
pub mod otlp;
pub mod port;
pub mod process;
pub mod python;
pub mod secrets;

/// What every fallible step of the harness returns; a test ends with its text.
pub type Result<T> = anyhow::Result<T>;
