//! Acknowledgement: how the stage that took responsibility for a message tells the one that brought it.
//!
//! A producer of messages (an MQTT connection, a Source partition) keeps a [`Window`]: its unacknowledged
//! messages in arrival order. Routing one message hands out any number of [`Receipt`]s; each is resolved
//! by whoever holds it, on any thread, into the window's inbox. The owner is woken, collects what was
//! resolved and settles messages from the front, so acknowledgements leave in arrival order
//! (MQTT-4.6.0-2) and offsets are committed without gaps (row X3).
//!
//! Nothing is allocated per message: a receipt is a shared inbox and a number.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::wake::Wake;

/// What became of a message, from best to worst: the worst of several is the one that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Nobody wanted it: no rule, no subscriber.
    Unmatched,
    /// The message is as safe as its route asks for.
    Safe,
    /// It can never succeed (too large for Kafka, a template without a value): sending it again would repeat the failure.
    Rejected,
    /// It was handed to what is gone: a Sink that was deleted while a rule still names it. Sending it again would fail
    /// until somebody corrects the configuration.
    Misconfigured,
    /// A limit stands in the way now.
    QuotaExceeded,
    /// Not confirmed in time, or given up while stopping. It may still arrive; sending it again may succeed.
    Unavailable,
}

impl Outcome {
    /// How many there are.
    pub const COUNT: usize = 6;
}

/// One resolved receipt.
#[derive(Debug, Clone, Copy)]
struct Resolved {
    sequence: u32,
    outcome: Outcome,
    impatient: bool,
}

/// What was resolved and is not collected. Most devices have a message or two on their way: thousands of them are served
/// from fewer cache lines when these are where the rest is.
type Uncollected = SmallVec<[Resolved; 4]>;

/// Where the receipts of one window are resolved.
#[derive(Debug, Default)]
pub struct Inbox {
    resolved: Mutex<Uncollected>,
    wake: Wake,
}

impl Inbox {
    /// Waits until something was resolved since the last [`Window::collect`]. For one task only; cancel safe.
    pub async fn resolved(&self) {
        std::future::poll_fn(|context| self.wake.poll(context)).await;
    }

    /// The same for a task that waits for other things too.
    pub fn poll_resolved(&self, context: &mut Context<'_>) -> Poll<()> {
        self.wake.poll(context)
    }

    fn extend(&self, receipts: impl IntoIterator<Item = Resolved>) {
        let first = {
            let mut resolved = self.resolved.lock();
            let first = resolved.is_empty();
            resolved.extend(receipts);
            first
        };
        if first {
            self.wake.call();
        }
    }
}

/// The right, and the duty, to say what became of one message. Dropping it unresolved says [`Outcome::Unavailable`].
#[derive(Debug)]
pub struct Receipt {
    inbox: Option<Arc<Inbox>>,
    sequence: u32,
    impatient: bool,
}

impl Receipt {
    /// Whether it is waited for however long that takes, as a Source does.
    pub fn is_patient(&self) -> bool {
        !self.impatient
    }

    /// Tells the owner of the message its outcome.
    pub fn resolve(mut self, outcome: Outcome) {
        self.push(outcome);
    }

    fn push(&mut self, outcome: Outcome) {
        if let Some(inbox) = self.inbox.take() {
            inbox.extend([self.resolved(outcome)]);
        }
    }

    fn resolved(&self, outcome: Outcome) -> Resolved {
        Resolved { sequence: self.sequence, outcome, impatient: self.impatient }
    }

    fn has_inbox_of(&self, other: &Self) -> bool {
        match (&self.inbox, &other.inbox) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.push(Outcome::Unavailable);
    }
}

/// Receipts with their outcomes, told together: an inbox is locked, and its owner woken, once for all of its receipts
/// that follow each other.
#[derive(Debug, Default)]
pub struct Resolutions(Vec<(Receipt, Outcome)>);

impl Resolutions {
    /// Adds what became of one message.
    pub fn push(&mut self, receipt: Receipt, outcome: Outcome) {
        self.0.push((receipt, outcome));
    }

    /// Tells the owners, in the order in which it was added.
    pub fn tell(&mut self) {
        for run in self.0.chunk_by_mut(|(one, _), (next, _)| one.has_inbox_of(next)) {
            let Some(inbox) = run[0].0.inbox.take() else { continue };
            inbox.extend(run.iter_mut().map(|(receipt, outcome)| {
                receipt.inbox = None;
                receipt.resolved(*outcome)
            }));
        }
        self.0.clear();
    }
}

