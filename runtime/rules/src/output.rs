//! What a rule gives: rows that it made, or the event itself.
//!
//! `SELECT *` copies nothing: its output is the event, whose columns are made when a template reads them. Most templates
//! read two or three of sixteen.

use std::borrow::Cow;

use crate::environment::RuleId;
use crate::event::{Column, Event};
use crate::row::Row;
use crate::value::json::{NotUtf8, close_members, open_members, write_member};
use crate::value::{Map, Text, Value};

/// The outputs of one rule run. Most rules give none or one: neither needs a list.
#[derive(Debug, Clone)]
pub enum Rows<'e> {
    /// WHERE was not satisfied.
    NoMatch,
    /// A `SELECT *` gives every column of the event.
    Event(Everything<'e>),
    /// Any other SELECT gives one row.
    One(Row),
    /// A FOREACH gives a row per element, perhaps none.
    Many(Vec<Row>),
}

/// Every column of an event, and the rule's `metadata`.
#[derive(Clone, Copy)]
pub struct Everything<'e> {
    event: &'e Event<'e>,
    rule_id: &'e RuleId,
}

/// One output of a rule.
#[derive(Debug, Clone, Copy)]
pub enum Output<'o> {
    /// Every column of the event.
    Event(Everything<'o>),
    /// Fields that the rule made.
    Row(&'o Row),
}

impl Rows<'_> {
    /// Whether there is nothing to act on: no match, or a FOREACH without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of outputs.
    pub fn len(&self) -> usize {
        match self {
            Self::NoMatch => 0,
            Self::Event(_) | Self::One(_) => 1,
            Self::Many(rows) => rows.len(),
        }
    }

    /// The outputs, one after another.
    pub fn iter(&self) -> impl Iterator<Item = Output<'_>> {
        let (event, rows): (_, &[Row]) = match self {
            Self::NoMatch => (None, &[]),
            Self::Event(all) => (Some(Output::Event(*all)), &[]),
            Self::One(row) => (None, std::slice::from_ref(row)),
            Self::Many(rows) => (None, rows),
        };
        event.into_iter().chain(rows.iter().map(Output::Row))
    }

    /// The outputs as a value: a map, of a FOREACH a list of maps. `None` when WHERE was not satisfied.
    pub fn to_value(&self) -> Option<Value> {
        match self {
            Self::NoMatch => None,
            Self::Event(all) => Some(Output::Event(*all).to_value()),
            Self::One(row) => Some(row.to_value()),
            Self::Many(rows) => Some(Value::list(rows.iter().map(Row::to_value).collect())),
        }
    }
}

impl<'e> Everything<'e> {
    pub(crate) fn new(event: &'e Event<'e>, rule_id: &'e RuleId) -> Self {
        Self { event, rule_id }
    }

    /// The columns that are there, as a row with room for `more` fields.
    pub(crate) fn to_row(self, more: usize) -> Row {
        let mut row = Row::with_capacity(self.event.kind().columns().len() + more);
        // No two columns have one name.
        self.event.all(self.rule_id, |name, value| row.push(name, value));
        row
    }

    fn get(self, name: &str, column: Option<Column>) -> Option<Cow<'e, Value>> {
        let value = match column {
            Some(Column::Metadata) => Cow::Borrowed(self.rule_id.metadata()),
            Some(Column::Payload) => Cow::Borrowed(self.event.payload()),
            Some(column) => match self.event.kept(column) {
                Some(kept) => Cow::Borrowed(kept),
                // Not kept for others: most columns are read by one template.
                None => Cow::Owned(self.event.columns().get(column)),
            },
            None => Cow::Owned(self.event.columns().get_named(name)),
        };
        (!value.is_undefined()).then_some(value)
    }
}

impl std::fmt::Debug for Everything<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Output::Event(*self).to_value().fmt(f)
    }
}

impl<'o> Output<'o> {
    /// The bytes of a field that is an event's column and lends them.
    pub(crate) fn bytes(self, column: Column) -> Option<&'o [u8]> {
        match self {
            Self::Event(all) => all.event.columns().bytes(column),
            Self::Row(_) => None,
        }
    }

    /// The value of a field; `column` is what [`Column::named`] has for its name.
    pub(crate) fn get(self, name: &Text, column: Option<Column>) -> Option<Cow<'o, Value>> {
        match self {
            Self::Event(all) => all.get(name, column),
            Self::Row(row) => row.get(name).map(Cow::Borrowed),
        }
    }

    /// Appends the output as a JSON object; undefined fields are left out. Bytes that are not UTF-8: see
    /// [`write_value`](crate::value::json::write_value).
    pub fn write_json(self, out: &mut Vec<u8>) -> Result<(), NotUtf8> {
        match self {
            Self::Event(Everything { event, rule_id }) => {
                let start = open_members(out);
                let mut written = Ok(());
                event.all(rule_id, |name, value| written = write_member(&name, &value, out).and(written));
                close_members(start, out);
                written
            }
            Self::Row(row) => row.write_json(out),
        }
    }

    /// The output as a map value.
    pub fn to_value(self) -> Value {
        match self {
            Self::Event(Everything { event, rule_id }) => {
                let mut map = Map::new();
                event.all(rule_id, |name, value| map.insert(name, value));
                Value::map(map)
            }
            Self::Row(row) => row.to_value(),
        }
    }
}

impl<'o> From<&'o Row> for Output<'o> {
    fn from(row: &'o Row) -> Self {
        Self::Row(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Environment, FixedHost, Limits, MapColumns, MissingPolicy, Rule, Template, TemplateKind};

    /// What templates and JSON see of `SELECT *` is what they would see of the row with all columns.
    #[test]
    fn the_event_as_output_is_like_the_row_of_its_columns() {
        let events = [
            serde_json::json!({"topic": "t", "payload": "{\"a\":{\"b\":1}}", "clientid": "car-7", "own": [1], "metadata": 5}),
            serde_json::json!({"topic": "t", "payload": {"a": {"b": 1}}, "pub_props": {"User-Property": {"k": "v"}}}),
            serde_json::json!({"event": "$bridges/kafka_consumer:s", "topic": "t", "value": "v", "headers": {"h": "1"}}),
        ];
        let rule = Rule::compile("SELECT * FROM \"t\"").unwrap().rule;
        let (host, limits, id) = (FixedHost::default(), Limits::default(), "everything".into());
        for event in events {
            let columns = MapColumns::from_json(&event).unwrap();
            let event = Event::new(&columns);
            let rows = rule.evaluate(&event, &mut Environment::new(&host, &limits, &id)).unwrap();
            let Rows::Event(everything) = rows else { panic!("{rows:?}") };
            let row = everything.to_row(0);
            assert_eq!(rows.to_value(), Some(row.to_value()));
            let (one, other) = (Output::Event(everything), Output::Row(&row));
            for text in [
                "${.}",
                "${payload}",
                "${.payload.a.b}",
                "${payload.a}",
                "${clientid}",
                "${metadata.rule_id}",
                "${own}",
                "${pub_props.User-Property.k}",
                "${value}",
                "${headers.h}",
                "${username}",
                "${nix}",
                "${event}",
            ] {
                for kind in [TemplateKind::Action, TemplateKind::Topic] {
                    let template = Template::compile(text, kind).unwrap();
                    let rendered = [one, other].map(|output| {
                        let mut out = Vec::new();
                        let rendered = template.render(output, MissingPolicy::Error, &mut out);
                        (String::from_utf8(out).unwrap(), rendered, template.value(output))
                    });
                    assert_eq!(rendered[0], rendered[1], "{text} over {columns:?}");
                }
            }
        }
    }
}
