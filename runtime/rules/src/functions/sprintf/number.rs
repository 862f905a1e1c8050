//! Numbers as Erlang's formats write them.

/// The digits of a number to a base of 2 to 36, small letters.
pub(super) fn radix(mut value: u128, base: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((value % u128::from(base)) as u32, base).unwrap_or('0'));
        value /= u128::from(base);
        if value == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// `~e`: so many digits, one of them before the point, and an exponent with its sign.
pub(super) fn exponential(value: f64, digits: usize) -> String {
    let text = format!("{value:.*e}", digits.saturating_sub(1));
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

/// `~g`: so many digits, with an exponent when the number is below 0.1 or has more digits before the point.
pub(super) fn general(value: f64, digits: usize) -> String {
    let magnitude = match value.abs() {
        below if below < 0.1 => return exponential(value, digits.max(2)),
        below if below < 1.0 => -1,
        below if below < 10.0 => 0,
        below if below < 100.0 => 1,
        below if below < 1_000.0 => 2,
        below if below < 10_000.0 => 3,
        _ => return exponential(value, digits.max(2)),
    };
    match i64::try_from(digits) {
        Ok(digits) if digits - 1 > magnitude => format!("{value:.*}", (digits - 1 - magnitude) as usize),
        _ => exponential(value, digits.max(2)),
    }
}

/// Beyond this a float is always written with an exponent, so that it does not look exact.
const EXACT: f64 = (1_u64 << 53) as f64;

/// `~p` and `~w`: the fewest digits that read back to the same float, with an exponent when that is shorter.
pub(super) fn shortest(value: f64) -> String {
    let with_point = |text: String| if text.contains('.') { text } else { format!("{text}.0") };
    let plain = with_point(value.to_string());
    let text = format!("{value:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return plain };
    let scientific = format!("{}e{exponent}", with_point(digits.to_owned()));
    if scientific.len() < plain.len() || value.abs() >= EXACT { scientific } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_text_has_an_exponent_when_it_is_shorter() {
        for (value, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-21.5, "-21.5"),
            (100.0, "100.0"),
            (1000.0, "1.0e3"),
            (1234.0, "1234.0"),
            (0.01, "0.01"),
            (0.001, "0.001"),
            (0.0001, "0.0001"),
            (0.00001, "1.0e-5"),
            (0.000_123, "1.23e-4"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e22, "1.0e22"),
            (9_007_199_254_740_993.0, "9.007199254740992e15"),
        ] {
            assert_eq!(shortest(value), text);
        }
    }

    #[test]
    fn exponents_have_a_sign_and_no_zeros() {
        for (value, text) in
            [(12.5, "1.25000e+1"), (0.0, "0.00000e+0"), (-1e-7, "-1.00000e-7"), (1e100, "1.00000e+100")]
        {
            assert_eq!(exponential(value, 6), text);
        }
        assert_eq!(exponential(1.5, 2), "1.5e+0");
    }

    #[test]
    fn general_keeps_the_number_of_digits() {
        for (value, text) in [
            (1.5, "1.50000"),
            (0.5, "0.500000"),
            (123.456, "123.456"),
            (1234.5, "1234.50"),
            (0.01, "1.00000e-2"),
            (12345.0, "1.23450e+4"),
        ] {
            assert_eq!(general(value, 6), text);
        }
        assert_eq!(general(123.456, 3), "1.23e+2");
    }
}