/// Hands out the receipts of one message while it is routed.
#[derive(Debug)]
pub struct Tracker<'a> {
    inbox: &'a Arc<Inbox>,
    sequence: u32,
    issued: Outstanding,
    outcome: Outcome,
    patience: Option<Duration>,
    waits_for_delivery: bool,
    hold: bool,
}

impl Tracker<'_> {
    /// One more stage takes responsibility and will resolve this receipt, however long it takes.
    pub fn receipt(&mut self) -> Receipt {
        self.issued.patient += 1;
        self.issue(false)
    }

    /// One more stage takes responsibility, and is waited for only so long: then its part of the message counts as
    /// [`Outcome::Unavailable`]. The shortest patience counts for all such stages of a message.
    pub fn impatient_receipt(&mut self, patience: Duration) -> Receipt {
        self.issued.impatient += 1;
        self.patience = Some(self.patience.map_or(patience, |known| known.min(patience)));
        self.issue(true)
    }

    fn issue(&self, impatient: bool) -> Receipt {
        Receipt { inbox: Some(Arc::clone(self.inbox)), sequence: self.sequence, impatient }
    }

    /// A stage was done with the message at once.
    pub fn settle(&mut self, outcome: Outcome) {
        self.outcome = self.outcome.max(outcome);
    }

    /// A stage took the message although it has no room: the owner should bring no more before this one is settled.
    pub fn hold(&mut self) {
        self.hold = true;
    }

    /// Whether the owner wants to know that subscribers have the message (a Source does, a device does not).
    pub fn waits_for_delivery(&self) -> bool {
        self.waits_for_delivery
    }
}

/// Receipts that are not resolved yet.
#[derive(Debug, Clone, Copy, Default)]
struct Outstanding {
    patient: u32,
    impatient: u32,
}

impl Outstanding {
    fn is_none(self) -> bool {
        self.patient == 0 && self.impatient == 0
    }
}

#[derive(Debug)]
struct Entry<T> {
    tag: T,
    outstanding: Outstanding,
    outcome: Outcome,
    deadline: Option<Instant>,
}

/// Messages in arrival order, the oldest where the window itself is: one that waits for each alone needs no more.
#[derive(Debug)]
struct Entries<T> {
    /// Nothing only while nothing is `behind`.
    front: Option<Entry<T>>,
    behind: VecDeque<Entry<T>>,
}

impl<T> Entries<T> {
    fn len(&self) -> usize {
        usize::from(self.front.is_some()) + self.behind.len()
    }

    fn push(&mut self, entry: Entry<T>) {
        if self.front.is_none() {
            self.front = Some(entry);
        } else {
            self.behind.push_back(entry);
        }
    }

