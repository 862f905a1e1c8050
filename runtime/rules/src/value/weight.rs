//! How large a value is for whoever walks through it: what it shares counts as often as it occurs.
//!
//! `[a, a]` costs next to nothing to make, and thirty such steps later printing the value would take for ever. So
//! whatever can put containers into containers weighs what it made.

use super::{Text, Value};
use crate::limits::MAX_VALUE_DEPTH;

/// Bytes that a value counts besides its text.
pub(crate) const VALUE_BYTES: usize = 8;

/// What a walk through a value meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// Values, containers and what is in them.
    pub(crate) values: usize,
    /// Bytes of texts and keys, and some for each value.
    pub(crate) bytes: usize,
}

/// Why a value must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TooLarge {
    /// Nested deeper than [`MAX_VALUE_DEPTH`].
    Depth,
    /// Of more bytes than allowed.
    Bytes,
}

impl Weight {
    /// Adds a value; stops as soon as there are more than `limit` bytes.
    #[inline]
    pub(crate) fn add(&mut self, value: &Value, limit: usize) -> Result<(), TooLarge> {
        let Some(text) = value.flat_bytes() else { return self.walk(value, limit, 0) };
        self.values += 1;
        self.grow(VALUE_BYTES + text, limit)
    }

    fn walk(&mut self, value: &Value, limit: usize, depth: usize) -> Result<(), TooLarge> {
        if depth > MAX_VALUE_DEPTH {
            return Err(TooLarge::Depth);
        }
        self.values += 1;
        self.grow(VALUE_BYTES + value.as_bytes().map_or(0, <[u8]>::len), limit)?;
        match value {
            Value::List(items) => items.iter().try_for_each(|item| self.walk(item, limit, depth + 1)),
            Value::Map(map) => map.iter().try_for_each(|(key, value)| self.entry(key, value, limit, depth + 1)),
            _ => Ok(()),
        }
    }

    fn entry(&mut self, key: &Text, value: &Value, limit: usize, depth: usize) -> Result<(), TooLarge> {
        self.grow(key.len(), limit)?;
        self.walk(value, limit, depth)
    }

    fn grow(&mut self, bytes: usize, limit: usize) -> Result<(), TooLarge> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > limit { Err(TooLarge::Bytes) } else { Ok(()) }
    }
}

impl Value {
    /// Bytes of memory that the value takes when nothing of it is shared, roughly. Only for values that a rule gave:
    /// those have bounds.
    pub fn memory(&self) -> usize {
        let mut weight = Weight::default();
        match weight.add(self, usize::MAX) {
            Ok(()) => weight.bytes + weight.values * size_of::<Self>(),
            Err(_) => usize::MAX / 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(value: &Value, limit: usize) -> Result<Weight, TooLarge> {
        let mut weight = Weight::default();
        weight.add(value, limit).map(|()| weight)
    }

    #[test]
    fn what_is_shared_counts_as_often_as_it_occurs() {
        let pair = Value::list(vec!["ab".into(), "c".into()]);
        assert_eq!(weight(&pair, 1000), Ok(Weight { values: 3, bytes: 27 }));
        let doubled = Value::list(vec![pair.clone(), pair]);
        assert_eq!(weight(&doubled, 1000), Ok(Weight { values: 7, bytes: 62 }));
        let mut laughs = doubled;
        for _ in 0..100 {
            laughs = Value::list(vec![laughs.clone(), laughs]);
        }
        assert_eq!(weight(&laughs, 1 << 20), Err(TooLarge::Bytes));
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| (0..depth).fold(Value::Null, |value, _| Value::list(vec![value]));
        assert!(weight(&nested(MAX_VALUE_DEPTH), 1 << 20).is_ok());
        assert_eq!(weight(&nested(MAX_VALUE_DEPTH + 1), 1 << 20), Err(TooLarge::Depth));
    }
}
