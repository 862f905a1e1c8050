//! The function library (behaviour document §5.4), one family per file.
//!
//! Owns the table that the compiler, the evaluator and the reference documentation share: name, arity, types, an
//! example whose result is checked by a test. A function gets its arguments evaluated and returns a value or a
//! [`FunctionError`]; what it needs from outside it asks of the environment.

mod args;
pub(crate) mod bits;
mod compress;
mod context;
mod convert;
mod date;
mod encode;
mod hash;
mod jq;
mod list;
mod map;
mod math;
mod misc;
mod null;
mod regexp;
mod split;
mod sprintf;
mod store;
mod string;
mod test;

use std::sync::Arc;

use thiserror::Error;

use crate::environment::Environment;
use crate::event::Event;
use crate::limits::Limits;
use crate::value::Value;

pub(crate) use args::Args;

/// One function of the rule language.
#[derive(Debug)]
pub struct Function {
    /// The name in SQL.
    pub name: &'static str,
    /// Arguments as users read them, such as `text, separator [, option]`.
    pub signature: &'static str,
    /// Fewest arguments.
    pub min_args: usize,
    /// Most arguments; `usize::MAX` when there is no upper bound.
    pub max_args: usize,
    /// What it gives, with units and errors.
    pub description: &'static str,
    /// An expression and the JSON of its value.
    pub example: (&'static str, &'static str),
    /// How far its result follows from its arguments.
    pub(crate) nature: Nature,
    /// What it does.
    pub(crate) code: fn(&mut Call<'_, '_>, &[Value]) -> Result<Value, FunctionError>,
}

/// How far a result follows from the arguments alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Entirely: calls with constants are computed once, when the rule is compiled.
    Pure,
    /// Reads the event, the clock, a store or chance.
    Reads,
    /// Changes a store.
    Writes,
}

/// Work done once for constant arguments.
#[derive(Debug)]
pub(crate) enum Prepared {
    /// A compiled pattern.
    Regex(regex::Regex),
    /// A compiled jq program.
    Jq(jq::Program),
    /// A compiled date format.
    Date(date::Format),
}

/// What a function may use besides its arguments.
pub(crate) struct Call<'c, 'e> {
    pub(crate) event: &'c Event<'c>,
    pub(crate) env: &'c mut Environment<'e>,
    pub(crate) prepared: Option<&'c Prepared>,
}

/// Why a function gave no value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FunctionError {
    /// An argument has the wrong type or a value outside of what is possible.
    #[error("argument {position} must be {expected}, but is {found}")]
    Argument {
        /// Counted from 1.
        position: usize,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A limit of [`crate::limits::Limits`] was passed.
    #[error("{what} would pass the limit of {limit}")]
    Limit {
        /// What grew too large, with its unit.
        what: &'static str,
        /// The limit.
        limit: u128,
    },
    /// Something else, told by the function.
    #[error("{0}")]
    Failed(String),
}

pub(crate) type Computed = Result<Value, FunctionError>;

/// A group of functions that belong together.
#[derive(Debug)]
pub struct Family {
    /// The title in the documentation.
    pub title: &'static str,
    /// Its functions.
    pub functions: &'static [Function],
}

/// Every family, in the order of the documentation.
pub const FAMILIES: &[Family] = &[
    Family { title: "Numbers", functions: math::FUNCTIONS },
    Family { title: "Bits and bit strings", functions: bits::FUNCTIONS },
    Family { title: "Type tests", functions: test::FUNCTIONS },
    Family { title: "Conversion", functions: convert::FUNCTIONS },
    Family { title: "Missing values", functions: null::FUNCTIONS },
    Family { title: "Text", functions: string::FUNCTIONS },
    Family { title: "Cutting text", functions: split::FUNCTIONS },
    Family { title: "Regular expressions", functions: regexp::FUNCTIONS },
    Family { title: "Formatting", functions: sprintf::FUNCTIONS },
    Family { title: "Maps", functions: map::FUNCTIONS },
    Family { title: "Lists", functions: list::FUNCTIONS },
    Family { title: "Hashes", functions: hash::FUNCTIONS },
    Family { title: "Compression", functions: compress::FUNCTIONS },
    Family { title: "Encodings", functions: encode::FUNCTIONS },
    Family { title: "Dates and times", functions: date::FUNCTIONS },
    Family { title: "jq", functions: jq::FUNCTIONS },
    Family { title: "The event", functions: context::FUNCTIONS },
    Family { title: "Stores", functions: store::FUNCTIONS },
    Family { title: "Identifiers and variables", functions: misc::FUNCTIONS },
];

/// Every function.
pub fn all() -> impl Iterator<Item = &'static Function> {
    FAMILIES.iter().flat_map(|family| family.functions)
}

/// The function called `name`.
pub fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

impl Function {
    /// Does what can be done once for arguments that are constants; wrong constants are found here.
    pub(crate) fn prepare(&self, constants: &[Option<&Value>]) -> Result<Option<Arc<Prepared>>, FunctionError> {
        let constant = |at: usize| constants.get(at).copied().flatten();
        let prepared = match self.name {
            "regex_match" | "regex_replace" | "regex_extract" => {
                regexp::prepare(constant(1), Limits::default().regex_bytes)?
            }
            "jq" => jq::prepare(constant(0))?,
            "format_date" => date::prepare(constant(2)),
            "date_to_unix_ts" => date::prepare(constant(constants.len() - 2)),
            _ => None,
        };
        Ok(prepared.map(Arc::new))
    }

    /// The number of arguments in words, for messages.
    pub fn arity(&self) -> String {
        let plural = |count: usize| if count == 1 { "argument" } else { "arguments" };
        match (self.min_args, self.max_args) {
            (0, 0) => "no arguments".into(),
            (min, usize::MAX) => format!("at least {min} {}", plural(min)),
            (min, max) if min == max => format!("{min} {}", plural(min)),
            (min, max) => format!("{min} to {max} arguments"),
        }
    }
}

/// Makes a table entry: `function!(name(signature) min..=max, nature, description, example => result, code)`.
macro_rules! function {
    ($name:literal ($signature:literal) $min:literal..=$max:expr, $nature:ident, $description:literal,
     $example:literal => $result:literal, $code:expr) => {
        $crate::functions::Function {
            name: $name,
            signature: $signature,
            min_args: $min,
            max_args: $max,
            description: $description,
            example: ($example, $result),
            nature: $crate::functions::Nature::$nature,
            code: $code,
        }
    };
}
pub(crate) use function;
