//! The data path of Isthmus.
pub mod buffer;
pub mod check;
pub mod ingress;
pub mod kafka;
pub mod manifest;
pub mod message;
pub mod receipt;
pub mod sink;
pub mod status;
pub mod mqtt;
