//! Bits: of integers, and of byte strings whose parts are read as integers, floats or shorter bit strings.

use std::fmt::Write;
use std::sync::Arc;

use super::args::failed;
use super::{Args, Computed, Function, FunctionError, function};
use crate::value::{Bits, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("bitand" ("a, b") 2..=2, Pure, "Bitwise AND of integers.",
        "bitand(6, 3)" => "2", |_, args| Ok(Value::Int(Args(args).int(0)? & Args(args).int(1)?))),
    function!("bitor" ("a, b") 2..=2, Pure, "Bitwise OR of integers.",
        "bitor(6, 3)" => "7", |_, args| Ok(Value::Int(Args(args).int(0)? | Args(args).int(1)?))),
    function!("bitxor" ("a, b") 2..=2, Pure, "Bitwise exclusive OR of integers.",
        "bitxor(6, 3)" => "5", |_, args| Ok(Value::Int(Args(args).int(0)? ^ Args(args).int(1)?))),
    function!("bitnot" ("a") 1..=1, Pure, "Bitwise complement of an integer.",
        "bitnot(7)" => "-8", |_, args| Ok(Value::Int(!Args(args).int(0)?))),
    function!("bitsl" ("a, count") 2..=2, Pure, "`a` shifted left by `count` bits (right when negative). Error when the result does not fit 128 bits.",
        "bitsl(3, 2)" => "12", |_, args| shift(Args(args), 1)),
    function!("bitsr" ("a, count") 2..=2, Pure, "`a` shifted right by `count` bits (left when negative), keeping the sign.",
        "bitsr(12, 2)" => "3", |_, args| shift(Args(args), -1)),
    function!("bitsize" ("bytes") 1..=1, Pure, "Length in bits.",
        "bitsize('a')" => "8", |_, args| Ok(Value::Int(binary(Args(args), 0)?.1 as i128))),
    function!("bytesize" ("bytes") 1..=1, Pure, "Length in bytes, a part of a byte counting as one.",
        "bytesize('né')" => "3", |_, args| Ok(Value::Int(binary(Args(args), 0)?.0.len() as i128))),
    function!("subbits" ("bytes, length | bytes, start, length [, type [, signedness [, endianness]]]") 2..=6, Pure,
        "`length` bits from bit `start` (1, the default, is the first), as an `integer` (default), `float` or `bits`; \
         `unsigned` (default) or `signed`; `big` (default) or `little`. Fewer bits when the bytes end before; undefined \
         when they end before `start`.",
        "subbits('abc', 9, 8)" => "98", |_, args| subbits(Args(args))),
];

fn shift(args: Args<'_>, direction: i128) -> Computed {
    let value = args.int(0)?;
    let count = args.int(1)?.checked_mul(direction);
    match count {
        Some(left @ 1..) => {
            let shifted = u32::try_from(left).ok().filter(|left| *left < 127).map(|left| (value << left, left));
            match shifted {
                _ if value == 0 => Ok(Value::Int(0)),
                Some((shifted, left)) if shifted >> left == value => Ok(Value::Int(shifted)),
                _ => failed("the result does not fit 128 bits"),
            }
        }
        Some(right) => Ok(Value::Int(value >> right.unsigned_abs().min(127) as u32)),
        None => failed("the count is out of range"),
    }
}

/// The bytes of an argument and its length in bits.
fn binary(args: Args<'_>, at: usize) -> Result<(&[u8], usize), FunctionError> {
    match args.any(at) {
        Value::Bits(bits) => Ok((bits.bytes(), bits.len())),
        _ => args.bytes(at).map(|bytes| (bytes, bytes.len() * 8)),
    }
}

