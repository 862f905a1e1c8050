//! The bounds of a schema as cases, each with values inside and values outside.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::known;

/// One bound of one field.
pub(super) struct Case {
    /// `KIND FIELD KEYWORD BOUND`.
    pub(super) name: String,
    /// The object that is bent, by its place among the examples of its kind.
    pub(super) example: usize,
    /// The field, as a pointer into the object.
    pointer: String,
    /// Values that the API server takes.
    pub(super) accepted: Vec<Value>,
    /// Values that it refuses.
    pub(super) refused: Vec<Value>,
}

impl Case {
    /// The object with this value in the field.
    pub(super) fn apply(&self, object: &Value, value: &Value) -> Result<Value> {
        let mut object = object.clone();
        *object.pointer_mut(&self.pointer).with_context(|| format!("no {}", self.pointer))? = value.clone();
        Ok(object)
    }
}

/// Every bound in the schema of a kind, shown on these objects, which together have a value for
/// every field.
pub(super) fn cases(kind: &str, schema: &Value, examples: &[&Value]) -> Result<Vec<Case>> {
    let mut found = Found::default();
    for (example, object) in examples.iter().enumerate() {
        let whole = Place { kind, example, field: String::new(), pointer: String::new(), schema, value: object };
        whole.rules(&mut found)?;
        whole.at("spec", "/spec", &schema["properties"]["spec"], &object["spec"]).collect(&mut found)?;
    }
    let missing: Vec<_> = found.absent.difference(&found.present).collect();
    ensure!(missing.is_empty(), "every_field.yaml has no {missing:?} in any {kind}: add them");
    let mut names = BTreeSet::new();
    found.cases.retain(|case| names.insert(case.name.clone()));
    Ok(found.cases)
}

/// What a walk through a schema has found.
#[derive(Default)]
struct Found {
    cases: Vec<Case>,
    /// Fields that some object has, and fields that some object has not.
    present: BTreeSet<String>,
    absent: BTreeSet<String>,
}

/// A field on the way through a schema and an object.
struct Place<'a> {
    kind: &'a str,
    example: usize,
    /// As documentation writes it: `spec.listeners[].port`.
    field: String,
    pointer: String,
    schema: &'a Value,
    value: &'a Value,
}

