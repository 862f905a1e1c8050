//! Sizes in bytes as users write them: Kubernetes quantities such as `896Ki`.
//!
//! Owns parsing and printing. Bounds of a field are in that field's schema.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What the schema accepts of the text form: whole bytes with a binary or a decimal suffix.
pub const PATTERN: &str = "^[0-9]{1,15}(Ki|Mi|Gi|Ti|k|M|G|T)?$";

const UNITS: [(&str, u64); 8] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
];

/// A number of bytes such as `1Mi`, `500k` or `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

/// The text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a size: write whole bytes, alone or with a unit (Ki, Mi, Gi, Ti or k, M, G, T), such as 896Ki or 1Gi"
)]
pub struct SizeError {
    /// What was written.
    pub text: String,
}

impl Size {
    /// A size of `bytes`.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = text.split_at(digits);
        let unit = if suffix.is_empty() {
            Some(1)
        } else {
            UNITS.iter().find(|(name, _)| *name == suffix).map(|(_, unit)| *unit)
        };
        unit.zip(number.parse::<u64>().ok().filter(|_| digits <= 15))
            .and_then(|(unit, number)| number.checked_mul(unit))
            .map(Self)
            .ok_or_else(|| SizeError { text: text.to_owned() })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, unit) in UNITS {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size in bytes such as 896Ki or 4096")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                u64::try_from(bytes).map(Size).map_err(|_| E::custom("a size cannot be negative"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "pattern": PATTERN,
            "maxLength": 17,
            "x-kubernetes-int-or-string": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_binary_and_decimal_units() {
        for (text, bytes) in [("896Ki", 917_504), ("1Mi", 1_048_576), ("4096", 4096), ("5k", 5_000), ("0", 0)] {
            assert_eq!(text.parse::<Size>().map(Size::bytes), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn accepts_a_bare_integer_as_quantities_do() {
        assert_eq!(serde_json::from_str::<Size>("4096").unwrap(), Size::from_bytes(4096));
        assert!(serde_json::from_str::<Size>("-1").is_err());
    }

    #[test]
    fn refuses_everything_else_with_examples() {
        for text in ["", "Ki", "1.5Gi", "896KB", "1 Mi", "-1", "9999999999999999", "999999999999999Ti"] {
            let error = text.parse::<Size>().unwrap_err();
            assert!(error.to_string().contains("such as 896Ki or 1Gi"), "{text}");
        }
    }

    #[test]
    fn prints_the_largest_unit_that_divides() {
        for text in ["896Ki", "1Mi", "256Mi", "1Gi", "500k", "1001"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
    }
}
