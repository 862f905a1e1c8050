//! Text.

use super::{Args, Function, function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("lower" ("text") 1..=1, Pure, "The text in lower case.",
        "lower('ABC')" => "\"abc\"", |_, args| Ok(Value::from(Args(args).text(0)?.to_lowercase()))),
    function!("upper" ("text") 1..=1, Pure, "The text in upper case.",
        "upper('abc')" => "\"ABC\"", |_, args| Ok(Value::from(Args(args).text(0)?.to_uppercase()))),
];
