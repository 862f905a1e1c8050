//! Quantities of a pod's resources, such as `500m` of CPU or `512Mi` of memory, passed on as they were written.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// What the schema accepts: a number without a sign, with a decimal or binary unit.
pub const PATTERN: &str = "^[0-9]{1,15}(\\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$";

/// A quantity in the notation of Kubernetes, with text and numbers as equals.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Quantity(pub String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as 500m, 2 or 512Mi")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                u64::try_from(number)
                    .map_err(|_| E::custom("a quantity cannot be negative"))
                    .and_then(|n| self.visit_u64(n))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "pattern": PATTERN,
            "maxLength": 27,
            "x-kubernetes-int-or-string": true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_text_are_equals() {
        let read = |json: &str| serde_json::from_str::<Quantity>(json);
        assert_eq!(read("2").unwrap(), read("\"2\"").unwrap());
        assert_eq!(serde_json::to_string(&read("\"512Mi\"").unwrap()).unwrap(), "\"512Mi\"");
        assert!(read("-1").is_err());
    }
}
