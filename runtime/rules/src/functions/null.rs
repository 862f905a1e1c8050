//! Missing values: making one, and choosing the first that is not.

use super::{Args, Computed, Function, function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("null" ("") 0..=0, Pure, "Undefined: what a missing column is.",
        "is_null(null())" => "true", |_, _| Ok(Value::Undefined)),
    function!("coalesce" ("list | first, second") 1..=2, Pure,
        "The first value that is neither undefined nor JSON null; undefined when there is none.",
        "coalesce(no_such_column, 2)" => "2", |_, args| first(args, |_| true)),
    function!("coalesce_ne" ("list | first, second") 1..=2, Pure,
        "The first value that is neither undefined, nor JSON null, nor the empty text; undefined when there is none.",
        "coalesce_ne(['', 2])" => "2", |_, args| first(args, |value| value.as_text() != Some(""))),
];

fn first(args: &[Value], accept: impl Fn(&Value) -> bool) -> Computed {
    let candidates = if args.len() == 1 { Args(args).list(0)? } else { args };
    let present = |value: &&Value| !matches!(value, Value::Undefined | Value::Null);
    Ok(candidates.iter().filter(present).find(|value| accept(value)).cloned().unwrap_or_default())
}
