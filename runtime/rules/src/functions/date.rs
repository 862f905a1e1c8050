//! Dates and times. Units: `second`, `millisecond`, `microsecond`, `nanosecond`. Offsets: `Z`, `±hh[:mm][:ss]`,
//! `±hh[mm][ss]`, `local`, a number of seconds, undefined for UTC.

mod format;
mod offset;

use jiff::Timestamp;

use super::{Args, Call, Computed, Function, FunctionError, Prepared, function};
use crate::value::Value;
pub(crate) use format::Format;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("now_timestamp" ("[unit]") 0..=1, Reads, "The current time since 1970 in `unit` (`second`).",
        "now_timestamp('millisecond')" => "1700000000123", now_timestamp),
    function!("now_rfc3339" ("[unit]") 0..=1, Reads, "The current time as RFC 3339 in local time, with the fraction of `unit` (`second`).",
        "now_rfc3339()" => "\"2023-11-14T23:13:20+01:00\"", now_rfc3339),
    function!("unix_ts_to_rfc3339" ("time [, unit]") 1..=2, Reads, "A time since 1970 in `unit` (`second`) as RFC 3339 in local time.",
    "unix_ts_to_rfc3339(1700000000)" => "\"2023-11-14T23:13:20+01:00\"", |call, args| {
        let unit = unit_or_second(Args(args), 1)?;
        rfc3339(call, instant(Args(args), 0, unit)?, unit)
    }),
    function!("rfc3339_to_unix_ts" ("text [, unit]") 1..=2, Pure, "The time since 1970 in `unit` (`second`) of an RFC 3339 text.",
        "rfc3339_to_unix_ts('2023-11-14T23:13:20+01:00')" => "1700000000", |_, args| rfc3339_to_unix_ts(Args(args))),
    function!("format_date" ("unit, offset, format [, time]") 3..=4, Reads,
        "A time since 1970 in `unit` (else now) as text. Directives: %Y %m %d %H %M %S, fractions %3N %6N %N, offsets %z (+hhmm) %:z (+hh:mm) %::z (+hh:mm:ss).",
        "format_date('second', '+08:00', '%Y-%m-%d %H:%M:%S%:z', 1700000000)" => "\"2023-11-15 06:13:20+08:00\"", format_date),
    function!("date_to_unix_ts" ("unit, [offset,] format, text") 3..=4, Reads,
        "The time since 1970 in `unit` of a text in the format of `format_date`; date and time are required, other characters are skipped without being compared. The offset is that of the text, else `offset`, else UTC.",
        "date_to_unix_ts('second', '%Y-%m-%d %H:%M:%S%:z', '2023-11-15 06:13:20+08:00')" => "1700000000", date_to_unix_ts),
    function!("timezone_to_offset_seconds" ("offset") 1..=1, Reads, "An offset in seconds.",
        "timezone_to_offset_seconds('-02:30')" => "-9000", |call, args| offset_seconds(call, args)),
    function!("timezone_to_second" ("offset") 1..=1, Reads, "The same as `timezone_to_offset_seconds`.",
        "timezone_to_second('Z')" => "0", |call, args| offset_seconds(call, args)),
    function!("mongo_date" ("[time [, unit]]") 0..=2, Reads, "A time since 1970 in `unit` (`millisecond`), else now, as the text `ISODate(…)`.",
        "mongo_date(1700000000123)" => "\"ISODate(2023-11-14T22:13:20.123Z)\"", mongo_date),
];

/// Nanoseconds in one unit of time.
fn unit(args: Args<'_>, at: usize) -> Result<i128, FunctionError> {
    match args.any(at).as_text() {
        Some("second") => Ok(1_000_000_000),
        Some("millisecond") => Ok(1_000_000),
        Some("microsecond") => Ok(1_000),
        Some("nanosecond") => Ok(1),
        _ => args.wrong(at, "'second', 'millisecond', 'microsecond' or 'nanosecond'"),
    }
}

fn unit_or_second(args: Args<'_>, at: usize) -> Result<i128, FunctionError> {
    if args.given(at).is_some() { unit(args, at) } else { Ok(1_000_000_000) }
}

