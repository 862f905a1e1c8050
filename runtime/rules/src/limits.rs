//! What one rule may use at most, so that no rule can hang or exhaust a pod: names and defaults.

use std::time::Duration;

/// Longest SQL text in bytes.
pub const MAX_SQL_BYTES: usize = 65_536;
/// Most parentheses, calls, lists and the like inside each other in an SQL text; bounds the parser's use of the call
/// stack.
pub const MAX_EXPRESSION_NESTING: u16 = 64;
/// Deepest tree of an SQL expression, in which `a + b + c` is two levels; bounds the evaluator's use of the call stack.
pub const MAX_EXPRESSION_DEPTH: u16 = 256;
/// Deepest nesting of a JSON text that is decoded, of any value that is built, and most steps of a path.
pub const MAX_VALUE_DEPTH: usize = 128;
/// Longest jq program in bytes; also bounds the interpreter's use of the call stack while it reads one.
pub const MAX_JQ_BYTES: usize = 8192;
/// Most calls of jq definitions that call themselves and pass filters on: each may hold the one before it.
pub const JQ_NESTED_CALLS: u64 = 50_000;
/// Largest size of one value of a jq program in elements, shared parts counted as often as they occur.
pub const JQ_VALUE_SIZE: u64 = 1_000_000;
/// Most elements of all lists, maps and long strings that one jq program may make.
pub const JQ_ELEMENTS: u64 = 4_000_000;
/// Bytes of all constants that a rule keeps (ranges, and expressions of constants computed when it is compiled), a
/// number counting 8.
pub const MAX_CONSTANT_BYTES: usize = 4 << 20;
/// Bytes that may be read and built to compute constants when a rule is compiled; what is beyond is computed when it
/// runs.
pub const MAX_FOLDING_BYTES: usize = 32 << 20;
/// Decompression up to this size is never a bomb.
pub const FREE_EXPANSION_BYTES: usize = 65_536;
/// Beyond [`FREE_EXPANSION_BYTES`], how many times larger than its input a decompressed result may be: ordinary data
/// stays below 20, a bomb is near 1000.
pub const MAX_EXPANSION: usize = 100;
/// Longest template text in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 65_536;

/// Limits while a rule runs. Passing one is an error of that rule run, never of the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest text, byte string, list or map that an expression may build, in bytes; what a list or map holds counts
    /// as often as it occurs (default 16 MiB).
    pub output_bytes: usize,
    /// Bytes that the expressions of one run may read and build altogether, a step without text counting 32; also the
    /// largest row that a run may give (default 256 MiB).
    pub run_bytes: usize,
    /// Most items that one FOREACH visits (default 100,000).
    pub foreach_items: usize,
    /// Most elements of a range such as `[1..1000]` and of any list that a function builds (default 100,000).
    pub list_items: usize,
    /// Largest compiled regular expression in bytes (default 1 MiB).
    pub regex_bytes: usize,
    /// Longest time that all jq programs of one run may take; a call may name a shorter one for itself (default 10 s).
    pub jq_timeout: Duration,
    /// Largest field width of `pad` and `sprintf` in characters (default 65,536).
    pub pad_width: usize,
    /// Largest result of decompression in bytes (default 16 MiB).
    pub decompressed_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            output_bytes: 16 << 20,
            run_bytes: 256 << 20,
            foreach_items: 100_000,
            list_items: 100_000,
            regex_bytes: 1 << 20,
            jq_timeout: Duration::from_secs(10),
            pad_width: 65_536,
            decompressed_bytes: 16 << 20,
        }
    }
}
