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

/// `±hh[:mm][:ss]` or `±hh[mm][ss]`.
pub(super) fn parse(text: &str) -> Option<i32> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = &text.as_bytes()[1..];
    let fields: Vec<&[u8]> =
        if digits.contains(&b':') { digits.split(|byte| *byte == b':').collect() } else { digits.chunks(2).collect() };
    if fields.len() > 3 {
        return None;
    }
    let mut total = 0;
    for (at, limit, unit) in [(0, 24, 3600), (1, 60, 60), (2, 60, 1)] {
        total += match fields.get(at) {
            Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => {
                let field = i32::from(tens - b'0') * 10 + i32::from(ones - b'0');
                if field >= limit {
                    return None;
                }
                field * unit
            }
            None if at > 0 => 0,
            _ => return None,
        };
    }
    Some(sign * total)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn offsets_have_one_to_three_fields() {
        for (text, seconds) in [
            ("+08", 28_800),
            ("-0830", -30_600),
            ("+08:30", 30_600),
            ("+083015", 30_615),
            ("-08:30:15", -30_615),
            ("+00:00", 0),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
        for text in ["", "+", "08:00", "+8", "+08:", "+0:800", "+24:00", "+08:60", "+08:00:60", "+08:00:00:00", "+é0"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
