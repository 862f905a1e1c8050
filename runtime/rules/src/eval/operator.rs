//! Operators on values (behaviour document §5.2 rules 10 and 12).

use std::fmt::Write;

use crate::limits::Limits;
use crate::plan::Arithmetic;
use crate::value::path::index_from;
use crate::value::{Text, Value, number};

type Computed = Result<Value, String>;

/// A whole number: `number op number`, or `+` with a string on either side.
pub(crate) fn arithmetic(op: Arithmetic, left: &Value, right: &Value, limits: &Limits) -> Computed {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => integers(op, *a, *b),
        (Value::Int(a), Value::Float(b)) => floats(op, *a as f64, *b),
        (Value::Float(a), Value::Int(b)) => floats(op, *a, *b as f64),
        (Value::Float(a), Value::Float(b)) => floats(op, *a, *b),
        (Value::Text(_) | Value::Bytes(_), _) | (_, Value::Text(_) | Value::Bytes(_)) if op == Arithmetic::Add => {
            concat(left, right, limits)
        }
        _ => Err(format!("`{}` needs numbers, not {} and {}", symbol(op), left.type_name(), right.type_name())),
    }
}

fn symbol(op: Arithmetic) -> &'static str {
    match op {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
        Arithmetic::Div => "div",
        Arithmetic::Mod => "mod",
    }
}

fn integers(op: Arithmetic, a: i128, b: i128) -> Computed {
    if b == 0 && matches!(op, Arithmetic::Divide | Arithmetic::Div | Arithmetic::Mod) {
        return Err("division by zero".into());
    }
    let result = match op {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        Arithmetic::Divide => return finite(a as f64 / b as f64),
        Arithmetic::Div => a.checked_div(b),
        Arithmetic::Mod => a.checked_rem(b),
    };
    result.map(Value::Int).ok_or_else(|| "the result does not fit 128 bits".into())
}

fn floats(op: Arithmetic, a: f64, b: f64) -> Computed {
    match op {
        Arithmetic::Add => finite(a + b),
        Arithmetic::Subtract => finite(a - b),
        Arithmetic::Multiply => finite(a * b),
        Arithmetic::Divide if b == 0.0 => Err("division by zero".into()),
        Arithmetic::Divide => finite(a / b),
        Arithmetic::Div | Arithmetic::Mod => Err(format!("`{}` needs integers", symbol(op))),
    }
}

/// A float, or the error that it is not a number any more.
pub(crate) fn finite(value: f64) -> Computed {
    if value.is_finite() { Ok(Value::Float(value)) } else { Err("the result is not a finite number".into()) }
}

pub(crate) fn negate(value: &Value) -> Computed {
    match value {
        Value::Int(value) => {
            value.checked_neg().map(Value::Int).ok_or_else(|| "the result does not fit 128 bits".into())
        }
        Value::Float(value) => Ok(Value::Float(-value)),
        other => Err(format!("`-` needs a number, not {}", other.type_name())),
    }
}

pub(crate) fn plus(value: Value) -> Computed {
    match value {
        Value::Int(_) | Value::Float(_) => Ok(value),
        other => Err(format!("`+` needs a number, not {}", other.type_name())),
    }
}

/// Joins two values as texts (as bytes when either is not UTF-8).
pub(crate) fn concat(left: &Value, right: &Value, limits: &Limits) -> Computed {
    let mut out = to_binary(left);
    out.extend_from_slice(&to_binary(right));
    if out.len() > limits.output_bytes {
        return Err(format!("the result has more than {} bytes", limits.output_bytes));
    }
    Ok(Value::binary(out))
}

fn to_binary(value: &Value) -> Vec<u8> {
    match value.as_bytes() {
        Some(bytes) => bytes.to_vec(),
        None => to_text(value).as_bytes().to_vec(),
    }
}

/// A value as text, as `str`, concatenation and templates print it: numbers as in §5.2 rule 12, containers as JSON.
pub(crate) fn to_text(value: &Value) -> Text {
    match value {
        Value::Undefined => Text::constant("undefined"),
        Value::Null => Text::constant("null"),
        Value::Bool(true) => Text::constant("true"),
        Value::Bool(false) => Text::constant("false"),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => Text::from(String::from_utf8_lossy(bytes).into_owned()),
        Value::Bits(bits) => Text::from(crate::functions::bits::to_hex(bits)),
        Value::Int(value) => {
            let mut out = String::new();
            // Writing to a String cannot fail.
            let _ = write!(out, "{value}");
            Text::from(out)
        }
        Value::Float(value) => Text::from(number::float_text(*value, number::DECIMALS)),
        Value::List(_) | Value::Map(_) => Text::from(value.to_json()),
    }
}

/// The elements `from..=to` of a list, counted from 1 or, negative, from the end.
pub(crate) fn slice(list: &Value, from: i128, to: i128) -> Computed {
    let Value::List(items) = list else {
        return Err(format!("a range needs a list, not {}", list.type_name()));
    };
    if from == 0 || to == 0 {
        return Err("0 is not an index: the first element is 1, the last -1".into());
    }
    let count = items.len();
    let start =
        if from > 0 { usize::try_from(from - 1).unwrap_or(count) } else { index_from(from, count).unwrap_or(0) };
    let end = if to > 0 {
        usize::try_from(to).unwrap_or(count).min(count)
    } else {
        index_from(to, count).map_or(0, |at| at + 1)
    };
    Ok(Value::list(items.get(start..end).unwrap_or_default().to_vec()))
}

/// The list `from, from + 1, …, to`.
pub(crate) fn range(from: i128, to: i128, limits: &Limits) -> Computed {
    let count = to.checked_sub(from).and_then(|distance| distance.checked_add(1)).unwrap_or(i128::MAX);
    if count < 0 {
        return Err("the range runs backwards".into());
    }
    if count > limits.list_items as i128 {
        return Err(format!("the range has more than {} elements", limits.list_items));
    }
    Ok(Value::list((from..=to).map(Value::Int).collect()))
}
