//! What the rest of the process sees of a connected client: its identity and its queue of deliveries.
//!
//! Owns the outbox between publishers (any thread) and the connection's task, and the wish of others that
//! the session ends. Packet identifiers, the socket and the protocol belong to `connection`.
//! A session lives exactly as long as its connection. What is dropped when too much waits is told in [`queue`].

mod queue;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::codec::{Frame, Version};
use super::counters::Counters;
use super::settings::Settings;
use crate::message::{Publisher, QoS};
use crate::receipt::{Outcome, Receipt};
use crate::wake::Wake;
use queue::{Evicted, Queue};

/// Milliseconds by which the beginning of a wait may lie behind a clock that was read before.
const LATEST_BEGIN: u32 = 60_000;

/// Somebody other than the client wants the session to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The client id connected again (MQTT-3.1.4-3).
    TakenOver,
    /// The client was silent for too long (MQTT-3.1.2-22).
    KeepAlive,
    /// The server stops.
    ShuttingDown,
}

/// A connected client.
#[derive(Debug)]
pub(super) struct Session {
    /// Unique in this process.
    pub(super) number: u32,
    pub(super) version: Version,
    pub(super) publisher: Arc<Publisher>,
    /// Silence allowed, milliseconds; 0 = any.
    silence_allowed: u32,
    settings: Arc<Settings>,
    /// Milliseconds of the broker's clock, wrapping.
    last_heard: AtomicU32,
    /// Since when somebody waits for an acknowledgement of the client, and it has given none; 0 = nobody does. Milliseconds
    /// of the clock of `Subscriptions`, wrapping.
    owing_since: AtomicU32,
    /// The server itself does not read from the client now, so its silence means nothing.
    not_listening: AtomicBool,
    /// The queue has memory of the process that it may not need any more.
    borrowing: AtomicBool,
    outbox: Mutex<Outbox>,
    /// Wakes the connection's task: deliveries are queued or an end is wished.
    pub(super) wake: Wake,
}

#[derive(Debug, Default)]
struct Outbox {
    queue: Queue,
    /// The task found the queue empty and wants to be woken by the next delivery.
    waiting: bool,
    closed: bool,
    end: Option<End>,
    place: Place,
}

/// Who has the client identifier after this session. A session is taken over once at most, by the one that replaced it.
#[derive(Debug, Default)]
enum Place {
    #[default]
    Kept,
    /// Somebody waits for the end of this session; dropped to say so.
    Wanted { _successor: oneshot::Sender<()> },
    /// Nothing of this session comes any more.
    Left,
}

/// One PUBLISH on its way to one client.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) frame: Arc<Frame>,
    pub(super) receipt: DeliveryReceipt,
}

/// The receipt of a delivery, when somebody waits for it.
///
/// Dropped without more ado it says [`Outcome::Rejected`]: the client is gone or its queue was full, no
/// re-send to it would change that, and a Source's offset goes on.
#[derive(Debug, Default)]
pub(super) struct DeliveryReceipt(Option<Receipt>);

impl DeliveryReceipt {
    /// The client has it.
    pub(super) fn delivered(mut self) {
        if let Some(receipt) = self.0.take() {
            receipt.resolve(Outcome::Safe);
        }
    }

    /// The server stops before the client had it: after the restart it may be tried again.
    pub(super) fn given_up(mut self) {
        if let Some(receipt) = self.0.take() {
            receipt.resolve(Outcome::Unavailable);
        }
    }
}

impl From<Option<Receipt>> for DeliveryReceipt {
    fn from(receipt: Option<Receipt>) -> Self {
        Self(receipt)
    }
}

impl Drop for DeliveryReceipt {
    fn drop(&mut self) {
        if let Some(receipt) = self.0.take() {
            receipt.resolve(Outcome::Rejected);
        }
    }
}

/// What became of a delivery at the door of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enqueued {
    /// It waits to be sent.
    Queued,
    /// There is no room and it was the one to drop.
    Dropped,
    /// The session has ended.
    Closed,
}

