//! Templates: texts with `${placeholders}` rendered over a rule's output (behaviour document §5.5).
//!
//! Owns both engines, which differ in what a placeholder may look like and in how far they look into JSON text.
//! What a missing variable means is the caller's choice at each rendering ([`MissingPolicy`]).

use std::borrow::Cow;

use thiserror::Error;

use crate::diagnostic::Diagnostic;
use crate::eval::operator::to_text;
use crate::event::Column;
use crate::limits::MAX_TEMPLATE_BYTES;
use crate::output::Output;
use crate::value::json::{NotUtf8, write_value};
use crate::value::path::{self, Step};
use crate::value::{Text, Value, number};

/// Which of the two engines reads a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// Key, value, timestamp and headers of records: `${any text but a closing brace}`, no escape, JSON text is looked
    /// into at every level.
    Action,
    /// Kafka topics and republishing: `${name}` with letters, digits, `_` and dots, `${$}` for a plain `$`, `${}` for
    /// everything; JSON text is looked into once.
    Topic,
}

/// What to print for a variable that is not in the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingPolicy {
    /// Nothing. The caller learns of it from [`Rendered`], so that a key becomes Kafka's NULL.
    Empty,
    /// The text `undefined`.
    Undefined,
    /// An error: strict rendering, as for a Kafka topic.
    Error,
}

/// What rendering found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Rendered {
    /// Whether some variable was not in the row.
    pub missing: bool,
}

/// Why a template cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderError {
    /// Strict rendering met a variable that is not in the row.
    #[error("the rule's output has no `{path}`, which the template needs")]
    Missing {
        /// The variable as written, without `${` and `}`.
        path: String,
    },
    /// A variable would become JSON, and has bytes that are no text.
    #[error("`${{{path}}}`: {NotUtf8}", path = if path.is_empty() { "." } else { path })]
    NotUtf8 {
        /// The variable as written; empty for the whole row.
        path: String,
    },
}

/// A compiled template.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    parts: Vec<Part>,
    kind: TemplateKind,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(String),
    Variable(Variable),
}

/// A placeholder of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// The path without a leading dot; empty for the whole row.
    pub path: String,
    /// Byte range of the placeholder in the template.
    pub span: std::ops::Range<usize>,
    steps: Vec<Step>,
    /// The column that is called like the first step.
    column: Option<Column>,
}

impl Template {
    /// Compiles a template. Text that only resembles a placeholder (`$a`, `{c}`, `${d`) stays as it is.
    pub fn compile(text: &str, kind: TemplateKind) -> Result<Self, Diagnostic> {
        if text.len() > MAX_TEMPLATE_BYTES {
            let message = format!("the template has {} bytes; at most {MAX_TEMPLATE_BYTES} are allowed", text.len());
            return Err(Diagnostic::error(0..0, message));
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(found) = text[at..].find("${") {
            let open = at + found;
            literal.push_str(&text[at..open]);
            let inside = text[open + 2..].find('}').map(|length| &text[open + 2..open + 2 + length]);
            match inside.map(|name| (name, placeholder(name, kind))) {
                Some((name, Placeholder::Variable(steps))) => {
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    at = open + name.len() + 3;
                    let path = name.strip_prefix('.').unwrap_or(name).to_owned();
                    let column = path.split('.').next().and_then(Column::named);
                    parts.push(Part::Variable(Variable { path, span: open..at, steps, column }));
                }
                Some((name, Placeholder::Dollar)) => {
                    literal.push('$');
                    at = open + name.len() + 3;
                }
                Some((_, Placeholder::None)) | None => {
                    literal.push_str("${");
                    at = open + 2;
                }
            }
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self { parts, kind })
    }

    /// The placeholders, in order; the same path may occur more than once.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Literal(_) => None,
        })
    }

    /// The text of a template without placeholders.
    pub fn constant(&self) -> Option<Cow<'_, str>> {
        match self.parts.as_slice() {
            [] => Some(Cow::Borrowed("")),
            [Part::Literal(text)] => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    /// Whether the template is one placeholder and nothing else, as `${headers}` must be.
    pub fn is_single_variable(&self) -> bool {
        matches!(self.parts.as_slice(), [Part::Variable(_)])
    }

    /// The value of a template that is one placeholder, not turned into text. Undefined when the row has none, and
    /// `None` when the template is something else.
    pub fn value<'o>(&self, output: impl Into<Output<'o>>) -> Option<Value> {
        let output = output.into();
        match self.parts.as_slice() {
            [Part::Variable(variable)] if variable.steps.is_empty() => Some(output.to_value()),
            [Part::Variable(variable)] => Some(variable.find(output, self.kind).into_owned()),
            _ => None,
        }
    }

    /// Renders over an output of a rule, or another row, into `out`, which keeps what it had. Texts and bytes are printed as
    /// they are, numbers and booleans as text, lists and maps as JSON. On an error `out` is as before.
    pub fn render<'o>(
        &self,
        output: impl Into<Output<'o>>,
        missing: MissingPolicy,
        out: &mut Vec<u8>,
    ) -> Result<Rendered, RenderError> {
        let output = output.into();
        let before = out.len();
        let mut rendered = Rendered { missing: false };
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable(variable) if variable.steps.is_empty() => {
                    output.write_json(out).map_err(|NotUtf8| variable.not_utf8(before, out))?;
                }
                Part::Variable(variable) => {
                    if let Some(bytes) = variable.bytes(output) {
                        out.extend_from_slice(bytes);
                        continue;
                    }
                    let value = variable.find(output, self.kind);
                    if !value.is_undefined() {
                        write_text(&value, out).map_err(|NotUtf8| variable.not_utf8(before, out))?;
                        continue;
                    }
                    rendered.missing = true;
                    match missing {
                        MissingPolicy::Empty => {}
                        MissingPolicy::Undefined => out.extend_from_slice(b"undefined"),
                        MissingPolicy::Error => {
                            out.truncate(before);
                            return Err(RenderError::Missing { path: variable.path.clone() });
                        }
                    }
                }
            }
        }
        Ok(rendered)
    }
}

