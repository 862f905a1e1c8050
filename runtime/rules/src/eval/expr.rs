//! Values of expressions.

use super::operator::{self, arithmetic};
use super::place::known;
use super::{Raised, Scope};
use crate::environment::Environment;
use crate::event::Event;
use crate::functions::{Call, Nature};
use crate::plan::{Expr, Node, Way};
use crate::row::Row;
use crate::topic;
use crate::value::compare::{NotANumber, compare, same};
use crate::value::json::Known;
use crate::value::{Text, Value};

/// Arguments kept on the stack; more go to the heap.
const FEW: usize = 4;

impl Expr {
    pub(crate) fn value(&self, scope: &Scope<'_>, env: &mut Environment<'_>) -> Result<Value, Raised> {
        match &self.node {
            Node::Constant(value) => Ok(value.clone()),
            Node::Place(place) => place.read(scope, env, &self.span),
            Node::Slice(place, from, to) => {
                let list = place.read(scope, env, &self.span)?;
                operator::slice(&list, *from, *to).map_err(|message| Raised::new(&self.span, message))
            }
            Node::List(items) => {
                let items = items.iter().map(|item| item.value(scope, env)).collect::<Result<_, _>>()?;
                let list = Value::list(items);
                env.check_built(&list).map_err(|message| Raised::new(&self.span, message))?;
                Ok(list)
            }
            Node::Call { args, .. } => self.call(args, scope, env),
            Node::Minus(operand) => {
                let value = operand.value(scope, env)?;
                operator::negate(&value).map_err(|message| Raised::new(&self.span, message))
            }
            Node::Plus(operand) => {
                let value = operand.value(scope, env)?;
                operator::plus(value).map_err(|message| Raised::new(&self.span, message))
            }
            Node::Arithmetic(op, left, right) => {
                let (left, right) = (left.value(scope, env)?, right.value(scope, env)?);
                arithmetic(*op, &left, &right, env.limits).map_err(|message| Raised::new(&self.span, message))
            }
            Node::Cond { branches, otherwise } => {
                for (when, then) in branches {
                    if when.holds(scope, env)? {
                        return then.value(scope, env);
                    }
                }
                otherwise.as_ref().map_or(Ok(Value::Undefined), |expr| expr.value(scope, env))
            }
            Node::Switch { subject, branches, otherwise } => {
                let subject = subject.value(scope, env)?;
                for (when, then) in branches {
                    if same(&subject, &when.value(scope, env)?) {
                        return then.value(scope, env);
                    }
                }
                otherwise.as_ref().map_or(Ok(Value::Undefined), |expr| expr.value(scope, env))
            }
            Node::Not(_) | Node::And(..) | Node::Or(..) | Node::Compare(..) | Node::Matches(..) | Node::In { .. } => {
                self.holds(scope, env).map(Value::Bool)
            }
        }
    }

    /// Adds the value to a row of names.
    #[inline]
    pub(super) fn push(
        &self,
        row: &mut Row,
        event: &Event<'_>,
        bound: Option<&Row>,
        env: &mut Environment<'_>,
    ) -> Result<(), Raised> {
        if let Node::Place(place) = &self.node {
            match &place.way {
                // Made where it stays: a value is dear to move.
                Way::Column(column) => {
                    if let Some(value) = event.kept(*column) {
                        row.push_named_clone(value);
                        return Ok(());
                    }
                }
                Way::Payload(path) => match known(path, event, env) {
                    Some(Known::Float(float)) => {
                        row.push_named(Value::Float(float));
                        return Ok(());
                    }
                    Some(Known::Int(int)) => {
                        row.push_named(Value::Int(int.into()));
                        return Ok(());
                    }
                    None => {}
                },
                Way::Search => {}
            }
        }
        self.push_any(row, event, bound, env)
    }

    #[inline(never)]
    fn push_any(
        &self,
        row: &mut Row,
        event: &Event<'_>,
        bound: Option<&Row>,
        env: &mut Environment<'_>,
    ) -> Result<(), Raised> {
        let scope = Scope { event, row: Some(row), row_falls_through: true, bound };
        let value = self.value(&scope, env)?;
        row.push_named(value);
        Ok(())
    }

