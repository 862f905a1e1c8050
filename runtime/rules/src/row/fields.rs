//! What a row holds, in memory of its own: a pointer is all that is moved when a row is handed on.
//!
//! A thread keeps that memory, and the names with it, for the next row of the same rule: most rows are gone before the
//! next one is made, and the counter of the shared names is dearer than all values of a small row.

use std::cell::Cell;

use super::names::Names;
use crate::value::json::{NotUtf8, write_member};
use crate::value::{Text, Value};

/// Rules for which a thread keeps a row, and one row without names.
const KEPT_ROWS: usize = 33;
/// Room for more fields than this is given back.
const KEPT_FIELDS: usize = 32;

thread_local! {
    static KEPT: [Cell<Option<Box<Fields>>>; KEPT_ROWS] = const { [const { Cell::new(None) }; KEPT_ROWS] };
}

#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    names: Option<Names>,
    /// The values under the first of `names`.
    named: Vec<Value>,
    /// The fields after these.
    others: Vec<(Text, Value)>,
}

#[expect(clippy::unnecessary_box_returns, reason = "the memory that is kept is handed on")]
impl Fields {
    /// No fields, and room for so many.
    pub(super) fn with_capacity(fields: usize) -> Box<Self> {
        let mut kept = Self::kept(KEPT_ROWS - 1).unwrap_or_default();
        kept.others.reserve_exact(fields);
        kept
    }

    /// No values yet, to be pushed in the order of `names`.
    #[inline]
    pub(super) fn of(names: &Names) -> Box<Self> {
        match Self::kept(place(names)) {
            Some(kept) if kept.names.as_ref().is_some_and(|kept| kept.is(names)) => kept,
            kept => Self::named_anew(kept, names),
        }
    }

    #[inline(never)]
    fn named_anew(kept: Option<Box<Self>>, names: &Names) -> Box<Self> {
        let mut fields = kept.unwrap_or_default();
        fields.names = Some(names.clone());
        fields.named.reserve_exact(names.len());
        fields
    }

    #[inline]
    fn kept(place: usize) -> Option<Box<Self>> {
        KEPT.try_with(|kept| kept[place].take()).ok().flatten()
    }

    /// Keeps the memory for the next row.
    #[inline]
    pub(super) fn keep(mut self: Box<Self>) {
        if self.named.capacity().max(self.others.capacity()) > KEPT_FIELDS {
            return;
        }
        self.named.clear();
        self.others.clear();
        let place = self.names.as_ref().map_or(KEPT_ROWS - 1, place);
        // While a thread ends there is nobody to keep it for.
        let _ = KEPT.try_with(|kept| kept[place].set(Some(self)));
    }

    /// Adds the value of the next of the names.
    #[inline]
    pub(super) fn push_named(&mut self, value: Value) {
        self.named.push(value);
    }

    /// The same with a value that somebody keeps.
    #[inline]
    pub(super) fn push_named_clone(&mut self, value: &Value) {
        // Cloned where it stays: a value is dear to move.
        self.named.extend_from_slice(std::slice::from_ref(value));
    }

    /// Adds a field that is not there yet.
    pub(super) fn push(&mut self, name: Text, value: Value) {
        self.others.push((name, value));
    }

    pub(super) fn len(&self) -> usize {
        self.named.len() + self.others.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Text, &Value)> {
        let named = self.names.iter().flat_map(Names::iter).zip(&self.named);
        named.chain(self.others.iter().map(|(name, value)| (name, value)))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Text, &mut Value)> {
        let named = self.names.iter().flat_map(Names::iter).zip(&mut self.named);
        named.chain(self.others.iter_mut().map(|(name, value)| (&*name, value)))
    }

    /// The bytes of the values' texts, when no value has others in it.
    #[inline]
    pub(super) fn flat_bytes(&self) -> Option<usize> {
        let mut sum = 0;
        for value in &self.named {
            sum += value.flat_bytes()?;
        }
        for (_, value) in &self.others {
            sum += value.flat_bytes()?;
        }
        Some(sum)
    }

    #[inline]
    pub(super) fn write_members(&self, out: &mut Vec<u8>) -> Result<(), NotUtf8> {
        let mut written = match &self.names {
            Some(names) => names.write_members(&self.named, out),
            None => Ok(()),
        };
        for (name, value) in &self.others {
            written = write_member(name, value, out).and(written);
        }
        written
    }
}

fn place(names: &Names) -> usize {
    names.number() % (KEPT_ROWS - 1)
}
