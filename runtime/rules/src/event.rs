//! Events: what a rule is run on.
//!
//! Owns the event kinds with their names, the table of their columns ([`columns`]), and the per-message cache of the
//! decoded payload that all rules over one message share. Does not own where the columns' values come from: the
//! broker, the Kafka consumer and tests implement [`Columns`].

pub mod columns;
mod kind;
mod map;
mod places;

use std::cell::OnceCell;

pub use columns::Column;
pub use kind::EventKind;
pub use map::MapColumns;

use self::places::Places;
use crate::environment::RuleId;
use crate::value::json::{Document, Index, JsonError, Known};
use crate::value::path::packed::Packed;
use crate::value::{Text, Value};

/// The columns of one event, made only when a rule reads them.
pub trait Columns {
    /// What happened.
    fn kind(&self) -> EventKind;

    /// The value of a known column; [`Value::Undefined`] when this event does not carry it.
    fn get(&self, column: Column) -> Value;

    /// The bytes of a column that holds text or bytes, for printing it without making a value. `None` where there are none
    /// to lend: then [`Columns::get`] says what the column holds.
    fn bytes(&self, _column: Column) -> Option<&[u8]> {
        None
    }

    /// The value of a column that no table knows. Real events have none; sample events of tests may.
    fn get_named(&self, _name: &str) -> Value {
        Value::Undefined
    }

    /// Visits every column that is defined, for `SELECT *`.
    fn for_each(&self, visit: &mut dyn FnMut(Text, Value)) {
        for &column in self.kind().columns() {
            let value = self.get(column);
            if !value.is_undefined() {
                visit(column.text(), value);
            }
        }
    }
}

/// One event on its way through the rules: its columns, and its payload decoded at most once.
pub struct Event<'c> {
    columns: &'c dyn Columns,
    payload: OnceCell<Value>,
    index: OnceCell<Result<Index, JsonError>>,
    places: Places,
    /// Columns that were read, for the next rule; of those that fall together the first.
    read: [OnceCell<(Column, Value)>; KEPT_COLUMNS],
}

/// Most rules read few columns besides the payload.
const KEPT_COLUMNS: usize = 4;

impl<'c> Event<'c> {
    /// An event over `columns`. Cheap: nothing is read yet.
    #[inline]
    pub fn new(columns: &'c dyn Columns) -> Self {
        let (payload, index) = (OnceCell::new(), OnceCell::new());
        Self { columns, payload, index, places: Places::default(), read: Default::default() }
    }

    /// What happened.
    pub fn kind(&self) -> EventKind {
        self.columns.kind()
    }

    /// Where the values come from.
    pub(crate) fn columns(&self) -> &dyn Columns {
        self.columns
    }

    /// A column.
    #[inline]
    pub(crate) fn column(&self, column: Column) -> Value {
        self.kept(column).map_or_else(|| self.make_column(column), Value::clone)
    }

    /// The value of a column that was read before.
    #[inline]
    pub(crate) fn kept(&self, column: Column) -> Option<&Value> {
        match self.read[column as usize % KEPT_COLUMNS].get() {
            Some((kept, value)) if *kept == column => Some(value),
            _ => None,
        }
    }

    #[inline(never)]
    fn make_column(&self, column: Column) -> Value {
        if column == Column::Payload {
            return self.payload().clone();
        }
        let value = self.columns.get(column);
        if !value.is_shared() {
            // It stays as it is when another column has the place.
            let _ = self.read[column as usize % KEPT_COLUMNS].set((column, value.clone()));
        }
        value
    }

    /// The payload as it came, before any decoding.
    #[inline]
    pub(crate) fn payload(&self) -> &Value {
        self.payload.get_or_init(|| self.columns.get(Column::Payload))
    }

    /// The payload as an indexed JSON text; `None` when it is not text or bytes (a sample event may give it decoded).
    #[inline]
    pub(crate) fn document(&self) -> Option<Result<Document<'_>, &JsonError>> {
        match self.payload() {
            Value::Text(text) => {
                let index = self.index.get_or_init(|| Index::of(text));
                Some(index.as_ref().map(|index| index.document(text)))
            }
            Value::Bytes(_) => {
                const BROKEN: &JsonError = &JsonError { problem: "the bytes are not valid UTF-8", at: 0 };
                Some(Err(BROKEN))
            }
            _ => None,
        }
    }

    /// A number of the payload that was found and read before, and how many nodes finding it went by.
    #[inline]
    pub(crate) fn known(&self, path: &Packed) -> Option<(Known, usize)> {
        let Some(Ok(index)) = self.index.get() else { return None };
        let (node, passed) = self.places.get(path)?;
        Some((index.known(node)?, passed))
    }

    /// Places of the payload that were found.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Every defined column, as `SELECT *` gives them, with the rule's metadata.
    pub(crate) fn all(&self, rule_id: &RuleId, mut visit: impl FnMut(Text, Value)) {
        // The rule's own, whatever a sample event calls so.
        self.columns.for_each(&mut |name, value| {
            if name.as_str() != Column::Metadata.name() {
                visit(name, value);
            }
        });
        visit(Column::Metadata.text(), rule_id.metadata().clone());
    }
}
