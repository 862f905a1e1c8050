//! Durations as users write them: a subset of Go's syntax, the one the Gateway API chose (GEP-2257).
//!
//! Owns parsing and printing. Bounds of a field are in that field's schema.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What the schema accepts: one to four numbers of at most five digits, each with its unit.
pub const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// A span of time such as `5s`, `100ms` or `1m30s`, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(std::time::Duration);

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: write whole numbers with the units h, m, s or ms, such as 5s, 100ms or 1m30s")]
pub struct DurationError {
    /// What was written.
    pub text: String,
}

impl Duration {
    /// A duration of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// A duration of milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(std::time::Duration::from_millis(milliseconds))
    }

    /// As the standard library's type.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }

    /// In milliseconds.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse(text).map(Self::from_millis).ok_or_else(|| DurationError { text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    for _ in 0..4 {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > 5 {
            return None;
        }
        let (number, after) = rest.split_at(digits);
        let unit = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(unit);
        let milliseconds = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1_000,
            "ms" => 1,
            _ => return None,
        };
        total += number.parse::<u64>().ok()? * milliseconds;
        rest = after;
        if rest.is_empty() {
            return Some(total);
        }
    }
    None
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.as_millis();
        let mut rest = all;
        for (unit, milliseconds) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            let count = rest / milliseconds;
            rest %= milliseconds;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        if all == 0 { f.write_str("0s") } else { Ok(()) }
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": PATTERN, "maxLength": 28})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_the_pattern_accepts() {
        for (text, milliseconds) in
            [("5s", 5_000), ("100ms", 100), ("1m30s", 90_000), ("0s", 0), ("1h1m1s1ms", 3_661_001), ("90m", 5_400_000)]
        {
            assert_eq!(text.parse::<Duration>().map(Duration::as_millis), Ok(milliseconds), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else_with_examples() {
        for text in ["", "5", "s", "5 s", "-5s", "1.5s", "5d", "100000s", "1s1s1s1s1s", "5S", "1ns"] {
            let error = text.parse::<Duration>().unwrap_err();
            assert!(error.to_string().contains("such as 5s, 100ms or 1m30s"), "{text}");
        }
    }

    #[test]
    fn prints_the_shortest_form_that_parses_back() {
        for milliseconds in [0, 1, 999, 1_000, 60_000, 61_001, 3_600_000, 65_535_000] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(duration.to_string().parse(), Ok(duration));
        }
        assert_eq!(Duration::from_millis(90_000).to_string(), "1m30s");
    }
}
