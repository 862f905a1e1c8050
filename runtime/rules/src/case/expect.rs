//! What a case expects, and when an outcome satisfies it.

use std::fmt;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{Match, Outcome};
use crate::value::{Value, number};

/// What must come out: `output`, or `no_match`, or `error`; the other keys ask more of an output.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The row, or the list of rows of a FOREACH. `{"$undefined": true}` stands for an undefined value.
    pub output: Option<Json>,
    /// The rule must not match.
    #[serde(default)]
    pub no_match: bool,
    /// The rule must not compile, or must raise.
    #[serde(default)]
    pub error: bool,
    /// Keys that must be there and defined.
    #[serde(default)]
    pub present: Vec<String>,
    /// Number of keys of the row.
    pub key_count: Option<usize>,
    /// A value that some key of the row must have.
    pub output_any_value: Option<Json>,
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.no_match {
            return f.write_str("no match");
        }
        if self.error {
            return f.write_str("error");
        }
        let output = self.output.as_ref().map_or_else(String::new, Json::to_string);
        f.write_str(&output)?;
        if !self.present.is_empty() {
            write!(f, " with {}", self.present.join(", "))?;
        }
        if let Some(count) = self.key_count {
            write!(f, " with {count} keys")?;
        }
        if let Some(value) = &self.output_any_value {
            write!(f, " with some key being {value}")?;
        }
        Ok(())
    }
}

impl Expect {
    /// Whether this is what had to come out.
    pub fn accepts(&self, outcome: &Outcome, compare: Match, tolerance: Option<f64>) -> bool {
        match outcome {
            Outcome::NoMatch(_) => self.no_match,
            Outcome::Error(_) => self.error,
            Outcome::Output(_) if self.no_match || self.error => false,
            Outcome::Output(output) => self.accepts_output(output, compare, tolerance),
        }
    }

    /// The first field of the expected row that is another in the output.
    pub fn differing_field(&self, outcome: &Outcome) -> Option<&str> {
        let (Some(Json::Object(expected)), Outcome::Output(Value::Map(actual))) = (&self.output, outcome) else {
            return None;
        };
        let same = |field: &str, value| equal(value, actual.get(field).unwrap_or(&Value::Undefined), None);
        expected.iter().find(|(field, value)| !same(field, value)).map(|(field, _)| field.as_str())
    }

    fn accepts_output(&self, output: &Value, compare: Match, tolerance: Option<f64>) -> bool {
        let map = match output {
            Value::Map(map) => map.as_ref().clone(),
            _ => crate::Map::new(),
        };
        let same = |expected: &Json, actual: &Value| equal(expected, actual, tolerance);
        self.output
            .as_ref()
            .is_none_or(|expected| same(expected, output) && !(compare == Match::Exact && has_more(expected, output)))
            && self.present.iter().all(|key| map.get(key).is_some_and(|value| !value.is_undefined()))
            && self.key_count.is_none_or(|count| map.len() == count)
            && self.output_any_value.as_ref().is_none_or(|value| map.iter().any(|(_, actual)| same(value, actual)))
    }
}

/// Whether the rows have keys at the top that are not expected.
fn has_more(expected: &Json, actual: &Value) -> bool {
    match (expected, actual) {
        (Json::Object(expected), Value::Map(actual)) => {
            actual.iter().any(|(key, value)| !value.is_undefined() && !expected.contains_key(key.as_str()))
        }
        (Json::Array(expected), Value::List(actual)) => {
            expected.iter().zip(actual.iter()).any(|(expected, actual)| has_more(expected, actual))
        }
        _ => false,
    }
}

fn equal(expected: &Json, actual: &Value, tolerance: Option<f64>) -> bool {
    match (expected, actual) {
        (Json::Object(expected), _) if expected.get("$undefined") == Some(&Json::Bool(true)) => {
            matches!(actual, Value::Undefined | Value::Null) || actual.as_text() == Some("undefined")
        }
        (Json::Object(expected), Value::Map(actual)) => expected
            .iter()
            .all(|(key, expected)| equal(expected, actual.get(key).unwrap_or(&Value::Undefined), tolerance)),
        (Json::Array(expected), Value::List(actual)) => {
            expected.len() == actual.len()
                && expected.iter().zip(actual.iter()).all(|(expected, actual)| equal(expected, actual, tolerance))
        }
        (Json::String(expected), Value::Text(actual)) => expected == actual.as_str(),
        (Json::String(expected), Value::Bytes(actual)) => expected.as_bytes() == &actual[..],
        _ => match (to_number(&Value::from(expected)), to_number(actual)) {
            (Some(expected), Some(actual)) => (expected - actual).abs() <= tolerance.unwrap_or(0.0),
            _ => Value::from(expected) == *actual,
        },
    }
}

fn to_number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        Value::Text(text) => to_number(&number::parse(text)?),
        _ => None,
    }
}
