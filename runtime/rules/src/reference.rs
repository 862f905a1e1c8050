//! Reference pages made from the tables that the compiler uses: functions, and events with their columns.
//!
//! The committed pages are under `runtime/rules/docs`; a test fails when they differ from these.

use std::fmt::Write;

use crate::event::EventKind;
use crate::functions::{FAMILIES, Function};

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
