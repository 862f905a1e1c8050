//! Writing values as JSON.

use std::io::Write;

use thiserror::Error;

use super::super::{Text, Value, number};
use super::scan::plain_end;

/// JSON is text: it cannot hold these bytes as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "bytes that are not UTF-8 cannot stand in JSON: take a payload as it is with `${{payload}}`, or encode it in the rule \
     with `base64_encode(payload)`"
)]
pub struct NotUtf8;

/// Appends `value` as JSON.
///
/// Map entries that are undefined are left out and undefined list elements become null. Floats are written with the
/// fewest digits that read back to the same number, bit strings as upper-case hexadecimal digits. Bytes that are not
/// UTF-8 make it fail; what is written then is whole, for people to read, with U+FFFD for each broken sequence.
pub fn write_value(value: &Value, out: &mut Vec<u8>) -> Result<(), NotUtf8> {
    let mut written = Ok(());
    match value {
        Value::Undefined | Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(value) => number::write_int(*value, out),
        Value::Float(value) => number::write_float_exact(*value, out),
        Value::Text(text) => write_utf8(text.as_bytes(), out),
        Value::Bytes(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            if let std::borrow::Cow::Owned(_) = text {
                written = Err(NotUtf8);
            }
            write_string(&text, out);
        }
        Value::Bits(bits) => write_string(&crate::functions::bits::to_hex(bits), out),
        Value::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                written = write_value(item, out).and(written);
            }
            out.push(b']');
        }
        Value::Map(map) => {
            let start = open_members(out);
            for (key, value) in map.iter() {
                written = write_member(key, value, out).and(written);
            }
            close_members(start, out);
        }
    }
    written
}

/// Begins a JSON object of members that are appended next; [`close_members`] is to be told the result.
#[inline]
pub(crate) fn open_members(out: &[u8]) -> usize {
    out.len()
}

/// Appends a member with the comma before it, unless it is undefined.
pub(crate) fn write_member(key: &Text, value: &Value, out: &mut Vec<u8>) -> Result<(), NotUtf8> {
    if value.is_undefined() {
        Ok(())
    } else {
        out.push(b',');
        write_utf8(key.as_bytes(), out);
        out.push(b':');
        write_value(value, out)
    }
}

/// What [`write_member`] writes before the value.
pub(crate) fn member_key(key: &Text) -> Vec<u8> {
    let mut out = vec![b','];
    write_utf8(key.as_bytes(), &mut out);
    out.push(b':');
    out
}

/// Ends a JSON object: where the comma before its first member is, it begins.
#[inline]
pub(crate) fn close_members(start: usize, out: &mut Vec<u8>) {
    match out.get_mut(start) {
        Some(comma) => *comma = b'{',
        None => out.push(b'{'),
    }
    out.push(b'}');
}

/// Appends a JSON string with its quotes.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    write_utf8(text.as_bytes(), out);
}

/// The same for the bytes of a text.
#[inline]
fn write_utf8(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let plain = plain_end(bytes, 0);
    if plain == bytes.len() {
        out.extend_from_slice(bytes);
    } else {
        write_escaped(bytes, plain, out);
    }
    out.push(b'"');
}

/// Appends what is inside a JSON string whose first character to be escaped is at `at`.
#[inline(never)]
fn write_escaped(bytes: &[u8], mut at: usize, out: &mut Vec<u8>) {
    let mut done = 0;
    loop {
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
        at = plain_end(bytes, done);
    }
}
