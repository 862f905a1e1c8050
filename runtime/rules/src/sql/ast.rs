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

/// Makes an enum of operators from the table that the parser, the printer and the reference share: text, precedence,
/// what it does, an example and the JSON of its value.
macro_rules! operators {
    ($name:ident, $doc:literal, $($variant:ident $text:literal $precedence:literal $description:literal $example:literal => $result:literal;)*) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] $variant),*
        }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// How tightly it binds; those of 3, the comparisons, do not chain.
            pub const fn precedence(self) -> u8 {
                match self { $(Self::$variant => $precedence),* }
            }

            /// As written in SQL.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// What it does, for the reference.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description),* }
            }

            /// An expression with it, and the JSON of its value.
            pub const fn example(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($example, $result)),* }
            }
        }
    };
}

operators!(Unary, "Operators with one operand.",
    Minus "-" 6 "The number with the other sign." "-(1 + 2)" => "-3";
    Plus "+" 6 "The number itself." "+2" => "2";
    Not "NOT" 2 "True for `false`; false for anything else, also for what is no boolean." "NOT 1 > 2" => "true";
);

operators!(Binary, "Operators with two operands.",
    Or "OR" 0 "Whether one of two conditions holds; the right one is looked at only when the left does not." "1 > 2 OR 1 < 2" => "true";
    And "AND" 1 "Whether both conditions hold; the right one is looked at only when the left does." "1 > 2 AND 1 < 2" => "false";
    Equal "=" 3 "Whether both are equal. A number and a string compare as numbers, a boolean and a string as texts; undefined equals only undefined." "'1.0' = 1" => "true";
    NotEqual "!=" 3 "Whether both differ, also written `<>`. False when one is undefined." "1 != 2" => "true";
    Less "<" 3 "Whether the left is less. Across types: number < boolean < map < list < string. False when one is undefined." "'a' < 'b'" => "true";
    LessOrEqual "<=" 3 "Whether the left is less or equal." "2 <= 2.0" => "true";
    Greater ">" 3 "Whether the left is greater." "'10' > 9" => "true";
    GreaterOrEqual ">=" 3 "Whether the left is greater or equal." "1 >= 2" => "false";
    Matches "=~" 3 "Whether the topic on the left matches the topic filter on the right." "'t/1' =~ 't/+'" => "true";
    Add "+" 4 "Sum of numbers; when either side is a string, both as text, joined." "'a' + 1" => "\"a1\"";
    Subtract "-" 4 "Difference of numbers." "3 - 1.5" => "1.5";
    Multiply "*" 5 "Product of numbers." "2 * 3" => "6";
    Divide "/" 5 "Quotient of numbers, always a float. Raises for a divisor of 0." "4 / 2" => "2.0";
    Div "div" 5 "Quotient of integers, rounded towards 0. Raises for a divisor of 0." "7 div -2" => "-3";
    Mod "mod" 5 "Remainder of integers, with the sign of the left. Raises for a divisor of 0." "-7 mod 2" => "-1";
);

/// Precedence of IN, between that of comparisons; it does not chain either.
pub const IN_PRECEDENCE: u8 = 3;

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
