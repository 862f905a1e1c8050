//! Reference pages made from the tables that the compiler uses: functions, operators, limits, and events with their
//! columns.
//!
//! The committed pages are under `runtime/rules/docs`; a test fails when they differ from these.

use std::fmt::Write;

use crate::event::EventKind;
use crate::functions::{FAMILIES, Function};
use crate::limits::{FIXED, PER_RUN};
use crate::sql::ast::{Binary, IN_PRECEDENCE, Unary};

/// One function, as Markdown: its form, what it does, an example.
pub fn function(function: &Function) -> String {
    let Function { name, signature, description, example: (example, result), .. } = function;
    format!("### `{name}({signature})`\n\n{description}\n\n`{example}` gives `{result}`\n")
}

/// The page of all functions.
pub fn functions() -> String {
    let mut page = String::from(
        "# Functions\n\nEvery function of the rule SQL. Examples are checked by a test; results are written as JSON.\n\
         A function that gets an argument of the wrong type raises: the rule gives nothing for that event.\n",
    );
    for family in FAMILIES {
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {}\n", family.title);
        for entry in family.functions {
            let _ = write!(page, "\n{}", function(entry));
        }
    }
    page
}

/// The page of all events and their columns.
pub fn events() -> String {
    let mut page = String::from(
        "# Events and their columns\n\nWhat a rule can select from, and the columns each event has. The rule itself adds `metadata`,\n\
         a map with `rule_id`. A column that an event does not carry is undefined.\n",
    );
    for kind in EventKind::ALL {
        let from = match kind {
            EventKind::MessagePublish => "a topic filter, such as `\"vehicles/+/telemetry\"`".to_owned(),
            EventKind::KafkaRecord => {
                "`\"$sources/kafka_consumer:NAME\"` or `\"$bridges/kafka_consumer:NAME\"`".to_owned()
            }
            kind => kind.topics().map(|topic| format!("`\"{topic}\"`")).collect::<Vec<_>>().join(" or "),
        };
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {}\n\n{} FROM {from}.\n", kind.event_name(), kind.description());
        page.push_str("\n| column | type | meaning |\n|---|---|---|\n");
        for column in kind.columns() {
            let _ = writeln!(
                page,
                "| `{}` | {} | {} |",
                column.name(),
                column.value_type().name(),
                column.description().replace('|', "\\|")
            );
        }
    }
    page
}

/// An operator as the reference shows it.
#[derive(Debug)]
pub struct Operator {
    /// As written in SQL.
    pub form: String,
    /// How tightly it binds.
    pub precedence: u8,
    /// What it does.
    pub description: &'static str,
    /// An expression with it, and the JSON of its value.
    pub example: (&'static str, &'static str),
}

/// Every operator, those that bind least tightly first.
pub fn all_operators() -> Vec<Operator> {
    let unary = Unary::ALL.iter().map(|op| Operator {
        form: format!("{} a", op.text()),
        precedence: op.precedence(),
        description: op.description(),
        example: op.example(),
    });
    let binary = Binary::ALL.iter().map(|op| Operator {
        form: format!("a {} b", op.text()),
        precedence: op.precedence(),
        description: op.description(),
        example: op.example(),
    });
    let other = |form: &str, precedence, description, example| Operator {
        form: form.to_owned(),
        precedence,
        description,
        example,
    };
    let others = [
        other(
            "a [NOT] IN (b, …)",
            IN_PRECEDENCE,
            "Whether one of them is this very value: `1` is neither `1.0` nor `'1'`.",
            ("2 IN (1, 2)", "true"),
        ),
        other(
            "CASE WHEN condition THEN a … [ELSE b] END",
            u8::MAX,
            "The value of the first branch whose condition holds; undefined when there is none.",
            ("CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END", "\"b\""),
        ),
        other(
            "CASE a WHEN b THEN c … [ELSE d] END",
            u8::MAX,
            "The value of the first branch that is this very value; undefined when there is none.",
            ("CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", "\"two\""),
        ),
        other("[a, b]", u8::MAX, "A list.", ("[1, 'a']", "[1,\"a\"]")),
        other("[1..3]", u8::MAX, "The list of the integers from one to the other.", ("[1..3]", "[1,2,3]")),
        other(
            "a.b, a[1], a[-1]",
            u8::MAX,
            "What is under a key of a map, or at an index of a list: 1 is the first, -1 the last. Undefined when there \
             is nothing. A text is read as JSON.",
            ("map_get('a', '{\"a\": [1, 2]}')", "[1,2]"),
        ),
    ];
    let mut all: Vec<Operator> = unary.chain(binary).chain(others).collect();
    all.sort_by_key(|operator| operator.precedence);
    all
}

/// The page of all operators.
pub fn operators() -> String {
    let mut page = String::from(
        "# Operators\n\nThose that bind least tightly first; between two lines of a table that share a group, the left one is \
         done first. Comparisons and\nIN do not chain. Examples are checked by a test; results are written as JSON.\n",
    );
    let mut group = None;
    for Operator { form, precedence, description, example: (example, result) } in all_operators() {
        if group != Some(precedence) {
            page.push_str("\n| operator | what it gives | example | its value |\n|---|---|---|---|\n");
            group = Some(precedence);
        }
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{form}` | {description} | `{example}` | `{result}` |");
    }
    page
}

/// The page of all limits.
pub fn limits() -> String {
    let mut page = String::from(
        "# Limits\n\nWhat one rule may use at most, so that no rule can hang or exhaust a pod. Passing a limit is an error of one rule run\n\
         (`failed.exception`), or of the rule when it is known before; other rules and the message are not affected.\n\n\
         ## Of one run\n\n| limit | default | what it limits |\n|---|---|---|\n",
    );
    for (name, default, description) in PER_RUN {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| `{name}` | {default} | {} |", description.trim());
    }
    page.push_str("\n## Of every rule\n\n| limit | value | what it limits |\n|---|---|---|\n");
    for (name, value, description) in FIXED {
        let _ = writeln!(page, "| `{name}` | {value} | {} |", description.trim());
    }
    page
}
