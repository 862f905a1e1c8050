//! The rule engine: SQL and templates compiled and evaluated, topic filters matched. No IO.
//!
//! # A tour
//!
//! A rule's way through the crate, in order:
//!
//! 1. [`sql`]: text to tree. The lexer and a recursive descent parser; every node knows its place in the text.
//! 2. `compile`: tree to plan. Names become columns of the events in FROM ([`event::columns`]), calls become
//!    [`functions`], constants are computed, and whatever can never work is a [`Diagnostic`] (row X4).
//! 3. `eval`: the plan over one [`Event`]. Columns are asked for when they are read ([`Columns`]); the payload is
//!    decoded at most once per message, shared by all rules, and only the fields that are read become [`Value`]s.
//! 4. [`Rows`]: what came out. Most rules give no output or one; of `SELECT *` it is the event itself ([`output`]).
//! 5. [`template`]: outputs to keys, values, topics and headers of what is sent on.
//!
//! Beside that way stand [`topic`] and [`trie`] (topic filters, for rules, subscriptions and access rules alike) and
//! [`limits`] (what one rule may use at most). What a rule may ask of the world (clock, chance, stores) comes through
//! an [`Environment`], so that every result can be reproduced.
//!
//! ```
//! use isthmus_rules::{Environment, Event, FixedHost, Limits, MapColumns, Rule};
//!
//! let compiled = Rule::compile(r#"SELECT payload.speed AS speed FROM "vehicles/+" WHERE payload.speed > 120"#).unwrap();
//! assert!(compiled.warnings.is_empty());
//!
//! let sample = serde_json::json!({"topic": "vehicles/7", "payload": "{\"speed\": 130}"});
//! let columns = MapColumns::from_json(&sample).unwrap();
//! let (host, limits) = (FixedHost::default(), Limits::default());
//! let (event, name) = (Event::new(&columns), "fast".into());
//! let rows = compiled.rule.evaluate(&event, &mut Environment::new(&host, &limits, &name)).unwrap();
//!
//! let mut json = Vec::new();
//! rows.iter().for_each(|output| output.write_json(&mut json).unwrap());
//! assert_eq!(json, br#"{"speed":130}"#);
//! ```

pub mod case;
mod compile;
pub mod diagnostic;
pub mod environment;
mod eval;
pub mod event;
pub mod functions;
pub mod limits;
pub mod output;
mod plan;
pub mod reference;
mod row;
mod rule;
pub mod sql;
pub mod template;
pub mod topic;
pub mod trie;
pub mod value;

pub use diagnostic::{Diagnostic, Severity};
pub use environment::{Environment, FixedHost, Host, RuleId, Store};
pub use eval::{EvalError, Part};
pub use event::{Column, Columns, Event, EventKind, MapColumns};
pub use limits::Limits;
pub use output::{Output, Rows};
pub use row::Row;
pub use rule::{Compiled, From, FromEntry, Rule};
pub use template::{MissingPolicy, RenderError, Rendered, Template, TemplateKind};
pub use value::{Map, Text, Value};
