//! Offsets from UTC.

use super::super::{Args, Call, FunctionError};
use crate::value::Value;

/// Reads an offset argument as seconds; `local` is asked of the host for the second that `at_second` gives.
pub(super) fn read(
    call: &Call<'_, '_>,
    args: Args<'_>,
    at: usize,
    at_second: impl FnOnce() -> i64,
) -> Result<i32, FunctionError> {
    let seconds = match args.any(at) {
        Value::Undefined => Some(0),
        Value::Int(seconds) => i32::try_from(*seconds).ok(),
        Value::Text(text) => match text.as_str() {
            "Z" | "z" => Some(0),
            "local" => Some(call.env.host.local_offset(at_second())),
            text => parse(text),
        },
        _ => None,
    };
    match seconds {
        Some(seconds) if seconds.abs() <= MAX => Ok(seconds),
        _ => args.wrong(at, "an offset such as '+02:00', 'Z', 'local' or a number of seconds"),
    }
}

/// A little less than 26 hours, the most that the calendar library takes.
const MAX: i32 = 93_599;

/// `±hh:mm`, `±hh:mm:ss` or `±hhmm`.
pub(super) fn parse(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &text[1..];
    let field = |text: &str, limit: i32| match text.len() {
        2 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok().filter(|value| *value < limit),
        _ => None,
    };
    let parts: Vec<&str> = match digits.len() {
        4 if digits.is_ascii() => vec![&digits[..2], &digits[2..]],
        _ => digits.split(':').collect(),
    };
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] => (field(hours, 24)?, field(minutes, 60)?, 0),
        [hours, minutes, seconds] => (field(hours, 24)?, field(minutes, 60)?, field(seconds, 60)?),
        _ => return None,
    };
    Some(sign * (hours * 3600 + minutes * 60 + seconds))
}
