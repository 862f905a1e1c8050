//! JSON in and out.
//!
//! Reading makes an [`Index`]: the text is validated once, and values are built only where a rule reads.
//! Writing goes straight into a byte buffer. Conversions from and to `serde_json` serve tests and tools.

mod document;
mod scan;
mod write;

pub use document::Index;
pub(crate) use document::{Document, Known, NodeId};
pub use write::{NotUtf8, write_string, write_value};
pub(crate) use write::{close_members, member_key, open_members, write_member};

use thiserror::Error;

use super::{Map, Text, Value};

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{problem} at byte {at}")]
pub struct JsonError {
    /// What is wrong there.
    pub problem: &'static str,
    /// Byte offset in the text.
    pub at: usize,
}

impl Value {
    /// Reads a JSON text into a value. Of duplicate keys the last one wins; numbers beyond 128 bits become floats.
    pub fn from_json(text: &Text) -> Result<Self, JsonError> {
        Ok(Index::of(text)?.document(text).all())
    }

    /// The value as JSON text. What that is for each type: see [`write_value`].
    pub fn try_to_json(&self) -> Result<String, NotUtf8> {
        let mut out = Vec::new();
        write_value(self, &mut out)?;
        Ok(String::from_utf8(out).unwrap_or_default())
    }

    /// The same for people to read: bytes that are not UTF-8 show as U+FFFD.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        let _ = write_value(self, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => match (number.as_i128(), number.as_f64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(float)) => Self::from(float),
                (None, None) => Self::Undefined,
            },
            serde_json::Value::String(text) => Self::from(text.as_str()),
            serde_json::Value::Array(items) => Self::list(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(entries) => {
                Self::map(entries.iter().map(|(key, value)| (key.as_str(), Self::from(value))).collect::<Map>())
            }
        }
    }
}

impl From<&Value> for serde_json::Value {
    /// Through JSON text, so that it is what a template would print, with U+FFFD where that would fail; integers beyond 64
    /// bits become floats.
    fn from(value: &Value) -> Self {
        let mut out = Vec::new();
        let _ = write_value(value, &mut out);
        serde_json::from_slice(&out).unwrap_or_default()
    }
}
