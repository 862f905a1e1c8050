//! Bits: of integers and of byte strings.

use std::fmt::Write;

use crate::value::Bits;

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
