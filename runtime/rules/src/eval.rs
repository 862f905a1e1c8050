//! Running a checked rule over one event (behaviour document §5.2).
//!
//! Statements are here; expressions in [`expr`], places in [`place`], operators in [`operator`], what a run may use in
//! [`budget`].

pub(crate) mod budget;
mod expr;
pub(crate) mod operator;
mod place;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use crate::environment::Environment;
use crate::event::{Column, Event};
use crate::output::{Everything, Rows};
use crate::plan::{Body, Foreach, Item, Items, Plan, Target};
use crate::row::Row;
use crate::value::path::Step;
use crate::value::{Text, Value};

/// The part of a rule that raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// SELECT
    Select,
    /// WHERE
    Where,
    /// FOREACH
    Foreach,
    /// DO
    Do,
    /// INCASE
    Incase,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Select => "SELECT",
            Self::Where => "WHERE",
            Self::Foreach => "FOREACH",
            Self::Do => "DO",
            Self::Incase => "INCASE",
        })
    }
}

/// An exception: it ends this rule's run over this event and nothing else (rule metric `failed.exception`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {message}")]
pub struct EvalError {
    /// Where in the rule.
    pub part: Part,
    /// Byte range in the rule's SQL.
    pub span: Range<usize>,
    /// What went wrong, with the value that caused it where that helps.
    pub message: String,
}

/// An exception before it is known in which part of the rule it happened.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

impl Raised {
    pub(crate) fn new(span: &Range<usize>, message: impl Into<String>) -> Self {
        Self { span: span.clone(), message: message.into() }
    }

    fn within(self, part: Part) -> EvalError {
        EvalError { part, span: self.span, message: self.message }
    }
}

/// Where names are looked up: the row being built, names bound by FOREACH, the event.
pub(crate) struct Scope<'s> {
    pub(crate) event: &'s Event<'s>,
    /// Aliases set so far.
    pub(crate) row: Option<&'s Row>,
    /// Whether a place missing inside the row may still be found in the event (SELECT) or not (WHERE).
    pub(crate) row_falls_through: bool,
    /// Names bound by FOREACH; they hide columns.
    pub(crate) bound: Option<&'s Row>,
}

impl Plan {
    pub(crate) fn run<'e>(&self, event: &'e Event<'e>, env: &mut Environment<'e>) -> Result<Rows<'e>, EvalError> {
        env.used = budget::Used::default();
        match &self.body {
            Body::Select(items) => self.select(items, event, env),
            Body::Foreach(foreach) => self.foreach(foreach, event, env),
        }
    }

    fn select<'e>(
        &self,
        items: &Items,
        event: &'e Event<'e>,
        env: &mut Environment<'e>,
    ) -> Result<Rows<'e>, EvalError> {
        if self.condition_first && !self.matches(event, None, env)? {
            if self.select_decodes_payload
                && let Some(Err(error)) = event.document()
            {
                return Err(place::not_json(error, &(0..0)).within(Part::Select));
            }
            return Ok(Rows::NoMatch);
        }
        if let [Item::All] = items.list.as_slice() {
            // Nothing is built: what the event holds needs no check. Nor has WHERE waited for it: it reads no alias.
            debug_assert!(self.condition_first || self.condition.is_none());
            return Ok(Rows::Event(Everything::new(event, env.rule_id)));
        }
        let row = project(items, event, None, env).map_err(|raised| raised.within(Part::Select))?;
        env.check_row(&row, event).map_err(|message| Raised::new(&(0..0), message).within(Part::Select))?;
        if !self.condition_first && !self.matches(event, Some(&row), env)? {
            return Ok(Rows::NoMatch);
        }
        Ok(Rows::One(row))
    }

    fn matches(&self, event: &Event<'_>, row: Option<&Row>, env: &mut Environment<'_>) -> Result<bool, EvalError> {
        let Some(condition) = &self.condition else { return Ok(true) };
        let scope = Scope { event, row, row_falls_through: false, bound: None };
        condition.holds(&scope, env).map_err(|raised| raised.within(Part::Where))
    }

    fn foreach(
        &self,
        foreach: &Foreach,
        event: &Event<'_>,
        env: &mut Environment<'_>,
    ) -> Result<Rows<'static>, EvalError> {
        let in_foreach = |raised: Raised| raised.within(Part::Foreach);
        let mut bound = project(&foreach.bindings, event, None, env).map_err(in_foreach)?;
        let scope = Scope { event, row: Some(&bound), row_falls_through: true, bound: None };
        let collection = foreach.collection.elements(&scope, env).map_err(in_foreach)?;
        // WHERE may name the collection too.
        bound.set(foreach.item.clone(), collection.clone());
        if !self.matches(event, Some(&bound), env)? {
            return Ok(Rows::NoMatch);
        }
        let Value::List(items) = collection else { return Ok(Rows::Many(Vec::new())) };
        if items.len() > env.limits.foreach_items {
            let message =
                format!("the list has {} elements; at most {} are visited", items.len(), env.limits.foreach_items);
            return Err(Raised::new(&foreach.collection.span, message).within(Part::Foreach));
        }
        let too_much = |message| Raised::new(&foreach.collection.span, message).within(Part::Foreach);
        let all = foreach.each.is_none().then(|| everything(event, env));
        if let Some(all) = &all {
            env.check_row(all, event).map_err(too_much)?;
        }
        let mut rows = Vec::new();
        for item in items.iter() {
            env.spend(foreach.work);
            env.check_spent().map_err(too_much)?;
            bound.set(foreach.item.clone(), item.clone());
            if let Some(incase) = &foreach.incase {
                let scope = Scope { event, row: None, row_falls_through: false, bound: Some(&bound) };
                if !incase.holds(&scope, env).map_err(|raised| raised.within(Part::Incase))? {
                    continue;
                }
            }
            let row = match (&foreach.each, &all) {
                (Some(items), _) => {
                    let row = project(items, event, Some(&bound), env).map_err(|raised| raised.within(Part::Do))?;
                    env.check_row(&row, event).map_err(too_much)?;
                    row
                }
                (None, all) => with_bound(all.as_ref(), &bound, env),
            };
            rows.push(row);
        }
        Ok(Rows::Many(rows))
    }
}

