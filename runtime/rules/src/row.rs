//! What a rule gives: rows of named values.

mod fields;
mod names;

use crate::value::json::{NotUtf8, close_members, open_members};
use crate::value::path::{self, Step};
use crate::value::{Map, Text, Value};
use fields::Fields;
pub(crate) use names::Names;

/// One output of a rule, or the names bound while it runs. Fields keep the order in which they were first set.
///
/// A row has as many fields as the rule has items, so that finding one is a short walk and needs no hashing.
#[derive(Debug, Clone, Default)]
pub struct Row(Option<Box<Fields>>);

impl Row {
    /// An empty row with room for `fields` fields.
    pub fn with_capacity(fields: usize) -> Self {
        Self(Some(Fields::with_capacity(fields)))
    }

    /// An empty row whose fields are [pushed](Self::push_named) in the order of `names`, all of them before any other is
    /// set.
    #[inline]
    pub(crate) fn of(names: &Names) -> Self {
        Self(Some(Fields::of(names)))
    }

    fn fields_mut(&mut self) -> &mut Fields {
        self.0.get_or_insert_with(|| Fields::with_capacity(0))
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.as_ref()?.iter().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    fn get_mut(&mut self, name: &Text) -> Option<&mut Value> {
        self.0.as_mut()?.iter_mut().find(|(field, _)| *field == name).map(|(_, value)| value)
    }

    /// Sets a field.
    pub fn set(&mut self, name: Text, value: Value) {
        match self.get_mut(&name) {
            Some(old) => *old = value,
            None => self.push(name, value),
        }
    }

    /// Adds a field that is not there yet.
    pub(crate) fn push(&mut self, name: Text, value: Value) {
        self.fields_mut().push(name, value);
    }

    /// Adds the value of the next of the row's names.
    #[inline]
    pub(crate) fn push_named(&mut self, value: Value) {
        if let Some(fields) = &mut self.0 {
            fields.push_named(value);
        }
    }

    /// The same with a value that somebody keeps.
    #[inline]
    pub(crate) fn push_named_clone(&mut self, value: &Value) {
        if let Some(fields) = &mut self.0 {
            fields.push_named_clone(value);
        }
    }

    /// Writes `value` at a place inside the field `root`, making the field if need be.
    pub(crate) fn put(&mut self, root: &Text, steps: &[Step], value: Value) {
        if let Some(field) = self.get_mut(root) {
            path::put(field, steps, value);
            return;
        }
        let mut field = Value::Undefined;
        path::put(&mut field, steps, value);
        self.push(root.clone(), field);
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |fields| fields.len())
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Text, &Value)> {
        self.0.iter().flat_map(|fields| fields.iter())
    }

    /// The bytes of the values' texts, when no value has others in it.
    #[inline]
    pub(crate) fn flat_bytes(&self) -> Option<usize> {
        self.0.as_ref().map_or(Some(0), |fields| fields.flat_bytes())
    }

    /// Appends the row as a JSON object; undefined fields are left out. Bytes that are not UTF-8: see
    /// [`write_value`](crate::value::json::write_value).
    pub fn write_json(&self, out: &mut Vec<u8>) -> Result<(), NotUtf8> {
        let start = open_members(out);
        let written = match &self.0 {
            Some(fields) => fields.write_members(out),
            None => Ok(()),
        };
        close_members(start, out);
        written
    }

    /// The row as a map value.
    pub fn to_value(&self) -> Value {
        Value::map(self.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Map>())
    }
}

impl Drop for Row {
    #[inline]
    fn drop(&mut self) {
        if let Some(fields) = self.0.take() {
            fields.keep();
        }
    }
}

impl From<&Map> for Row {
    fn from(map: &Map) -> Self {
        let mut row = Self::with_capacity(map.len());
        map.iter().for_each(|(name, value)| row.push(name.clone(), value.clone()));
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(row: &Row) -> String {
        let mut out = Vec::new();
        row.write_json(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn row() -> Row {
        let names = Names::new(["a", "b \"", "c"].map(Text::from)).unwrap();
        let mut row = Row::of(&names);
        row.push_named(1.into());
        row.push_named(Value::Undefined);
        row.push_named("x".into());
        row
    }

    #[test]
    fn a_row_of_shared_names_is_changed_like_any_other() {
        let mut row = row();
        assert_eq!((json(&row).as_str(), row.len()), (r#"{"a":1,"c":"x"}"#, 3));
        row.set("b \"".into(), true.into());
        row.set("d".into(), 2.into());
        row.put(&"e".into(), &[Step::Key("f".into())], 3.into());
        row.put(&"a".into(), &[Step::Index(1)], 4.into());
        assert_eq!(json(&row), r#"{"a":[4],"b \"":true,"c":"x","d":2,"e":{"f":3}}"#);
        assert_eq!((row.get("d"), row.get("e.f"), row.len()), (Some(&2.into()), None, 5));
    }

    #[test]
    fn rows_that_exist_at_the_same_time_have_values_of_their_own() {
        let (mut one, two) = (row(), row());
        one.set("a".into(), 2.into());
        let copy = one.clone();
        drop(one);
        assert_eq!((json(&two), json(&copy)), (r#"{"a":1,"c":"x"}"#.into(), r#"{"a":2,"c":"x"}"#.into()));
        assert_eq!(json(&row()), r#"{"a":1,"c":"x"}"#);
    }

    #[test]
    fn names_differ_and_are_some() {
        assert!(Names::new(["a", "b", "a"].map(Text::from)).is_none());
        assert!(Names::new([]).is_none());
    }
}
