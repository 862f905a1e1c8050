//! The checker: tree to plan, with everything that can be known before an event comes (row X4).
//!
//! Statements are here; FROM in [`from`], names and expressions in [`expr`], what the output can hold in [`shape`].

mod condition;
mod expr;
mod from;
pub(crate) mod shape;

use std::collections::HashSet;

use crate::diagnostic::Diagnostic;
use crate::event::{Column, EventKind};
use crate::plan::{Body, Expr, Foreach, Item, Items, Node, PathStep, Plan, Target};
use crate::rule::FromEntry;
use crate::sql::ast;
use crate::value::Text;
use shape::Shape;

/// Running over so much SQL takes about as long as handling one byte.
const SQL_BYTES_OF_A_BYTE: usize = 8;

pub(crate) struct Checked {
    pub(crate) plan: Plan,
    pub(crate) from: Vec<FromEntry>,
    pub(crate) shape: Shape,
}

/// Checks a query. When a finding is an error, the first part is not to be used.
pub(crate) fn check(query: &ast::Query, sql: &str) -> (Checked, Vec<Diagnostic>) {
    let mut checker =
        Checker { sql, kinds: Vec::new(), local: HashSet::new(), findings: Vec::new(), constant_bytes: 0, folding: 0 };
    let from = checker.from(&query.from);
    checker.kinds = from.iter().map(FromEntry::kind).collect();
    let condition = query.condition.as_ref();
    let (body, condition, shape) = match &query.body {
        ast::Body::Select(items) => {
            let (items, shape) = checker.items(items);
            let condition = condition.map(|expr| checker.condition(expr, "WHERE"));
            (Body::Select(items), condition, shape)
        }
        ast::Body::Foreach { collection, each, incase } => {
            checker.foreach(collection, each.as_deref(), incase.as_ref(), condition)
        }
    };
    (Checked { plan: plan(body, condition), from, shape }, checker.findings)
}

fn plan(body: Body, condition: Option<Expr>) -> Plan {
    let mut condition_first = false;
    let mut select_decodes_payload = false;
    if let (Body::Select(items), Some(condition)) = (&body, &condition) {
        condition_first = items.list.iter().all(Item::is_plain);
        condition.for_each_place(&mut |place| condition_first &= !place.local);
        let mut look = |place: &crate::plan::Place| select_decodes_payload |= place.decodes_payload();
        for item in &items.list {
            if let Item::Value { expr, target } = item {
                expr.for_each_place(&mut look);
                target.for_each_place(&mut look);
            }
        }
    }
    Plan { body, condition, condition_first, select_decodes_payload }
}

/// Walks the tree once, in the order of evaluation, collecting findings.
struct Checker<'s> {
    sql: &'s str,
    /// The kinds of events FROM names: which columns there are.
    kinds: Vec<EventKind>,
    /// Names that earlier items set to something else than the column of that name.
    local: HashSet<String>,
    findings: Vec<Diagnostic>,
    /// Bytes of the constants so far.
    constant_bytes: usize,
    /// Work of computing constants so far, in bytes.
    folding: usize,
}

