//! A UTF-8 string that is cheap to clone and cheap to make from whatever the data path already has.

mod short;

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use short::Short;

/// UTF-8 text: a constant of the program, short and in place, an `Arc<str>` of the session (client id), or a slice of a
/// payload.
pub struct Text(Repr);

enum Repr {
    Constant(&'static str),
    Short(Short),
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
            Ok(text) => Ok(Self::from(text)),
            Err(_) => Err(bytes),
        }
    }

    /// The text as a string slice.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Constant(text) => text,
            Repr::Short(text) => text.as_str(),
            Repr::Shared(text) => text,
            Repr::Slice(text) => text,
        }
    }

    /// The bytes of the text; for many purposes as good as the text, and cheaper.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Constant(text) => text.as_bytes(),
            Repr::Short(text) => text.as_bytes(),
            Repr::Shared(text) => text.as_bytes(),
            Repr::Slice(text) => text.as_bytes(),
        }
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether there is no character.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether others share the text's memory, so that a clone costs as much as making it anew.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.0, Repr::Shared(_) | Repr::Slice(_))
    }

    /// A part of the text that shares its memory unless it is short. The range must lie on character boundaries.
    pub fn slice(&self, range: Range<usize>) -> Self {
        if let Repr::Constant(text) = self.0 {
            return Self(Repr::Constant(&text[range]));
        }
        let part = &self.as_str()[range];
        match (Short::new(part), &self.0) {
            (Some(short), _) => Self(Repr::Short(short)),
            (None, Repr::Slice(text)) => Self(Repr::Slice(text.slice_ref(part))),
            (None, _) => Self(Repr::Shared(Arc::from(part))),
        }
    }

    /// The bytes of the text, shared where possible.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Repr::Constant(text) => Bytes::from_static(text.as_bytes()),
            Repr::Short(_) | Repr::Shared(_) => Bytes::copy_from_slice(self.as_bytes()),
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

    fn short(text: &str) -> Option<Self> {
        Short::new(text).map(|short| Self(Repr::Short(short)))
    }
}

#[expect(clippy::inline_always, reason = "made in place and not moved there, a short text is copied in two steps")]
impl Clone for Text {
    #[inline(always)]
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Repr::Constant(text) => Repr::Constant(text),
            Repr::Short(text) => Repr::Short(*text),
            Repr::Shared(text) => Repr::Shared(Arc::clone(text)),
            Repr::Slice(text) => Repr::Slice(text.clone()),
        })
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
        Self::short(text).unwrap_or_else(|| Self(Repr::Shared(Arc::from(text))))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::short(&text).unwrap_or_else(|| Self(Repr::Slice(ByteString::from(text))))
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self::short(&text).unwrap_or(Self(Repr::Shared(text)))
    }
}

impl From<&ByteString> for Text {
    fn from(text: &ByteString) -> Self {
        Self::short(text).unwrap_or_else(|| Self(Repr::Slice(text.clone())))
    }
}

impl From<ByteString> for Text {
    fn from(text: ByteString) -> Self {
        Self::short(&text).unwrap_or(Self(Repr::Slice(text)))
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        // The order of UTF-8 is that of its bytes.
        self.as_bytes().cmp(other.as_bytes())
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

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use proptest::prelude::*;

    use super::*;

    /// The text in each form that it can have.
    fn forms(text: &str) -> Vec<Text> {
        let around = format!("é{text}é");
        let slice = Text(Repr::Slice(ByteString::from(text.to_owned())));
        let mut forms = vec![
            Text::from(text),
            Text::from(text.to_owned()),
            Text::from(Arc::<str>::from(text)),
            Text::from(ByteString::from(text)),
            Text(Repr::Shared(Arc::from(text))),
            Text(Repr::Slice(ByteString::from(around.clone()))).slice(2..2 + text.len()),
            Text(Repr::Shared(Arc::from(around))).slice(2..2 + text.len()),
            slice.detached(),
            slice,
        ];
        forms.extend(Text::from_utf8(Bytes::copy_from_slice(text.as_bytes())));
        forms
    }

    proptest! {
        #[test]
        fn every_form_is_the_same_text(text in "[aé\u{0}😀]{0,20}", other in "[aé\u{0}😀]{0,20}") {
            let hasher = foldhash::fast::FixedState::default();
            for form in forms(&text) {
                prop_assert_eq!(form.as_str(), text.as_str());
                prop_assert_eq!(form.as_bytes(), text.as_bytes());
                prop_assert_eq!(&*form.to_bytes(), text.as_bytes());
                prop_assert_eq!((form.len(), form.is_empty()), (text.len(), text.is_empty()));
                prop_assert_eq!(hasher.hash_one(&form), hasher.hash_one(text.as_str()));
                for other_form in forms(&other) {
                    prop_assert_eq!(form == other_form, text == other);
                    prop_assert_eq!(form.cmp(&other_form), text.cmp(&other));
                }
            }
        }
    }

    #[test]
    fn short_texts_share_nothing() {
        let text = "x".repeat(short::LONGEST);
        assert!(!Text::from(text.as_str()).is_shared());
        assert!(Text::from(text + "x").is_shared());
        assert_eq!(size_of::<Text>(), size_of::<ByteString>() + size_of::<usize>());
    }
}
