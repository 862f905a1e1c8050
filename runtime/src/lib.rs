//! The data path of Isthmus.
pub mod admin;
pub mod buffer;
pub mod ingress;
pub mod kafka;
pub mod message;
pub mod metrics;
pub mod mqtt;
pub mod receipt;
pub mod record;
pub mod rule;
pub mod sink;
pub mod source;
pub mod status;
