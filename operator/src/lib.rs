//! The operator: Bridges, Connectors, Sinks, Sources and Rules in, running pods and honest conditions out.
//!
//! ```text
//! API server ─watch─▶ index ─which Bridge?─▶ queue ─▶ visit ─┬▶ children (server-side apply)
//!                       ▲                                     ├▶ pods: told of a new revision, asked what they do
//!                       └────────── what was written ─────────┴▶ statuses and events
//! ```
//!
//! Start with [`visit`]: one function that brings everything around one Bridge in order, step by step. All five kinds
//! get their status there, because what is to be said of a Rule depends on the pods of its Bridge.
//!
//! | module | owns | IO |
//! |---|---|---|
//! | [`index`] | what the API server holds, by Bridge | none |
//! | [`build`] | the objects that a Bridge needs | none |
//! | [`status`], [`condition`] | what is to be said, and how it becomes conditions | none |
//! | [`kept`] | compiled Rules between visits | none |
//! | [`in_force`] | what pods run, which goes on where the newest version of a resource is wrong | none |
//! | [`figures`], [`history`], [`queue`] | when: refreshes, deadlines, visits | a clock |
//! | [`watch`], [`apply`], [`observe`], [`visit`] | talking to the API server and to pods | yes |
//! | [`crd`] | whether our definitions are there and new enough | yes |
//! | [`lease`] | which of several operators writes | yes |
//! | [`run`], [`args`], [`signals`], [`admin`], [`metrics`], [`telemetry`], [`client`] | wiring | yes |

pub mod admin;
pub mod apply;
pub mod args;
pub mod build;
pub mod client;
pub mod condition;
pub mod context;
pub mod crd;
pub mod figures;
#[cfg(test)]
mod fixtures;
pub mod history;
pub mod in_force;
pub mod index;
pub mod kept;
pub mod lease;
pub mod metrics;
pub mod names;
pub mod observe;
pub mod queue;
pub mod run;
pub mod signals;
pub mod status;
pub mod telemetry;
pub mod visit;
pub mod watch;
