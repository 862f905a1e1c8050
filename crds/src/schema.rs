//! From Rust types to `CustomResourceDefinition`s as the API server takes them.
//!
//! Owns what the derives cannot say (bounds of durations and sizes, list keys, CEL rules) and the last pass over
//! each definition. `crdgen` writes the result to `crds/yaml`; local mode validates manifests against it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::Schema;
use serde_json::{Map, Value, json};

use crate::{Bridge, Connector, Rule, Sink, Source};

/// CEL rules of a type or a field: `(rule, message, field)`. The message says what to do; the field, such as `.acks`,
/// is the one it is reported on, empty for the whole.
pub(crate) fn rules(rules: &'static [(&'static str, &'static str, &'static str)]) -> impl Fn(&mut Schema) {
    move |schema| {
        for (rule, message, field) in rules {
            push_rule(schema, rule, message, field);
        }
    }
}

/// Bounds of a [`crate::Duration`], both included.
pub(crate) fn between_durations(min: &'static str, max: &'static str) -> impl Fn(&mut Schema) {
    move |schema| {
        let rule = format!("duration(self) >= duration('{min}') && duration(self) <= duration('{max}')");
        push_rule(schema, &rule, &format!("must be from {min} to {max}"), "");
    }
}

/// Bounds of a [`crate::Size`], both included. A quantity may be a number or text, hence the conversion.
pub(crate) fn between_sizes(min: &'static str, max: &'static str) -> impl Fn(&mut Schema) {
    move |schema| {
        let rule = format!(
            "quantity(string(self)).compareTo(quantity('{min}')) >= 0 && quantity(string(self)).compareTo(quantity('{max}')) <= 0"
        );
        push_rule(schema, &rule, &format!("must be from {min} to {max}"), "");
    }
}

/// A list whose entries are told apart by `key`, for server-side apply and for uniqueness.
pub(crate) fn list_map(key: &'static str) -> impl Fn(&mut Schema) {
    move |schema| {
        schema.insert("x-kubernetes-list-type".to_owned(), json!("map"));
        schema.insert("x-kubernetes-list-map-keys".to_owned(), json!([key]));
    }
}

/// A list that has one owner and is replaced as a whole.
pub(crate) fn atomic(schema: &mut Schema) {
    schema.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
}

/// Bounds of a map of text: entries, length of a key, length of a value.
pub(crate) fn map_of_text(entries: u64, key: u64, value: u64) -> impl Fn(&mut Schema) {
    move |schema| {
        map_of(entries, key)(schema);
        schema.insert("additionalProperties".to_owned(), json!({"type": "string", "maxLength": value}));
    }
}

/// Bounds of a map: entries and length of a key.
pub(crate) fn map_of(entries: u64, key: u64) -> impl Fn(&mut Schema) {
    move |schema| {
        schema.insert("maxProperties".to_owned(), json!(entries));
        let rule = format!("self.all(key, key.size() > 0 && key.size() <= {key})");
        push_rule(schema, &rule, &format!("each key needs 1 to {key} characters"), "");
    }
}

/// Bounds of each text in a list, and that no text is there twice.
pub(crate) fn items(bounds: &'static [(&'static str, u64)], pattern: Option<&'static str>) -> impl Fn(&mut Schema) {
    move |schema| {
        schema.insert("x-kubernetes-list-type".to_owned(), json!("set"));
        let Some(items) = schema.get_mut("items").and_then(Value::as_object_mut) else { return };
        for (keyword, bound) in bounds {
            items.insert((*keyword).to_owned(), json!(bound));
        }
        if let Some(pattern) = pattern {
            items.insert("pattern".to_owned(), json!(pattern));
        }
    }
}

/// An object of at most `max` fields whose names and values are the user's own.
pub(crate) fn any_fields(max: u64) -> impl Fn(&mut Schema) {
    move |schema| {
        let object = schema.ensure_object();
        object.remove("additionalProperties");
        object.insert("maxProperties".to_owned(), json!(max));
        object.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
    }
}

