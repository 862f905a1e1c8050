//! The data path of Isthmus.
pub mod ingress;
pub mod message;
pub mod receipt;
pub mod status;
pub mod mqtt;
