//! When figures in a status are refreshed: no more often than every 30 s, and only when they changed enough to matter.
//! Figures that move all the time must not become writes all the time.

use std::{collections::HashMap, time::Duration};

use isthmus_api::{rule::RuleStatistics, sink::SinkStatistics, source::SourceStatistics};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Shortest time between two refreshes.
pub const INTERVAL: Duration = Duration::from_secs(30);

/// Figures of one resource.
pub trait Figures: Copy + PartialEq {
    /// All of them.
    fn all(&self) -> Vec<u64>;
    /// The one whose rate is told, since the start of the pods.
    fn total(&self) -> u64;
    /// The same with a rate per second.
    fn with_rate(self, rate: u64) -> Self;
}

/// What was told last, by uid of the resource.
#[derive(Debug, Default)]
pub struct Memory {
    told: Mutex<HashMap<String, Told>>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    at: Instant,
    total: u64,
}

impl Memory {
    /// What the status should say, given what it says and what is the case.
    pub fn refresh<F: Figures>(&self, uid: &str, told: Option<F>, current: F) -> F {
        self.refresh_at(Instant::now(), uid, told, current)
    }

    fn refresh_at<F: Figures>(&self, now: Instant, uid: &str, told: Option<F>, current: F) -> F {
        let mut memory = self.told.lock();
        let last = memory.get(uid).copied();
        let next = Told { at: now, total: current.total() };
        match (told, last) {
            // Just started: what another process told before stands for one interval.
            (Some(told), None) => {
                memory.insert(uid.to_owned(), next);
                told
            }
            (Some(told), Some(last)) => {
                let elapsed = now.duration_since(last.at);
                if elapsed < INTERVAL {
                    return told;
                }
                memory.insert(uid.to_owned(), next);
                let rate = current.total().saturating_sub(last.total) as f64 / elapsed.as_secs_f64();
                let current = current.with_rate(rate.round() as u64);
                if matters(&told.all(), &current.all()) { current } else { told }
            }
            (None, _) => {
                memory.insert(uid.to_owned(), next);
                current
            }
        }
    }

    /// Forgets resources that are gone.
    pub fn retain(&self, exists: impl Fn(&str) -> bool) {
        self.told.lock().retain(|uid, _| exists(uid));
    }
}

/// Whether any figure changed by a hundredth or more.
fn matters(before: &[u64], after: &[u64]) -> bool {
    before.iter().zip(after).any(|(before, after)| before.abs_diff(*after).saturating_mul(100) > *before)
}

macro_rules! figures {
    ($($kind:ident: $total:ident, [$($field:ident),*];)*) => {$(
        impl Figures for $kind {
            fn all(&self) -> Vec<u64> {
                vec![$(self.$field),*]
            }

            fn total(&self) -> u64 {
                self.$total
            }

            fn with_rate(self, per_second: u64) -> Self {
                Self { per_second, ..self }
            }
        }
    )*};
}

figures! {
    SinkStatistics: success, [matched, success, failed, dropped, queuing, inflight, per_second];
    SourceStatistics: delivered, [received, delivered, failed, pending, lag, per_second];
    RuleStatistics: matched, [matched, passed, failed, no_result, actions_success, actions_failed, per_second];
}

/// Connected devices: a figure of a Bridge without a rate.
impl Figures for u64 {
    fn all(&self) -> Vec<u64> {
        vec![*self]
    }

    fn total(&self) -> u64 {
        *self
    }

    fn with_rate(self, _: u64) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(success: u64) -> SinkStatistics {
        SinkStatistics { matched: success, success, ..SinkStatistics::default() }
    }

    #[test]
    fn figures_are_told_at_once_then_every_interval_if_they_moved() {
        let memory = Memory::default();
        let start = Instant::now();
        let refresh = |seconds, told, now| memory.refresh_at(start + Duration::from_secs(seconds), "a", told, now);
        let mut told = refresh(0, None, sink(1000));
        assert_eq!(told, sink(1000));
        told = refresh(29, Some(told), sink(2000));
        assert_eq!(told.success, 1000);
        told = refresh(30, Some(told), sink(2500));
        assert_eq!((told.success, told.per_second), (2500, 50));
        told = refresh(60, Some(told), sink(2500));
        // It stands still: that is told as well.
        assert_eq!((told.success, told.per_second), (2500, 0));
        let before = told;
        told = refresh(90, Some(told), sink(2501));
        assert_eq!(told, before);
    }
}
