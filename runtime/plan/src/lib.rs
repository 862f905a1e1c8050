//! What a pod runs: the plan document, and how it comes from resources.
//!
//! ```text
//! Resources, plan in force ──render──▶ Rendered { plan, findings, kept } ──diff──▶ what a reload has to touch
//! ```
//!
//! * [`document`]: [`Plan`], the one document a pod loads (`plan.json`); it holds no secrets, only their names, which
//!   [`Plan::secrets`] sums up.
//! * [`revision`]: the hash of a plan's content. Same input, same revision.
//! * [`resources`]: the resources that a plan is rendered from.
//! * [`render()`]: checks what one resource cannot know about itself (references, SQL, templates) and builds the
//!   plan out of everything that passes. Of a resource with an error, what runs of it goes on ([`Kept`]); one that never ran
//!   is left out; the rest runs.
//! * [`rules`]: compiled Rules, kept for the next rendering.
//! * [`finding`]: what is wrong, on which resource, at which field, and what to do.
//! * [`mod@diff`]: which parts of two plans differ, by name.
//!
//! All of it is pure: the operator, the pods, local mode and `isthmus check` call the same functions. Reading files
//! and asking the API server is not done here.

pub mod diff;
pub mod document;
pub mod finding;
mod render;
pub mod resources;
pub mod revision;
pub mod rules;

pub use diff::{Changes, Diff};
pub use document::Plan;
pub use finding::{Finding, Severity};
pub use render::{Kept, Options, Rendered, render, render_kept, render_readable};
pub use resources::{Borrowed, Resources};
pub use rules::RuleCache;
