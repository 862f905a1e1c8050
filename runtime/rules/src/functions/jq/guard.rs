//! What keeps a jq program from running for ever, using up memory, or overflowing the call stack.

use std::cell::Cell;
use std::time::Duration;

use jaq_core::data::HasLut;
use jaq_core::{Cv, DataT, Exn, Lut, ValXs};

use super::super::FunctionError;
use super::value::Val;
use crate::environment::Host;
use crate::limits::{JQ_ELEMENTS, JQ_NESTED_CALLS, JQ_VALUE_SIZE, Limits, MAX_VALUE_DEPTH};

/// The filter every guarded definition starts with. The name cannot be written in a program.
pub(super) const LOOK: &str = "!look";
/// The same for definitions that call themselves and pass filters on.
pub(super) const LOOK_AT_NESTING: &str = "!look_at_nesting";

/// The interpreter's types.
pub(crate) struct Jq;

impl DataT for Jq {
    type V<'a> = Val;
    type Data<'a> = World<'a>;
}

/// What filters see besides values.
#[derive(Clone)]
pub(crate) struct World<'a> {
    pub(super) lut: &'a Lut<Jq>,
    pub(super) host: &'a dyn Host,
    pub(super) deadline: Duration,
}

impl<'a> HasLut<'a, Jq> for World<'a> {
    fn lut(&self) -> &'a Lut<Jq> {
        self.lut
    }
}

/// Which limit was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trip {
    Time,
    Stack,
    Elements,
    Size,
    Depth,
    Bytes(usize),
}

impl Trip {
    pub(super) fn into_error(self) -> FunctionError {
        let (what, limit) = match self {
            Self::Time => return FunctionError::Failed("the program ran longer than its time limit".into()),
            Self::Stack => return FunctionError::Failed("the program calls itself too deeply".into()),
            Self::Elements => ("the elements of all values made", JQ_ELEMENTS),
            Self::Size => ("the size of one value", JQ_VALUE_SIZE),
            Self::Depth => ("the nesting of a value", MAX_VALUE_DEPTH as u64),
            Self::Bytes(limit) => ("the bytes of a string", limit as u64),
        };
        FunctionError::Limit { what, limit: u128::from(limit) }
    }
}

thread_local! {
    static ELEMENTS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
    static BASE: Cell<usize> = const { Cell::new(0) };
    static STACK: Cell<usize> = const { Cell::new(0) };
    static NESTED: Cell<u64> = const { Cell::new(0) };
    static LOOKS: Cell<u64> = const { Cell::new(0) };
    static TRIPPED: Cell<Option<Trip>> = const { Cell::new(None) };
}

/// A running program; what it used is forgotten when it ends.
pub(super) struct Running(());

/// Starts counting for one program on this thread, which may use `stack` bytes of the call stack from here.
pub(super) fn start(limits: &Limits, stack: usize) -> Running {
    STACK.set(stack);
    NESTED.set(0);
    ELEMENTS.set(0);
    LOOKS.set(0);
    TRIPPED.set(None);
    BYTES.set(limits.output_bytes);
    BASE.set(stack_pointer());
    Running(())
}

impl Drop for Running {
    fn drop(&mut self) {
        TRIPPED.set(None);
    }
}

/// The limit that was passed first, if any.
pub(super) fn tripped() -> Option<Trip> {
    TRIPPED.get()
}

pub(super) fn trip(trip: Trip) {
    TRIPPED.set(TRIPPED.get().or(Some(trip)));
}

/// Counts elements of values that were made.
pub(super) fn count(elements: u64) {
    let sum = ELEMENTS.get().saturating_add(elements);
    ELEMENTS.set(sum);
    if sum > JQ_ELEMENTS {
        trip(Trip::Elements);
    }
}

/// The longest string a program may make.
pub(super) fn max_bytes() -> usize {
    BYTES.get()
}

/// Whether the program may go on.
pub(super) fn may_go_on(world: &World<'_>) -> bool {
    if BASE.get().abs_diff(stack_pointer()) > STACK.get() {
        trip(Trip::Stack);
    }
    let looks = LOOKS.get();
    LOOKS.set(looks + 1);
    // The clock costs more than all the rest: not every time.
    if looks.is_multiple_of(8) && world.host.monotonic() >= world.deadline {
        trip(Trip::Time);
    }
    TRIPPED.get().is_none()
}

/// The native filter behind [`LOOK`]: true, or an end that the program cannot catch.
pub(super) fn look((ctx, _): Cv<'_, Jq>) -> ValXs<'_, Val> {
    let go_on = may_go_on(ctx.data());
    Box::new(std::iter::once(if go_on { Ok(Val::Bool(true)) } else { Err(Exn::halt(1)) }))
}

/// The native filter behind [`LOOK_AT_NESTING`].
pub(super) fn look_at_nesting(cv: Cv<'_, Jq>) -> ValXs<'_, Val> {
    NESTED.set(NESTED.get() + 1);
    if NESTED.get() > JQ_NESTED_CALLS {
        trip(Trip::Stack);
    }
    look(cv)
}

/// Roughly where the call stack is: the address of a local variable.
fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}
