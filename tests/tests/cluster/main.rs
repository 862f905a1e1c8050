//! Isthmus on Kubernetes: a real API server with its controllers, `kubectl` as users drive it, and
//! real pods as far as processes can be pods.
//!
//! One control plane serves all tests, each in a namespace of its own; those that hurt it start
//! another one.

mod children;
mod definitions;
mod deletion;
mod examples;
mod fleet;
mod node;
mod outage;
mod quick_start;
mod references;
mod rights;
mod rollout;
mod rules;
mod scale;
mod schema;
mod secrets;
mod shared;
