//! The values of jq programs: JSON, each container knowing how much it holds.

use std::fmt;
use std::rc::Rc;

use indexmap::IndexMap;

use super::super::FunctionError;
use super::guard::{self, Trip};
use crate::limits::{JQ_VALUE_SIZE, MAX_VALUE_DEPTH};
use crate::value::{Map, Text, Value};

pub(super) type Entries = IndexMap<Text, Val, foldhash::fast::RandomState>;

/// A value of a jq program.
#[derive(Debug, Clone, Default)]
pub(crate) enum Val {
    #[default]
    Null,
    Bool(bool),
    Int(i128),
    /// May be NaN or infinite, as in jq.
    Float(f64),
    Text(Text),
    List(Rc<Tree<Vec<Val>>>),
    Map(Rc<Tree<Entries>>),
}

/// A container with the size and depth of what is in it, shared parts counted as often as they occur: what it takes to
/// walk it. A program can build `[., .]` of itself sixty times cheaply; printing the result would take for ever.
#[derive(Debug, Clone)]
pub(crate) struct Tree<T> {
    items: T,
    size: u64,
    depth: usize,
}

impl<T> Tree<T> {
    pub(super) fn items(&self) -> &T {
        &self.items
    }
}

/// One string counts as one element per so many bytes.
const BYTES_PER_ELEMENT: usize = 64;

impl Val {
    fn size(&self) -> u64 {
        match self {
            Self::Text(text) => 1 + (text.len() / BYTES_PER_ELEMENT) as u64,
            Self::List(tree) => tree.size,
            Self::Map(tree) => tree.size,
            _ => 1,
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(tree) => tree.depth,
            Self::Map(tree) => tree.depth,
            _ => 0,
        }
    }

    /// A list; null, and the end of the program, when it passes a limit.
    pub(super) fn list(items: Vec<Self>) -> Self {
        guard::count(items.len() as u64);
        match measure(items.iter()) {
            Some((size, depth)) => Self::List(Rc::new(Tree { items, size, depth })),
            None => Self::Null,
        }
    }

    /// A map; null, and the end of the program, when it passes a limit.
    pub(super) fn map(items: Entries) -> Self {
        guard::count(items.len() as u64 * 2);
        match measure(items.values()) {
            Some((size, depth)) => Self::Map(Rc::new(Tree { items, size, depth })),
            None => Self::Null,
        }
    }

    /// A string; null, and the end of the program, when it is too long.
    pub(super) fn string(text: impl Into<Text>) -> Self {
        let text = text.into();
        guard::count((text.len() / BYTES_PER_ELEMENT) as u64);
        if text.len() > guard::max_bytes() {
            guard::trip(Trip::Bytes(guard::max_bytes()));
            return Self::Null;
        }
        Self::Text(text)
    }

    pub(super) fn from_value(value: &Value) -> Self {
        match value {
            Value::Undefined | Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(*value),
            Value::List(items) => Self::list(items.iter().map(Self::from_value).collect()),
            Value::Map(map) => {
                Self::map(map.iter().map(|(key, value)| (key.clone(), Self::from_value(value))).collect())
            }
            Value::Text(text) => Self::string(text.clone()),
            other => Self::string(crate::eval::operator::to_text(other)),
        }
    }

    /// The value outside of jq: NaN and infinities, which JSON does not have, become null.
    pub(super) fn to_value(&self) -> Result<Value, FunctionError> {
        Ok(match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Float(value) if value.is_finite() => Value::Float(*value),
            Self::Float(_) | Self::Null => Value::Null,
            Self::Text(text) => Value::Text(text.clone()),
            Self::List(tree) => Value::list(tree.items.iter().map(Self::to_value).collect::<Result<_, _>>()?),
            Self::Map(tree) => {
                let entries = tree.items.iter().map(|(key, value)| Ok((key.clone(), value.to_value()?)));
                Value::map(entries.collect::<Result<Map, FunctionError>>()?)
            }
        })
    }
}

/// Size and depth of a container of these.
fn measure<'v>(items: impl Iterator<Item = &'v Val>) -> Option<(u64, usize)> {
    let (size, depth) =
        items.fold((1_u64, 1), |(size, depth), item| (size.saturating_add(item.size()), depth.max(item.depth() + 1)));
    if size > JQ_VALUE_SIZE {
        guard::trip(Trip::Size);
        return None;
    }
    if depth > MAX_VALUE_DEPTH {
        guard::trip(Trip::Depth);
        return None;
    }
    Some((size, depth))
}

impl fmt::Display for Val {
    /// As JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_value() {
            Ok(value) => f.write_str(&value.to_json()),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<isize> for Val {
    fn from(value: isize) -> Self {
        Self::Int(value as i128)
    }
}

impl From<usize> for Val {
    fn from(value: usize) -> Self {
        Self::Int(value as i128)
    }
}

impl From<f64> for Val {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<String> for Val {
    fn from(value: String) -> Self {
        Self::string(value)
    }
}

impl FromIterator<Val> for Val {
    fn from_iter<I: IntoIterator<Item = Val>>(items: I) -> Self {
        // A generator may have no end of its own: stop taking when a limit was passed.
        let mut list = Vec::new();
        for item in items {
            list.push(item);
            if list.len() as u64 > JQ_VALUE_SIZE {
                guard::trip(Trip::Size);
                return Self::Null;
            }
        }
        Self::list(list)
    }
}

impl From<jaq_core::val::Range<Val>> for Val {
    fn from(range: jaq_core::val::Range<Val>) -> Self {
        let ends = [("start", range.start), ("end", range.end)];
        Self::map(ends.into_iter().filter_map(|(key, end)| Some((Text::constant(key), end?))).collect())
    }
}

/// The items of a list or map, to be changed: taken out when nobody else holds them, copied otherwise.
pub(super) fn owned<T: Clone>(tree: Rc<Tree<T>>) -> T {
    Rc::try_unwrap(tree).map_or_else(|shared| shared.items.clone(), |tree| tree.items)
}
