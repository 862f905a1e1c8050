//! What one run has used: of the work it may do, and of its time for jq.
//!
//! Functions and lists are bounded one by one; a FOREACH over many elements, or an expression over and over, is bounded
//! by their sum. Work is counted, not timed, so that the same event gives the same result on a slow machine.

use std::time::Duration;

use crate::environment::Environment;
use crate::event::Event;
use crate::limits::MAX_VALUE_DEPTH;
use crate::row::Row;
use crate::value::Value;
use crate::value::weight::{TooLarge, VALUE_BYTES, Weight};

/// Work of a step that handles no text: a call, a value that is looked at.
const STEP: usize = 32;

/// What one run has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Used {
    /// Bytes read and built.
    pub(crate) bytes: usize,
    /// Time in jq programs.
    pub(crate) jq: Duration,
}

impl Environment<'_> {
    /// Counts bytes that were read or built.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.used.bytes = self.used.bytes.saturating_add(bytes);
    }

    /// Counts steps that handle no text.
    pub(crate) fn spend_steps(&mut self, steps: usize) {
        self.spend(steps.saturating_mul(STEP));
    }

    /// Counts a step over some values: their texts are read, of containers only the outside.
    pub(crate) fn spend_on(&mut self, values: &[Value]) {
        let bytes = values.iter().map(surface).sum::<usize>();
        self.spend(STEP + bytes);
    }

    /// Checks the text that a function made. Functions that make much of little check before they do.
    pub(crate) fn check_size(&self, value: &Value) -> Result<(), String> {
        let (bytes, limit) = (value.as_bytes().map_or(0, <[u8]>::len), self.limits.output_bytes);
        if bytes > limit { Err(too_large(TooLarge::Bytes, "the result", limit)) } else { Ok(()) }
    }

    /// Whether the run may go on.
    #[inline]
    pub(crate) fn check_spent(&self) -> Result<(), String> {
        if self.used.bytes > self.limits.run_bytes { Err(self.spent()) } else { Ok(()) }
    }

    #[cold]
    fn spent(&self) -> String {
        format!("the rule reads and builds more than {} bytes for one event", self.limits.run_bytes)
    }

    /// Checks a value into which others may have been put.
    pub(crate) fn check_built(&mut self, value: &Value) -> Result<(), String> {
        if !matches!(value, Value::List(_) | Value::Map(_)) {
            return Ok(());
        }
        let mut weight = Weight::default();
        let checked = weight.add(value, self.limits.output_bytes);
        self.spend_steps(weight.values);
        checked.map_err(|error| too_large(error, "the value", self.limits.output_bytes))?;
        self.check_spent()
    }

    /// Checks a row that is about to be given. What the event holds may be in it twice (`SELECT *, payload AS raw`),
    /// however large it is.
    #[inline]
    pub(crate) fn check_row(&mut self, row: &Row, event: &Event<'_>) -> Result<(), String> {
        if let Some(bytes) = row.flat_bytes()
            && bytes + row.len() * VALUE_BYTES <= self.limits.output_bytes
        {
            self.spend_steps(row.len());
            return self.check_spent();
        }
        self.weigh_row(row, event)
    }

    #[inline(never)]
    fn weigh_row(&mut self, row: &Row, event: &Event<'_>) -> Result<(), String> {
        let mut limit = self.limits.output_bytes;
        let mut weighed = weigh(row, limit);
        if weighed.1 == Err(TooLarge::Bytes) {
            event.columns().for_each(&mut |_, value| {
                limit = limit.saturating_add(value.as_bytes().map_or(0, <[u8]>::len).saturating_mul(2));
            });
            weighed = weigh(row, limit);
        }
        let (weight, checked) = weighed;
        self.spend_steps(weight.values);
        checked.map_err(|error| too_large(error, "the output", limit))?;
        self.check_spent()
    }
}

fn weigh(row: &Row, limit: usize) -> (Weight, Result<(), TooLarge>) {
    let mut weight = Weight::default();
    let checked = row.iter().try_for_each(|(_, value)| weight.add(value, limit));
    (weight, checked)
}

fn too_large(error: TooLarge, what: &str, limit: usize) -> String {
    match error {
        TooLarge::Depth => format!("{what} is nested more than {MAX_VALUE_DEPTH} levels deep"),
        TooLarge::Bytes => format!("{what} has more than {limit} bytes"),
    }
}

/// Bytes of a text, or of the outside of a container.
fn surface(value: &Value) -> usize {
    match value {
        Value::List(items) => items.len() * size_of::<Value>(),
        Value::Map(map) => map.len() * size_of::<Value>(),
        other => other.as_bytes().map_or(0, <[u8]>::len),
    }
}