impl Checker<'_> {
    /// Items from left to right; each adds the names that the next ones may use.
    fn items(&mut self, items: &[ast::Item]) -> (Items, Shape) {
        let mut shape = Shape::default();
        let items = items
            .iter()
            .map(|item| match item {
                ast::Item::All(_) => {
                    shape.add_columns(&self.kinds);
                    Item::All
                }
                ast::Item::Value { expr, target } => {
                    let target = target.clone().unwrap_or_else(|| self.default_target(expr));
                    let checked = self.expr(expr);
                    let plan_target = self.target(&target, !shape.may_have(&target.root));
                    shape.add(&target, &checked);
                    if !is_identity(expr, &target) {
                        self.local.insert(target.root);
                    }
                    Item::Value { expr: checked, target: Box::new(plan_target) }
                }
            })
            .collect();
        (Items::new(items), shape)
    }

    fn foreach(
        &mut self,
        collection: &[ast::Item],
        each: Option<&[ast::Item]>,
        incase: Option<&ast::Expr>,
        condition: Option<&ast::Expr>,
    ) -> (Body, Option<Expr>, Shape) {
        for item in collection {
            if let ast::Item::All(span) = item {
                self.error(span, "`*` is not a list", "name the list to walk through, as in `FOREACH payload.sensors`");
            }
        }
        let (last, earlier) = match collection.split_last() {
            Some((ast::Item::Value { expr, target }, earlier)) => ((expr, target.as_ref()), earlier),
            // `*` was reported; the parser gives at least one item.
            _ => return (Body::Select(Items::default()), None, Shape::default()),
        };
        let (bindings, mut shape) = self.items(earlier);
        let checked = self.expr(last.0);
        if let Some(value) = checked.constant()
            && !matches!(value, crate::value::Value::List(_) | crate::value::Value::Text(_))
        {
            let message = format!("this is {}, not a list: the rule never gives a row", value.type_name());
            self.findings.push(Diagnostic::warning(last.0.span.clone(), message));
        }
        let item = match last.1 {
            Some(target) if !target.steps.is_empty() => {
                self.error(&target.span, "the name of an element may not be a path", "use a plain name after AS");
                target.root.as_str()
            }
            Some(target) => target.root.as_str(),
            None => "item",
        };
        self.local.insert(item.to_owned());
        let condition = condition.map(|expr| self.condition(expr, "WHERE"));
        let incase = incase.map(|expr| self.condition(expr, "INCASE"));
        let each = each.map(|items| {
            let (items, each_shape) = self.items(items);
            shape = each_shape.with_bound(shape.clone(), item);
            items
        });
        if each.is_none() {
            shape.add_columns(&self.kinds);
            shape.add_any(item);
        }
        let item = Text::from(item);
        let work = self.sql.len() / SQL_BYTES_OF_A_BYTE;
        let foreach = Foreach { bindings, collection: checked, item, each, incase, work };
        (Body::Foreach(Box::new(foreach)), condition, shape)
    }

    /// The name of an item without AS: a path gives itself, a string its text, anything else the SQL as written.
    fn default_target(&self, expr: &ast::Expr) -> ast::Path {
        match &expr.kind {
            ast::ExprKind::Path(path) | ast::ExprKind::Slice(path, ..) => path.clone(),
            ast::ExprKind::Text(text) => ast::Path { root: text.clone(), steps: Vec::new(), span: expr.span.clone() },
            _ => {
                let root = self.sql.get(expr.span.clone()).unwrap_or_default().to_owned();
                ast::Path { root, steps: Vec::new(), span: expr.span.clone() }
            }
        }
    }

    fn target(&mut self, path: &ast::Path, fresh: bool) -> Target {
        // The name of a column is a constant, which costs nothing to clone into each row.
        let root = Column::named(&path.root).map_or_else(|| Text::from(path.root.as_str()), Column::text);
        Target { root, steps: self.steps(&path.steps), fresh }
    }

    fn error(&mut self, span: &ast::Span, message: impl Into<String>, help: impl Into<String>) {
        self.findings.push(Diagnostic::error(span.clone(), message).with_help(help));
    }
}

/// Whether an item gives a column under its own name, so that both mean the same.
fn is_identity(expr: &ast::Expr, target: &ast::Path) -> bool {
    match &expr.kind {
        ast::ExprKind::Path(path) => path.steps.is_empty() && target.steps.is_empty() && path.root == target.root,
        _ => false,
    }
}

impl Item {
    fn is_plain(&self) -> bool {
        match self {
            Self::All => true,
            Self::Value { expr, .. } => expr.is_plain(),
        }
    }
}

impl Target {
    fn for_each_place(&self, visit: &mut dyn FnMut(&crate::plan::Place)) {
        for step in &self.steps {
            if let PathStep::Variable(place) = step {
                place.for_each(visit);
            }
        }
    }
}

impl Expr {
    fn undefined(span: &ast::Span) -> Self {
        Self { node: Node::Constant(crate::value::Value::Undefined), span: span.clone() }
    }
}
