//! The data path of Isthmus.
pub mod admin;
pub mod ingress;
pub mod kafka;
pub mod message;
pub mod metrics;
pub mod receipt;
pub mod source;
pub mod status;
