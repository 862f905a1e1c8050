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
pub fn write_float_decimals(value: f64, mut decimals: usize, out: &mut Vec<u8>) {
    let Some((whole, mut fraction)) = rounded(value.abs(), decimals) else {
        return write_float_in_full(value, decimals, out);
    };
    while decimals > 1 && fraction.is_multiple_of(10) {
        fraction /= 10;
        decimals -= 1;
    }
    if value < 0.0 && (whole > 0 || fraction > 0) {
        out.push(b'-');
    }
    write_int(whole.into(), out);
    // Writing to a vector cannot fail.
    let _ = write!(out, ".{fraction:0decimals$}");
}

/// A float rounded to so many decimals: what is before and, as a number, what is after the point. `None` when that does
/// not fit.
///
/// In floating point, and a half up, as the reference system does: 20.2 is 20.19999999999999928 there.
fn rounded(value: f64, decimals: usize) -> Option<(u64, u64)> {
    let scale = POWERS.get(decimals)?;
    if value >= EXACT {
        return None;
    }
    let whole = value.trunc();
    let fraction = ((value - whole) * scale + 0.5).floor();
    Some(if fraction < *scale { (whole as u64, fraction as u64) } else { (whole as u64 + 1, 0) })
}

/// The same for numbers that have no fraction, and for decimals beyond what a float can tell.
fn write_float_in_full(value: f64, decimals: usize, out: &mut Vec<u8>) {
    let start = out.len();
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

/// Writes a float with the fewest digits that read back to the same float.
pub fn write_float_exact(value: f64, out: &mut Vec<u8>) {
    match short_decimal(value.abs()) {
        Some((digits, decimals)) => write_decimal(digits, decimals, value.is_sign_negative(), out),
        None => out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes()),
    }
}

/// The text of a float as [`write_float_decimals`] writes it.
pub fn float_text(value: f64, decimals: usize) -> String {
    let mut out = Vec::new();
    write_float_decimals(value, decimals, &mut out);
    // Digits are ASCII.
    String::from_utf8(out).unwrap_or_default()
}

/// Writes a number given as digits of which the last `decimals` follow the point, of which there is at least one.
fn write_decimal(mut digits: u64, mut decimals: usize, negative: bool, out: &mut Vec<u8>) {
    if decimals == 0 {
        digits *= 10;
        decimals = 1;
    }
    let mut text = [b'0'; 24];
    let mut at = text.len();
    let mut written = 0;
    while digits > 0 || written <= decimals {
        if written == decimals {
            at -= 1;
            text[at] = b'.';
        }
        at -= 1;
        text[at] = b'0' + (digits % 10) as u8;
        digits /= 10;
        written += 1;
    }
    if negative {
        at -= 1;
        text[at] = b'-';
    }
    out.extend_from_slice(&text[at..]);
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
    if let Some(value) = parse_short_float(text) {
        return Some(Value::Float(value));
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Value::Float)
}

/// From here on floats have no fraction, and not every integer is one.
const EXACT: f64 = (1_u64 << 53) as f64;
/// Most digits of which every number is exact as a float.
const EXACT_DIGITS: usize = 15;
/// Powers of ten, all of them exact.
const POWERS: [f64; 19] =
    [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

/// A number of few digits with a point among them: the digits and the power of ten are exact, so that their quotient
/// is the nearest float.
fn parse_short_float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    if digits.len() > EXACT_DIGITS + 1 {
        return None;
    }
    // Signed numbers are the cheaper ones to convert.
    let (mut mantissa, mut point) = (0_i64, None);
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + i64::from(byte - b'0'),
            b'.' if point.is_none() && at > 0 => point = Some(at),
            _ => return None,
        }
    }
    let value = mantissa as f64 / POWERS.get(digits.len() - point? - 1)?;
    Some(if digits.len() < text.len() { -value } else { value })
}

/// A float as the number `digits` of at most 15 digits and how many of them are decimals, if it is so short.
///
/// Different numbers of so few digits are different floats: one that gives the float back is its shortest text.
#[expect(clippy::float_cmp, reason = "whether it is this very float is the question")]
pub(crate) fn short_decimal(value: f64) -> Option<(u64, usize)> {
    (0..=4).find_map(|decimals| {
        let scaled = value * POWERS[decimals];
        let digits = (scaled + 0.5) as i64;
        let exact = scaled < POWERS[EXACT_DIGITS] && digits as f64 / POWERS[decimals] == value;
        exact.then_some((digits as u64, decimals))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn short_floats_are_read_and_written_as_the_libraries_do(text in r"-?[0-9]{1,10}\.[0-9]{1,8}") {
            let expected: f64 = text.parse().unwrap();
            proptest::prop_assert_eq!(parse_float(&text), Some(Value::Float(expected)));
            let mut out = Vec::new();
            write_float_exact(expected, &mut out);
            let mut shortest = ryu::Buffer::new();
            proptest::prop_assert_eq!(out, shortest.format_finite(expected).as_bytes());
        }

        #[test]
        fn ten_decimals_are_those_of_the_library(text in r"-?[0-9]{1,4}\.[0-9]{1,12}") {
            // What lies half way between two texts is rounded up, which the library does not always do.
            let beyond = text.split_once('.').and_then(|(_, decimals)| decimals.get(DECIMALS..));
            proptest::prop_assume!(beyond.is_none_or(|digits| digits.trim_end_matches('0') != "5"));
            let value: f64 = text.parse().unwrap();
            let mut out = Vec::new();
            write_float_in_full(value, DECIMALS, &mut out);
            proptest::prop_assert_eq!(float(value).into_bytes(), out);
        }
    }

    #[test]
    fn a_half_is_rounded_up() {
        for (value, decimals, text) in [
            (0.125, 2, "0.13"),
            (-2.5, 0, "-3.0"),
            (0.375, 2, "0.38"),
            (9.99, 1, "10.0"),
            (20.2, 17, "20.19999999999999928"),
            (0.1, 20, "0.10000000000000000555"),
            (1e15, 3, "1000000000000000.0"),
            (-0.001, 2, "0.0"),
        ] {
            assert_eq!(float_text(value, decimals), text);
        }
    }

    #[test]
    fn floats_of_few_decimals_take_the_short_way() {
        for (value, short) in [
            (21.5, Some((215, 1))),
            (0.0, Some((0, 0))),
            (0.0625, Some((625, 4))),
            (1e14, Some((100_000_000_000_000, 0))),
            (1e15, None),
            (0.1 + 0.2, None),
            (1.0 / 3.0, None),
        ] {
            assert_eq!(short_decimal(value), short, "{value}");
        }
    }

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