impl<'a> Place<'a> {
    fn at(&self, field: &str, pointer: &str, schema: &'a Value, value: &'a Value) -> Place<'a> {
        let (field, pointer) = (format!("{}{field}", self.field), format!("{}{pointer}", self.pointer));
        Place { kind: self.kind, example: self.example, field, pointer, schema, value }
    }

    fn collect(&self, found: &mut Found) -> Result<()> {
        self.length(found);
        self.number(found);
        self.choice(found);
        self.pattern(found)?;
        self.rules(found)?;
        match self.value {
            Value::Array(values) => self.list(values, found),
            Value::Object(_) if self.schema.get("maxProperties").is_some() => self.map(found),
            _ => self.properties(found),
        }
    }

    fn add(&self, found: &mut Found, bound: &str, accepted: Vec<Value>, refused: Vec<Value>) {
        let name = format!("{} {} {bound}", self.kind, self.field);
        let pointer = self.pointer.clone();
        found.cases.push(Case { name, example: self.example, pointer, accepted, refused });
    }

    fn length(&self, found: &mut Found) {
        let size = |keyword: &str| self.schema[keyword].as_u64().map(|size| size as usize);
        if let Some(min) = size("minLength") {
            self.add(found, &format!("minLength {min}"), vec![], vec![json!(known::filler(min - 1))]);
        }
        if let Some(max) = size("maxLength") {
            let takes_filler = self.schema.get("pattern").is_none();
            let accepted = takes_filler.then(|| json!(known::filler(max))).into_iter().collect();
            self.add(found, &format!("maxLength {max}"), accepted, vec![json!(known::filler(max + 1))]);
        }
    }

    fn number(&self, found: &mut Found) {
        if let Some(min) = self.schema["minimum"].as_i64() {
            self.add(found, &format!("minimum {min}"), vec![json!(min)], vec![json!(min - 1)]);
        }
        if let Some(max) = self.schema["maximum"].as_i64() {
            self.add(found, &format!("maximum {max}"), vec![json!(max)], vec![json!(max + 1)]);
        }
    }

    fn choice(&self, found: &mut Found) {
        if let Some(choices) = self.schema["enum"].as_array() {
            let accepted = known::choices(&self.field).unwrap_or_else(|| choices.clone());
            self.add(found, "enum", accepted, vec![json!("Other"), json!("")]);
        }
    }

    fn pattern(&self, found: &mut Found) -> Result<()> {
        if let Some(pattern) = self.schema["pattern"].as_str() {
            let (accepted, refused) = known::pattern(pattern)
                .with_context(|| format!("{}: no examples for the pattern {pattern}: add them", self.field))?;
            self.add(found, "pattern", texts(accepted), texts(refused));
        }
        Ok(())
    }

    fn rules(&self, found: &mut Found) -> Result<()> {
        for rule in self.schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let message = rule["message"].as_str().context("a rule without a message")?;
            if let Some((min, max)) = message.strip_prefix("must be from ").and_then(|range| range.split_once(" to ")) {
                let outside = known::outside(min, max)?;
                self.add(found, message, texts(&[min, max]), texts(&outside));
            } else {
                let (accepted, refused) = known::rule(message)
                    .with_context(|| format!("{}: no examples for the rule {message:?}: add them", self.field))?;
                let changed = |changes: Vec<Value>| changes.into_iter().map(|change| merged(self.value, &change));
                self.add(found, message, changed(accepted).collect(), changed(refused).collect());
            }
        }
        Ok(())
    }

    fn list(&self, values: &'a [Value], found: &mut Found) -> Result<()> {
        let first = values.first().with_context(|| format!("{}: no entry", self.field))?;
        let key = self.schema["x-kubernetes-list-map-keys"][0].as_str();
        let many = |count: u64| (0..count).map(|number| known::another(first, key, number)).collect::<Value>();
        if let Some(min) = self.schema["minItems"].as_u64() {
            self.add(found, &format!("minItems {min}"), vec![many(min)], vec![many(min - 1)]);
        }
        let max = self.schema["maxItems"].as_u64().context("a list without maxItems")?;
        self.add(found, &format!("maxItems {max}"), vec![many(max)], vec![many(max + 1)]);
        if self.schema["x-kubernetes-list-type"] != "atomic" {
            self.add(found, "unique entries", vec![], vec![json!([first, first])]);
        }
        // Each entry may show another field of a union.
        for (index, value) in values.iter().enumerate() {
            self.at("[]", &format!("/{index}"), &self.schema["items"], value).collect(found)?;
        }
        Ok(())
    }

    fn map(&self, found: &mut Found) -> Result<()> {
        let (key, value) = self.value.as_object().and_then(|map| map.iter().next()).context("an empty map")?;
        let max = self.schema["maxProperties"].as_u64().context("a map without maxProperties")?;
        let many = |count: u64| (0..count).map(|number| (format!("n{number}"), value.clone())).collect::<Value>();
        self.add(found, &format!("maxProperties {max}"), vec![many(max)], vec![many(max + 1)]);
        // Values that are the user's own have no schema.
        let Some(schema) = self.schema.get("additionalProperties") else { return Ok(()) };
        let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        self.at("{}", &pointer, schema, value).collect(found)
    }

    fn properties(&self, found: &mut Found) -> Result<()> {
        for name in self.schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut without = self.value.clone();
            without.as_object_mut().context("not an object")?.remove(name);
            self.add(found, &format!("required {name}"), vec![], vec![without]);
        }
        for (name, schema) in self.schema["properties"].as_object().into_iter().flatten() {
            let field = format!("{}.{name}", self.field);
            if let Some(value) = self.value.get(name) {
                found.present.insert(field);
                self.at(&format!(".{name}"), &format!("/{name}"), schema, value).collect(found)?;
            } else {
                found.absent.insert(field);
            }
        }
        Ok(())
    }
}

fn texts(values: &[impl AsRef<str>]) -> Vec<Value> {
    values.iter().map(|value| json!(value.as_ref())).collect()
}

/// The value with a change laid over it: fields of an object replaced, `null` removing them;
/// anything else replaced as a whole.
pub(super) fn merged(value: &Value, change: &Value) -> Value {
    match (value, change) {
        (Value::Object(fields), Value::Object(changes)) => {
            let mut fields = fields.clone();
            for (name, change) in changes {
                if change.is_null() {
                    fields.remove(name);
                } else {
                    fields.insert(name.clone(), change.clone());
                }
            }
            Value::Object(fields)
        }
        _ => change.clone(),
    }
}
