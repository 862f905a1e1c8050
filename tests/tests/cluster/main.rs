//! Isthmus on Kubernetes: a real API server with its controllers, `kubectl` as users drive it, and
//! real pods as far as processes can be pods.
//!
//! Two control planes serve most tests, each in a namespace of its own: one with an operator and a
//! node, one where nobody acts but the test. A test that hurts them starts its own.

mod bad_input;
mod children;
mod definitions;
mod deletion;
mod examples;
mod faults;
mod fleet;
mod last_good;
mod many;
mod node;
mod outage;
mod quick_start;
mod quiet;
mod references;
mod rights;
mod rollout;
mod rules;
mod scale;
mod schema;
mod secrets;
mod shared;
mod traces;
mod upgrade;
