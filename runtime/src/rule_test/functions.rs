//! The reference of the functions, from the table that the compiler uses.

use std::fmt::Write as _;

use isthmus_rules::diagnostic::nearest;
use isthmus_rules::functions::{self, FAMILIES, Function};

use super::{Report, RuleTestError};

/// Of one function, or of all by family.
pub(super) fn reference(name: Option<&str>) -> Result<Report, RuleTestError> {
    let mut out = String::new();
    match name {
        Some(name) => describe(find(name)?, "", &mut out),
        None => {
            for family in FAMILIES {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "{}", family.title);
                for function in family.functions {
                    describe(function, "  ", &mut out);
                }
                out.push('\n');
            }
        }
    }
    Ok(Report { out, ..Report::default() })
}

fn find(name: &str) -> Result<&'static Function, RuleTestError> {
    functions::find(name).ok_or_else(|| {
        let hint = match nearest(name, functions::all().map(|function| function.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`isthmus rule functions` prints all".to_owned(),
        };
        RuleTestError::UnknownFunction { name: name.to_owned(), hint }
    })
}

fn describe(function: &Function, indent: &str, out: &mut String) {
    let Function { name, signature, description, example: (call, result), .. } = function;
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{indent}{name}({signature})\n{indent}    {description}\n{indent}    {call} gives {result}");
}
