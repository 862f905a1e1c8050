//! The bounds of a schema as cases, each with values inside and values outside.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::known;

/// One bound of one field.
pub struct Case {
    /// `KIND FIELD KEYWORD BOUND`.
    pub name: String,
    /// The field, as a pointer into the object.
    pointer: String,
    /// Values that the API server takes.
    pub accepted: Vec<Value>,
    /// Values that it refuses.
    pub refused: Vec<Value>,
}

impl Case {
    /// The object with this value in the field.
    pub fn apply(&self, object: &Value, value: &Value) -> Result<Value> {
        let mut object = object.clone();
        *object.pointer_mut(&self.pointer).with_context(|| format!("no {}", self.pointer))? = value.clone();
        Ok(object)
    }
}

/// A field on the way through a schema and the object that has a value for all of it.
struct Place<'a> {
    kind: &'a str,
    /// As messages write it: `spec.listeners[0].port`.
    field: String,
    pointer: String,
    schema: &'a Value,
    value: &'a Value,
}

/// Every bound in the schema of `spec`.
pub fn cases(kind: &str, schema: &Value, value: &Value) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let spec = Place { kind, field: "spec".to_owned(), pointer: "/spec".to_owned(), schema, value };
    spec.collect(&mut cases)?;
    Ok(cases)
}

impl<'a> Place<'a> {
    fn collect(&self, cases: &mut Vec<Case>) -> Result<()> {
        self.length(cases);
        self.number(cases);
        self.choice(cases);
        self.pattern(cases)?;
        self.rules(cases)?;
        if self.schema["type"] == "array" {
            self.list(cases)?;
        } else {
            self.properties(cases)?;
        }
        Ok(())
    }

    fn add(&self, cases: &mut Vec<Case>, bound: &str, accepted: Vec<Value>, refused: Vec<Value>) {
        let name = format!("{} {} {bound}", self.kind, self.field);
        cases.push(Case { name, pointer: self.pointer.clone(), accepted, refused });
    }

    fn length(&self, cases: &mut Vec<Case>) {
        let size = |keyword: &str| self.schema[keyword].as_u64().map(|size| size as usize);
        if let Some(min) = size("minLength") {
            self.add(cases, &format!("minLength {min}"), vec![], vec![json!(known::filler(min - 1))]);
        }
        if let Some(max) = size("maxLength") {
            let takes_filler = self.schema.get("pattern").is_none();
            let accepted = takes_filler.then(|| json!(known::filler(max))).into_iter().collect();
            self.add(cases, &format!("maxLength {max}"), accepted, vec![json!(known::filler(max + 1))]);
        }
    }

    fn number(&self, cases: &mut Vec<Case>) {
        if let Some(min) = self.schema["minimum"].as_i64() {
            self.add(cases, &format!("minimum {min}"), vec![json!(min)], vec![json!(min - 1)]);
        }
        if let Some(max) = self.schema["maximum"].as_i64() {
            self.add(cases, &format!("maximum {max}"), vec![json!(max)], vec![json!(max + 1)]);
        }
    }

    fn choice(&self, cases: &mut Vec<Case>) {
        if let Some(choices) = self.schema["enum"].as_array() {
            self.add(cases, "enum", choices.clone(), vec![json!("Other"), json!("")]);
        }
    }

    fn pattern(&self, cases: &mut Vec<Case>) -> Result<()> {
        if let Some(pattern) = self.schema["pattern"].as_str() {
            let (accepted, refused) = known::pattern(pattern)
                .with_context(|| format!("{}: no examples for the pattern {pattern}: add them", self.field))?;
            self.add(cases, "pattern", texts(accepted), texts(refused));
        }
        Ok(())
    }

    fn rules(&self, cases: &mut Vec<Case>) -> Result<()> {
        for rule in self.schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let message = rule["message"].as_str().context("a rule without a message")?;
            if let Some((min, max)) = message.strip_prefix("must be from ").and_then(|range| range.split_once(" to ")) {
                let outside = known::outside(min, max)?;
                self.add(cases, message, texts(&[min, max]), texts(&outside));
            } else {
                let (accepted, refused) = known::rule(message)
                    .with_context(|| format!("{}: no examples for the rule {message:?}: add them", self.field))?;
                let changed = |changes: Vec<Value>| changes.into_iter().map(|change| merged(self.value, &change));
                self.add(cases, message, changed(accepted).collect(), changed(refused).collect());
            }
        }
        Ok(())
    }

    fn list(&self, cases: &mut Vec<Case>) -> Result<()> {
        let values = self.value.as_array().with_context(|| format!("{}: not a list", self.field))?;
        let first = values.first().with_context(|| format!("{}: no entry", self.field))?;
        let key = self.schema["x-kubernetes-list-map-keys"][0].as_str();
        let many = |count: u64| (0..count).map(|number| known::another(first, key, number)).collect::<Value>();
        if let Some(min) = self.schema["minItems"].as_u64() {
            self.add(cases, &format!("minItems {min}"), vec![many(min)], vec![many(min - 1)]);
        }
        let max = self.schema["maxItems"].as_u64().context("a list without maxItems")?;
        self.add(cases, &format!("maxItems {max}"), vec![many(max)], vec![many(max + 1)]);
        self.add(cases, "unique entries", vec![], vec![json!([first, first])]);
        // Each entry shows other fields of a union.
        for (index, value) in values.iter().enumerate() {
            let place = Place {
                kind: self.kind,
                field: format!("{}[{index}]", self.field),
                pointer: format!("{}/{index}", self.pointer),
                schema: &self.schema["items"],
                value,
            };
            place.collect(cases)?;
        }
        Ok(())
    }

    fn properties(&self, cases: &mut Vec<Case>) -> Result<()> {
        let Some(properties) = self.schema["properties"].as_object() else { return Ok(()) };
        let mut required = self.schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let required: Vec<&str> = required.by_ref().collect();
        for name in &required {
            let mut without = self.value.clone();
            without.as_object_mut().context("not an object")?.remove(*name);
            self.add(cases, &format!("required {name}"), vec![], vec![without]);
        }
        let union = known::is_union(self.schema);
        for (name, schema) in properties {
            let Some(value) = self.value.get(name) else {
                if union {
                    continue;
                }
                bail!("every_field.yaml has no {}.{name}: add it to {}", self.field, self.kind);
            };
            let field = format!("{}.{name}", self.field);
            Place { kind: self.kind, field, pointer: format!("{}/{name}", self.pointer), schema, value }
                .collect(cases)?;
        }
        Ok(())
    }
}

fn texts(values: &[impl AsRef<str>]) -> Vec<Value> {
    values.iter().map(|value| json!(value.as_ref())).collect()
}

/// The value with a change laid over it: fields of an object replaced, `null` removing them;
/// anything else replaced as a whole.
fn merged(value: &Value, change: &Value) -> Value {
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
