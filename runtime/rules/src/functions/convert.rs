//! Conversion between types.

use std::fmt::Write;

use super::args::failed;
use super::{Args, Computed, Function, FunctionError, bits, function};
use crate::eval::operator::{finite, to_text};
use crate::value::{Value, number};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("str" ("value") 1..=1, Pure, "Text of any value: numbers in decimal with at most ten decimals, lists and maps as JSON; bytes that are not UTF-8 stay as they are.",
        "str(1.50)" => "\"1.5\"", |_, args| text(Args(args))),
    function!("str_utf8" ("value") 1..=1, Pure, "The same as `str`: texts are always UTF-8 here.",
        "str_utf8('é')" => "\"é\"", |_, args| text(Args(args))),
    function!("str_utf16_le" ("value") 1..=1, Pure, "The text of a value as UTF-16 bytes, little endian, without a mark.",
        "bin2hexstr(str_utf16_le('hi'))" => "\"68006900\"", |_, args| Ok(utf16(Args(args)))),
    function!("int" ("value") 1..=1, Pure, "Whole number: floats are rounded down, text is read as a number, `true` is 1 and `false` 0. Error for anything else.",
        "int('7.9')" => "7", |_, args| int(Args(args))),
    function!("float" ("value [, decimals]") 1..=2, Pure, "Float of a number or of the text of one, rounded to `decimals` (0 to 253) when given.",
        "float('3.14159', 2)" => "3.14", |_, args| float(Args(args))),
    function!("float2str" ("number, decimals") 2..=2, Pure, "Text of a number with at most `decimals` (0 to 253) decimals, trailing zeros left out.",
        "float2str(20.20, 10)" => "\"20.2\"", |_, args| float2str(Args(args))),
    function!("bool" ("value") 1..=1, Pure, "Boolean of `true`, `false`, their texts, 1 and 0. Error for anything else.",
        "bool('true')" => "true", |_, args| bool(Args(args))),
    function!("map" ("value") 1..=1, Pure, "A map from the JSON text of one; a map stays as it is. Error for anything else.",
        "map('{\"a\": 1}')" => "{\"a\":1}", |_, args| Ok(Value::Map(Args(args).map(0)?))),
    function!("bin2hexstr" ("bytes [, prefix]") 1..=2, Pure, "Upper-case hexadecimal digits of bytes, after `prefix` when given. A bit string is read as a number.",
        "bin2hexstr('abc', '0x')" => "\"0x616263\"", |_, args| bin2hexstr(Args(args), prefix(Args(args))?)),
    function!("sqlserver_bin2hexstr" ("bytes") 1..=1, Pure, "Upper-case hexadecimal digits of bytes after `0x`.",
        "sqlserver_bin2hexstr('abc')" => "\"0x616263\"", |_, args| bin2hexstr(Args(args), "0x")),
    function!("hexstr2bin" ("digits [, prefix]") 1..=2, Pure, "Bytes of hexadecimal digits, of either case; an odd first digit is a byte of its own. `prefix` must be there when given.",
        "hexstr2bin('616263')" => "\"abc\"", |_, args| hexstr2bin(Args(args))),
];

fn text(args: Args<'_>) -> Computed {
    match args.any(0) {
        bytes @ Value::Bytes(_) => Ok(bytes.clone()),
        value @ (Value::List(_) | Value::Map(_)) => {
            value.try_to_json().map(Value::from).or_else(|error| failed(error.to_string()))
        }
        other => Ok(Value::Text(to_text(other))),
    }
}

fn utf16(args: Args<'_>) -> Value {
    let bytes: Vec<u8> = to_text(args.any(0)).encode_utf16().flat_map(u16::to_le_bytes).collect();
    Value::binary(bytes)
}

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

fn to_float(args: Args<'_>) -> Result<f64, FunctionError> {
    match args.number(0)? {
        Value::Int(value) => Ok(value as f64),
        Value::Float(value) => Ok(value),
        _ => args.wrong(0, "a number"),
    }
}

fn float(args: Args<'_>) -> Computed {
    let value = to_float(args)?;
    if args.given(1).is_none() {
        return finite(value).or_else(failed);
    }
    let rounded = number::float_text(value, decimals(args)?);
    rounded.parse().map_or_else(|_| failed("the number cannot be rounded"), |rounded| Ok(Value::Float(rounded)))
}

fn float2str(args: Args<'_>) -> Computed {
    Ok(Value::from(number::float_text(args.float(0)?, decimals(args)?)))
}

fn decimals(args: Args<'_>) -> Result<usize, FunctionError> {
    match args.count(1)? {
        decimals @ 0..=253 => Ok(decimals),
        _ => args.wrong(1, "an integer from 0 to 253"),
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

fn prefix(args: Args<'_>) -> Result<&str, FunctionError> {
    if args.given(1).is_none() { Ok("") } else { Ok(args.text(1)?) }
}

fn bin2hexstr(args: Args<'_>, prefix: &str) -> Computed {
    let mut out = prefix.to_owned();
    if let Value::Bits(bits) = args.any(0) {
        out.push_str(&bits::to_hex(bits));
        return Ok(Value::from(out));
    }
    for byte in args.bytes(0)? {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02X}");
    }
    Ok(Value::from(out))
}

fn hexstr2bin(args: Args<'_>) -> Computed {
    let text = args.text(0)?;
    let prefix = prefix(args)?;
    let Some(digits) = text.strip_prefix(prefix) else {
        return failed(format!("the text does not start with '{prefix}'"));
    };
    let mut nibbles = Vec::with_capacity(digits.len() + 1);
    if digits.len() % 2 == 1 {
        nibbles.push(0);
    }
    for digit in digits.chars() {
        match digit.to_digit(16) {
            Some(nibble) => nibbles.push(nibble as u8),
            None => return args.wrong(0, "hexadecimal digits"),
        }
    }
    let bytes: Vec<u8> = nibbles.chunks(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).collect();
    Ok(Value::binary(bytes))
}
