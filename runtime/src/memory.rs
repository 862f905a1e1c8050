//! The memory budget of the process: one sum that Sink buffers and session queues take from, so that the
//! limit of the container is met by our policies and never by the kernel's.
//!
//! Owners hold a [`Share`] each. A share grows in steps, so that the sum that all threads share is
//! touched once for many messages. Near the limit the classes are refused one after the other: buffers first (they drop or
//! refuse by `buffer` of their Sink), then session queues (they drop as at `maxQueuedMessages` and `maxQueuedBytes`).
//!
//! What is counted is what the owners ask for; what allocators and libraries add is left room for, and [`Budget::observe`]
//! compares with what the process really has. Where the limit comes from is told by [`limit`].

pub mod limit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use tokio::time::MissedTickBehavior;

use crate::metrics;

/// What the process needs before it serves anybody.
const BASE: u64 = 32 << 20;
/// Of what is left after [`BASE`], the part that owners may have, in percent. The rest is for allocators, Kafka's client
/// and the kernel's side of sockets.
const USABLE_PERCENT: u64 = 80;
/// The process is pressed when it really has this much of the limit, in percent, …
const PRESSED_PERCENT: u64 = 92;
/// … until it has less than this.
const RELIEVED_PERCENT: u64 = 85;
/// Buffers count as full when this much of what they may have is granted, in percent: the next record may be too large.
const FULL_PERCENT: u64 = 90;
/// A pressed process still grants this much of the budget, in percent: memory that an allocator keeps must not stop
/// everything for good.
const PRESSED_CEILING_PERCENT: u64 = 25;

/// Who asks for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Records of Sinks.
    Buffer,
    /// Messages that wait for subscribers.
    Queue,
}

impl Class {
    /// Refused when this much of the budget is granted, in percent.
    const fn ceiling_percent(self) -> u64 {
        match self {
            Self::Buffer => 85,
            Self::Queue => 95,
        }
    }

    /// A share grows by this many bytes at least.
    const fn step(self) -> u64 {
        match self {
            Self::Buffer => 256 << 10,
            Self::Queue => 16 << 10,
        }
    }
}

/// How often [`watch`] looks.
const WATCH_INTERVAL: Duration = Duration::from_millis(250);

/// The budget of this process: as `given`, or as the system says.
pub fn budget(given: Option<u64>) -> Arc<Budget> {
    let found = given.map(|bytes| (bytes, "as given")).or_else(limit::find);
    let budget = Budget::new(found.map(|(bytes, _)| bytes));
    if let Some((limit, origin)) = found {
        tracing::info!(limit, usable = budget.usable, "memory of the process: {origin}");
    }
    budget
}

/// Compares the budget with what the process really has, until it is dropped.
pub async fn watch(budget: Arc<Budget>) {
    let mut interval = tokio::time::interval(WATCH_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        if let Some(resident) = metrics::resident() {
            budget.observe(resident);
        }
    }
}

/// What the process may have, and has granted.
#[derive(Debug)]
pub struct Budget {
    /// The limit of the process, as found or given.
    limit: Option<u64>,
    usable: u64,
    granted: AtomicU64,
    pressed: AtomicBool,
    refusals: AtomicU64,
}

/// The budget at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Limit of the process in bytes; absent when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Bytes that buffers and queues may have; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usable: Option<u64>,
    /// Bytes granted to them.
    pub granted: u64,
    /// Whether what asks for more is refused, or is about to be.
    pub under_pressure: bool,
    /// Requests for memory that were refused.
    pub refusals: u64,
}

impl Budget {
    /// A process that may have as much as `limit`; without one nothing is refused.
    pub fn new(limit: Option<u64>) -> Arc<Self> {
        let usable = limit.map_or(u64::MAX, |limit| {
            let beside_base = limit.saturating_sub(BASE).max(limit / 4);
            beside_base / 100 * USABLE_PERCENT
        });
        Arc::new(Self {
            limit,
            usable,
            granted: AtomicU64::new(0),
            pressed: AtomicBool::new(false),
            refusals: AtomicU64::new(0),
        })
    }

    /// A budget that refuses nothing.
    pub fn unlimited() -> Arc<Self> {
        Self::new(None)
    }

    /// Takes in what the process really has. Memory that nobody counted presses too.
    pub fn observe(&self, resident: u64) {
        let Some(limit) = self.limit else { return };
        let pressed = self.pressed.load(Relaxed);
        let threshold = if pressed { RELIEVED_PERCENT } else { PRESSED_PERCENT };
        let now = resident >= limit / 100 * threshold;
        if now != pressed {
            self.pressed.store(now, Relaxed);
            if now {
                tracing::warn!(
                    resident,
                    limit,
                    "the process has nearly all of its memory: buffers and queues stop growing"
                );
            } else {
                tracing::info!(resident, limit, "the process has memory left again");
            }
        }
    }

    /// The budget now.
    pub fn usage(&self) -> Usage {
        let granted = self.granted.load(Relaxed);
        Usage {
            limit: self.limit,
            usable: self.limit.map(|_| self.usable),
            granted,
            under_pressure: self.limit.is_some()
                && (self.pressed.load(Relaxed) || granted >= self.ceiling(Class::Buffer, false) / 100 * FULL_PERCENT),
            refusals: self.refusals.load(Relaxed),
        }
    }

    fn ceiling(&self, class: Class, pressed: bool) -> u64 {
        let percent = if pressed { PRESSED_CEILING_PERCENT } else { class.ceiling_percent() };
        self.usable / 100 * percent
    }