    /// Whether a condition is satisfied.
    pub(crate) fn holds(&self, scope: &Scope<'_>, env: &mut Environment<'_>) -> Result<bool, Raised> {
        match &self.node {
            Node::And(left, right) => Ok(left.holds(scope, env)? && right.holds(scope, env)?),
            Node::Or(left, right) => Ok(left.holds(scope, env)? || right.holds(scope, env)?),
            // NOT of something that is not a boolean is false.
            Node::Not(operand) => Ok(operand.value(scope, env)?.as_bool().is_some_and(|value| !value)),
            Node::Compare(op, left, right) => {
                let not_a_number = |text: NotANumber| {
                    Raised::new(&self.span, format!("{} is not a number, but is compared with one", text.0))
                };
                if let (Node::Place(place), Node::Constant(right)) = (&left.node, &right.node)
                    && let Way::Payload(path) = &place.way
                {
                    let compared = match known(path, scope.event, env) {
                        Some(Known::Float(left)) => compare(*op, &Value::Float(left), right),
                        Some(Known::Int(left)) => compare(*op, &Value::Int(left.into()), right),
                        None => compare(*op, &place.read_payload(scope, env, &left.span)?, right),
                    };
                    return compared.map_err(not_a_number);
                }
                let left = left.value(scope, env)?;
                let compared = match &right.node {
                    Node::Constant(right) => compare(*op, &left, right),
                    _ => compare(*op, &left, &right.value(scope, env)?),
                };
                compared.map_err(not_a_number)
            }
            Node::Matches(topic, filter) => {
                let (topic, filter) = (topic.value(scope, env)?, filter.value(scope, env)?);
                self.topic_matches(&topic, &filter)
            }
            Node::In { subject, options, negated } => {
                let subject = subject.value(scope, env)?;
                for option in options {
                    if same(&subject, &option.value(scope, env)?) {
                        return Ok(!negated);
                    }
                }
                Ok(*negated)
            }
            _ => match self.value(scope, env)? {
                Value::Bool(value) => Ok(value),
                other => {
                    let message = format!("a condition must be true or false, but this is {}", other.type_name());
                    Err(Raised::new(&self.span, message))
                }
            },
        }
    }

    fn topic_matches(&self, topic: &Value, filter: &Value) -> Result<bool, Raised> {
        match (topic, filter) {
            (Value::Undefined, _) | (_, Value::Undefined) => Ok(false),
            (Value::Text(topic), Value::Text(filter)) => Ok(topic::matches(filter, topic)),
            _ => {
                let message = format!(
                    "`=~` matches a topic with a topic filter, not {} with {}",
                    topic.type_name(),
                    filter.type_name()
                );
                Err(Raised::new(&self.span, message))
            }
        }
    }

    /// The collection of a FOREACH: a list, or a JSON text of one; anything else is no list.
    pub(super) fn elements(&self, scope: &Scope<'_>, env: &mut Environment<'_>) -> Result<Value, Raised> {
        match self.value(scope, env)? {
            Value::Text(text) if text.trim_start().starts_with('[') => Ok(decoded(&text)),
            other => Ok(other),
        }
    }

    fn call(&self, args: &[Self], scope: &Scope<'_>, env: &mut Environment<'_>) -> Result<Value, Raised> {
        let Node::Call { function, prepared, .. } = &self.node else { return Ok(Value::Undefined) };
        let mut few: [Value; FEW] = Default::default();
        let many: Vec<Value>;
        let values = if args.len() <= FEW {
            for (slot, arg) in few.iter_mut().zip(args) {
                *slot = arg.value(scope, env)?;
            }
            &few[..args.len()]
        } else {
            many = args.iter().map(|arg| arg.value(scope, env)).collect::<Result<_, _>>()?;
            &many
        };
        env.spend_on(values);
        let mut call = Call { event: scope.event, env, prepared: prepared.as_deref() };
        let result = (function.code)(&mut call, values)
            .map_err(|error| Raised::new(&self.span, format!("{}: {error}", function.name)))?;
        // Columns and stored values have their limits elsewhere.
        if function.nature == Nature::Pure {
            env.check_size(&result).map_err(|message| Raised::new(&self.span, message))?;
        }
        env.spend_on(std::slice::from_ref(&result));
        env.check_spent().map_err(|message| Raised::new(&self.span, message))?;
        Ok(result)
    }
}

fn decoded(text: &Text) -> Value {
    Value::from_json(text).unwrap_or_else(|_| Value::Text(text.clone()))
}
