//! What a rule gives: rows of named values.

use crate::value::path::{self, Step};
use crate::value::{Map, Text, Value};

/// One output of a rule, or the names bound while it runs. Fields keep the order in which they were first set.
///
/// A row has as many fields as the rule has items, so that finding one is a short walk and needs no hashing.
#[derive(Debug, Clone, Default)]
pub struct Row {
    fields: Vec<(Text, Value)>,
}

impl Row {
    /// An empty row with room for `fields` fields.
    pub fn with_capacity(fields: usize) -> Self {
        Self { fields: Vec::with_capacity(fields) }
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, _)| **field == *name).map(|(_, value)| value)
    }

    /// Sets a field.
    pub fn set(&mut self, name: Text, value: Value) {
        match self.fields.iter_mut().find(|(field, _)| *field == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name, value)),
        }
    }

    /// Adds a field that is not there yet.
    pub(crate) fn push(&mut self, name: Text, value: Value) {
        self.fields.push((name, value));
    }

    /// Writes `value` at a place inside the field `root`, making the field if need be.
    pub(crate) fn put(&mut self, root: &Text, steps: &[Step], value: Value) {
        if steps.is_empty() {
            self.set(root.clone(), value);
            return;
        }
        let at = self.fields.iter().position(|(field, _)| field == root).unwrap_or_else(|| {
            self.fields.push((root.clone(), Value::Undefined));
            self.fields.len() - 1
        });
        path::put(&mut self.fields[at].1, steps, value);
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Fields in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Value)> {
        self.fields.iter().map(|(name, value)| (name, value))
    }

    /// Appends the row as a JSON object; undefined fields are left out.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        crate::value::json::write_entries(self.iter().map(|(name, value)| (name.as_str(), value)), out);
    }

    /// The row as a map value.
    pub fn to_value(&self) -> Value {
        Value::map(self.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Map>())
    }
}

impl From<&Map> for Row {
    fn from(map: &Map) -> Self {
        Self { fields: map.iter().map(|(name, value)| (name.clone(), value.clone())).collect() }
    }
}

/// The outputs of one rule run. Most rules give none or one: neither needs a list.
#[derive(Debug, Clone)]
pub enum Rows {
    /// WHERE was not satisfied.
    NoMatch,
    /// A SELECT gives one row.
    One(Row),
    /// A FOREACH gives a row per element, perhaps none.
    Many(Vec<Row>),
}

impl Rows {
    /// Whether there is nothing to act on: no match, or a FOREACH without elements.
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// The rows.
    pub fn as_slice(&self) -> &[Row] {
        match self {
            Self::NoMatch => &[],
            Self::One(row) => std::slice::from_ref(row),
            Self::Many(rows) => rows,
        }
    }

    /// The rows, one after another.
    pub fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.as_slice().iter()
    }
}

impl<'r> IntoIterator for &'r Rows {
    type Item = &'r Row;
    type IntoIter = std::slice::Iter<'r, Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