impl Session {
    pub(super) fn new(
        number: u32,
        version: Version,
        publisher: Arc<Publisher>,
        keep_alive: u16,
        settings: Arc<Settings>,
        now: u32,
    ) -> Self {
        Self {
            number,
            version,
            publisher,
            silence_allowed: u32::from(keep_alive) * 1500,
            settings,
            last_heard: AtomicU32::new(now),
            owing_since: AtomicU32::new(0),
            not_listening: AtomicBool::new(false),
            borrowing: AtomicBool::new(false),
            outbox: Mutex::new(Outbox { waiting: true, ..Outbox::default() }),
            wake: Wake::default(),
        }
    }

    /// The client sent something, or took something off our hands.
    pub(super) fn heard(&self, now: u32) {
        self.last_heard.store(now, Ordering::Relaxed);
    }

    /// Reading from the client stops, or goes on: then its silence begins `now`.
    pub(super) fn set_listening(&self, listening: bool, now: impl FnOnce() -> u32) {
        if self.not_listening.load(Ordering::Relaxed) == listening {
            self.heard(now());
            self.not_listening.store(!listening, Ordering::Relaxed);
        }
    }

    /// Whether the client was silent for longer than it promised.
    pub(super) fn is_silent(&self, now: u32) -> bool {
        self.silence_allowed != 0
            && !self.not_listening.load(Ordering::Relaxed)
            // The difference is right across the wrap; a stamp newer than `now` is not silence.
            && now.wrapping_sub(self.last_heard.load(Ordering::Relaxed)).cast_signed() > self.silence_allowed.cast_signed()
    }

