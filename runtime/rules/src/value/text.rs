//! A UTF-8 string that is cheap to clone and cheap to make from whatever the data path already has.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

/// Shared UTF-8 text: a constant of the program, an `Arc<str>` of the session (client id), or a slice of a payload.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Constant(&'static str),
    Shared(Arc<str>),
    Slice(ByteString),
}

impl Text {
    /// A constant of the program.
    pub const fn constant(text: &'static str) -> Self {
        Self(Repr::Constant(text))
    }

    /// Bytes as text without a copy; the bytes themselves when they are not UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Result<Self, Bytes> {
        match ByteString::try_from(bytes.clone()) {
            Ok(text) => Ok(Self(Repr::Slice(text))),
            Err(_) => Err(bytes),
        }
    }

    /// The text as a string slice.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Constant(text) => text,
            Repr::Shared(text) => text,
            Repr::Slice(text) => text,
        }
    }

    /// A part of the text that shares its memory where possible. The range must lie on character boundaries.
    pub fn slice(&self, range: Range<usize>) -> Self {
        match &self.0 {
            Repr::Constant(text) => Self(Repr::Constant(&text[range])),
            Repr::Shared(text) => Self::from(&text[range]),
            Repr::Slice(text) => Self(Repr::Slice(text.slice_ref(&text[range]))),
        }
    }

    /// The bytes of the text, shared where possible.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Repr::Constant(text) => Bytes::from_static(text.as_bytes()),
            Repr::Shared(text) => Bytes::copy_from_slice(text.as_bytes()),
            Repr::Slice(text) => text.as_bytes().clone(),
        }
    }

    /// The same text in memory of its own size, so that keeping it does not keep a whole payload.
    #[must_use]
    pub fn detached(&self) -> Self {
        match &self.0 {
            Repr::Slice(text) => Self(Repr::Shared(Arc::from(&**text))),
            _ => self.clone(),
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Repr::Shared(Arc::from(text)))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Repr::Slice(ByteString::from(text)))
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self(Repr::Shared(text))
    }
}

impl From<ByteString> for Text {
    fn from(text: ByteString) -> Self {
        Self(Repr::Slice(text))
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}
