//! A case about a template: what it renders to over a row, or what is known about it without one.

use isthmus_rules::case::Failure;
use isthmus_rules::{Map, MissingPolicy, Row, Template, TemplateKind, Value};
use serde::Deserialize;
use serde_json::Value as Json;

/// One case. Keys that are not named here are for its readers.
#[derive(Debug, Deserialize)]
pub(super) struct TemplateCase {
    pub(super) id: String,
    template: String,
    #[serde(default)]
    kind: Kind,
    /// The row.
    #[serde(default)]
    bindings: serde_json::Map<String, Json>,
    expect: Expect,
    /// Variables of the template that the row lacks, in order.
    missing: Option<Vec<String>>,
}

/// Which engine reads the template.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Of Kafka topics and republishing.
    #[default]
    Topic,
    /// Of keys, values, timestamps and headers.
    Action,
}

/// What must be so.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "`expect` must be one of `text`, `json_parts` with `pattern`, `strict_error`, `placeholders`, `constant`, and \
                 `disallowed` with `allowed_list`"
)]
enum Expect {
    /// The rendered text; missing variables print `undefined`.
    Text { text: String },
    /// The rendered text with JSON in it, whose keys may be in any order: `<json>` in the pattern is the next part.
    Json { json_parts: Vec<Json>, pattern: String },
    /// Whether strict rendering, as for a Kafka topic, is an error.
    Strict { strict_error: bool },
    /// The variables of the template, in order.
    Placeholders { placeholders: Vec<String> },
    /// Whether it is a plain text.
    Constant { constant: bool },
    /// Which variables are none of a list; the whole row is the empty name.
    Disallowed { disallowed: Vec<String>, allowed_list: Vec<String> },
}

impl TemplateCase {
    /// Runs the case and compares.
    pub(super) fn run(&self) -> Result<(), Box<Failure>> {
        let template = match Template::compile(&self.template, self.kind.into()) {
            Ok(template) => template,
            Err(error) => return compared("a template that compiles", &format!("error: {}", error.message)),
        };
        let row = self.row();
        if let Some(missing) = &self.missing {
            let absent = template.variables().filter(|variable| self.lacks(&row, &variable.path));
            listed("missing", missing, absent.map(|variable| variable.path.as_str()))?;
        }
        let variables = template.variables().map(|variable| variable.path.as_str());
        match &self.expect {
            Expect::Text { text } => compared(&quoted(text), &quoted(&rendered(&template, &row))),
            Expect::Json { json_parts, pattern } => {
                let actual = rendered(&template, &row);
                if follows(&actual, pattern, json_parts) {
                    return Ok(());
                }
                let parts: Vec<String> = json_parts.iter().map(Json::to_string).collect();
                compared(&format!("{} with <json> {}", quoted(pattern), parts.join(", ")), &quoted(&actual))
            }
            Expect::Strict { strict_error } => {
                let outcome = template.render(&row, MissingPolicy::Error, &mut Vec::new());
                let word = |is_error| if is_error { "strict rendering is an error" } else { "strict rendering works" };
                compared(word(*strict_error), word(outcome.is_err()))
            }
            Expect::Placeholders { placeholders } => listed("placeholders", placeholders, variables),
            Expect::Constant { constant } => {
                let word = |is_constant| if is_constant { "a constant" } else { "not a constant" };
                compared(word(*constant), word(template.constant().is_some()))
            }
            Expect::Disallowed { disallowed, allowed_list } => {
                let outside = variables.filter(|path| !allowed_list.iter().any(|allowed| allowed == path));
                listed("disallowed", disallowed, outside)
            }
        }
    }

    fn row(&self) -> Row {
        match Value::from(&Json::Object(self.bindings.clone())) {
            Value::Map(map) => Row::from(map.as_ref()),
            _ => Row::from(&Map::new()),
        }
    }

    fn lacks(&self, row: &Row, path: &str) -> bool {
        Template::compile(&format!("${{{path}}}"), self.kind.into())
            .is_ok_and(|variable| variable.render(row, MissingPolicy::Error, &mut Vec::new()).is_err())
    }
}

impl From<Kind> for TemplateKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Topic => Self::Topic,
            Kind::Action => Self::Action,
        }
    }
}

fn rendered(template: &Template, row: &Row) -> String {
    let mut out = Vec::new();
    match template.render(row, MissingPolicy::Undefined, &mut out) {
        Ok(_) => String::from_utf8_lossy(&out).into_owned(),
        Err(error) => format!("error: {error}"),
    }
}

/// Whether `text` is the pattern with each `<json>` replaced by text of the next part.
fn follows(text: &str, pattern: &str, parts: &[Json]) -> bool {
    let mut literals = pattern.split("<json>");
    let mut parts = parts.iter();
    let Some(mut rest) = literals.next().and_then(|literal| text.strip_prefix(literal)) else { return false };
    for literal in literals {
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Json>();
        let found = stream.next().and_then(Result::ok);
        if found.is_none() || found.as_ref() != parts.next() {
            return false;
        }
        let Some(after) = rest.get(stream.byte_offset()..).and_then(|after| after.strip_prefix(literal)) else {
            return false;
        };
        rest = after;
    }
    rest.is_empty() && parts.next().is_none()
}

fn listed<'n>(what: &str, expected: &[String], actual: impl Iterator<Item = &'n str>) -> Result<(), Box<Failure>> {
    let shown = |names: &[&str]| format!("{what} {}", Json::from(names));
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    compared(&shown(&expected), &shown(&actual.collect::<Vec<_>>()))
}

fn compared(expected: &str, actual: &str) -> Result<(), Box<Failure>> {
    if expected == actual {
        return Ok(());
    }
    Err(Box::new(Failure { expected: expected.to_owned(), actual: actual.to_owned() }))
}

fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}
