//! Tree to text: the shortest form with the fewest parentheses that parses back to the same tree.

use std::fmt::{self, Display, Formatter, Write};

use super::ast::{Body, Expr, ExprKind, IN_PRECEDENCE, Item, Path, Query, Step, Unary};
use super::lexer::is_name_char;
use super::token::Keyword;

/// What binds more tightly than IN and the comparisons.
const SUM: u8 = IN_PRECEDENCE + 1;
/// Names, literals, calls: what never needs parentheses.
const PRIMARY: u8 = u8::MAX;

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Select(items) => {
                f.write_str("SELECT ")?;
                comma_separated(f, items)?;
            }
            Body::Foreach { collection, each, incase } => {
                f.write_str("FOREACH ")?;
                comma_separated(f, collection)?;
                if let Some(items) = each {
                    f.write_str(" DO ")?;
                    comma_separated(f, items)?;
                }
                if let Some(condition) = incase {
                    write!(f, " INCASE {condition}")?;
                }
            }
        }
        f.write_str(" FROM ")?;
        for (at, topic) in self.from.iter().enumerate() {
            if at > 0 {
                f.write_str(", ")?;
            }
            quoted(f, &topic.text)?;
        }
        match &self.condition {
            Some(condition) => write!(f, " WHERE {condition}"),
            None => Ok(()),
        }
    }
}

impl Display for Item {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(_) => f.write_char('*'),
            Self::Value { expr, target: None } => write!(f, "{expr}"),
            Self::Value { expr, target: Some(target) } => write!(f, "{expr} AS {target}"),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::Int(value) => write!(f, "{value}"),
            ExprKind::Float(value) => {
                let text = format!("{value:?}");
                // An exponent is only read after a fraction.
                match text.split_once('e') {
                    Some((digits, exponent)) if !digits.contains('.') => write!(f, "{digits}.0e{exponent}"),
                    _ => f.write_str(&text),
                }
            }
            ExprKind::Text(text) => write!(f, "'{text}'"),
            ExprKind::Path(path) => write!(f, "{path}"),
            ExprKind::Slice(path, from, to) => write!(f, "{path}[{from}..{to}]"),
            ExprKind::Range(from, to) => write!(f, "[{from}..{to}]"),
            ExprKind::List(items) => {
                f.write_char('[')?;
                comma_separated(f, items)?;
                f.write_char(']')
            }
            ExprKind::Call { name, args, .. } => {
                match name.as_str() {
                    "div" | "mod" => f.write_str(name)?,
                    _ => bare_or_quoted(f, name)?,
                }
                f.write_char('(')?;
                comma_separated(f, args)?;
                f.write_char(')')
            }
            ExprKind::Unary(op, operand) => {
                f.write_str(op.text())?;
                // The space keeps `- -a` from becoming a comment.
                if *op == Unary::Not || matches!(operand.kind, ExprKind::Unary(..)) {
                    f.write_char(' ')?;
                }
                operand.within(op.precedence(), f)
            }
            ExprKind::Binary(op, left, right) => {
                let precedence = op.precedence();
                let chains = precedence != IN_PRECEDENCE;
                left.within(if chains { precedence } else { precedence + 1 }, f)?;
                write!(f, " {} ", op.text())?;
                right.within(precedence + 1, f)
            }
            ExprKind::In { subject, options, negated } => {
                subject.within(SUM, f)?;
                f.write_str(if *negated { " NOT IN (" } else { " IN (" })?;
                comma_separated(f, options)?;
                f.write_char(')')
            }
            ExprKind::Case { subject, branches, otherwise } => {
                f.write_str("CASE")?;
                if let Some(subject) = subject {
                    write!(f, " {subject}")?;
                }
                for (when, then) in branches {
                    write!(f, " WHEN {when} THEN {then}")?;
                }
                if let Some(otherwise) = otherwise {
                    write!(f, " ELSE {otherwise}")?;
                }
                f.write_str(" END")
            }
        }
    }
}

impl Expr {
    fn precedence(&self) -> u8 {
        match &self.kind {
            ExprKind::Binary(op, ..) => op.precedence(),
            ExprKind::In { .. } => IN_PRECEDENCE,
            ExprKind::Unary(op, _) => op.precedence(),
            _ => PRIMARY,
        }
    }

    fn within(&self, least: u8, f: &mut Formatter<'_>) -> fmt::Result {
        if self.precedence() < least { write!(f, "({self})") } else { write!(f, "{self}") }
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.root.as_str() {
            "true" | "false" => quoted(f, &self.root)?,
            root => bare_or_quoted(f, root)?,
        }
        for step in &self.steps {
            match step {
                Step::Key(key) => {
                    f.write_char('.')?;
                    bare_or_quoted(f, key)?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::End => f.write_str("[-0]")?,
                Step::Variable(path) => write!(f, "[{path}]")?,
            }
        }
        Ok(())
    }
}

fn comma_separated<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}

fn bare_or_quoted(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let reserved = Keyword::ALL.iter().any(|(text, _)| text.eq_ignore_ascii_case(name));
    if starts_well && !reserved && name.chars().all(is_name_char) { f.write_str(name) } else { quoted(f, name) }
}

/// A text that was written in one kind of quotes may contain the other kind, never both.
fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    if text.contains('"') { write!(f, "'{text}'") } else { write!(f, "\"{text}\"") }
}
