//! Numbers as text and text as numbers (behaviour document §5.2 rule 12).

use std::io::Write;

use super::Value;

/// Most decimals of a float that becomes text.
pub const DECIMALS: usize = 10;

/// Writes a float the way rules print it: at most ten decimals, trailing zeros trimmed, at least one decimal (`2.0`).
pub fn write_float(value: f64, out: &mut Vec<u8>) {
    write_float_decimals(value, DECIMALS, out);
}

/// Writes a float with at most `decimals` decimals, trailing zeros trimmed, at least one decimal.
pub fn write_float_decimals(value: f64, decimals: usize, out: &mut Vec<u8>) {
    let start = out.len();
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value:.decimals$}");
    if !out[start..].contains(&b'.') {
        out.extend_from_slice(b".0");
        return;
    }
    while out.ends_with(b"0") {
        out.pop();
    }
    if out.ends_with(b".") {
        out.push(b'0');
    }
    if &out[start..] == b"-0.0" {
        out.remove(start);
    }
}

/// The text of a float as [`write_float_decimals`] writes it.
pub fn float_text(value: f64, decimals: usize) -> String {
    let mut out = Vec::new();
    write_float_decimals(value, decimals, &mut out);
    // Digits are ASCII.
    String::from_utf8(out).unwrap_or_default()
}

/// Writes an integer without going through the formatting machinery for the common small ones.
pub fn write_int(value: i128, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let Ok(small) = i64::try_from(value) else {
        out.extend_from_slice(value.to_string().as_bytes());
        return;
    };
    let mut rest = small.unsigned_abs();
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if small < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Reads a whole text as a number: an integer, else a float. Anything around or between is not a number.
pub fn parse(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(parse_int(text)).filter(|value| !value.is_undefined());
    }
    parse_float(text)
}

/// Reads digits with an optional sign; a float when they do not fit 128 bits.
pub(crate) fn parse_int(text: &str) -> Value {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() < 19 && !digits.starts_with('+') {
        let value = digits.bytes().fold(0_i64, |value, digit| value * 10 + i64::from(digit.wrapping_sub(b'0') & 0xF));
        return Value::Int(i128::from(if digits.len() < text.len() { -value } else { value }));
    }
    text.parse().map_or_else(|_| parse_float(text).unwrap_or_default(), Value::Int)
}

pub(crate) fn parse_float(text: &str) -> Option<Value> {
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64) -> String {
        float_text(value, DECIMALS)
    }

    #[test]
    fn floats_print_with_one_to_ten_decimals() {
        assert_eq!(float(2.0), "2.0");
        assert_eq!(float(-2.5), "-2.5");
        assert_eq!(float(1.0 / 3.0), "0.3333333333");
        assert_eq!(float(1e-12), "0.0");
        assert_eq!(float(-1e-12), "0.0");
        assert_eq!(float(1e22), "10000000000000000000000.0");
    }

    #[test]
    fn integers_print_in_full_at_both_ends() {
        for value in [0, -1, 42, i128::from(i64::MIN), i128::from(u64::MAX), i128::MIN] {
            let mut out = Vec::new();
            write_int(value, &mut out);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }

    #[test]
    fn only_whole_numbers_are_numbers() {
        assert_eq!(parse("2"), Some(Value::Int(2)));
        assert_eq!(parse("-2.50"), Some(Value::Float(-2.5)));
        assert_eq!(parse("1e3"), Some(Value::Float(1000.0)));
        for text in ["", "-", "x", "1x", "inf", "NaN", " 1", "0x10"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