/// Appends a value as a template prints it. Only a list or map can fail: it becomes JSON.
pub fn write_text(value: &Value, out: &mut Vec<u8>) -> Result<(), NotUtf8> {
    match value {
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytes(bytes) => out.extend_from_slice(bytes),
        Value::Int(value) => number::write_int(*value, out),
        Value::Float(value) => number::write_float(*value, out),
        Value::List(_) | Value::Map(_) => return write_value(value, out),
        other => out.extend_from_slice(to_text(other).as_bytes()),
    }
    Ok(())
}

impl Variable {
    /// It cannot be printed: `out` becomes what it was before.
    #[cold]
    fn not_utf8(&self, before: usize, out: &mut Vec<u8>) -> RenderError {
        out.truncate(before);
        RenderError::NotUtf8 { path: self.path.clone() }
    }

    /// What is printed, if it is a column whose bytes the event lends.
    fn bytes<'o>(&self, output: Output<'o>) -> Option<&'o [u8]> {
        self.column.filter(|_| self.steps.len() == 1).and_then(|column| output.bytes(column))
    }

    fn find<'o>(&self, output: Output<'o>, kind: TemplateKind) -> Cow<'o, Value> {
        let Some((Step::Key(root), rest)) = self.steps.split_first() else {
            return Cow::Owned(Value::Undefined);
        };
        let Some(mut value) = output.get(root, self.column) else { return Cow::Owned(Value::Undefined) };
        let mut decoded = false;
        for step in rest {
            if matches!(&*value, Value::Text(_)) {
                if decoded && kind == TemplateKind::Topic {
                    return Cow::Owned(Value::Undefined);
                }
                decoded = true;
            }
            value = Cow::Owned(path::get(&value, step));
        }
        value
    }
}

enum Placeholder {
    Variable(Vec<Step>),
    Dollar,
    None,
}

