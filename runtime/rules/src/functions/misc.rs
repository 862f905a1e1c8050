//! Identifiers and environment variables.

use super::{Args, Call, Computed, Function, function};
use crate::environment::VARIABLE_PREFIX;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("uuid_v4" ("") 0..=0, Reads, "A random UUID, version 4.",
        "strlen(uuid_v4())" => "36", |call, _| uuid(call, "-")),
    function!("uuid_v4_no_hyphen" ("") 0..=0, Reads, "A random UUID, version 4, without hyphens.",
        "strlen(uuid_v4_no_hyphen())" => "32", |call, _| uuid(call, "")),
    function!("getenv" ("name") 1..=1, Reads, "The environment variable `ISTHMUSVAR_` followed by `name`; empty when it is not set.",
    "getenv('NOT_SET')" => "\"\"", |call, args| {
        let name = format!("{VARIABLE_PREFIX}{}", Args(args).text(0)?);
        Ok(Value::from(call.env.host.variable(&name).unwrap_or_default()))
    }),
];

/// RFC 9562 §5.4: 122 random bits, the version and the variant.
#[expect(clippy::unnecessary_wraps, reason = "has the shape of a function's body")]
fn uuid(call: &Call<'_, '_>, hyphen: &str) -> Computed {
    let (high, low) = (call.env.host.random(), call.env.host.random());
    let high = high & !0xF000 | 0x4000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    let digits = format!("{high:016x}{low:016x}");
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    Ok(Value::from(parts.join(hyphen)))
}
