//! Tokens of the rule SQL.

use std::fmt;
use std::ops::Range;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A bare name; case matters.
    Name(String),
    /// `"…"`: a column in expressions, a topic in FROM.
    Quoted(String),
    /// `'…'`: a string, or a topic in FROM.
    Text(String),
    Int(i128),
    Float(f64),
    Keyword(Keyword),
    Symbol(Symbol),
    End,
}

macro_rules! words {
    ($name:ident, $doc:literal, $($variant:ident = $text:literal),* $(,)?) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($variant),* }

        impl $name {
            pub(super) const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),*];

            pub(super) fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

words!(
    Keyword,
    "Reserved words, in any case; not usable as names unless quoted.",
    And = "AND",
    As = "AS",
    Case = "CASE",
    Div = "DIV",
    Do = "DO",
    Else = "ELSE",
    Elsif = "ELSIF",
    End = "END",
    Foreach = "FOREACH",
    From = "FROM",
    If = "IF",
    In = "IN",
    Incase = "INCASE",
    Mod = "MOD",
    Not = "NOT",
    Or = "OR",
    Select = "SELECT",
    Then = "THEN",
    When = "WHEN",
    Where = "WHERE",
);

// Longer symbols come first: the lexer takes the first that fits.
words!(
    Symbol,
    "Operators and punctuation.",
    MatchesReversed = "~=",
    Matches = "=~",
    NotEqual = "!=",
    NotEqualAngle = "<>",
    LessOrEqual = "<=",
    GreaterOrEqual = ">=",
    Range = "..",
    Equal = "=",
    Less = "<",
    Greater = ">",
    Plus = "+",
    Minus = "-",
    Star = "*",
    Slash = "/",
    OpenParen = "(",
    CloseParen = ")",
    OpenBracket = "[",
    CloseBracket = "]",
    Comma = ",",
    Dot = ".",
);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "the name `{name}`"),
            Self::Quoted(name) => write!(f, "`\"{name}\"`"),
            Self::Text(text) => write!(f, "the string '{text}'"),
            Self::Int(value) => write!(f, "the number {value}"),
            Self::Float(value) => write!(f, "the number {value:?}"),
            Self::Keyword(keyword) => write!(f, "the keyword {}", keyword.text()),
            Self::Symbol(symbol) => write!(f, "`{}`", symbol.text()),
            Self::End => f.write_str("the end of the SQL"),
        }
    }
}
