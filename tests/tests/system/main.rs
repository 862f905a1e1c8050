//! The whole-system tests, in one binary: one broker and one link for all of them.
//!
//! A test is named for the behaviour it proves. It starts what it needs through the harness in
//! `src/`, on topics of its own, and fails with a message when a part is missing.

mod bad_manifests;
mod bad_packets;
mod bad_records;
mod buffer;
mod charts;
mod environment;
mod faults;
mod health;
mod images;
mod last_good;
mod local_mode;
mod pod;
mod publish;
mod reload;
mod reload_bridge;
mod rules;
mod secrets;
mod secure_kafka;
mod source;
mod stop;
mod tls_listener;
