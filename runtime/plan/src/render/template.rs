//! Templates: that they compile, and that what is fixed in a topic template can be part of a topic.

use std::ops::Range;

use isthmus_api::ObjectRef;
use isthmus_rules::template::{Template, TemplateKind};

use crate::{Finding, finding::reason};

/// Longest name of a Kafka topic.
const KAFKA_TOPIC_MAX: usize = 249;

/// Compiles a template; `None` and a finding when it does not.
pub(super) fn compile(
    object: &ObjectRef,
    path: &str,
    text: &str,
    kind: TemplateKind,
    findings: &mut Vec<Finding>,
) -> Option<Template> {
    match Template::compile(text, kind) {
        Ok(template) => Some(template),
        Err(diagnostic) => {
            let mut finding =
                Finding::error(object, path, reason::INVALID_TEMPLATE, diagnostic.message).at(diagnostic.span);
            finding.help = diagnostic.help;
            findings.push(finding);
            None
        }
    }
}

/// Checks a fixed Kafka topic, or the fixed parts of a topic template.
pub(super) fn kafka_topic(object: &ObjectRef, path: &str, text: &str, template: &Template) -> Option<Finding> {
    if template.variables().next().is_none() {
        return kafka_topic_name(object, path, text);
    }
    fixed_parts(text, template).into_iter().find_map(|part| illegal_character(object, path, text, part))
}

/// Checks a fixed Kafka topic.
pub(super) fn kafka_topic_name(object: &ObjectRef, path: &str, name: &str) -> Option<Finding> {
    if let Some(finding) = illegal_character(object, path, name, 0..name.len()) {
        return Some(finding);
    }
    let message = match name {
        "" => "a Kafka topic needs a name".to_owned(),
        "." | ".." => "Kafka has no topics called `.` or `..`".to_owned(),
        _ if name.len() > KAFKA_TOPIC_MAX => {
            format!("a Kafka topic has at most {KAFKA_TOPIC_MAX} characters, this one has {}", name.len())
        }
        _ => return None,
    };
    Some(Finding::error(object, path, reason::INVALID_KAFKA_TOPIC, message))
}

fn illegal_character(object: &ObjectRef, path: &str, text: &str, part: Range<usize>) -> Option<Finding> {
    let legal = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    let (at, character) = text.get(part.clone())?.char_indices().find(|(_, character)| !legal(*character))?;
    let start = part.start + at;
    let message = format!("a Kafka topic cannot contain `{}`", character.escape_default());
    Some(
        Finding::error(object, path, reason::INVALID_KAFKA_TOPIC, message)
            .with_help("use letters, digits, `.`, `_` and `-`")
            .at(start..start + character.len_utf8()),
    )
}

/// Checks the fixed parts of an MQTT topic template: no wildcard, no NUL.
pub(super) fn mqtt_topic(object: &ObjectRef, path: &str, text: &str, template: &Template) -> Option<Finding> {
    let (start, character) = fixed_parts(text, template).into_iter().find_map(|part| {
        let (at, character) =
            text.get(part.clone())?.char_indices().find(|(_, character)| matches!(character, '+' | '#' | '\0'))?;
        Some((part.start + at, character))
    })?;
    let message = match character {
        '\0' => "an MQTT topic cannot contain the character NUL".to_owned(),
        wildcard => format!("a message cannot be published to a wildcard: `{wildcard}` is for subscriptions only"),
    };
    Some(
        Finding::error(object, path, reason::INVALID_MQTT_TOPIC, message)
            .with_help("write one topic, with variables such as `${.key}` where it differs")
            .at(start..start + character.len_utf8()),
    )
}

/// What stands between the placeholders.
fn fixed_parts(text: &str, template: &Template) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for variable in template.variables() {
        parts.push(start..variable.span.start);
        start = variable.span.end;
    }
    parts.push(start..text.len());
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ObjectRef {
        ObjectRef::new("Sink", "default", "s")
    }

    fn topic(text: &str) -> Template {
        Template::compile(text, TemplateKind::Topic).unwrap()
    }

    fn kafka(text: &str) -> Option<Finding> {
        kafka_topic(&object(), "spec.topic", text, &topic(text))
    }

    fn mqtt(text: &str) -> Option<Finding> {
        mqtt_topic(&object(), "spec.topic", text, &topic(text))
    }

    #[test]
    fn kafka_topics_follow_kafkas_rule() {
        for legal in ["a", "vehicles.v1_x-2", "site-${site}", "${.topic}"] {
            assert_eq!(kafka(legal), None, "{legal}");
        }
        let finding = kafka("site/${site}").unwrap();
        assert_eq!((finding.reason, finding.span), (reason::INVALID_KAFKA_TOPIC, Some(4..5)));
        assert_eq!(kafka("${site}/x").unwrap().span, Some(7..8));
        assert_eq!(kafka("${a b}").unwrap().span, Some(0..1), "not a variable in a topic");
        let finding = kafka(&"x".repeat(250)).unwrap();
        assert_eq!(finding.message, "a Kafka topic has at most 249 characters, this one has 250");
        assert!(kafka("..").is_some());
    }

    #[test]
    fn publishing_to_a_wildcard_is_refused() {
        assert_eq!(mqtt("cmd/${.key}/#").unwrap().span, Some(12..13));
        assert_eq!(mqtt("cmd/${.key}"), None);
    }
}
