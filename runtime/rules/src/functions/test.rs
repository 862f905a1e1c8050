//! Type tests: what is this value?

use super::{Args, Computed, Function, function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("is_null" ("value") 1..=1, Pure, "True when the value is undefined. JSON null is not: see `is_null_var`.",
        "is_null(no_such_column)" => "true", |_, args| test(args, Value::is_undefined)),
    function!("is_not_null" ("value") 1..=1, Pure, "False when the value is undefined, true otherwise, also for JSON null.",
        "is_not_null(1)" => "true", |_, args| test(args, |value| !value.is_undefined())),
    function!("is_null_var" ("value") 1..=1, Pure, "True when the value is undefined or JSON null.",
        "is_null_var(json_decode('null'))" => "true", |_, args| test(args, is_null_var)),
    function!("is_not_null_var" ("value") 1..=1, Pure, "False when the value is undefined or JSON null.",
        "is_not_null_var('')" => "true", |_, args| test(args, |value| !is_null_var(value))),
    function!("is_str" ("value") 1..=1, Pure, "True for text and bytes.",
        "is_str('a')" => "true", |_, args| test(args, |value| value.as_bytes().is_some())),
    function!("is_bool" ("value") 1..=1, Pure, "True for `true` and `false`.",
        "is_bool(false)" => "true", |_, args| test(args, |value| value.as_bool().is_some())),
    function!("is_int" ("value") 1..=1, Pure, "True for whole numbers; `2.0` is a float.",
        "is_int(2.0)" => "false", |_, args| test(args, |value| matches!(value, Value::Int(_)))),
    function!("is_float" ("value") 1..=1, Pure, "True for numbers with a fraction, also when it is zero.",
        "is_float(2.0)" => "true", |_, args| test(args, |value| matches!(value, Value::Float(_)))),
    function!("is_num" ("value") 1..=1, Pure, "True for numbers.",
        "is_num('2')" => "false", |_, args| test(args, |value| matches!(value, Value::Int(_) | Value::Float(_)))),
    function!("is_map" ("value") 1..=1, Pure, "True for maps; JSON text is text.",
        "is_map(map_new())" => "true", |_, args| test(args, |value| matches!(value, Value::Map(_)))),
    function!("is_array" ("value") 1..=1, Pure, "True for lists.",
        "is_array([1, 2])" => "true", |_, args| test(args, |value| matches!(value, Value::List(_)))),
    function!("is_empty" ("value") 1..=1, Pure, "True for the empty list, the empty map and the JSON texts of both.",
        "is_empty('{}')" => "true", |_, args| test(args, is_empty)),
];

#[expect(clippy::unnecessary_wraps, reason = "has the shape of a function's body")]
fn test(args: &[Value], holds: impl Fn(&Value) -> bool) -> Computed {
    Ok(Value::Bool(holds(Args(args).any(0))))
}

fn is_null_var(value: &Value) -> bool {
    matches!(value, Value::Undefined | Value::Null)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Text(text) => matches!(Value::from_json(text), Ok(Value::List(_) | Value::Map(_)) if {
            text.bytes().filter(|byte| !byte.is_ascii_whitespace()).count() == 2
        }),
        _ => false,
    }
}
