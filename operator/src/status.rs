//! What resources say about themselves, from findings and from what pods report. Pure.
//!
//! * `diagnose`: findings of the plan → `Accepted` and `ResolvedRefs`.
//! * `pods`: what pods report → `Programmed`, `Connected`, figures.
//! * `rollout`: the Deployment and its pods → `Available`.
//! * `memory`: buffers against the memory limit → a warning in `Accepted` of the Bridge.
//! * `summary`: all of them → `Ready`.
//!
//! `visit::judge` brings them together for one visit to a Bridge.

pub mod diagnose;
pub mod memory;
pub mod pods;
pub mod report;
pub mod rollout;
mod summary;

pub use summary::summary;

use crate::condition::{Verdict, reason};

/// Why nothing of a Bridge reaches its pods, whatever is right about single resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// The Bridge does not exist.
    Missing,
    /// The Bridge is not accepted, or one of its references leads nowhere.
    Bridge,
    /// The Bridge is suspended.
    Suspended,
    /// Something could not be made.
    Failed(Verdict),
}

impl Blocked {
    /// What that means for a resource of the Bridge.
    pub fn verdict(&self, bridge: &str) -> Verdict {
        match self {
            Self::Missing => {
                Verdict::no(reason::REFS_NOT_RESOLVED, format!("There is no Bridge `{bridge}` to run it."))
            }
            Self::Bridge => Verdict::no(
                reason::BRIDGE_NOT_ACCEPTED,
                format!("Nothing changes in the pods while the Bridge `{bridge}` has an error: correct it first."),
            ),
            Self::Suspended => Verdict::unknown(
                reason::SUSPENDED,
                format!(
                    "The Bridge `{bridge}` is suspended: its pods are left as they are. Set spec.suspend to false to go on."
                ),
            ),
            Self::Failed(verdict) => verdict.clone(),
        }
    }
}