fn subbits(args: Args<'_>) -> Computed {
    let (bytes, available) = binary(args, 0)?;
    let (start, length) = if args.0.len() == 2 { (1, args.count(1)?) } else { (args.count(1)?, args.count(2)?) };
    let Some(skip) = start.checked_sub(1) else { return args.wrong(1, "an integer from 1") };
    let option = |at: usize, default: &'static str, other: &'static [&'static str], expected: &'static str| match args
        .given(at)
    {
        None => Ok(default),
        Some(Value::Text(text)) if **text == *default => Ok(default),
        Some(Value::Text(text)) => {
            other.iter().copied().find(|name| **name == **text).map_or_else(|| args.wrong(at, expected), Ok)
        }
        Some(_) => args.wrong(at, expected),
    };
    let kind = option(3, "integer", &["float", "bits"], "'integer', 'float' or 'bits'")?;
    let signed = option(4, "unsigned", &["signed"], "'signed' or 'unsigned'")? == "signed";
    let little = option(5, "big", &["little"], "'big' or 'little'")? == "little";
    if skip >= available {
        return Ok(Value::Undefined);
    }
    let bits = Bits::slice(bytes, skip, length.min(available - skip));
    match kind {
        "bits" => Ok(match bits.into_bytes() {
            Ok(bytes) => Value::binary(bytes),
            Err(bits) => Value::Bits(Arc::new(bits)),
        }),
        "float" => float(args, &bits, length, little),
        _ => integer(&bits, signed, little),
    }
}

fn integer(bits: &Bits, signed: bool, little: bool) -> Computed {
    let length = bits.len();
    if length > 127 && !(signed && length == 128) {
        return failed("an integer of more than 127 bits");
    }
    if length == 0 {
        return Ok(Value::Int(0));
    }
    let (whole, rest) = (length / 8, length % 8);
    let last = if rest == 0 { 0 } else { u128::from(bits.bytes()[whole] >> (8 - rest)) };
    let bytes = bits.bytes()[..whole].iter().map(|byte| u128::from(*byte));
    let value = if little {
        // A part of a byte at the end holds the most significant bits.
        bytes.enumerate().fold(0, |value, (at, byte)| value | byte << (8 * at))
            | last.checked_shl(8 * whole as u32).unwrap_or(0)
    } else {
        bytes.fold(0, |value, byte| value << 8 | byte) << rest | last
    };
    let unused = 128 - length as u32;
    Ok(Value::Int(if signed { (value << unused) as i128 >> unused } else { value as i128 }))
}

fn float(args: Args<'_>, bits: &Bits, length: usize, little: bool) -> Computed {
    if !matches!(length, 16 | 32 | 64) {
        return args.wrong(args.0.len().min(3) - 1, "16, 32 or 64 bits for a float");
    }
    let mut bytes = bits.bytes().to_vec();
    if bits.len() < length {
        return Ok(Value::Undefined);
    }
    if little {
        bytes.reverse();
    }
    let word = bytes.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    Ok(Value::from(match length {
        16 => half(word as u16),
        32 => f64::from(f32::from_bits(word as u32)),
        _ => f64::from_bits(word),
    }))
}

/// An IEEE 754 half precision number.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF));
    match exponent {
        0 => sign * fraction * 2_f64.powi(-24),
        0x1F => f64::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
    }
}

/// Upper-case hexadecimal digits of a bit string, read as a number: bits beyond whole digits go to the front.
pub(crate) fn to_hex(bits: &Bits) -> String {
    let digits = bits.len().div_ceil(4);
    let lead = (4 - bits.len() % 4) % 4;
    let mut out = String::with_capacity(digits);
    for digit in 0..digits {
        let nibble = (0..4).fold(0, |nibble, at| {
            let place = (digit * 4 + at).checked_sub(lead);
            let bit = place.map_or(0, |place| bits.bytes()[place / 8] >> (7 - place % 8) & 1);
            nibble << 1 | bit
        });
        // Writing to a String cannot fail.
        let _ = write!(out, "{nibble:X}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_bytes_are_read_in_either_order() {
        let bits = Bits::slice(&[0x12, 0x34, 0xF0], 0, 20);
        assert_eq!(integer(&bits, false, false), Ok(Value::Int(0x1234F)));
        assert_eq!(integer(&bits, false, true), Ok(Value::Int(0xF3412)));
        assert_eq!(integer(&bits, true, true), Ok(Value::Int(0xF3412 - 0x10_0000)));
        assert_eq!(integer(&Bits::slice(&[0xFF; 16], 0, 128), true, false), Ok(Value::Int(-1)));
        assert!(integer(&Bits::slice(&[0xFF; 16], 0, 128), false, false).is_err());
    }

    #[test]
    fn halves_are_ieee_754() {
        for (bits, value) in [(0x3C00, 1.0), (0xC000, -2.0), (0x0001, 2_f64.powi(-24)), (0x7BFF, 65504.0)] {
            assert!((half(bits) - value).abs() < f64::EPSILON, "{bits:x}");
        }
    }
}
