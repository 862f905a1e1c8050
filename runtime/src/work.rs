//! How much work a thread has done on messages, so that whoever takes messages one after the other can stop in time.
//!
//! Owns the count. It is the thread's own, costs an addition, and goes up only; a step without an await compares it with what
//! it was when the step began. Units are chosen by those who do the work: one is about what a node of the filters costs,
//! some 50 ns.

use std::cell::Cell;

/// Units after which a step gives way to the other tasks of its thread: about a millisecond.
pub(crate) const STEP: u64 = 20_000;

thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Counts work of this thread.
pub(crate) fn add(units: usize) {
    DONE.set(DONE.get().wrapping_add(units as u64));
}

/// A stretch of work on one thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    begin: u64,
}

impl Stretch {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self { begin: DONE.get() }
    }

    /// Units of this thread since the beginning.
    pub(crate) fn done(self) -> u64 {
        DONE.get().wrapping_sub(self.begin)
    }
}
