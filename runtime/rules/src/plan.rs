//! A checked rule: names resolved to columns or local names, functions to code, constants computed.

use std::sync::Arc;

use crate::event::Column;
use crate::functions::{Function, Prepared};
use crate::row::Names;
use crate::sql::ast::Span;
use crate::value::compare::Comparison;
use crate::value::path::Step;
use crate::value::path::packed::Packed;
use crate::value::{Text, Value};

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) body: Body,
    pub(crate) condition: Option<Expr>,
    /// Whether WHERE may run before SELECT with the same outcome: it reads no alias, and SELECT neither raises (but
    /// for a payload that is not JSON) nor has effects. A rule that does not match then costs its WHERE only.
    pub(crate) condition_first: bool,
    /// Whether SELECT reads inside the payload, and so raises when it is not JSON.
    pub(crate) select_decodes_payload: bool,
}

#[derive(Debug)]
pub(crate) enum Body {
    Select(Items),
    Foreach(Box<Foreach>),
}

#[derive(Debug)]
pub(crate) struct Foreach {
    /// Names bound before the collection.
    pub(crate) bindings: Items,
    pub(crate) collection: Expr,
    /// The name of an element.
    pub(crate) item: Text,
    pub(crate) each: Option<Items>,
    pub(crate) incase: Option<Expr>,
    /// What a look at one element counts as work, in bytes.
    pub(crate) work: usize,
}

/// What makes a row, from left to right.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub(crate) list: Vec<Item>,
    /// The names of the row's fields when each item gives one field, whose name the SQL says and no other item has.
    pub(crate) names: Option<Names>,
}

#[derive(Debug)]
pub(crate) enum Item {
    All,
    Value { expr: Expr, target: Box<Target> },
}

/// Where a value goes in the row.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) root: Text,
    pub(crate) steps: Vec<PathStep>,
    /// Whether no earlier item can have set the name.
    pub(crate) fresh: bool,
}

#[derive(Debug)]
pub(crate) enum PathStep {
    Fixed(Step),
    Variable(Place),
}

impl PathStep {
    fn fixed(&self) -> Option<&Step> {
        match self {
            Self::Fixed(step) => Some(step),
            Self::Variable(_) => None,
        }
    }
}

/// A name and the way into it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) root: Root,
    pub(crate) steps: Vec<PathStep>,
    /// Whether an earlier item may have set the name, so that the row is looked at before the event.
    pub(crate) local: bool,
    /// How it is read.
    pub(crate) way: Way,
}

/// How a place is read; the frequent ones are short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The event has the value as it is.
    Column(Column),
    /// Inside the event's payload, by a few short keys.
    Payload(Packed),
    /// Looking wherever it may be.
    Search,
}

#[derive(Debug, Clone)]
pub(crate) enum Root {
    Column(Column),
    Named(Text),
}

impl Root {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Column(column) => column.name(),
            Self::Named(name) => name,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) node: Node,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum Node {
    Constant(Value),
    Place(Place),
    Slice(Place, i128, i128),
    List(Vec<Expr>),
    Call {
        function: &'static Function,
        args: Vec<Expr>,
        prepared: Option<Arc<Prepared>>,
    },
    Minus(Box<Expr>),
    Plus(Box<Expr>),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Matches(Box<Expr>, Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    In {
        subject: Box<Expr>,
        options: Vec<Expr>,
        negated: bool,
    },
    /// `CASE WHEN cond`
    Cond {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    /// `CASE expr WHEN value`
    Switch {
        subject: Box<Expr>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
}

/// The operators on numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Div,
    Mod,
}

impl Items {
    pub(crate) fn new(list: Vec<Item>) -> Self {
        let names = list.iter().map(Item::fixed_name).collect::<Option<Vec<_>>>().and_then(Names::new);
        Self { list, names }
    }
}

impl Item {
    /// The name of the one field that this item gives, if the SQL says it.
    fn fixed_name(&self) -> Option<Text> {
        match self {
            Self::Value { target, .. } if target.steps.is_empty() => Some(target.root.clone()),
            Self::Value { .. } | Self::All => None,
        }
    }
}

impl Expr {
    pub(crate) fn constant(&self) -> Option<&Value> {
        match &self.node {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Visits the places this expression reads, those inside indexes too.
    pub(crate) fn for_each_place(&self, visit: &mut dyn FnMut(&Place)) {
        match &self.node {
            Node::Place(place) | Node::Slice(place, ..) => place.for_each(visit),
            _ => self.for_each_child(&mut |child| child.for_each_place(visit)),
        }
    }

    /// Visits the direct parts.
    pub(crate) fn for_each_child(&self, visit: &mut dyn FnMut(&Self)) {
        match &self.node {
            Node::Constant(_) | Node::Place(_) | Node::Slice(..) => {}
            Node::List(items) | Node::Call { args: items, .. } => items.iter().for_each(visit),
            Node::Minus(operand) | Node::Plus(operand) | Node::Not(operand) => visit(operand),
            Node::And(left, right)
            | Node::Or(left, right)
            | Node::Compare(_, left, right)
            | Node::Matches(left, right)
            | Node::Arithmetic(_, left, right) => {
                visit(left);
                visit(right);
            }
            Node::In { subject, options, .. } => {
                visit(subject);
                options.iter().for_each(visit);
            }
            Node::Cond { branches, otherwise } => {
                branches.iter().flat_map(|(when, then)| [when, then]).for_each(&mut *visit);
                if let Some(otherwise) = otherwise {
                    visit(otherwise);
                }
            }
            Node::Switch { subject, branches, otherwise } => {
                visit(subject);
                branches.iter().flat_map(|(when, then)| [when, then]).for_each(&mut *visit);
                if let Some(otherwise) = otherwise {
                    visit(otherwise);
                }
            }
        }
    }

    /// Whether evaluating can raise nothing but a payload that is not JSON, and has no effect.
    pub(crate) fn is_plain(&self) -> bool {
        match &self.node {
            Node::Constant(_) | Node::Place(_) => true,
            Node::List(items) => items.iter().all(Self::is_plain),
            _ => false,
        }
    }
}

impl Place {
    pub(crate) fn new(root: Root, steps: Vec<PathStep>, local: bool) -> Self {
        let path = steps.iter().map(PathStep::fixed).collect::<Option<Vec<_>>>().and_then(Packed::of);
        let way = match (&root, path) {
            _ if local => Way::Search,
            // A rule has metadata, an event none.
            (Root::Column(column), _) if steps.is_empty() && *column != Column::Metadata => Way::Column(*column),
            (Root::Column(Column::Payload), Some(path)) => Way::Payload(path),
            _ => Way::Search,
        };
        Self { root, steps, local, way }
    }

    pub(crate) fn for_each(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        for step in &self.steps {
            if let PathStep::Variable(place) = step {
                place.for_each(visit);
            }
        }
    }

    /// Whether reading decodes the event's payload.
    pub(crate) fn decodes_payload(&self) -> bool {
        matches!(self.root, Root::Column(Column::Payload)) && !self.steps.is_empty()
    }
}