    /// How long somebody has waited already for the client to acknowledge anything; the wait begins `now` if nobody did.
    pub(super) fn waited_for(&self, now: u32) -> Duration {
        // Zero says something else.
        let now = now.max(1);
        let since = match self.owing_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => now,
            Err(since) => since,
        };
        let waited = now.wrapping_sub(since);
        // Another thread that read its clock later may have begun the wait.
        Duration::from_millis(if waited > u32::MAX - LATEST_BEGIN { 0 } else { waited.into() })
    }

    /// The client acknowledged a delivery, or owes no acknowledgement: a wait for it would begin anew.
    pub(super) fn owes_nothing(&self) {
        // Without a write in the usual case, in which nobody waits.
        if self.owing_since.load(Ordering::Relaxed) != 0 {
            self.owing_since.store(0, Ordering::Relaxed);
        }
    }

    /// Queues a delivery, or drops it, or others for it, when there is no room.
    pub(super) fn enqueue(&self, frame: &Arc<Frame>, receipt: Option<Receipt>, counters: &Counters) -> Enqueued {
        // Declared before the guard: what is dropped resolves its receipt after the lock is released.
        let receipt = DeliveryReceipt::from(receipt);
        let mut evicted = Evicted::default();
        let mut outbox = self.outbox.lock();
        if outbox.closed {
            return Enqueued::Closed;
        }
        let room = outbox.queue.make_room(frame, &self.settings, &mut evicted, counters);
        if outbox.queue.borrows() {
            self.borrowing.store(true, Ordering::Relaxed);
        }
        if !room {
            return Enqueued::Dropped;
        }
        outbox.queue.push(Delivery { frame: Arc::clone(frame), receipt });
        if std::mem::take(&mut outbox.waiting) {
            drop(outbox);
            self.wake.call();
        }
        Enqueued::Queued
    }

    /// Moves up to `limit` deliveries into `into`, of them at most `at_least_once` of QoS 1, and none after the
    /// one that makes them `bytes` or more. Returns whether the queue is empty; then the next delivery wakes the task.
    pub(super) fn take_deliveries(
        &self,
        into: &mut Vec<Delivery>,
        limit: usize,
        mut at_least_once: usize,
        bytes: usize,
    ) -> bool {
        let mut outbox = self.outbox.lock();
        let mut taken = 0;
        while into.len() < limit && taken < bytes {
            match outbox.queue.front().map(|frame| frame.qos()) {
                Some(QoS::AtMostOnce) => {}
                Some(QoS::AtLeastOnce) if at_least_once > 0 => at_least_once -= 1,
                // Nothing overtakes a delivery that waits for the client's acknowledgements.
                Some(QoS::AtLeastOnce) => return false,
                None => break,
            }
            if let Some(delivery) = outbox.queue.pop() {
                taken += delivery.frame.size();
                into.push(delivery);
            }
        }
        let empty = outbox.queue.is_empty();
        if empty {
            outbox.waiting = true;
            outbox.queue.ran_empty();
        }
        empty
    }

    /// Gives memory of the process back that the queue does not need any more; called now and then, not per message.
    pub(super) fn give_back(&self) {
        if self.borrowing.load(Ordering::Relaxed) {
            let mut outbox = self.outbox.lock();
            let borrows = outbox.queue.give_back();
            self.borrowing.store(borrows, Ordering::Relaxed);
        }
    }

    /// Asks the connection's task to end the session; the first wish counts.
    pub(super) fn request_end(&self, end: End) {
        self.outbox.lock().end.get_or_insert(end);
        self.wake.call();
    }

    /// Ends the session in favour of another; what is returned is ready when nothing of it comes any more. `None`: it is so.
    pub(super) fn take_over(&self) -> Option<oneshot::Receiver<()>> {
        let (successor, left) = oneshot::channel();
        {
            let mut outbox = self.outbox.lock();
            if matches!(outbox.place, Place::Left) {
                return None;
            }
            outbox.place = Place::Wanted { _successor: successor };
        }
        self.request_end(End::TakenOver);
        Some(left)
    }

    /// The session has ended, its will is published.
    pub(super) fn left(&self) {
        // Declared before the guard: whoever waits is woken after the lock is released.
        let _before;
        let mut outbox = self.outbox.lock();
        _before = std::mem::replace(&mut outbox.place, Place::Left);
    }

    /// The end that somebody wished for.
    pub(super) fn requested_end(&self) -> Option<End> {
        self.outbox.lock().end
    }

    /// Nothing can be queued before what is returned is dropped.
    #[cfg(test)]
    pub(super) fn hold_outbox(&self) -> impl Drop + '_ {
        self.outbox.lock()
    }

    /// Takes no more deliveries and hands back those that were not sent.
    pub(super) fn close(&self) -> VecDeque<Delivery> {
        let mut outbox = self.outbox.lock();
        outbox.closed = true;
        outbox.queue.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(keep_alive: u16, now: u32) -> Session {
        let publisher = Publisher { client_id: "a".into(), username: None, peer: None };
        Session::new(0, Version::V5, Arc::new(publisher), keep_alive, Arc::default(), now)
    }

    #[test]
    fn a_session_is_small() {
        assert!(size_of::<Session>() <= 192, "{}", size_of::<Session>());
    }

    #[test]
    fn silence_begins_one_and_a_half_keep_alives_after_the_last_sign_of_life() {
        // The clock wraps in between.
        let start = u32::MAX - 5_000;
        let session = session(10, start);
        assert!(!session.is_silent(start.wrapping_add(15_000)));
        assert!(session.is_silent(start.wrapping_add(15_001)));
        session.heard(start.wrapping_add(9_000));
        assert!(!session.is_silent(start.wrapping_add(24_000)));
        assert!(!session.is_silent(start.wrapping_add(8_000)), "heard after the sweep read its clock");
        assert!(session.is_silent(start.wrapping_add(24_001)));
    }

    #[test]
    fn a_wait_for_acknowledgements_begins_with_the_first_and_ends_with_any() {
        let session = session(0, 0);
        let waited = |now: u32| session.waited_for(now).as_millis();
        // The clock wraps in between.
        let start = u32::MAX - 10;
        assert_eq!([waited(start), waited(start), waited(start.wrapping_add(500))], [0, 0, 500]);
        assert_eq!(waited(start - 5), 0, "read before the wait began, on another thread");
        session.owes_nothing();
        assert_eq!([waited(0), waited(0), waited(70_000)], [0, 0, 69_999]);
    }

    #[test]
    fn nobody_is_silent_without_keep_alive_or_while_not_listened_to() {
        assert!(!session(0, 0).is_silent(2_000_000_000));
        let session = session(1, 0);
        session.set_listening(false, || 1_000);
        assert!(!session.is_silent(60_000));
        session.set_listening(true, || 60_000);
        assert!(!session.is_silent(61_500));
        assert!(session.is_silent(61_501));
    }
}
