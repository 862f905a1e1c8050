//! What a rule's output can hold, so that a template variable that can never be there is found (row X4).

use crate::event::{Column, EventKind};
use crate::plan::{Expr, Node};
use crate::sql::ast::{Path, Step};

/// The places that a rule's items write to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    columns: Vec<Column>,
    places: Vec<Written>,
}

/// One place: the keys that lead to it, and whether there can be more inside.
#[derive(Debug, Clone)]
struct Written {
    keys: Vec<String>,
    nested: bool,
}

impl Shape {
    pub(super) fn add_columns(&mut self, kinds: &[EventKind]) {
        self.columns.push(Column::Metadata);
        self.columns.extend(kinds.iter().flat_map(|kind| kind.columns()));
    }

    pub(super) fn add(&mut self, target: &Path, expr: &Expr) {
        let mut keys = vec![target.root.clone()];
        let fixed = target.steps.iter().map_while(|step| match step {
            Step::Key(key) => Some(key.clone()),
            _ => None,
        });
        keys.extend(fixed);
        let nested = keys.len() <= target.steps.len() || may_be_nested(expr);
        self.places.push(Written { keys, nested });
    }

    /// Whether a row can have this field already. `*` gives whatever a sample event has, not only the known columns.
    pub(super) fn may_have(&self, root: &str) -> bool {
        !self.columns.is_empty() || self.places.iter().any(|place| place.keys[0] == root)
    }

    pub(super) fn add_any(&mut self, name: &str) {
        self.places.push(Written { keys: vec![name.to_owned()], nested: true });
    }

    /// The shape of DO's rows: `*` in DO also gives the names bound before.
    pub(super) fn with_bound(mut self, bound: Self, item: &str) -> Self {
        if !self.columns.is_empty() {
            self.places.extend(bound.places);
            self.add_any(item);
        }
        self
    }

    pub(crate) fn can_produce(&self, path: &str) -> bool {
        let path = path.strip_prefix('.').unwrap_or(path);
        if path.is_empty() {
            return true;
        }
        let wanted: Vec<&str> = path.split('.').collect();
        let column =
            |column: &Column| column.name() == wanted[0] && (wanted.len() == 1 || column.value_type().may_be_nested());
        self.columns.iter().any(column) || self.places.iter().any(|place| place.covers(&wanted) || place.is_named(path))
    }

    pub(crate) fn roots(&self) -> impl Iterator<Item = &str> {
        let places = self.places.iter().filter_map(|place| place.keys.first().map(String::as_str));
        places.chain(self.columns.iter().map(|column| column.name()))
    }
}

impl Written {
    fn covers(&self, wanted: &[&str]) -> bool {
        let common = self.keys.iter().zip(wanted).take_while(|(key, wanted)| key == *wanted).count();
        common == wanted.len() || (common == self.keys.len() && self.nested)
    }

    /// A name with dots in it, such as a quoted one.
    fn is_named(&self, path: &str) -> bool {
        matches!(self.keys.as_slice(), [only] if only == path)
    }
}

fn may_be_nested(expr: &Expr) -> bool {
    match &expr.node {
        Node::Constant(value) => match value.as_text() {
            Some(text) => crate::value::path::looks_nested(text),
            None => matches!(value, crate::value::Value::List(_) | crate::value::Value::Map(_)),
        },
        Node::Place(_)
        | Node::Slice(..)
        | Node::List(_)
        | Node::Call { .. }
        | Node::Arithmetic(crate::plan::Arithmetic::Add, ..) => true,
        Node::Cond { branches, otherwise } | Node::Switch { branches, otherwise, .. } => {
            branches.iter().map(|(_, then)| then).chain(otherwise.as_deref()).any(may_be_nested)
        }
        _ => false,
    }
}
