//! A compiled rule: what the runtime holds and runs.

use std::ops::Range;
use std::sync::Arc;

use crate::compile;
use crate::compile::shape::Shape;
use crate::diagnostic::{Diagnostic, Severity};
use crate::environment::Environment;
use crate::eval::EvalError;
use crate::event::{Event, EventKind};
use crate::output::Rows;
use crate::plan::Plan;
use crate::topic;

/// Where a rule takes its events from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// MQTT messages whose topic matches this filter.
    Filter(String),
    /// Records of the Source of this name (`$bridges/kafka_consumer:NAME`, `$sources/kafka_consumer:NAME`).
    Source(String),
    /// A broker event. A wildcard such as `$events/client/+` is several of these.
    Event(EventKind),
}

/// An entry of FROM and where it stands in the SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromEntry {
    /// Where events come from.
    pub from: From,
    /// Byte range of the topic in the SQL, with its quotes.
    pub span: Range<usize>,
}

/// A rule that was accepted, and what there is to say about it.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The rule.
    pub rule: Rule,
    /// Findings that do not keep it from running.
    pub warnings: Vec<Diagnostic>,
}

/// A rule ready to run. Cloning is cheap; it may be shared by threads.
#[derive(Debug, Clone)]
pub struct Rule(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sql: String,
    from: Vec<FromEntry>,
    plan: Plan,
    shape: Shape,
}

impl Rule {
    /// Compiles the SQL of a rule. On failure every problem that was found, errors first.
    pub fn compile(sql: &str) -> Result<Compiled, Vec<Diagnostic>> {
        let query = crate::sql::parse(sql).map_err(|error| vec![error])?;
        let (checked, mut findings) = compile::check(&query, sql);
        findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.span.start));
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(findings);
        }
        let inner = Inner { sql: sql.to_owned(), from: checked.from, plan: checked.plan, shape: checked.shape };
        Ok(Compiled { rule: Self(Arc::new(inner)), warnings: findings })
    }

    /// The SQL the rule was compiled from; spans of errors point into it.
    pub fn sql(&self) -> &str {
        &self.0.sql
    }

    /// Where the rule takes its events from.
    pub fn from(&self) -> &[FromEntry] {
        &self.0.from
    }

    /// Whether FROM covers an event: a message by its MQTT topic, a broker event by its kind. Records of Sources are
    /// routed by the Source's name, see [`Rule::from`]. The runtime finds rules by trie instead of asking each.
    pub fn selects(&self, kind: EventKind, topic: &str) -> bool {
        self.0.from.iter().any(|entry| match &entry.from {
            From::Filter(filter) => kind == EventKind::MessagePublish && topic::matches(filter, topic),
            From::Event(event) => kind == *event,
            From::Source(_) => false,
        })
    }

    /// Whether the rule's output can have something at `path` (dotted, as in a template without `${` and `}`).
    ///
    /// `false` means that it never will (row X4); `true` that it may, since what a payload holds is not known before.
    pub fn can_produce(&self, path: &str) -> bool {
        self.0.shape.can_produce(path)
    }

    /// The names of the output's fields that are known from the SQL, for messages such as "did you mean".
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.shape.roots()
    }

    /// Runs the rule over an event that FROM covers.
    ///
    /// An error is this rule's alone (metric `failed.exception`); empty rows are `failed.no_result`.
    pub fn evaluate<'e>(&self, event: &'e Event<'e>, env: &mut Environment<'e>) -> Result<Rows<'e>, EvalError> {
        self.0.plan.run(event, env)
    }
}
