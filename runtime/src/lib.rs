//! The data path of Isthmus.
pub mod buffer;
pub mod ingress;
pub mod kafka;
pub mod message;
pub mod receipt;
pub mod sink;
pub mod status;
pub mod mqtt;
