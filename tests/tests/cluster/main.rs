//! Isthmus on Kubernetes: a real API server with its controllers, `kubectl` as users drive it, and
//! real pods as far as processes can be pods.
//!
//! One control plane serves all tests, each in a namespace of its own; those that hurt it start
//! another one.

mod definitions;
mod examples;
mod node;
mod schema;
mod shared;
