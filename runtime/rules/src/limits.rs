//! What one rule may use at most, so that no rule can hang or exhaust a pod: names and defaults.
//!
//! Owns the one table that the compiler, the evaluator and the reference page share.

use std::time::Duration;

macro_rules! fixed {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $value:expr;)*) => {
        $($(#[doc = $doc])+ pub const $name: $type = $value;)*

        /// Limits that are the same for every rule: name, value, what it limits.
        pub(crate) const FIXED: &[(&str, u64, &str)] = &[$((stringify!($name), $value as u64, concat!($($doc),+))),*];
    };
}

fixed! {
    /// Longest SQL text in bytes.
    MAX_SQL_BYTES: usize = 65_536;
    /// Most parentheses, calls, lists and the like inside each other in an SQL text; bounds the parser's use of the call
    /// stack.
    MAX_EXPRESSION_NESTING: u16 = 64;
    /// Deepest tree of an SQL expression, in which `a + b + c` is two levels; bounds the evaluator's use of the call stack.
    MAX_EXPRESSION_DEPTH: u16 = 256;
    /// Deepest nesting of a JSON text that is decoded, of any value that is built, and most steps of a path.
    MAX_VALUE_DEPTH: usize = 128;
    /// Longest jq program in bytes; also bounds the interpreter's use of the call stack while it reads one.
    MAX_JQ_BYTES: usize = 8192;
    /// Most calls of jq definitions that call themselves and pass filters on: each may hold the one before it.
    JQ_NESTED_CALLS: u64 = 50_000;
    /// Largest size of one value of a jq program in elements, shared parts counted as often as they occur.
    JQ_VALUE_SIZE: u64 = 1_000_000;
    /// Most elements of all lists, maps and long strings that one jq program may make.
    JQ_ELEMENTS: u64 = 4_000_000;
    /// Bytes of all constants that a rule keeps (ranges, and expressions of constants computed when it is compiled), a
    /// number counting 8.
    MAX_CONSTANT_BYTES: usize = 4 << 20;
    /// Bytes that may be read and built to compute constants when a rule is compiled; what is beyond is computed when it
    /// runs.
    MAX_FOLDING_BYTES: usize = 32 << 20;
    /// Decompression up to this size is never a bomb.
    FREE_EXPANSION_BYTES: usize = 65_536;
    /// Beyond `FREE_EXPANSION_BYTES`, how many times larger than its input a decompressed result may be: ordinary data
    /// stays below 20, a bomb is near 1000.
    MAX_EXPANSION: usize = 100;
    /// Longest template text in bytes.
    MAX_TEMPLATE_BYTES: usize = 65_536;
}

macro_rules! per_run {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $shown:literal;)*) => {
        /// Limits while a rule runs. Passing one is an error of that rule run, never of the pod.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])+ #[doc = concat!(" Default: ", $shown, ".")] pub $name: $type),*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default),* }
            }
        }

        /// Limits of a run: name, default in words, what it limits.
        pub(crate) const PER_RUN: &[(&str, &str, &str)] = &[$((stringify!($name), $shown, concat!($($doc),+))),*];
    };
}

per_run! {
    /// Largest text, byte string, list or map that an expression may build; what a list or map holds counts as often as
    /// it occurs. A row may hold as much, and the columns of the event twice.
    output_bytes: usize = 16 << 20, "16 MiB";
    /// What the expressions of one run may read and build altogether, a step without text counting 32 bytes.
    run_bytes: usize = 128 << 20, "128 MiB";
    /// Most items that one FOREACH visits.
    foreach_items: usize = 100_000, "100,000";
    /// Most elements of a range such as `[1..1000]` and of any list that a function builds.
    list_items: usize = 100_000, "100,000";
    /// Largest compiled regular expression.
    regex_bytes: usize = 1 << 20, "1 MiB";
    /// Longest time that all jq programs of one run may take; a call may name a shorter one for itself.
    jq_timeout: Duration = Duration::from_secs(10), "10 s";
    /// Largest field width of `pad` and `sprintf`.
    pad_width: usize = 65_536, "65,536 characters";
    /// Largest result of decompression.
    decompressed_bytes: usize = 16 << 20, "16 MiB";
}
