//! Date formats: `%`-directives compiled once, written and read.

use std::fmt::Write;

use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use super::super::FunctionError;
use super::super::args::failed;
use super::offset;

/// A compiled format.
#[derive(Debug)]
pub(crate) struct Format(Vec<Part>);

#[derive(Debug)]
enum Part {
    Literal(char),
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// Fraction of a second with so many digits.
    Fraction(u32),
    /// Offset: its separator and whether it has seconds.
    Offset {
        colon: &'static str,
        seconds: bool,
    },
}

/// What a text said.
pub(super) struct Read {
    /// Nanoseconds since 1970 as if the offset were zero.
    pub(super) nanoseconds: i128,
    /// Offset in seconds, when the format has one.
    pub(super) offset: Option<i32>,
}

type Directive = (&'static str, fn() -> Part);

const DIRECTIVES: &[Directive] = &[
    ("%Y", || Part::Year),
    ("%m", || Part::Month),
    ("%d", || Part::Day),
    ("%H", || Part::Hour),
    ("%M", || Part::Minute),
    ("%S", || Part::Second),
    ("%3N", || Part::Fraction(3)),
    ("%6N", || Part::Fraction(6)),
    ("%N", || Part::Fraction(9)),
    ("%::z", || Part::Offset { colon: ":", seconds: true }),
    ("%:z", || Part::Offset { colon: ":", seconds: false }),
    ("%z", || Part::Offset { colon: "", seconds: false }),
];

impl Format {
    /// Compiles a format; what is no directive stays as it is.
    pub(crate) fn compile(format: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = format;
        while let Some(character) = rest.chars().next() {
            if let Some((text, part)) = DIRECTIVES.iter().find(|(text, _)| rest.starts_with(text)) {
                parts.push(part());
                rest = &rest[text.len()..];
            } else {
                parts.push(Part::Literal(character));
                rest = &rest[character.len_utf8()..];
            }
        }
        Self(parts)
    }

    /// Writes an instant as it is at an offset.
    pub(super) fn write(&self, nanoseconds: i128, offset: i32) -> Result<String, FunctionError> {
        let time = match (Timestamp::from_nanosecond(nanoseconds), Offset::from_seconds(offset)) {
            (Ok(time), Ok(offset)) => Zoned::new(time, TimeZone::fixed(offset)),
            _ => return failed("the time is out of range"),
        };
        let mut out = String::new();
        for part in &self.0 {
            // Writing to a String cannot fail.
            let _ = match part {
                Part::Literal(character) => write!(out, "{character}"),
                Part::Year => write!(out, "{:04}", time.year()),
                Part::Month => write!(out, "{:02}", time.month()),
                Part::Day => write!(out, "{:02}", time.day()),
                Part::Hour => write!(out, "{:02}", time.hour()),
                Part::Minute => write!(out, "{:02}", time.minute()),
                Part::Second => write!(out, "{:02}", time.second()),
                Part::Fraction(digits) => {
                    let fraction = nanoseconds.rem_euclid(1_000_000_000) / 10_i128.pow(9 - digits);
                    write!(out, "{fraction:0width$}", width = *digits as usize)
                }
                Part::Offset { colon, seconds } => {
                    let (sign, offset) = (if offset < 0 { '-' } else { '+' }, offset.abs());
                    let written = write!(out, "{sign}{:02}{colon}{:02}", offset / 3600, offset / 60 % 60);
                    if *seconds { write!(out, "{colon}{:02}", offset % 60) } else { written }
                }
            };
        }
        Ok(out)
    }

    /// Reads a text. Literal characters skip one character each, whatever it is.
    pub(super) fn read(&self, text: &str) -> Result<Read, FunctionError> {
        let mut rest = text;
        let (mut year, mut month, mut day) = (None, None, None);
        let (mut hour, mut minute, mut second) = (None, None, None);
        let (mut fraction, mut found_offset) = (0, None);
        for part in &self.0 {
            if rest.is_empty() {
                break;
            }
            match part {
                Part::Literal(_) => rest = rest.chars().next().map_or("", |skipped| &rest[skipped.len_utf8()..]),
                Part::Year => year = Some(number(&mut rest, 4, "a year")?),
                Part::Month => month = Some(number(&mut rest, 2, "a month")?),
                Part::Day => day = Some(number(&mut rest, 2, "a day")?),
                Part::Hour => hour = Some(number(&mut rest, 2, "an hour")?),
                Part::Minute => minute = Some(number(&mut rest, 2, "a minute")?),
                Part::Second => second = Some(number(&mut rest, 2, "a second")?),
                Part::Fraction(digits) => {
                    fraction = number(&mut rest, *digits as usize, "a fraction")? * 10_i64.pow(9 - digits);
                }
                Part::Offset { colon, seconds } => {
                    let length = 5 + colon.len() + if *seconds { 2 + colon.len() } else { 0 };
                    let length = if rest.starts_with(['Z', 'z']) { 1 } else { length };
                    let text = take(&mut rest, length).unwrap_or_default();
                    let seconds = if length == 1 { Some(0) } else { offset::parse(text) };
                    found_offset = match seconds {
                        Some(seconds) => Some(seconds),
                        None => return failed(format!("'{text}' is not an offset")),
                    };
                }
            }
        }
        let date = match (year, month, day) {
            (Some(year), Some(month), Some(day)) => Date::new(year as i16, month as i8, day as i8).ok(),
            _ => return failed("the text lacks a year, month or day"),
        };
        let time = match (hour, minute, second) {
            (Some(hour), Some(minute), Some(second)) => {
                Time::new(hour as i8, minute as i8, second as i8, fraction as i32).ok()
            }
            _ => return failed("the text lacks an hour, minute or second"),
        };
        let instant = date.zip(time).and_then(|(date, time)| TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok());
        match instant {
            Some(instant) => Ok(Read { nanoseconds: instant.as_nanosecond(), offset: found_offset }),
            None => failed(format!("'{text}' is no date and time that exists")),
        }
    }
}

fn take<'t>(rest: &mut &'t str, length: usize) -> Option<&'t str> {
    let taken = rest.get(..length)?;
    *rest = &rest[length..];
    Some(taken)
}

fn number(rest: &mut &str, digits: usize, what: &str) -> Result<i64, FunctionError> {
    let text = take(rest, digits).unwrap_or_default();
    match text.parse() {
        Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => failed(format!(
            "expected {what} of {digits} digits at '{}'",
            crate::value::compare::excerpt(if text.is_empty() { rest } else { text })
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directive_reads_what_it_wrote() {
        let format = Format::compile("%Y/%m/%d é %H.%M.%S.%N %z %:z %::z %y");
        let text = format.write(1_700_000_000_123_456_789, -(3600 * 3 + 60 * 30)).unwrap();
        assert_eq!(text, "2023/11/14 é 18.43.20.123456789 -0330 -03:30 -03:30:00 %y");
        let read = format.read(&text).unwrap();
        assert_eq!(read.nanoseconds - i128::from(read.offset.unwrap()) * 1_000_000_000, 1_700_000_000_123_456_789);
    }

    #[test]
    fn impossible_and_incomplete_dates_are_refused() {
        let format = Format::compile("%Y-%m-%d %H:%M:%S");
        for text in
            ["2023-02-29 00:00:00", "2023-13-01 00:00:00", "2023-01-01 24:00:00", "2023-01-01", "2023-01-01 1", ""]
        {
            assert!(format.read(text).is_err(), "{text}");
        }
        assert!(format.read("2024-02-29 00:00:00").is_ok());
    }
}
