//! Cases: an SQL text, a sample event and what must come out. The format of `isthmus rule test --cases` and of the
//! crate's own conformance tests, one JSON object a line.
//!
//! Owns reading, running and comparing, for the tests inside of a Rule too; printing the outcome is the caller's.

mod expect;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::diagnostic::{Severity, nearest};
use crate::environment::{Environment, Host};
use crate::event::{Column, Columns, Event, EventKind, MapColumns};
use crate::limits::Limits;
use crate::rule::{From, Rule};
use crate::value::Value;

pub use expect::Expect;

/// One case.
#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// The rule.
    pub sql: String,
    /// The event's columns. An `event` column says which event it is; without one it is a published message.
    pub context: Json,
    /// What must come out.
    pub expect: Expect,
    /// How the output is compared.
    #[serde(default, rename = "match")]
    pub compare: Match,
    /// Largest difference of numbers that counts as equal.
    pub tolerance: Option<f64>,
}

/// How an output is compared with what is expected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// The expected keys are equal; others may be there.
    #[default]
    Subset,
    /// No other keys at the top.
    Exact,
}

/// What a rule did with a sample event.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// FROM does not cover the event, or WHERE is false: which, in words.
    NoMatch(String),
    /// One row of a SELECT, or the list of rows of a FOREACH.
    Output(Value),
    /// The rule does not compile, or raised.
    Error(String),
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoMatch(why) => write!(f, "no match: {why}"),
            Self::Output(value) => f.write_str(&value.to_json()),
            Self::Error(message) => write!(f, "error: {message}"),
        }
    }
}

/// A case that did not go as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What should have come out.
    pub expected: String,
    /// What did.
    pub actual: String,
}

impl Case {
    /// Reads one line of a case file.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// Runs the case and compares.
    pub fn run(&self, host: &dyn Host, limits: &Limits) -> Result<(), Box<Failure>> {
        let outcome = self.outcome(host, limits);
        if self.expect.accepts(&outcome, self.compare, self.tolerance) {
            return Ok(());
        }
        Err(Box::new(Failure { expected: self.expect.to_string(), actual: outcome.to_string() }))
    }

    /// What the rule does with the event, columns that the context does not name filled with sample values.
    pub fn outcome(&self, host: &dyn Host, limits: &Limits) -> Outcome {
        let compiled = match Rule::compile(&self.sql) {
            Ok(compiled) => compiled,
            Err(findings) => {
                let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
                return Outcome::Error(errors.map(|error| error.message.as_str()).collect::<Vec<_>>().join("; "));
            }
        };
        match MapColumns::from_json(&self.context) {
            Ok(columns) => run_sample(&compiled.rule, &columns.with_samples(), host, limits),
            Err(message) => Outcome::Error(message),
        }
    }
}

/// Runs a rule over a sample event if FROM covers it.
pub fn run_sample(rule: &Rule, columns: &MapColumns, host: &dyn Host, limits: &Limits) -> Outcome {
    if let Err(why) = covers(rule, columns) {
        return Outcome::NoMatch(why);
    }
    let (event, name) = (Event::new(columns), "sample".into());
    match rule.evaluate(&event, &mut Environment::new(host, limits, &name)) {
        Ok(rows) => match rows.to_value() {
            Some(output) => Outcome::Output(output),
            None => Outcome::NoMatch("WHERE is not true for this event".to_owned()),
        },
        Err(error) => Outcome::Error(error.to_string()),
    }
}

/// Whether FROM covers a sample event; `Err` says why not. A record belongs to the Source that its `event` column
/// names.
pub fn covers(rule: &Rule, columns: &MapColumns) -> Result<(), String> {
    let topic = columns.get(Column::Topic);
    if rule.selects(columns.kind(), topic.as_text().unwrap_or_default()) {
        return Ok(());
    }
    let event = columns.get(Column::Event);
    let source = event.as_text().and_then(|event| event.split_once(':')).map(|(_, name)| name);
    match columns.kind() {
        EventKind::MessagePublish => Err(format!("FROM does not cover topic {}", topic.to_json())),
        EventKind::KafkaRecord => {
            let source = source.unwrap_or_default();
            let names = |entry: &From| matches!(entry, From::Source(name) if name == source);
            if rule.from().iter().any(|entry| names(&entry.from)) {
                return Ok(());
            }
            Err(format!(
                "FROM does not cover records of Source `{source}`: they are \"$sources/kafka_consumer:{source}\""
            ))
        }
        kind => Err(format!("FROM does not cover {} events: they are \"{}\"", kind.event_name(), kind.topic())),
    }
}

/// What to do about an `event` column that names no event.
pub fn event_help(name: &str) -> String {
    let names = || EventKind::ALL.iter().map(|kind| kind.event_name());
    match nearest(name, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the events are: {}", names().collect::<Vec<_>>().join(", ")),
    }
}