/// Runs items from left to right into a row.
#[inline]
fn project(items: &Items, event: &Event<'_>, bound: Option<&Row>, env: &mut Environment<'_>) -> Result<Row, Raised> {
    let Some(names) = &items.names else { return project_any(&items.list, event, bound, env) };
    let mut row = Row::of(names);
    for item in &items.list {
        if let Item::Value { expr, .. } = item {
            expr.push(&mut row, event, bound, env)?;
        }
    }
    Ok(row)
}

#[inline(never)]
fn project_any(
    items: &[Item],
    event: &Event<'_>,
    bound: Option<&Row>,
    env: &mut Environment<'_>,
) -> Result<Row, Raised> {
    let mut row = Row::with_capacity(items.len());
    for item in items {
        match item {
            Item::All if row.is_empty() && bound.is_none() => {
                row = Everything::new(event, env.rule_id).to_row(items.len());
            }
            Item::All => {
                event.all(env.rule_id, |name, value| row.set(name, value));
                for (name, value) in bound.iter().flat_map(|bound| bound.iter()) {
                    row.set(name.clone(), value.clone());
                }
            }
            Item::Value { expr, target } => {
                let scope = Scope { event, row: Some(&row), row_falls_through: true, bound };
                let value = expr.value(&scope, env)?;
                if target.steps.is_empty() {
                    if target.fresh {
                        row.push(target.root.clone(), value);
                    } else {
                        row.set(target.root.clone(), value);
                    }
                    continue;
                }
                let steps = target.steps(&scope, env);
                put(&mut row, &target.root, &steps, value);
                if let Some(whole) = row.get(&target.root) {
                    env.check_built(whole).map_err(|message| Raised::new(&expr.span, message))?;
                }
            }
        }
    }
    Ok(row)
}

/// Writes into the row; a `payload` that is still JSON text is decoded first, so that its other fields stay.
fn put(row: &mut Row, root: &Text, steps: &[Step], value: Value) {
    if **root == *Column::Payload.name()
        && let Some(Value::Text(text)) = row.get(root)
        && let Ok(decoded) = Value::from_json(text)
    {
        row.set(root.clone(), decoded);
    }
    row.put(root, steps, value);
}

/// What every row of a FOREACH without DO has: all columns, the payload decoded when it is JSON.
fn everything(event: &Event<'_>, env: &Environment<'_>) -> Row {
    let mut row = Everything::new(event, env.rule_id).to_row(1);
    if let Some(Ok(document)) = event.document() {
        row.set(Column::Payload.text(), document.all());
    }
    row
}

/// One row of a FOREACH without DO: `all` columns and the names bound for this element.
fn with_bound(all: Option<&Row>, bound: &Row, env: &mut Environment<'_>) -> Row {
    let mut row = all.cloned().unwrap_or_default();
    for (name, value) in bound.iter() {
        row.set(name.clone(), value.clone());
    }
    env.spend(row.len() * size_of::<(Text, Value)>());
    row
}

impl Target {
    fn steps(&self, scope: &Scope<'_>, env: &mut Environment<'_>) -> Vec<Step> {
        self.steps.iter().map(|step| step.resolve(scope, env)).collect()
    }
}
