//! The tree of a rule's SQL, as written: names are not resolved, constants not computed. Every node has its span.

use std::ops::Range;

/// Byte range in the SQL text.
pub type Span = Range<usize>;

/// A whole rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// SELECT or FOREACH.
    pub body: Body,
    /// FROM, at least one.
    pub from: Vec<Topic>,
    /// WHERE.
    pub condition: Option<Expr>,
}

/// The part before FROM.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// `SELECT items`
    Select(Vec<Item>),
    /// `FOREACH items [DO items] [INCASE cond]`
    Foreach {
        /// Bindings, the last being the collection.
        collection: Vec<Item>,
        /// What each element gives; none: everything.
        each: Option<Vec<Item>>,
        /// Which elements count.
        incase: Option<Expr>,
    },
}

/// A topic in FROM with its quotes taken off.
#[derive(Debug, Clone, PartialEq)]
pub struct Topic {
    /// The text.
    pub text: String,
    /// Where, with quotes.
    pub span: Span,
}

/// One element of a list of items.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// `*`
    All(Span),
    /// `expr [[AS] target]`
    Value {
        /// What is computed.
        expr: Expr,
        /// Where it goes.
        target: Option<Path>,
    },
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
    /// One more than the deepest of its parts.
    pub depth: u16,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `true`, `false`
    Bool(bool),
    /// `12`
    Int(i128),
    /// `1.5`
    Float(f64),
    /// `'text'`
    Text(String),
    /// `a`, `a.b[1]`
    Path(Path),
    /// `a.b[1..3]`
    Slice(Path, i128, i128),
    /// `[1..3]`
    Range(i128, i128),
    /// `[a, 1]`
    List(Vec<Expr>),
    /// `name(args)`
    Call {
        /// The function.
        name: String,
        /// Where the name stands.
        name_span: Span,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// `-a`, `+a`, `NOT a`
    Unary(Unary, Box<Expr>),
    /// `a + b`, `a = b`, `a AND b`
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// `a [NOT] IN (b, c)`
    In {
        /// What is looked for.
        subject: Box<Expr>,
        /// Where it is looked for.
        options: Vec<Expr>,
        /// `NOT IN`
        negated: bool,
    },
    /// `CASE … END`
    Case {
        /// `CASE expr WHEN`: compared with each WHEN.
        subject: Option<Box<Expr>>,
        /// WHEN and THEN.
        branches: Vec<(Expr, Expr)>,
        /// ELSE.
        otherwise: Option<Box<Expr>>,
    },
}

/// Operators with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// `-`
    Minus,
    /// `+`
    Plus,
    /// `NOT`
    Not,
}

/// Operators with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// `OR`
    Or,
    /// `AND`
    And,
    /// `=`
    Equal,
    /// `!=`, `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `=~`
    Matches,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `div`
    Div,
    /// `mod`
    Mod,
}

impl Binary {
    /// How tightly it binds; comparisons (3) do not chain.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 0,
            Self::And => 1,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide | Self::Div | Self::Mod => 5,
            _ => 3,
        }
    }

    /// As written in SQL.
    pub fn text(self) -> &'static str {
        match self {
            Self::Or => "OR",
            Self::And => "AND",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Matches => "=~",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Div => "div",
            Self::Mod => "mod",
        }
    }
}

/// A name and the way into it.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// The column, alias or bound name.
    pub root: String,
    /// The way into it.
    pub steps: Vec<Step>,
    /// Where it stands.
    pub span: Span,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// `.name`, `.1`, `.'any text'`
    Key(String),
    /// `[3]`, `[-1]`
    Index(i128),
    /// `[-0]`: the place after the last element, for writing.
    End,
    /// `[name]`, `[a.b]`
    Variable(Path),
}

impl Query {
    /// Every expression at the top of an item, condition or list, in order of the text.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        let (first, second): (&[Item], &[Item]) = match &self.body {
            Body::Select(items) => (items, &[]),
            Body::Foreach { collection, each, .. } => (collection, each.as_deref().unwrap_or_default()),
        };
        first.iter().chain(second)
    }
}