/// A list whose order counts, of objects such as [`any_fields`] describes.
pub(crate) fn rows(max: u64) -> impl Fn(&mut Schema) {
    move |schema| {
        schema.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
        let Some(items) = schema.get_mut("items") else { return };
        if let Ok(mut row) = Schema::try_from(std::mem::take(items)) {
            any_fields(max)(&mut row);
            *items = row.to_value();
        }
    }
}

fn push_rule(schema: &mut Schema, rule: &str, message: &str, field: &str) {
    let mut entry = json!({"rule": rule, "message": message});
    if !field.is_empty() {
        entry["fieldPath"] = json!(field);
    }
    let rules = schema.ensure_object().entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Some(rules) = rules.as_array_mut() {
        rules.push(entry);
    }
}

/// The definition of every kind as JSON, in the order in which they refer to each other.
pub fn definitions() -> Vec<Value> {
    [Bridge::crd(), Connector::crd(), Sink::crd(), Source::crd(), Rule::crd()].iter().map(finish).collect()
}

/// The OpenAPI schema of `kind`, as the API server validates against; `None` for another kind.
pub fn schema_of(kind: &str) -> Option<Value> {
    let crd = match kind {
        "Bridge" => Bridge::crd(),
        "Connector" => Connector::crd(),
        "Sink" => Sink::crd(),
        "Source" => Source::crd(),
        "Rule" => Rule::crd(),
        _ => return None,
    };
    finish(&crd).pointer_mut("/spec/versions/0/schema/openAPIV3Schema").map(Value::take)
}

/// Kinds of the group, in the order in which they refer to each other.
pub const KINDS: [&str; 5] = ["Bridge", "Connector", "Sink", "Source", "Rule"];

/// The pods' Service has the name of the Bridge, and a label of the pods has it as its value: both hold 63 characters.
const BRIDGE_NAME: &str =
    "self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')";
const BRIDGE_NAME_MESSAGE: &str = "the name of a Bridge becomes the name of its Service: use at most 63 lower-case letters, digits and hyphens, with a letter first";

fn finish(crd: &CustomResourceDefinition) -> Value {
    let mut crd = serde_json::to_value(crd).unwrap_or_default();
    if let Some(schema) = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema") {
        tidy(schema);
        if let Some(status) = schema.pointer_mut("/properties/status").and_then(Value::as_object_mut) {
            status.insert("default".to_owned(), json!({"observedGeneration": -1}));
        }
        if let Some(root) = schema.as_object_mut().filter(|root| root.get("title") == Some(&json!("Bridge"))) {
            let rule = json!({"rule": BRIDGE_NAME, "message": BRIDGE_NAME_MESSAGE});
            root.insert("x-kubernetes-validations".to_owned(), json!([rule]));
        }
    }
    crd
}

/// Removes what the derives add and the API does not want: `nullable` (an absent field is absent, not null),
/// formats that only Rust knows, whole-object defaults (nested defaults fill `{}`), hard line breaks in texts.
fn tidy(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("nullable");
    if let Some(format) = object.get("format").and_then(Value::as_str)
        && (format.starts_with("uint") || format == "double" || format == "float")
    {
        object.remove("format");
    }
    if let Some(default) = object.get_mut("default").filter(|default| default.is_object()) {
        *default = json!({});
    }
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = unwrap_lines(text);
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    for keyword in ["minimum", "maximum"] {
        whole(object, keyword);
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(tidy);
    }
    for nested in ["items", "additionalProperties"] {
        if let Some(nested) = object.get_mut(nested) {
            tidy(nested);
        }
    }
}

/// `65535.0` is printed as `65535`.
fn whole(object: &mut Map<String, Value>, keyword: &str) {
    if let Some(bound) = object.get_mut(keyword)
        && let Some(number) = bound.as_f64()
        && number.fract() == 0.0
    {
        *bound = json!(number as i64);
    }
}

/// Joins the lines of a paragraph: where the source code wraps is no business of `kubectl explain`.
fn unwrap_lines(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}
