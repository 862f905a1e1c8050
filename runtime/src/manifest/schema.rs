//! What the API server would say to a resource: types, unknown fields, bounds, lists, CEL rules, defaults.
//!
//! Works on the generated schema alone, so that local mode and the cluster refuse the same mistakes; the place of
//! each comes from the YAML tree.

mod explain;

pub(super) use explain::nearest;

use std::{collections::BTreeSet, ops::Range};

use kube_cel::{Validator, apply_defaults};
use serde_json::{Value, json};

use super::{
    place,
    problem::Problem,
    yaml::{Content, Key, Node, Scalar},
};

/// Checks `node`, the value of `path` in the document `root`, and everything in it.
pub struct Check<'a> {
    /// Which file it is.
    pub file: usize,
    /// What was found.
    pub problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn report(&mut self, span: &Range<usize>, message: impl Into<String>, help: Option<String>) {
        let problem = Problem::error(self.file, span.clone(), message);
        self.problems.push(Problem { help, ..problem });
    }

    /// Checks the shape of `node` against `schema`. `name` is how messages call it; `key` is its key, to point at.
    pub fn node(&mut self, schema: &Value, name: &str, key: &Range<usize>, node: &Node) {
        match &node.content {
            // No type: anything goes, as in what a cluster writes into metadata.
            _ if schema.as_object().is_some_and(serde_json::Map::is_empty) => {}
            Content::Mapping(entries) if is(schema, "map") => self.map(name, entries),
            // Names and values are the user's own, as in the events of a rule's tests.
            Content::Mapping(entries) if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true)) => {
                if let Some(message) = explain::fields(schema, entries.len()) {
                    self.report(key, format!("`{name}` {message}"), None);
                }
            }
            Content::Mapping(entries) if is(schema, "object") => self.object(schema, name, key, node, entries),
            Content::Sequence(items) if is(schema, "array") => self.list(schema, name, key, items),
            Content::Scalar(scalar) if explain::fits(schema, &scalar.value) => self.scalar(schema, name, node, scalar),
            Content::Scalar(scalar) if scalar.value.is_null() => {
                // The API server drops a null, so an optional field is as if absent; lists cannot hold one.
                let message = format!("`{name}` has no value");
                self.report(key, message, Some(format!("write {}, or remove it", explain::expected(schema))));
            }
            content => {
                let (message, help) = explain::wrong_type(schema, name, content);
                let span = if matches!(content, Content::Scalar(_)) { &node.span } else { key };
                self.report(span, message, help);
            }
        }
    }

    fn object(&mut self, schema: &Value, name: &str, key: &Range<usize>, node: &Node, entries: &[(Key, Node)]) {
        let empty = serde_json::Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        if let Some(values) = schema.get("additionalProperties") {
            return self.free(schema, values, name, key, entries);
        }
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        let mut meant = Vec::new();
        for (field, value) in entries {
            match properties.get(&field.name) {
                None => meant.extend(self.unknown(name, field, &known)),
                Some(_) if value.is_null() => {}
                Some(property) => self.node(property, &field.name, &field.span, value),
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for field in required.filter(|field| !meant.contains(field)) {
            if node.get(field).is_none_or(Node::is_null) {
                let description = properties.get(field).and_then(|property| property.get("description"));
                let help =
                    description.and_then(Value::as_str).map(|text| format!("add `{field}`: {}", explain::lead(text)));
                self.report(key, format!("`{name}` needs the field `{field}`"), help);
            }
        }
    }

    /// A map whose keys the user chooses, such as labels of pods.
    fn free(&mut self, schema: &Value, values: &Value, name: &str, key: &Range<usize>, entries: &[(Key, Node)]) {
        if let Some(most) = schema.get("maxProperties").and_then(Value::as_u64)
            && entries.len() as u64 > most
        {
            self.report(key, format!("`{name}` takes at most {most} entries"), None);
        }
        for (key, value) in entries {
            self.node(values, &format!("{name}.{}", key.name), &key.span, value);
        }
    }

    /// Labels and annotations: text by text.
    fn map(&mut self, name: &str, entries: &[(Key, Node)]) {
        for (key, value) in entries.iter().filter(|(_, value)| value.as_str().is_none()) {
            self.node(&json!({"type": "string"}), &format!("{name}.{}", key.name), &key.span, value);
        }
    }

    /// A field that is not there; returns the one that was probably meant.
    pub fn unknown<'k>(&mut self, name: &str, field: &Key, known: &[&'k str]) -> Option<&'k str> {
        let near = explain::nearest(&field.name, known);
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "it takes no fields: write `{}`".to_owned(),
            None => format!("it has {}", known.join(", ")),
        };
        self.report(&field.span, format!("`{name}` has no field `{}`", field.name), Some(help));
        near
    }

    fn list(&mut self, schema: &Value, name: &str, key: &Range<usize>, items: &[Node]) {
        if let Some(message) = explain::count(schema, items.len()) {
            self.report(key, format!("`{name}` {message}"), None);
        }
        let Some(item_schema) = schema.get("items") else { return };
        for (position, item) in items.iter().enumerate() {
            let first = place::of_path(item, "");
            self.node(item_schema, &format!("{name}[{position}]"), &first, item);
        }
        match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("map") => {
                let keys = schema.pointer("/x-kubernetes-list-map-keys/0").and_then(Value::as_str);
                let keyed = keys.map(|key| items.iter().filter_map(|item| item.get(key)).collect::<Vec<_>>());
                self.unique(name, &keyed.unwrap_or_default());
            }
            Some("set") => self.unique(name, &items.iter().collect::<Vec<_>>()),
            _ => {}
        }
    }

    fn unique(&mut self, name: &str, nodes: &[&Node]) {
        let mut seen = BTreeSet::new();
        for node in nodes {
            let value = node.to_json();
            if !seen.insert(value.to_string()) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                self.report(&node.span, format!("`{text}` is in `{name}` twice"), Some("keep one of them".to_owned()));
            }
        }
    }

    fn scalar(&mut self, schema: &Value, name: &str, node: &Node, scalar: &Scalar) {
        if let Some((message, help)) = explain::refused(schema, name, &scalar.value) {
            self.report(&node.span, message, help);
        }
    }

    /// Evaluates the CEL rules of `schema` over a whole `object` with its defaults.
    pub fn rules(&mut self, schema: &Value, object: &Value, root: &Node) {
        let Err(errors) = Validator::new().validate(schema, object, None) else { return };
        for error in errors.into_vec() {
            let field = error.field_path.rsplit('.').next().unwrap_or_default();
            let message = if error.message.starts_with("must ") {
                format!("`{field}` {}", error.message)
            } else {
                error.message.clone()
            };
            // `what is wrong: what to do`
            let (message, help) = match message.split_once(": ") {
                Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
                None => (message, None),
            };
            self.report(&place::of_path(root, &error.field_path), message, help);
        }
    }
}

