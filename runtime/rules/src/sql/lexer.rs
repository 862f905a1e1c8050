//! Text to tokens.

use super::token::{Keyword, Kind, Symbol, Token};
use crate::diagnostic::Diagnostic;

type Lexed<T> = Result<T, Diagnostic>;

/// Cuts `sql` into tokens, the last one being [`Kind::End`].
pub(super) fn lex(sql: &str) -> Lexed<Vec<Token>> {
    let mut lexer = Lexer { sql, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space_and_comments()?;
        let start = lexer.at;
        let kind = lexer.token()?;
        let end = kind == Kind::End;
        tokens.push(Token { kind, span: start..lexer.at });
        if end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'s> {
    sql: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    fn rest(&self) -> &'s str {
        let sql: &'s str = self.sql;
        &sql[self.at..]
    }

    /// A comment needs its line break: in SQL that lost its lines on the way, one would hide all that follows.
    fn skip_space_and_comments(&mut self) -> Lexed<()> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("--") {
                return Ok(());
            }
            let Some(length) = trimmed.find('\n') else {
                let span = self.at..self.sql.len();
                return Err(Diagnostic::error(span, "a comment ends with its line, and this one has no line break")
                    .with_help("end the line, or remove the comment"));
            };
            self.at += length;
        }
    }

    fn token(&mut self) -> Lexed<Kind> {
        let Some(first) = self.rest().chars().next() else {
            return Ok(Kind::End);
        };
        match first {
            'A'..='Z' | 'a'..='z' => Ok(self.word()),
            '0'..='9' => self.number(),
            '\'' => self.quoted('\'').map(Kind::Text),
            '"' => self.quoted('"').map(Kind::Quoted),
            _ => self.symbol(first),
        }
    }

    fn word(&mut self) -> Kind {
        let rest = self.rest();
        let length = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
        let word = &rest[..length];
        let keyword = Keyword::ALL.iter().find(|(text, _)| text.eq_ignore_ascii_case(word));
        let kind = keyword.map_or_else(|| Kind::Name(word.to_owned()), |(_, keyword)| Kind::Keyword(*keyword));
        self.at += length;
        kind
    }

    fn number(&mut self) -> Lexed<Kind> {
        let start = self.at;
        self.digits();
        let fraction = self.rest().strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if fraction {
            self.at += 1;
            self.digits();
            self.exponent();
        }
        let length = self.rest().find(|c| !is_name_char(c)).unwrap_or(self.rest().len());
        if length > 0 {
            let span = start..self.at + length;
            return Err(Diagnostic::error(span, "a number may not run into a name")
                .with_help("put a space between them, or write an exponent after a fraction, as in `1.0e3`"));
        }
        let text = &self.sql[start..self.at];
        let number = if fraction {
            text.parse().ok().filter(|value: &f64| value.is_finite()).map(Kind::Float)
        } else {
            text.parse().ok().map(Kind::Int)
        };
        number.ok_or_else(|| Diagnostic::error(start..self.at, "the number is out of range"))
    }

    fn digits(&mut self) {
        let rest = self.rest();
        self.at += rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    }

    fn exponent(&mut self) {
        let Some(rest) = self.rest().strip_prefix(['e', 'E']) else { return };
        let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        if digits.starts_with(|c: char| c.is_ascii_digit()) {
            self.at = self.sql.len() - digits.len();
            self.digits();
        }
    }

    fn quoted(&mut self, quote: char) -> Lexed<String> {
        let inside = &self.rest()[1..];
        let Some(length) = inside.find(quote) else {
            let what = if quote == '\'' { "string" } else { "quoted name" };
            return Err(Diagnostic::error(self.at..self.sql.len(), format!("this {what} has no closing `{quote}`")));
        };
        let text = inside[..length].to_owned();
        self.at += length + 2;
        Ok(text)
    }

    fn symbol(&mut self, first: char) -> Lexed<Kind> {
        let rest = self.rest();
        if let Some((text, symbol)) = Symbol::ALL.iter().find(|(text, _)| rest.starts_with(text)) {
            self.at += text.len();
            return Ok(Kind::Symbol(*symbol));
        }
        let span = self.at..self.at + first.len_utf8();
        let error = Diagnostic::error(span, format!("unexpected character `{}`", first.escape_debug()));
        Err(match first {
            ';' => error.with_help("a rule is one statement without `;`"),
            '!' => error.with_help("write NOT or `!=`"),
            '%' => error.with_help("the remainder is written `a mod b`"),
            '_' | '$' | '@' | '~' => error.with_help("a name starts with a letter; put other names in double quotes"),
            _ => error.with_help("put names with other characters in double quotes, texts in single quotes"),
        })
    }
}

/// Whether a name may contain `c` after its first letter.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '@' | '~')
}
