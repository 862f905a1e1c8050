//! A message that a rule lets pass, guessed from its SQL, so that the command on the screen shows something.
//!
//! The guess reads simple comparisons (`payload.speed > 120`) and is then tried on the rule itself: what does not
//! pass is not shown.

use isthmus_plan::document::Rule;
use isthmus_rules::case::{Outcome, run_sample};
use isthmus_rules::sql::ast::{Binary, Expr, ExprKind, Item, Path, Query, Step};
use isthmus_rules::{FixedHost, Limits, MapColumns, sql};
use serde_json::{Map, Value, json};

/// What a field gets about which nothing is known.
const ANY_NUMBER: i64 = 42;

/// A topic that the filter matches.
pub(super) fn topic(filter: &str) -> String {
    let levels = filter.split('/').map(|level| match level {
        "+" => "1",
        "#" => "test",
        level => level,
    });
    levels.collect::<Vec<_>>().join("/")
}

/// A payload with which a message to `topic` passes the rule.
pub(super) fn payload(rule: &Rule, topic: &str) -> Option<String> {
    let query = sql::parse(&rule.sql).ok()?;
    let payload = guess(&query).to_string();
    let event = json!({"topic": topic, "payload": payload, "clientid": "demo", "qos": 1});
    let columns = MapColumns::from_json(&event).ok()?.with_samples();
    let compiled = isthmus_rules::Rule::compile(&rule.sql).ok()?;
    let outcome = run_sample(&compiled.rule, &columns, &FixedHost::default(), &Limits::default());
    matches!(outcome, Outcome::Output(_)).then_some(payload)
}

fn guess(query: &Query) -> Value {
    let mut payload = json!({});
    for item in query.items() {
        if let Item::Value { expr, .. } = item {
            mention(expr, &mut payload);
        }
    }
    if let Some(condition) = &query.condition {
        satisfy(condition, &mut payload);
    }
    if payload == json!({}) {
        payload = json!({"hello": "world"});
    }
    payload
}

/// Gives a value to the field of the payload that the expression reads.
fn mention(expr: &Expr, payload: &mut Value) {
    match &expr.kind {
        ExprKind::Path(path) => put(payload, path, ANY_NUMBER.into()),
        ExprKind::Binary(_, left, right) => {
            mention(left, payload);
            mention(right, payload);
        }
        ExprKind::Unary(_, operand) => mention(operand, payload),
        ExprKind::Call { args, .. } => args.iter().for_each(|argument| mention(argument, payload)),
        _ => {}
    }
}

/// Sets the fields of the payload so that the condition is likely to hold.
fn satisfy(condition: &Expr, payload: &mut Value) {
    let ExprKind::Binary(operator, left, right) = &condition.kind else {
        return mention(condition, payload);
    };
    match (operator, &left.kind, &right.kind) {
        (Binary::And, ..) => {
            satisfy(left, payload);
            satisfy(right, payload);
        }
        (Binary::Or, ..) => satisfy(left, payload),
        (_, ExprKind::Path(path), literal) => {
            if let Some(value) = beside(*operator, literal) {
                put(payload, path, value);
            }
        }
        (_, literal, ExprKind::Path(path)) => {
            if let Some(value) = beside(turned(*operator), literal) {
                put(payload, path, value);
            }
        }
        _ => mention(condition, payload),
    }
}

/// `120 < payload.speed` says what `payload.speed > 120` says.
fn turned(operator: Binary) -> Binary {
    match operator {
        Binary::Less => Binary::Greater,
        Binary::LessOrEqual => Binary::GreaterOrEqual,
        Binary::Greater => Binary::Less,
        Binary::GreaterOrEqual => Binary::LessOrEqual,
        other => other,
    }
}

/// A value that stands in this relation to the literal.
fn beside(operator: Binary, literal: &ExprKind) -> Option<Value> {
    let step = match operator {
        Binary::Greater | Binary::NotEqual => 10,
        Binary::Less => -10,
        Binary::GreaterOrEqual | Binary::LessOrEqual | Binary::Equal => 0,
        _ => return None,
    };
    match literal {
        ExprKind::Int(number) => Some(Value::from(i64::try_from(*number).ok()?.checked_add(step)?)),
        ExprKind::Float(number) => Some(Value::from(number + step as f64)),
        ExprKind::Text(text) => Some(Value::from(if step == 0 { text.clone() } else { format!("not {text}") })),
        ExprKind::Bool(value) => Some(Value::from(*value == (step == 0))),
        _ => None,
    }
}

/// Sets the field of the payload at the end of `path`; a path elsewhere, or through a list, is left alone.
fn put(payload: &mut Value, path: &Path, value: Value) {
    if path.root != "payload" || path.steps.is_empty() {
        return;
    }
    let mut place = payload;
    for step in &path.steps {
        let Step::Key(key) = step else { return };
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Some(object) = place.as_object_mut() else { return };
        place = object.entry(key.clone()).or_insert(Value::Null);
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload_for(sql: &str) -> Option<String> {
        let (name, sql) = ("r".to_owned(), sql.to_owned());
        payload(&Rule { name, uid: None, generation: None, sql, actions: Vec::new() }, "vehicles/1/telemetry")
    }

    #[test]
    fn simple_conditions_are_met() {
        for (condition, expected) in [
            ("payload.speed > 120", r#"{"speed":130}"#),
            ("120 < payload.speed and payload.unit = 'kmh'", r#"{"speed":130,"unit":"kmh"}"#),
            ("payload.engine.temp <= 20.5 or payload.x = 1", r#"{"engine":{"temp":20.5}}"#),
            ("payload.ok = true", r#"{"ok":true}"#),
            ("payload.state != 'off'", r#"{"state":"not off"}"#),
        ] {
            let sql = format!("SELECT * FROM \"vehicles/+/telemetry\" WHERE {condition}");
            assert_eq!(payload_for(&sql).as_deref(), Some(expected), "{condition}");
        }
        let sql = "SELECT payload.speed AS speed, clientid FROM \"vehicles/#\"";
        assert_eq!(payload_for(sql).as_deref(), Some(r#"{"speed":42}"#));
    }

    #[test]
    fn what_does_not_pass_is_not_shown() {
        assert_eq!(payload_for("SELECT * FROM \"vehicles/#\" WHERE clientid = 'somebody else'"), None);
        assert_eq!(payload_for("SELECT * FROM \"elsewhere/#\""), None);
    }

    #[test]
    fn topics_fill_the_wildcards() {
        assert_eq!(topic("vehicles/+/telemetry"), "vehicles/1/telemetry");
        assert_eq!(topic("a/#"), "a/test");
    }
}