    fn take(&self, class: Class, bytes: u64) -> bool {
        let ceiling = self.ceiling(class, self.pressed.load(Relaxed));
        let fits = |granted: u64| granted.checked_add(bytes).filter(|sum| *sum <= ceiling);
        self.granted.fetch_update(Relaxed, Relaxed, fits).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.granted.fetch_sub(bytes, Relaxed);
    }
}

/// What one owner has of the budget. Given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    class: Class,
    held: AtomicU64,
}

impl Share {
    /// An owner of a class, with nothing yet.
    pub fn new(budget: &Arc<Budget>, class: Class) -> Self {
        Self { budget: Arc::clone(budget), class, held: AtomicU64::new(0) }
    }

    /// Makes sure that the share covers `bytes`, if the budget allows it. Returns what it covers.
    pub fn cover(&self, bytes: u64) -> u64 {
        let held = self.held.load(Relaxed);
        if held >= bytes { held } else { self.grow(bytes) }
    }

    /// Whether the share covers `bytes` now, having grown if it had to.
    pub fn covers(&self, bytes: u64) -> bool {
        self.cover(bytes) >= bytes
    }

    #[cold]
    fn grow(&self, bytes: u64) -> u64 {
        let held = self.held.load(Relaxed);
        let missing = bytes.saturating_sub(held);
        // A step at a time while there is plenty, the very bytes near the limit.
        for more in [missing.max(self.class.step()), missing] {
            if self.budget.take(self.class, more) {
                return self.held.fetch_add(more, Relaxed) + more;
            }
        }
        self.budget.refusals.fetch_add(1, Relaxed);
        held
    }

    /// The owner needs only `bytes` now: what is more than a step beyond goes back.
    pub fn shrink(&self, bytes: u64) {
        let keep = if bytes == 0 { 0 } else { bytes + self.class.step() };
        if self.held.load(Relaxed) <= keep + self.class.step() {
            return;
        }
        let shrunk = self.held.fetch_update(Relaxed, Relaxed, |held| (held > keep).then_some(keep));
        if let Ok(held) = shrunk {
            self.budget.give_back(held - keep);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.give_back(*self.held.get_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn share(budget: &Arc<Budget>, class: Class) -> Share {
        Share::new(budget, class)
    }

    #[test]
    fn nothing_is_refused_without_a_limit() {
        let budget = Budget::unlimited();
        let buffer = share(&budget, Class::Buffer);
        assert!(buffer.covers(u64::MAX / 4));
        budget.observe(u64::MAX);
        assert!(buffer.covers(u64::MAX / 3));
        assert!(!budget.usage().under_pressure);
    }

    #[test]
    fn buffers_are_refused_before_queues() {
        let budget = Budget::new(Some(132 * MIB));
        let usable = budget.usage().usable.unwrap();
        assert_eq!(usable, 100 * MIB / 100 * 80);
        let fill = |class| {
            let share = share(&budget, class);
            let mut bytes = 0;
            while share.covers(bytes + MIB / 4) {
                bytes += MIB / 4;
            }
            (share, bytes)
        };
        let (buffers, bytes) = fill(Class::Buffer);
        assert!(bytes > usable / 100 * 84 && bytes <= usable / 100 * 85, "{bytes} of {usable}");
        assert!(budget.usage().under_pressure);
        let (queues, bytes) = fill(Class::Queue);
        assert!(bytes > usable / 100 * 9, "{bytes} of {usable}");
        assert!(budget.usage().refusals >= 2);
        assert!(budget.usage().granted <= usable);
        drop((buffers, queues));
        assert_eq!(budget.usage().granted, 0);
    }

    #[test]
    fn a_share_grows_in_steps_and_gives_back_what_it_does_not_need() {
        let budget = Budget::new(Some(1000 * MIB));
        let buffer = share(&budget, Class::Buffer);
        assert!(buffer.covers(1));
        assert_eq!(budget.usage().granted, Class::Buffer.step());
        assert!(buffer.covers(10 * MIB));
        buffer.shrink(9 * MIB + MIB / 2 + MIB / 4);
        assert!(budget.usage().granted >= 10 * MIB, "less than a step is not worth it");
        buffer.shrink(MIB);
        assert_eq!(budget.usage().granted, MIB + Class::Buffer.step());
        buffer.shrink(0);
        assert_eq!(budget.usage().granted, 0);
    }

    #[test]
    fn memory_that_nobody_counted_presses_until_it_is_gone() {
        let budget = Budget::new(Some(1000 * MIB));
        let usable = budget.usage().usable.unwrap();
        let buffer = share(&budget, Class::Buffer);
        budget.observe(930 * MIB);
        assert!(budget.usage().under_pressure);
        assert!(!buffer.covers(usable / 2));
        assert!(buffer.covers(usable / 8), "the allocator's memory does not stop everything");
        budget.observe(900 * MIB);
        assert!(budget.usage().under_pressure, "it does not flap");
        budget.observe(800 * MIB);
        assert!(!budget.usage().under_pressure);
        assert!(buffer.covers(usable / 4));
    }

    #[test]
    fn threads_never_have_more_than_there_is() {
        let budget = Budget::new(Some(232 * MIB));
        let ceiling = budget.ceiling(Class::Buffer, false);
        let shares: Vec<_> = (0..4).map(|_| share(&budget, Class::Buffer)).collect();
        std::thread::scope(|scope| {
            for one in shares.iter().cycle().take(16) {
                scope.spawn(|| {
                    for round in 0..2_000_u64 {
                        one.cover(round % 97 * MIB);
                        assert!(budget.usage().granted <= ceiling);
                        one.shrink(round % 13 * MIB);
                    }
                });
            }
        });
        drop(shares);
        assert_eq!(budget.usage().granted, 0);
    }
}
