//! A Sink.
mod core;
mod maintenance;
mod partitioner;
mod topic;
