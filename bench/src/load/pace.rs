//! The open loop: when each message is due, and a thread that wakes its device on time.
//!
//! A timer of the runtime has a grain of a millisecond, more than what is measured; a sleeping thread is late by some
//! fifty microseconds.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Shared;

/// When the messages of one device are due, from the origin on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    first: Duration,
    interval: Duration,
}

impl Schedule {
    /// Devices take turns.
    pub(super) fn of(number: u32, devices: u32, rate: u32) -> Self {
        let step = Duration::from_secs(1) / rate.max(1);
        Self { first: step * number, interval: step * devices }
    }

    /// When this message is due.
    pub(super) fn time(&self, message: u32) -> Duration {
        self.first + self.interval * message
    }

    /// How many messages are due by now.
    pub(super) fn due(&self, now: Duration) -> u32 {
        match now.checked_sub(self.first) {
            Some(since) => (since.as_nanos() / self.interval.as_nanos().max(1)) as u32 + 1,
            None => 0,
        }
    }
}

/// Wakes the devices in turn until the load stops.
pub(super) fn start(shared: Arc<Shared>, rate: u32) -> JoinHandle<()> {
    thread::spawn(move || {
        let step = Duration::from_secs(1) / rate.max(1);
        let mut message = 0;
        while !shared.stopping.load(Ordering::Relaxed) {
            let due = step * message;
            if let Some(early) = due.checked_sub(shared.origin.elapsed()) {
                thread::sleep(early);
            }
            shared.wakes[message as usize % shared.wakes.len()].notify_one();
            message += 1;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_due_at_its_time_and_not_before() {
        let schedule = Schedule::of(3, 50, 5000);
        for message in [0, 1, 77] {
            let time = schedule.time(message);
            assert_eq!(schedule.due(time), message + 1);
            assert_eq!(schedule.due(time.checked_sub(Duration::from_nanos(1)).unwrap()), message);
        }
        assert_eq!(schedule.time(1), schedule.time(0) + Duration::from_millis(10));
    }
}