/// A time argument as nanoseconds since 1970.
fn instant(args: Args<'_>, at: usize, unit: i128) -> Result<i128, FunctionError> {
    match args.int(at)?.checked_mul(unit) {
        Some(nanoseconds) if Timestamp::from_nanosecond(nanoseconds).is_ok() => Ok(nanoseconds),
        _ => args.wrong(at, "a time in the years -9999 to 9999"),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "has the shape of a function's body")]
fn in_unit(nanoseconds: i128, unit: i128) -> Computed {
    Ok(Value::Int(nanoseconds.div_euclid(unit)))
}

fn now_timestamp(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    in_unit(call.env.host.now(), unit_or_second(Args(args), 0)?)
}

fn now_rfc3339(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    rfc3339(call, call.env.host.now(), unit_or_second(Args(args), 0)?)
}

fn rfc3339(call: &Call<'_, '_>, nanoseconds: i128, unit: i128) -> Computed {
    let second = nanoseconds.div_euclid(1_000_000_000) as i64;
    rfc3339_at(nanoseconds, unit, call.env.host.local_offset(second)).map(Value::from)
}

fn rfc3339_at(nanoseconds: i128, unit: i128, offset: i32) -> Result<String, FunctionError> {
    let pattern = match unit {
        1 => "%Y-%m-%dT%H:%M:%S.%N%:z",
        1_000 => "%Y-%m-%dT%H:%M:%S.%6N%:z",
        1_000_000 => "%Y-%m-%dT%H:%M:%S.%3N%:z",
        _ => "%Y-%m-%dT%H:%M:%S%:z",
    };
    Format::compile(pattern).write(nanoseconds, offset)
}

fn rfc3339_to_unix_ts(args: Args<'_>) -> Computed {
    let unit = unit_or_second(args, 1)?;
    match args.text(0)?.parse::<Timestamp>() {
        Ok(time) => in_unit(time.as_nanosecond(), unit),
        Err(_) => args.wrong(0, "an RFC 3339 time such as '2023-11-14T22:13:20Z'"),
    }
}

/// Compiles a format that is known when the rule is.
pub(super) fn prepare(constant: Option<&Value>) -> Option<Prepared> {
    constant.and_then(Value::as_text).map(|format| Prepared::Date(Format::compile(format)))
}

fn with_format<T>(
    call: &Call<'_, '_>,
    args: Args<'_>,
    at: usize,
    run: impl FnOnce(&Format) -> Result<T, FunctionError>,
) -> Result<T, FunctionError> {
    match call.prepared {
        Some(Prepared::Date(format)) => run(format),
        _ => run(&Format::compile(args.text(at)?)),
    }
}

fn format_date(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let args = Args(args);
    let unit = unit(args, 0)?;
    let time = if args.given(3).is_some() { instant(args, 3, unit)? } else { call.env.host.now() };
    let offset = offset::read(call, args, 1, || time.div_euclid(1_000_000_000) as i64)?;
    with_format(call, args, 2, |format| format.write(time, offset)).map(Value::from)
}

fn date_to_unix_ts(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let args = Args(args);
    let unit = unit(args, 0)?;
    let given = args.0.len() - 3;
    let parsed = with_format(call, args, 1 + given, |format| format.read(args.text(2 + given)?))?;
    let offset = match parsed.offset {
        Some(offset) => offset,
        None if given == 0 => 0,
        None => offset::read(call, args, 1, || parsed.nanoseconds.div_euclid(1_000_000_000) as i64)?,
    };
    in_unit(parsed.nanoseconds - i128::from(offset) * 1_000_000_000, unit)
}

fn offset_seconds(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let now = || call.env.host.now().div_euclid(1_000_000_000) as i64;
    offset::read(call, Args(args), 0, now).map(Value::from)
}

fn mongo_date(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let args = Args(args);
    let unit = if args.given(1).is_some() { unit(args, 1)? } else { 1_000_000 };
    let time = if args.given(0).is_some() { instant(args, 0, unit)? } else { call.env.host.now() };
    Format::compile("ISODate(%Y-%m-%dT%H:%M:%S.%3NZ)").write(time, 0).map(Value::from)
}
