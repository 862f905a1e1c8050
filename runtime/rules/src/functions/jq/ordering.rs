//! The order of jq: null, booleans, numbers, strings, lists, maps.

use std::cmp::Ordering;

use super::value::Val;
use crate::value::Value;
use crate::value::compare::order;

fn rank(value: &Val) -> u8 {
    match value {
        Val::Null => 0,
        Val::Bool(_) => 1,
        Val::Int(_) | Val::Float(_) => 2,
        Val::Text(_) => 3,
        Val::List(_) => 4,
        Val::Map(_) => 5,
    }
}

fn number(value: &Val) -> Value {
    match value {
        Val::Int(value) => Value::Int(*value),
        Val::Float(value) => Value::Float(*value),
        _ => Value::Undefined,
    }
}

impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            // NaN is less than any number, itself included.
            (Self::Float(a), _) if a.is_nan() && rank(other) == 2 => Ordering::Less,
            (_, Self::Float(b)) if b.is_nan() && rank(self) == 2 => Ordering::Greater,
            (Self::Int(_) | Self::Float(_), Self::Int(_) | Self::Float(_)) => order(&number(self), &number(other)),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::List(a), Self::List(b)) => a.items().cmp(b.items()),
            (Self::Map(a), Self::Map(b)) => {
                let sorted = |map: &super::value::Entries| {
                    let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                    entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                    entries
                };
                let (a, b) = (sorted(a.items()), sorted(b.items()));
                let keys = a.iter().map(|entry| &entry.0).cmp(b.iter().map(|entry| &entry.0));
                keys.then_with(|| a.iter().map(|entry| &entry.1).cmp(b.iter().map(|entry| &entry.1)))
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Map(a), Self::Map(b)) => a.items() == b.items(),
            (Self::List(a), Self::List(b)) => a.items() == b.items(),
            _ => self.cmp(other) == Ordering::Equal,
        }
    }
}

impl Eq for Val {}
