//! Columns from a JSON object: sample events of tests and of `isthmus rule test`.

use super::{Column, Columns, EventKind};
use crate::value::{Map, Text, Value};

/// An event given as a map from column name to value, already typed.
///
/// Columns that the map does not name are undefined, unless [`MapColumns::with_samples`] was asked to fill them.
#[derive(Debug, Clone)]
pub struct MapColumns {
    kind: EventKind,
    columns: Map,
}

impl MapColumns {
    /// The event that `columns` describe. Its kind follows from the `event` column: an event name such as
    /// `client.connected`, the FROM name of a Source, or nothing for a published message.
    ///
    /// `Err` holds an `event` text that names no kind of event.
    pub fn new(columns: Map) -> Result<Self, String> {
        let kind = match columns.get("event") {
            None | Some(Value::Undefined) => EventKind::MessagePublish,
            Some(Value::Text(name)) => match EventKind::from_event_name(name) {
                Some(kind) => kind,
                None if name.starts_with("$bridges/") || name.starts_with("$sources/") => EventKind::KafkaRecord,
                None => return Err(name.to_string()),
            },
            Some(other) => return Err(other.to_json()),
        };
        Ok(Self { kind, columns })
    }

    /// The event that a JSON object describes; `Err` says what is wrong with it.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, String> {
        match Value::from(json) {
            Value::Map(map) => Self::new(map.as_ref().clone()),
            other => Err(format!("an event is a JSON object of columns, not {}", other.type_name())),
        }
    }

    /// The same event with sample values for the columns of its kind that it does not name.
    #[must_use]
    pub fn with_samples(mut self) -> Self {
        for &column in self.kind.columns() {
            if self.columns.get(column.name()).is_none() {
                let value = match column {
                    Column::Event => Value::constant(self.kind.event_name()),
                    _ => Value::from_json(&Text::constant(column.sample())).unwrap_or_default(),
                };
                self.columns.insert(column.text(), value);
            }
        }
        self
    }

    /// The columns by name.
    pub fn columns(&self) -> &Map {
        &self.columns
    }
}

impl Columns for MapColumns {
    fn kind(&self) -> EventKind {
        self.kind
    }

    fn get(&self, column: Column) -> Value {
        self.get_named(column.name())
    }

    fn get_named(&self, name: &str) -> Value {
        self.columns.get(name).cloned().unwrap_or_default()
    }

    fn for_each(&self, visit: &mut dyn FnMut(Text, Value)) {
        for (name, value) in self.columns.iter().filter(|(_, value)| !value.is_undefined()) {
            visit(name.clone(), value.clone());
        }
    }
}
