//! Conversion between types.

use super::args::failed;
use super::{Args, Computed, Function, function};
use crate::eval::operator::{finite, to_text};
use crate::value::{Value, number};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("str" ("value") 1..=1, Pure, "Text of any value: numbers in decimal with at most ten decimals, lists and maps as JSON.",
        "str(1.50)" => "\"1.5\"", |_, args| Ok(Value::Text(to_text(Args(args).any(0))))),
    function!("int" ("value") 1..=1, Pure, "Whole number: floats are rounded down, text is read as a number, `true` is 1 and `false` 0. Error for anything else.",
        "int('7.9')" => "7", |_, args| int(Args(args))),
    function!("float" ("value [, decimals]") 1..=2, Pure, "Float of a number or of the text of one, rounded to `decimals` (0 to 253) when given.",
        "float('3.14159', 2)" => "3.14", |_, args| float(Args(args))),
    function!("bool" ("value") 1..=1, Pure, "Boolean of `true`, `false`, their texts, 1 and 0. Error for anything else.",
        "bool('true')" => "true", |_, args| bool(Args(args))),
    function!("json_decode" ("text") 1..=1, Pure, "The value that a JSON text describes. Error when it is not JSON.",
        "json_decode('{\"a\": [1]}')" => "{\"a\":[1]}", |_, args| json_decode(Args(args))),
    function!("json_encode" ("value") 1..=1, Pure, "JSON text of a value.",
        "json_encode([1, 'a'])" => "\"[1,\\\"a\\\"]\"", |_, args| Ok(Value::from(Args(args).any(0).to_json()))),
];

fn int(args: Args<'_>) -> Computed {
    match args.any(0) {
        Value::Bool(value) => Ok(Value::Int(i128::from(*value))),
        _ => match args.number(0)? {
            Value::Float(value) if value.abs() < 1e38 => Ok(Value::Int(value.floor() as i128)),
            Value::Float(_) => failed("the number does not fit 128 bits"),
            int => Ok(int),
        },
    }
}

fn float(args: Args<'_>) -> Computed {
    let value = match args.number(0)? {
        Value::Int(value) => value as f64,
        Value::Float(value) => value,
        _ => return args.wrong(0, "a number"),
    };
    if args.given(1).is_none() {
        return finite(value).or_else(failed);
    }
    let decimals = decimals(args, 1)?;
    let mut text = String::new();
    number::write_float_decimals(value, decimals, &mut text);
    match text.parse() {
        Ok(rounded) => Ok(Value::Float(rounded)),
        Err(_) => failed("the number cannot be rounded"),
    }
}

pub(super) fn decimals(args: Args<'_>, at: usize) -> Result<usize, super::FunctionError> {
    match args.count(at)? {
        decimals @ 0..=253 => Ok(decimals),
        _ => args.wrong(at, "an integer from 0 to 253"),
    }
}

fn bool(args: Args<'_>) -> Computed {
    match args.any(0) {
        Value::Bool(value) => Ok(Value::Bool(*value)),
        Value::Int(value @ (0 | 1)) => Ok(Value::Bool(*value == 1)),
        Value::Float(value) if *value == 0.0 => Ok(Value::Bool(false)),
        Value::Float(value) if (*value - 1.0).abs() < f64::EPSILON => Ok(Value::Bool(true)),
        Value::Text(text) if matches!(&**text, "true" | "false") => Ok(Value::Bool(&**text == "true")),
        _ => args.wrong(0, "a boolean, 'true', 'false', 0 or 1"),
    }
}

fn json_decode(args: Args<'_>) -> Computed {
    Value::from_json(args.text(0)?).or_else(|error| failed(format!("not JSON: {error}")))
}