    fn pop(&mut self) -> Option<Entry<T>> {
        std::mem::replace(&mut self.front, self.behind.pop_front())
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Entry<T>> {
        match index.checked_sub(1) {
            None => self.front.as_mut(),
            Some(index) => self.behind.get_mut(index),
        }
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry<T>> {
        self.front.iter_mut().chain(&mut self.behind)
    }
}

/// The unacknowledged messages of one owner, in arrival order; `T` is what the owner needs to acknowledge one.
#[derive(Debug)]
pub struct Window<T> {
    inbox: Arc<Inbox>,
    entries: Entries<T>,
    /// Sequence number of `entries[0]`; sequence numbers wrap.
    base: u32,
    /// Entries with a deadline, and a time before which none of them is over.
    deadlines: usize,
    earliest: Option<Instant>,
    scratch: Uncollected,
    waits_for_delivery: bool,
    /// The last message with [`Tracker::hold`], until it is settled.
    held: Option<u32>,
}

impl<T> Window<T> {
    /// An empty window of an MQTT client: delivery to other subscribers is not waited for.
    pub fn for_publisher() -> Self {
        Self::new(false)
    }

    /// An empty window of a Source: subscribers' acknowledgements are waited for.
    pub fn for_source() -> Self {
        Self::new(true)
    }

    fn new(waits_for_delivery: bool) -> Self {
        Self {
            inbox: Arc::default(),
            entries: Entries { front: None, behind: VecDeque::new() },
            base: 0,
            deadlines: 0,
            earliest: None,
            scratch: Uncollected::new(),
            waits_for_delivery,
            held: None,
        }
    }

    /// Where this window's receipts arrive: await [`Inbox::resolved`], then call [`Window::collect`].
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// Messages not yet taken by [`Window::pop_settled`].
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.entries.front.is_none()
    }

    /// Whether a message that a stage had no room for is not settled yet; see [`Tracker::hold`].
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Routes one message, which came at `now`, with `route` and remembers it until all the receipts that were handed out
    /// are resolved. Patience with them begins at `now`.
    pub fn track<R>(&mut self, now: Instant, tag: T, route: impl FnOnce(&mut Tracker<'_>) -> R) -> R {
        let mut tracker = Tracker {
            inbox: &self.inbox,
            sequence: self.base.wrapping_add(self.entries.len() as u32),
            issued: Outstanding::default(),
            outcome: Outcome::Unmatched,
            patience: None,
            waits_for_delivery: self.waits_for_delivery,
            hold: false,
        };
        let routed = route(&mut tracker);
        let Tracker { sequence, issued, outcome, patience, hold, .. } = tracker;
        if hold {
            self.held = Some(sequence);
        }
        let deadline = patience.map(|patience| now + patience);
        if let Some(deadline) = deadline {
            self.deadlines += 1;
            self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
        }
        self.entries.push(Entry { tag, outstanding: issued, outcome, deadline });
        routed
    }

    /// Takes in what was resolved since the last call.
    pub fn collect(&mut self) {
        std::mem::swap(&mut *self.inbox.resolved.lock(), &mut self.scratch);
        for Resolved { sequence, outcome, impatient } in self.scratch.drain(..) {
            // A sequence before the base belongs to a message that was given up on.
            let Some(entry) = self.entries.get_mut(sequence.wrapping_sub(self.base) as usize) else { continue };
            let outstanding = if impatient { &mut entry.outstanding.impatient } else { &mut entry.outstanding.patient };
            // An impatient receipt that comes after its time was given up on already.
            if *outstanding > 0 {
                *outstanding -= 1;
                entry.outcome = entry.outcome.max(outcome);
            }
        }
    }

    /// The oldest message, once nothing more is expected about it.
    pub fn pop_settled(&mut self) -> Option<(T, Outcome)> {
        if !self.entries.front.as_ref()?.outstanding.is_none() {
            return None;
        }
        let entry = self.entries.pop()?;
        self.held.take_if(|held| *held == self.base);
        self.base = self.base.wrapping_add(1);
        if entry.deadline.is_some() {
            self.deadlines -= 1;
            if self.deadlines == 0 {
                self.earliest = None;
            }
        }
        Some((entry.tag, entry.outcome))
    }

    /// Gives up on the impatient receipts of messages whose patience is over: they count as [`Outcome::Unavailable`].
    pub fn expire(&mut self, now: Instant) {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return;
        }
        self.earliest = None;
        for entry in self.entries.iter_mut().filter(|entry| entry.outstanding.impatient > 0) {
            match entry.deadline {
                Some(deadline) if deadline <= now => {
                    entry.outstanding.impatient = 0;
                    entry.outcome = entry.outcome.max(Outcome::Unavailable);
                }
                Some(deadline) => {
                    self.earliest = Some(self.earliest.map_or(deadline, |earliest| earliest.min(deadline)));
                }
                None => {}
            }
        }
    }

    /// When to call [`Window::expire`] next. At worst too early: what settles in time does not move it.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.earliest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(tracker: &mut Tracker<'_>) -> Receipt {
        tracker.receipt()
    }

    fn settled<T>(window: &mut Window<T>) -> Vec<(T, Outcome)> {
        window.collect();
        std::iter::from_fn(|| window.pop_settled()).collect()
    }

    #[test]
    fn acknowledgements_leave_in_arrival_order() {
        let mut window = Window::for_publisher();
        let first = window.track(Instant::now(), 1, receipt);
        let second = window.track(Instant::now(), 2, receipt);
        window.track(Instant::now(), 3, |_| ());
        second.resolve(Outcome::Safe);
        assert_eq!(settled(&mut window), []);
        first.resolve(Outcome::Safe);
        assert_eq!(settled(&mut window), [(1, Outcome::Safe), (2, Outcome::Safe), (3, Outcome::Unmatched)]);
    }

