//! Reading names and paths.

use std::ops::Range;

use super::{Raised, Scope};
use crate::environment::Environment;
use crate::event::{Column, Event};
use crate::plan::{PathStep, Place, Root, Way};
use crate::value::json::{Document, JsonError, Known, NodeId};
use crate::value::path::packed::Packed;
use crate::value::path::{self, Step};
use crate::value::{Text, Value};

pub(super) fn not_json(error: &JsonError, span: &Range<usize>) -> Raised {
    Raised::new(span, format!("the payload is not JSON: {error}"))
}

/// The number at a place of the payload, if a rule read it before.
#[inline]
pub(super) fn known(path: &Packed, event: &Event<'_>, env: &mut Environment<'_>) -> Option<Known> {
    let (known, passed) = event.known(path)?;
    env.spend(passed);
    Some(known)
}

impl Place {
    /// The value at this place; undefined when there is none.
    #[inline]
    pub(crate) fn read(
        &self,
        scope: &Scope<'_>,
        env: &mut Environment<'_>,
        span: &Range<usize>,
    ) -> Result<Value, Raised> {
        match &self.way {
            Way::Column(column) => Ok(scope.event.column(*column)),
            Way::Payload(path) => match known(path, scope.event, env) {
                Some(known) => Ok(known.into()),
                None => self.read_payload(scope, env, span),
            },
            Way::Search => self.search(scope, env, span),
        }
    }

    #[inline(never)]
    fn search(&self, scope: &Scope<'_>, env: &mut Environment<'_>, span: &Range<usize>) -> Result<Value, Raised> {
        if self.local {
            if let Some(set) = scope.row.and_then(|row| row.get(self.root.name())) {
                let value = self.walk(set, scope, env, span)?;
                if !scope.row_falls_through || !value.is_undefined() {
                    return Ok(value);
                }
            }
            if let Some(bound) = scope.bound.and_then(|bound| bound.get(self.root.name())) {
                return self.walk(bound, scope, env, span);
            }
        }
        match &self.root {
            Root::Column(Column::Metadata) => {
                let metadata = env.rule_id.metadata().clone();
                self.walk(&metadata, scope, env, span)
            }
            Root::Column(Column::Payload) if !self.steps.is_empty() => self.read_payload(scope, env, span),
            Root::Column(column) if self.steps.is_empty() => Ok(scope.event.column(*column)),
            Root::Column(column) => self.walk(&scope.event.column(*column), scope, env, span),
            Root::Named(name) => self.walk(&scope.event.columns().get_named(name), scope, env, span),
        }
    }

    /// Reads inside the payload without building more of it than is asked for.
    #[inline(never)]
    pub(super) fn read_payload(
        &self,
        scope: &Scope<'_>,
        env: &mut Environment<'_>,
        span: &Range<usize>,
    ) -> Result<Value, Raised> {
        let document = match scope.event.document() {
            Some(Ok(document)) => document,
            Some(Err(error)) => return Err(not_json(error, span)),
            None => return self.walk(scope.event.payload(), scope, env, span),
        };
        if let Way::Payload(path) = &self.way
            && let Some((node, passed)) = scope.event.places().get(path)
        {
            return Ok(found(document, node, passed, env));
        }
        let (mut node, mut passed) = (NodeId::ROOT, 0);
        for (at, step) in self.steps.iter().enumerate() {
            let resolved;
            let step = match step {
                PathStep::Fixed(step) => step,
                PathStep::Variable(_) => {
                    resolved = step.resolve(scope, env);
                    &resolved
                }
            };
            let Some(inside) = enter(document, node, step, &mut passed) else {
                env.spend(passed);
                // A string inside the payload may itself be JSON.
                return Ok(match document.string(node) {
                    Some(text) => self.walk_from(at, &Value::Text(text), scope, env),
                    None => Value::Undefined,
                });
            };
            node = inside;
        }
        if let Way::Payload(path) = &self.way {
            scope.event.places().keep(path, node, passed);
        }
        Ok(found(document, node, passed, env))
    }

    fn walk(
        &self,
        value: &Value,
        scope: &Scope<'_>,
        env: &mut Environment<'_>,
        span: &Range<usize>,
    ) -> Result<Value, Raised> {
        if let (Root::Column(Column::Payload), Value::Text(text), false) = (&self.root, value, self.steps.is_empty()) {
            let decoded = Value::from_json(text).map_err(|error| not_json(&error, span))?;
            return Ok(self.walk_from(0, &decoded, scope, env));
        }
        Ok(self.walk_from(0, value, scope, env))
    }

    fn walk_from(&self, skip: usize, value: &Value, scope: &Scope<'_>, env: &mut Environment<'_>) -> Value {
        let mut value = value.clone();
        for step in &self.steps[skip..] {
            if let Value::Text(text) = &value {
                env.spend(text.len());
            }
            value = match step {
                PathStep::Fixed(step) => path::get(&value, step),
                PathStep::Variable(_) => path::get(&value, &step.resolve(scope, env)),
            };
            if value.is_undefined() {
                break;
            }
        }
        value
    }
}

/// The value of a node, to find which so many nodes were passed by.
fn found(document: Document<'_>, node: NodeId, passed: usize, env: &mut Environment<'_>) -> Value {
    env.spend(passed);
    env.spend_steps(document.size(node) - 1);
    document.value(node)
}

fn enter(document: Document<'_>, node: NodeId, step: &Step, passed: &mut usize) -> Option<NodeId> {
    match step {
        Step::Key(key) => document.key(node, key.as_bytes(), passed),
        Step::Index(index) => document.index(node, *index, passed),
        Step::End => None,
    }
}

impl PathStep {
    /// The step with a variable index computed. What is neither a number nor a text leads nowhere.
    pub(super) fn resolve(&self, scope: &Scope<'_>, env: &mut Environment<'_>) -> Step {
        match self {
            Self::Fixed(step) => step.clone(),
            Self::Variable(place) => match place.read(scope, env, &(0..0)) {
                Ok(Value::Int(index)) => Step::Index(index),
                Ok(Value::Text(key)) => Step::Key(key),
                _ => Step::Key(Text::constant("")),
            },
        }
    }
}