/// The object as the API server would store it: with all static defaults.
pub fn with_defaults(schema: &Value, object: &Value) -> Value {
    apply_defaults(schema, object)
}

/// Whether `schema` is of a type.
fn is(schema: &Value, kind: &str) -> bool {
    schema.get("type").is_some_and(|found| *found == json!(kind))
}

#[cfg(test)]
mod tests {
    use isthmus_api::schema::{KINDS, schema_of};
    use kube_cel::compile_schema;

    use super::*;

    fn rules_of(schema: &Value, path: &str, rules: &mut Vec<(String, Value)>) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            rules.push((path.to_owned(), json!({"x-kubernetes-validations": [rule]})));
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            rules_of(field, &format!("{path}.{name}"), rules);
        }
        if let Some(items) = schema.get("items") {
            rules_of(items, &format!("{path}[]"), rules);
        }
    }

    #[test]
    fn every_rule_of_the_schemas_can_be_evaluated() {
        let mut rules = Vec::new();
        for kind in KINDS {
            rules_of(&schema_of(kind).unwrap(), kind, &mut rules);
        }
        assert!(rules.len() > 15, "found {}", rules.len());
        for (path, schema) in rules {
            assert!(!compile_schema(&schema).has_errors(), "{path}: {schema}");
        }
    }

    #[test]
    fn bounds_are_inclusive() {
        let field = |kind: &str, path: &str| schema_of(kind).unwrap().pointer(path).unwrap().clone();
        let linger = field("Sink", "/properties/spec/properties/linger");
        let batch = field("Sink", "/properties/spec/properties/maxBatchBytes");
        let accepted = |schema: &Value, value: Value| Validator::new().validate(schema, &value, None).is_ok();
        for (text, legal) in [("0s", true), ("1m", true), ("60000ms", true), ("1m1ms", false)] {
            assert_eq!(accepted(&linger, json!(text)), legal, "{text}");
        }
        for (value, legal) in [
            (json!("1Ki"), true),
            (json!(1024), true),
            (json!(1023), false),
            (json!("100Mi"), true),
            (json!("101Mi"), false),
            (json!("1M"), true),
        ] {
            assert_eq!(accepted(&batch, value.clone()), legal, "{value}");
        }
    }
}
