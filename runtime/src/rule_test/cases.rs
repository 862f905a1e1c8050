//! A table of cases: reading its lines, running each, counting.
//!
//! Each case has a world of its own (a clock that stands still, empty stores), so that a table gives the same result
//! everywhere, in any order.

use std::fmt::Write as _;

use isthmus_rules::case::{Case, Failure};
use isthmus_rules::{FixedHost, Limits};
use serde_json::Value as Json;

use super::template_case::TemplateCase;
use super::{Report, RuleTestError};
use crate::manifest::File;

/// A case to start from.
pub(super) const EXAMPLE: &str = r#"{"id": "fast", "sql": "SELECT payload.speed AS speed FROM \"v/+\"", "context": {"topic": "v/7", "payload": "{\"speed\": 130}"}, "expect": {"output": {"speed": 130}}}"#;

/// Runs every line. A line that is no case counts as failed.
pub(super) fn run(file: &File) -> Result<Report, RuleTestError> {
    let (mut passed, mut failed) = (0_usize, 0_usize);
    let mut out = String::new();
    for (position, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Some(failure) = run_line(line, &format!("{}:{}", file.name, position + 1)) else {
            passed += 1;
            continue;
        };
        failed += 1;
        out.push_str(&failure);
    }
    if passed + failed == 0 {
        return Err(RuleTestError::NoCases { file: file.name.clone() });
    }
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{passed} passed, {failed} failed");
    Ok(Report { out, err: String::new(), status: u8::from(failed > 0) })
}

/// What to print about a line that failed.
fn run_line(line: &str, place: &str) -> Option<String> {
    match AnyCase::read(line) {
        Ok(case) => {
            let failure = case.run().err()?;
            Some(format!("{}\n  expected: {}\n  actual:   {}\n", case.id(), failure.expected, failure.actual))
        }
        Err(error) => Some(format!("{place}: not a case: {}\n", without_line(&error))),
    }
}

/// The error counts lines within the one line it was given.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => format!("{message} at column {}", error.column()),
        None => text,
    }
}

enum AnyCase {
    Rule(Box<Case>),
    Template(TemplateCase),
}

impl AnyCase {
    fn read(line: &str) -> Result<Self, serde_json::Error> {
        let json: Json = serde_json::from_str(line)?;
        if json.get("template").is_some() {
            return serde_json::from_value(json).map(Self::Template);
        }
        let case: Case = serde_json::from_value(json)?;
        let expect = &case.expect;
        let asked = [
            expect.no_match,
            expect.error,
            expect.output.is_some()
                || !expect.present.is_empty()
                || expect.key_count.is_some()
                || expect.output_any_value.is_some(),
        ];
        if asked.into_iter().filter(|asked| *asked).count() != 1 {
            let message = "`expect` must have one of `output`, `no_match` and `error`";
            return Err(serde::de::Error::custom(message));
        }
        Ok(Self::Rule(Box::new(case)))
    }

    fn id(&self) -> &str {
        match self {
            Self::Rule(case) => &case.id,
            Self::Template(case) => &case.id,
        }
    }

    fn run(&self) -> Result<(), Box<Failure>> {
        match self {
            Self::Rule(case) => case.run(&FixedHost::default(), &Limits::default()),
            Self::Template(case) => case.run(),
        }
    }
}