    #[test]
    fn the_worst_of_several_outcomes_counts_and_all_are_waited_for() {
        let mut window = Window::for_publisher();
        let (a, b) = window.track(Instant::now(), (), |tracker| (tracker.receipt(), tracker.receipt()));
        a.resolve(Outcome::Rejected);
        assert_eq!(settled(&mut window), []);
        b.resolve(Outcome::Safe);
        assert_eq!(settled(&mut window), [((), Outcome::Rejected)]);
    }

    #[test]
    fn a_dropped_receipt_is_not_a_success() {
        let mut window = Window::for_publisher();
        drop(window.track(Instant::now(), (), receipt));
        assert_eq!(settled(&mut window), [((), Outcome::Unavailable)]);
    }

    #[test]
    fn a_window_is_held_until_the_message_without_room_is_settled() {
        let mut window = Window::for_source();
        let first = window.track(Instant::now(), 1, receipt);
        assert!(!window.is_held());
        let second = window.track(Instant::now(), 2, |tracker| {
            tracker.hold();
            tracker.receipt()
        });
        assert!(window.is_held());
        second.resolve(Outcome::Safe);
        assert_eq!(settled(&mut window), []);
        assert!(window.is_held(), "it waits for its turn");
        first.resolve(Outcome::Safe);
        assert_eq!(settled(&mut window), [(1, Outcome::Safe), (2, Outcome::Safe)]);
        assert!(!window.is_held());
    }

    #[test]
    fn an_expired_message_ignores_its_late_receipt() {
        let mut window = Window::for_publisher();
        let late = window.track(Instant::now(), 1, |tracker| tracker.impatient_receipt(Duration::ZERO));
        let other = window.track(Instant::now(), 2, receipt);
        assert!(window.next_deadline().is_some());
        window.expire(Instant::now());
        assert_eq!(settled(&mut window), [(1, Outcome::Unavailable)]);
        late.resolve(Outcome::Safe);
        assert_eq!(settled(&mut window), []);
        other.resolve(Outcome::Safe);
        assert_eq!(settled(&mut window), [(2, Outcome::Safe)]);
        assert_eq!(window.next_deadline(), None);
    }

    #[test]
    fn patience_with_one_stage_does_not_end_the_wait_for_another() {
        let mut window = Window::for_source();
        let (kafka, subscriber) =
            window.track(Instant::now(), (), |tracker| (tracker.receipt(), tracker.impatient_receipt(Duration::ZERO)));
        window.expire(Instant::now());
        assert_eq!(settled(&mut window), [], "Kafka has not answered");
        subscriber.resolve(Outcome::Safe);
        assert_eq!(settled(&mut window), [], "too late, and not the one that is waited for");
        kafka.resolve(Outcome::Safe);
        assert_eq!(settled(&mut window), [((), Outcome::Unavailable)]);
    }

    #[tokio::test]
    async fn receipts_told_together_reach_each_owner_in_order_and_wake_it() {
        let (mut one, mut other) = (Window::for_publisher(), Window::for_publisher());
        let mut resolutions = Resolutions::default();
        resolutions.push(one.track(Instant::now(), 1, receipt), Outcome::Safe);
        resolutions.push(one.track(Instant::now(), 2, receipt), Outcome::Rejected);
        resolutions.push(other.track(Instant::now(), 3, receipt), Outcome::Safe);
        resolutions.push(one.track(Instant::now(), 4, receipt), Outcome::Safe);
        assert_eq!(settled(&mut one), []);
        resolutions.tell();
        one.inbox().resolved().await;
        other.inbox().resolved().await;
        let of_one = [(1, Outcome::Safe), (2, Outcome::Rejected), (4, Outcome::Safe)];
        assert_eq!((settled(&mut one), settled(&mut other)), (of_one.to_vec(), vec![(3, Outcome::Safe)]));
        resolutions.push(one.track(Instant::now(), 5, receipt), Outcome::Safe);
        drop(resolutions);
        assert_eq!(settled(&mut one), [(5, Outcome::Unavailable)], "never told, so given up");
    }

    #[tokio::test]
    async fn the_owner_is_woken_from_another_thread() {
        let mut window = Window::for_source();
        let receipt = window.track(Instant::now(), (), receipt);
        let resolver = std::thread::spawn(move || receipt.resolve(Outcome::Safe));
        window.inbox().resolved().await;
        assert_eq!(settled(&mut window), [((), Outcome::Safe)]);
        resolver.join().unwrap();
    }
}
