//! Words for what a schema asks and what a manifest has.

use isthmus_api::{connector, duration, quantity, reference, size, source};
use regex::Regex;
use serde_json::Value;

use crate::manifest::yaml::Content;

/// Whether a scalar is of the schema's type.
pub(super) fn fits(schema: &Value, value: &Value) -> bool {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return value.is_string() || value.is_i64() || value.is_u64();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        _ => false,
    }
}

/// The values a field may have, when they are counted.
fn choices(schema: &Value) -> Option<Vec<&str>> {
    let values = schema.get("enum").and_then(Value::as_array)?;
    Some(values.iter().filter_map(Value::as_str).collect())
}

fn not_a_choice(name: &str, text: &str, choices: &[&str]) -> (String, Option<String>) {
    let help = match nearest(text, choices) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write {}", choices.join(" or ")),
    };
    (format!("`{name}` cannot be `{}`", shortened(text)), Some(help))
}

/// What the schema wants, for "… is EXPECTED".
pub(super) fn expected(schema: &Value) -> &'static str {
    if schema.get("x-kubernetes-int-or-string").is_some() {
        return if pattern_is(schema, quantity::PATTERN) { "a quantity such as 500m or 512Mi" } else { "a size such as 1Mi" };
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "text",
        Some("integer") => "a whole number",
        Some("number") => "a number",
        Some("boolean") => "true or false",
        Some("array") => "a list",
        _ => "a mapping of fields",
    }
}

/// What the manifest has, for "… found FOUND".
fn found(content: &Content) -> String {
    match content {
        Content::Mapping(_) => "a mapping".to_owned(),
        Content::Sequence(_) => "a list".to_owned(),
        Content::Scalar(scalar) => match &scalar.value {
            Value::Bool(_) => format!("`{}`, which YAML reads as true or false", scalar.text),
            Value::Number(number) => format!("the number {number}"),
            Value::Null => "nothing".to_owned(),
            _ => format!("the text `{}`", shortened(&scalar.text)),
        },
    }
}

/// What is wrong with a value of the wrong type, and what to do.
pub(super) fn wrong_type(schema: &Value, name: &str, content: &Content) -> (String, Option<String>) {
    if let (Some(choices), Content::Scalar(scalar)) = (choices(schema), content) {
        return not_a_choice(name, &scalar.text, &choices);
    }
    (format!("`{name}` is {}, found {}", expected(schema), found(content)), remedy(schema, content))
}

fn remedy(schema: &Value, content: &Content) -> Option<String> {
    let wants = schema.get("type").and_then(Value::as_str);
    match content {
        Content::Scalar(scalar) if scalar.value.is_number() && pattern_is(schema, duration::PATTERN) => {
            Some(format!("give it a unit, such as {}s", scalar.text))
        }
        Content::Scalar(scalar) if wants == Some("string") => Some(format!("put it in quotes: \"{}\"", scalar.text)),
        Content::Scalar(scalar) if wants == Some("integer") && scalar.text.parse::<i64>().is_ok() => {
            Some("write it without quotes".to_owned())
        }
        Content::Scalar(scalar) if wants == Some("boolean") && matches!(scalar.text.as_str(), "true" | "false") => {
            Some("write it without quotes".to_owned())
        }
        Content::Scalar(scalar) if wants == Some("array") => {
            Some(format!("make it a list of one: [\"{}\"]", shortened(&scalar.text)))
        }
        Content::Mapping(_) if wants == Some("array") => Some("start each entry with `- `".to_owned()),
        Content::Sequence(_) if wants == Some("object") => Some("write its fields without `- `".to_owned()),
        _ => None,
    }
}

fn pattern_is(schema: &Value, pattern: &str) -> bool {
    schema.get("pattern").and_then(Value::as_str) == Some(pattern)
}

/// Why a list has too few or too many entries.
pub(super) fn count(schema: &Value, entries: usize) -> Option<String> {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    let entries = entries as u64;
    match (bound("minItems"), bound("maxItems")) {
        (Some(min), _) if entries < min => Some(format!("needs at least {min} {}", plural(min, "entry", "entries"))),
        (_, Some(max)) if entries > max => Some(format!("has {entries} entries, the most is {max}")),
        _ => None,
    }
}

/// Why a value of the right type is refused all the same, and what to do.
pub(super) fn refused(schema: &Value, name: &str, value: &Value) -> Option<(String, Option<String>)> {
    if let Some(choices) = choices(schema) {
        let text = value.as_str()?;
        return (!choices.contains(&text)).then(|| not_a_choice(name, text, &choices));
    }
    match value {
        Value::String(text) => text_refused(schema, name, text),
        Value::Number(number) => {
            let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_i64);
            let (min, max) = (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX));
            let inside = number.as_i64().is_some_and(|number| (min..=max).contains(&number));
            (!inside).then(|| (format!("`{name}` must be from {min} to {max}, found {number}"), None))
        }
        _ => None,
    }
}

fn text_refused(schema: &Value, name: &str, text: &str) -> Option<(String, Option<String>)> {
    let pattern = schema.get("pattern").and_then(Value::as_str);
    let length = text.chars().count() as u64;
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
    if bound("minLength").is_some_and(|min| length < min) {
        return Some((format!("`{name}` is empty"), pattern.and_then(form).map(|form| format!("write {form}"))));
    }
    let matches = pattern.is_none_or(|pattern| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text)));
    if !matches {
        let help = pattern.and_then(form).map(|form| format!("write {form}"));
        return Some((format!("`{name}` cannot be `{}`", shortened(text)), help));
    }
    let max = bound("maxLength").filter(|max| length > *max)?;
    Some((format!("`{name}` has {length} characters, the most is {max}"), None))
}

/// The forms of text that our schemas know, in words.
fn form(pattern: &str) -> Option<&'static str> {
    Some(match pattern {
        duration::PATTERN => "whole numbers with the units h, m, s or ms, such as 5s, 100ms or 1m30s",
        size::PATTERN => "whole bytes, alone or with a unit (Ki, Mi, Gi, Ti or k, M, G, T), such as 896Ki or 1Gi",
        quantity::PATTERN => "a quantity of Kubernetes, such as 500m, 2 or 512Mi",
        reference::NAME_PATTERN => "a name of small letters, digits, `-` and `.`, such as `kafka-eu`",
        reference::LABEL_PATTERN => "a name of small letters, digits and `-`, such as `to-kafka`",
        source::KAFKA_TOPIC_PATTERN => "a Kafka topic: letters, digits, `.`, `_` and `-`, no wildcard",
        connector::SERVER_PATTERN => "one `host:port` per entry, such as `kafka:9092`",
        _ => return None,
    })
}

/// The known word that `word` is most likely a misspelling of.
pub(in crate::manifest) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), *candidate))
        .filter(|(similarity, _)| *similarity >= 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// The first sentence of a description.
pub(super) fn lead(text: &str) -> &str {
    text.split(". ").next().unwrap_or(text).trim_end_matches('.')
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.len() < text.len() || line.chars().count() > 60 {
        format!("{}…", line.chars().take(60).collect::<String>())
    } else {
        line.to_owned()
    }
}

fn plural<'w>(count: u64, one: &'w str, many: &'w str) -> &'w str {
    if count == 1 { one } else { many }
}
