//! The data path of Isthmus.
pub mod message;
pub mod receipt;
