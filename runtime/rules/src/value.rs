//! The values a rule works with.
//!
//! Owns the type, its conversions to and from Rust and JSON types, and its short forms of text. The parts have files
//! of their own: [`text`] (cheap strings), [`map`], [`json`] (reading and writing JSON), [`number`] (text forms),
//! [`compare`] (ordering and coercion), [`path`] (reading and writing nested places), [`bits`] (bit strings), `weight`
//! (what it takes to walk through one).

pub mod bits;
pub mod compare;
pub mod json;
pub mod map;
pub mod number;
pub mod path;
pub mod text;
pub(crate) mod weight;

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

pub use bits::Bits;
pub use map::Map;
pub use text::Text;

/// A value of the rule language. Cloning is cheap: containers and texts are shared.
///
/// `Undefined` (a column or key that is not there) is different from `Null` (JSON's null): see
/// [`compare::compare`] for what that means in conditions.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Value {
    /// Nothing was found.
    #[default]
    Undefined,
    /// JSON null.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number. 128 bits hold every number that JSON producers use as an identifier (unsigned 64 bits too)
    /// without loss; arithmetic beyond them is an error, never a wrap.
    Int(i128),
    /// A number with a fraction. Never NaN or infinite: an operation that would give one is an error.
    Float(f64),
    /// UTF-8 text.
    Text(Text),
    /// Bytes that are not valid UTF-8. Use [`Value::binary`], which keeps valid UTF-8 as [`Value::Text`].
    Bytes(Bytes),
    /// A bit string whose length is not a whole number of bytes.
    Bits(Arc<Bits>),
    /// A list; its first element has index 1 in SQL.
    List(Arc<Vec<Value>>),
    /// A map from text to values, in the order of insertion.
    Map(Arc<Map>),
}

impl Value {
    /// A text from a constant of the program.
    pub const fn constant(text: &'static str) -> Self {
        Self::Text(Text::constant(text))
    }

    /// A payload or any other byte string: text when it is valid UTF-8, bytes otherwise. Nothing is copied.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        match Text::from_utf8(bytes.into()) {
            Ok(text) => Self::Text(text),
            Err(bytes) => Self::Bytes(bytes),
        }
    }

    /// The same of bytes that somebody else keeps.
    pub fn shared_binary(bytes: &Bytes) -> Self {
        ByteString::try_from(bytes.clone()).map_or_else(|_| Self::Bytes(bytes.clone()), |text| Self::Text(text.into()))
    }

    /// A list.
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Arc::new(items))
    }

    /// A map.
    pub fn map(map: Map) -> Self {
        Self::Map(Arc::new(map))
    }

    /// Whether nothing was found.
    pub fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined)
    }

    /// The text, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of a text or byte string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The bytes of a text; `None` when there are values in it.
    #[inline]
    pub(crate) fn flat_bytes(&self) -> Option<usize> {
        match self {
            Self::List(_) | Self::Map(_) => None,
            Self::Text(text) => Some(text.len()),
            Self::Bytes(bytes) => Some(bytes.len()),
            _ => Some(0),
        }
    }

    /// Whether a clone shares memory, and so changes a counter.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Undefined | Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => false,
            Self::Text(text) => text.is_shared(),
            Self::Bytes(_) | Self::Bits(_) | Self::List(_) | Self::Map(_) => true,
        }
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The same value in memory of its own size, so that keeping it does not keep a whole payload.
    #[must_use]
    pub fn detached(&self) -> Self {
        match self {
            Self::Text(text) => Self::Text(text.detached()),
            Self::Bytes(bytes) => Self::Bytes(Bytes::copy_from_slice(bytes)),
            Self::List(items) => Self::list(items.iter().map(Self::detached).collect()),
            Self::Map(map) => Self::map(map.iter().map(|(key, value)| (key.detached(), value.detached())).collect()),
            other => other.clone(),
        }
    }

    /// The name of the type as users know it, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "a string",
            Self::Bytes(_) => "a byte string",
            Self::Bits(_) => "a bit string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::Int(i128::from(value))
            }
        }
    )*};
}
integers!(i8 i16 i32 i64 i128 u8 u16 u32 u64);

impl From<f64> for Value {
    /// NaN and infinities have no value in the rule language: they become undefined.
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Float(value) } else { Self::Undefined }
    }
}

impl From<Text> for Value {
    fn from(value: Text) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Text::from(value))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Text::from(value))
    }
}

impl From<Arc<str>> for Value {
    fn from(value: Arc<str>) -> Self {
        Self::Text(Text::from(value))
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::list(value)
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::map(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    /// `None` is undefined.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Undefined, Into::into)
    }
}
