//! The tests inside of a Rule (row X8): each is run on a fixed clock with empty stores, and one that fails is an error
//! at its place in the resource.

use isthmus_api::{
    ObjectRef,
    rule::{Expectation, Test},
};
use isthmus_rules::{
    Columns as _, FixedHost, Limits, Map, MapColumns, Text, Value,
    case::{self, Expect, Match},
    diagnostic::nearest,
};
use serde_json::{Map as JsonMap, Value as Json};

use crate::{Finding, finding::reason};

/// Most characters of an output that a message shows.
const SHOWN: usize = 500;

/// What one test may read and build, in bytes: less than a run in a pod, as a plan is rendered often and a rule may have
/// many tests.
const WORK: usize = 32 << 20;

/// Columns that are bytes on their way here: a test may write the value that their JSON text stands for.
const JSON_TEXTS: [&str; 3] = ["payload", "value", "key"];

/// What the tests found, in their order.
pub(super) fn run(object: &ObjectRef, tests: &[Test], rule: &isthmus_rules::Rule) -> Vec<Finding> {
    let run = |(position, test)| run_one(object, &format!("spec.tests[{position}]"), test, rule);
    tests.iter().enumerate().filter_map(run).collect()
}

/// `None` when the test passes.
fn run_one(object: &ObjectRef, path: &str, test: &Test, rule: &isthmus_rules::Rule) -> Option<Finding> {
    let invalid = |path: String, message: String, help: Option<String>| {
        let message = format!("test `{}`: {message}", test.name);
        Finding { help, ..Finding::error(object, path, reason::INVALID_TEST, message) }
    };
    let columns = match MapColumns::new(columns(&test.event)) {
        Ok(columns) => columns,
        Err(name) => {
            let help = Some(case::event_help(&name));
            return Some(invalid(format!("{path}.event.event"), format!("there is no event `{name}`"), help));
        }
    };
    let known = || columns.kind().columns().iter().map(|column| column.name());
    if let Some(name) = test.event.keys().find(|name| !known().any(|known| known == name.as_str())) {
        let message = format!("{} has no column `{name}`", columns.kind().event_name());
        let help = match nearest(name, known()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its columns are {}", known().collect::<Vec<_>>().join(", ")),
        };
        return Some(invalid(format!("{path}.event.{name}"), message, Some(help)));
    }

    let limits = Limits { run_bytes: WORK, ..Limits::default() };
    let outcome = case::run_sample(rule, &columns.with_samples(), &FixedHost::default(), &limits);
    let expect = expect(&test.expect);
    if expect.accepts(&outcome, Match::Subset, None) {
        return None;
    }
    let (expected, actual) = (shortened(&expect.to_string()), shortened(&outcome.to_string()));
    let message = format!("test `{}` fails: expected {expected}, got {actual}", test.name);
    let place = match expect.differing_field(&outcome) {
        Some(field) => format!("{path}.expect.output.{field}"),
        None => format!("{path}.expect"),
    };
    Some(Finding::error(object, place, reason::TEST_FAILED, message))
}

fn columns(event: &JsonMap<String, Json>) -> Map {
    let column = |(name, value): (&String, &Json)| {
        let value = match value {
            Json::String(_) | Json::Null => Value::from(value),
            _ if JSON_TEXTS.contains(&name.as_str()) => Value::from(value.to_string()),
            _ => Value::from(value),
        };
        (Text::from(name.as_str()), value)
    };
    event.iter().map(column).collect()
}

fn expect(expectation: &Expectation) -> Expect {
    let rows = |rows: &Vec<JsonMap<String, Json>>| rows.iter().cloned().map(Json::Object).collect();
    Expect {
        output: match (&expectation.output, &expectation.outputs) {
            (Some(row), _) => Some(Json::Object(row.clone())),
            (None, outputs) => outputs.as_ref().map(rows).map(Json::Array),
        },
        no_match: expectation.no_match == Some(true),
        error: expectation.error == Some(true),
        ..Expect::default()
    }
}

/// The beginning of a text that may be as long as an output.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
