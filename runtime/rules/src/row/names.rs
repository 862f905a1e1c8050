//! The names of a row's fields, when the rule's text alone says them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::value::json::{NotUtf8, member_key, write_value};
use crate::value::{Text, Value};

/// Names that differ from each other, in the order of the fields, with what JSON needs of them. All rows of a rule share
/// them.
#[derive(Debug, Clone)]
pub(crate) struct Names(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    number: usize,
    names: Vec<Name>,
}

#[derive(Debug)]
struct Name {
    text: Text,
    /// What JSON has before the value: `,"name":`.
    key: Vec<u8>,
}

impl Names {
    /// `None` when a name occurs twice, and when there are none.
    pub(crate) fn new(names: impl IntoIterator<Item = Text>) -> Option<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let names: Vec<_> = names.into_iter().map(|text| Name { key: member_key(&text), text }).collect();
        let different: HashSet<&Text> = names.iter().map(|name| &name.text).collect();
        if names.is_empty() || different.len() < names.len() {
            return None;
        }
        Some(Self(Arc::new(Shared { number: NEXT.fetch_add(1, Ordering::Relaxed), names })))
    }

    /// A number by which these names can be found; those made one after the other have different ones.
    pub(super) fn number(&self) -> usize {
        self.0.number
    }

    /// Whether these are not only equal, but the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Number of names.
    pub(super) fn len(&self) -> usize {
        self.0.names.len()
    }

    /// The names, one after another.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Text> {
        self.0.names.iter().map(|name| &name.text)
    }

    /// Appends members of these names as [`write_member`](crate::value::json::write_member) does.
    pub(super) fn write_members(&self, values: &[Value], out: &mut Vec<u8>) -> Result<(), NotUtf8> {
        let mut written = Ok(());
        for (name, value) in self.0.names.iter().zip(values) {
            if !value.is_undefined() {
                out.extend_from_slice(&name.key);
                written = write_value(value, out).and(written);
            }
        }
        written
    }
}
