//! One SQL text over one sample event: output, no match and why, or errors drawn at their place.

use std::ops::Range;

use isthmus_rules::{
    Column, Columns as _, Diagnostic, Environment, EvalError, Event, EventKind, Host, Limits, MapColumns, Rule, Text,
    Value, case, sql,
};

use super::{NO_MATCH, Report};
use crate::manifest::problem::draw;
use crate::manifest::{File, Problem, Severity};

/// Positions in the list of files that problems point into.
const SQL: usize = 0;
const EVENT: usize = 1;

/// Runs the rule as a pod would, on the clock and the variables of `host`.
pub(super) fn run(sql: File, event: File, host: &dyn Host, styled: bool) -> Report {
    let files = [sql, event];
    let mut problems = Vec::new();
    let result = try_rule(&files, host, &mut problems);
    let drawn: Vec<String> = problems.iter().map(|problem| draw(problem, &files, styled)).collect();
    let err = drawn.join("\n\n");
    match result {
        Some(Tried::Output(value)) => Report { out: value.to_json(), err, status: 0 },
        Some(Tried::NoMatch) => Report { out: "no match".to_owned(), err, status: NO_MATCH },
        None => Report { out: String::new(), err, status: 1 },
    }
}

/// What came of a rule that compiled and did not raise.
enum Tried {
    /// A row, or the list of rows of a FOREACH.
    Output(Value),
    /// FROM or WHERE leaves the event out.
    NoMatch,
}

/// `None` when one of the problems is an error.
fn try_rule(files: &[File; 2], host: &dyn Host, problems: &mut Vec<Problem>) -> Option<Tried> {
    let columns = match sample(&files[EVENT].text) {
        Ok(columns) => Some(columns),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    let rule = match Rule::compile(&files[SQL].text) {
        Ok(compiled) => {
            problems.extend(compiled.warnings.into_iter().map(of_compiler));
            Some(compiled.rule)
        }
        Err(findings) => {
            problems.extend(findings.into_iter().map(of_compiler));
            None
        }
    };
    let (rule, given) = (rule?, columns?);
    let columns = given.clone().with_samples();
    if let Err(why) = case::covers(&rule, &columns) {
        let mut problem = note(rule.from().first().map(|entry| entry.span.clone()), why);
        if columns.kind() == EventKind::MessagePublish && given.columns().get(Column::Topic.name()).is_none() {
            problem = problem.with_help("the event names no `topic`: this is the sample value");
        }
        problems.push(problem);
        return Some(Tried::NoMatch);
    }
    let limits = Limits::default();
    let (event, name) = (Event::new(&columns), "sample".into());
    match rule.evaluate(&event, &mut Environment::new(host, &limits, &name)) {
        Ok(rows) => {
            let output = rows.to_value().map(Tried::Output);
            if output.is_none() {
                problems.extend(where_is_false(&rule));
            }
            Some(output.unwrap_or(Tried::NoMatch))
        }
        Err(error) => {
            problems.push(raised(error));
            None
        }
    }
}

/// The event of a file.
fn sample(text: &str) -> Result<MapColumns, Problem> {
    const SHAPE: &str =
        r#"write the event's columns as a JSON object, such as {"topic": "t/1", "payload": "{\"x\": 1}"}"#;
    let value = Value::from_json(&Text::from(text)).map_err(|error| {
        let mut at = error.at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let end = text[at..].chars().next().map_or(at, |next| at + next.len_utf8());
        Problem::error(EVENT, at..end, format!("the event is not JSON: {}", error.problem)).with_help(SHAPE)
    })?;
    let Value::Map(columns) = value else {
        return Err(about_event(format!("an event is a JSON object, not {}", value.type_name()), SHAPE));
    };
    MapColumns::new(columns.as_ref().clone())
        .map_err(|name| about_event(format!("there is no event `{name}`"), case::event_help(&name)))
}

fn about_event(message: String, help: impl Into<String>) -> Problem {
    Problem { span: None, ..Problem::error(EVENT, 0..0, message).with_help(help) }
}

fn of_compiler(finding: Diagnostic) -> Problem {
    let severity = match finding.severity {
        isthmus_rules::Severity::Warning => Severity::Warning,
        isthmus_rules::Severity::Error => Severity::Error,
    };
    Problem { severity, help: finding.help, ..Problem::error(SQL, finding.span, finding.message) }
}

fn raised(error: EvalError) -> Problem {
    let message = error.to_string();
    // An exception that no expression caused (the payload as a whole is not JSON) has no place in the SQL.
    let span = Some(error.span).filter(|span| !span.is_empty());
    Problem { span, ..Problem::error(SQL, 0..0, message) }
}

fn where_is_false(rule: &Rule) -> Option<Problem> {
    let condition = sql::parse(rule.sql()).ok()?.condition?;
    Some(note(Some(condition.span), "WHERE is not true for this event".to_owned()))
}

fn note(span: Option<Range<usize>>, message: String) -> Problem {
    Problem { severity: Severity::Note, span, ..Problem::error(SQL, 0..0, message) }
}