fn placeholder(name: &str, kind: TemplateKind) -> Placeholder {
    match kind {
        TemplateKind::Topic if name == "$" => return Placeholder::Dollar,
        TemplateKind::Topic if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte)) => {
            return Placeholder::None;
        }
        TemplateKind::Action if name.is_empty() => return Placeholder::None,
        _ => {}
    }
    let path = name.strip_prefix('.').unwrap_or(name);
    let steps =
        if path.is_empty() { Vec::new() } else { path.split('.').map(|key| Step::Key(Text::from(key))).collect() };
    Placeholder::Variable(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Row;

    fn row(json: &str) -> Row {
        match Value::from_json(&Text::from(json)) {
            Ok(Value::Map(map)) => Row::from(&*map),
            other => panic!("not a row: {other:?}"),
        }
    }

    fn rendered(template: &str, kind: TemplateKind, json: &str, missing: MissingPolicy) -> (String, bool) {
        let mut out = Vec::new();
        let rendered = Template::compile(template, kind).unwrap().render(&row(json), missing, &mut out).unwrap();
        (String::from_utf8(out).unwrap(), rendered.missing)
    }

    #[test]
    fn both_engines_print_values_and_whole_rows() {
        for kind in [TemplateKind::Action, TemplateKind::Topic] {
            let json = r#"{"a":"x","n":1,"f":2.50,"b":true,"l":[97,98],"m":{"k":"v"}}"#;
            let (text, missing) =
                rendered("${a}/${.n}/${f}/${b}/${l}/${m}/${m.k}", kind, json, MissingPolicy::Undefined);
            assert_eq!(text, r#"x/1/2.5/true/[97,98]/{"k":"v"}/v"#);
            assert!(!missing);
            assert_eq!(rendered("${.}", kind, r#"{"a":1,"b":null}"#, MissingPolicy::Error).0, r#"{"a":1,"b":null}"#);
        }
    }

    #[test]
    fn engines_differ_in_names_escapes_and_depth() {
        let json = r#"{"a b":1,"User-Property":2,"j":"{\"k\":\"{\\\"z\\\":3}\"}"}"#;
        let action = |template| rendered(template, TemplateKind::Action, json, MissingPolicy::Undefined).0;
        let topic = |template| rendered(template, TemplateKind::Topic, json, MissingPolicy::Undefined).0;
        assert_eq!(action("${a b}${User-Property}"), "12");
        assert_eq!(topic("${a b}${User-Property}"), "${a b}${User-Property}");
        assert_eq!(action("${$}{x}"), "undefined{x}");
        assert_eq!(topic("${$}{x}"), "${x}");
        assert_eq!(action("${j.k.z}"), "3");
        assert_eq!(topic("${j.k.z}"), "undefined");
        assert_eq!(topic("${j.k}"), r#"{"z":3}"#);
    }

    #[test]
    fn missing_variables_follow_the_policy() {
        assert_eq!(rendered("a${x}b", TemplateKind::Action, "{}", MissingPolicy::Empty), ("ab".into(), true));
        assert_eq!(
            rendered("a${x}b", TemplateKind::Action, "{}", MissingPolicy::Undefined),
            ("aundefinedb".into(), true)
        );
        let mut out = b"kept".to_vec();
        let template = Template::compile("a${x.y}b", TemplateKind::Topic).unwrap();
        let error = template.render(&row("{}"), MissingPolicy::Error, &mut out).unwrap_err();
        assert_eq!(error, RenderError::Missing { path: "x.y".into() });
        assert_eq!(out, b"kept");
    }

    /// What a device sent reaches Kafka as it is, or not at all.
    #[test]
    fn bytes_that_are_no_text_are_printed_as_they_are_and_never_as_json() {
        let bytes = || Value::binary(b"S\x80S".to_vec());
        let mut row = row(r#"{"fine":{"k":1}}"#);
        row.set("payload".into(), bytes());
        row.set("list".into(), Value::list(vec![bytes()]));
        row.set("headers".into(), Value::map([(Text::from("h"), bytes())].into_iter().collect()));
        for kind in [TemplateKind::Action, TemplateKind::Topic] {
            let render = |template: &str| {
                let mut out = b"kept:".to_vec();
                let template = Template::compile(template, kind).unwrap();
                template.render(&row, MissingPolicy::Empty, &mut out).map(|_| out.clone()).map_err(|error| (error, out))
            };
            assert_eq!(render("${payload}"), Ok(b"kept:S\x80S".to_vec()));
            assert_eq!(render("${headers.h}"), Ok(b"kept:S\x80S".to_vec()));
            assert_eq!(render("${fine}"), Ok(br#"kept:{"k":1}"#.to_vec()));
            for path in ["", "list", "headers"] {
                let (error, out) = render(&format!("a${{.{path}}}")).unwrap_err();
                assert_eq!((error, out), (RenderError::NotUtf8 { path: path.into() }, b"kept:".to_vec()));
            }
        }
        let error = RenderError::NotUtf8 { path: String::new() }.to_string();
        assert!(error.contains("${payload}") && error.contains("base64_encode"), "{error}");
        assert!(error.starts_with("`${.}`"), "{error}");
    }

    #[test]
    fn half_placeholders_stay_literal() {
        for text in ["$a", "b}", "{c}", "${d", "$", "${", "a$${"] {
            assert_eq!(rendered(text, TemplateKind::Topic, "{}", MissingPolicy::Error).0, text);
        }
    }
}
