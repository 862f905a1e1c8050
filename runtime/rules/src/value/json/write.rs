//! Writing values as JSON.

use std::io::Write;

use super::super::{Value, number};
use super::scan::plain_end;

/// Appends `value` as JSON.
///
/// Map entries that are undefined are left out and undefined list elements become null. Floats are written with the
/// fewest digits that read back to the same number. Bytes that are not UTF-8 are written as text with each broken
/// sequence replaced by U+FFFD (encode them with `base64_encode` or `bin2hexstr` to keep them), bit strings as
/// upper-case hexadecimal digits.
pub fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Undefined | Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => number::write_int(*value, out),
        Value::Float(value) => number::write_float_exact(*value, out),
        Value::Text(text) => write_string(text, out),
        Value::Bytes(bytes) => write_string(&String::from_utf8_lossy(bytes), out),
        Value::Bits(bits) => write_string(&crate::functions::bits::to_hex(bits), out),
        Value::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(item, out);
            }
            out.push(b']');
        }
        Value::Map(map) => write_entries(map.iter().map(|(key, value)| (key.as_str(), value)), out),
    }
}

/// Appends entries as a JSON object; undefined ones are left out.
pub(crate) fn write_entries<'v>(entries: impl Iterator<Item = (&'v str, &'v Value)>, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    for (key, value) in entries.filter(|(_, value)| !value.is_undefined()) {
        if !first {
            out.push(b',');
        }
        first = false;
        write_string(key, out);
        out.push(b':');
        write_value(value, out);
    }
    out.push(b'}');
}

/// Appends a JSON string with its quotes.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    loop {
        let at = plain_end(bytes, done);
        out.extend_from_slice(&bytes[done..at]);
        let Some(&byte) = bytes.get(at) else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x8 => out.extend_from_slice(b"\\b"),
            0xC => out.extend_from_slice(b"\\f"),
            control => {
                let _ = write!(out, "\\u{control:04x}");
            }
        }
        done = at + 1;
    }
    out.push(b'"');
}
