//! Who wants which messages, and handing a message to them.
//!
//! Owns the filters of all connected clients and the fan-out. A subscriber never slows a publisher: handing
//! over is putting a shared packet into a bounded queue. Nor do subscribers that come and go slow publishers: the lock of
//! the filters is held while a message is matched, and while it is handed to few, never for a crowd.

mod matches;
mod subscribers;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use isthmus_rules::topic;
use isthmus_rules::trie::FilterTrie;
use parking_lot::RwLock;

use super::codec::{Encodings, SubscriptionOptions, delivery_qos};
use super::counters::{Counters, Dropped};
use super::session::{Enqueued, Session};
use crate::message::{Message, QoS};
use crate::receipt::{Outcome, Tracker};
use crate::work;
use matches::Matches;
use subscribers::{Subscribers, Subscription};

/// How long messages whose origin waits for delivery wait for a subscriber that acknowledges nothing.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(30);

/// Units of [`work`] that handing a message to a session counts.
pub(super) const SERVING: usize = 4;

/// The subscriptions of all connected clients.
#[derive(Debug)]
pub struct Subscriptions {
    trie: RwLock<FilterTrie<Subscribers>>,
    /// As many as `trie` has subscribers: a broker that only takes in need not lock it for each message.
    count: AtomicUsize,
    patience: Duration,
    /// The beginning of the clock by which patience is measured.
    started: Instant,
    pub(super) counters: Counters,
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self::with_patience(DELIVERY_PATIENCE)
    }
}

/// What became of a message at the door of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handed {
    /// The session has ended.
    Not,
    /// The tracker knows, or will hear.
    Told,
    /// It is queued, and nobody waits for the session's acknowledgement: it has given none for too long.
    Unconfirmed,
}

/// Why a filter is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FilterError {
    /// A wildcard stands where it may not.
    #[error("the topic filter is not valid: {0}")]
    Invalid(topic::TopicError),
    /// `$share/…`: not offered.
    #[error("shared subscriptions are not supported")]
    Shared,
    /// More levels than `maxTopicLevels`.
    #[error("the topic filter has more than {limit} levels")]
    TooManyLevels {
        /// `maxTopicLevels`.
        limit: usize,
    },
}

/// Checks a filter as a client wrote it.
pub(super) fn check_filter(filter: &str, max_levels: usize) -> Result<(), FilterError> {
    if filter.starts_with("$share/") {
        return Err(FilterError::Shared);
    }
    topic::validate_filter(filter).map_err(FilterError::Invalid)?;
    if levels(filter) > max_levels {
        return Err(FilterError::TooManyLevels { limit: max_levels });
    }
    Ok(())
}

/// Levels of a topic name or filter: one more than it has slashes.
pub(super) fn levels(topic: &str) -> usize {
    1 + topic.bytes().filter(|&byte| byte == b'/').count()
}

impl Subscriptions {
    /// Nobody is subscribed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nobody is subscribed; a silent subscriber is waited for so long, and then not again before it acknowledges something.
    pub fn with_patience(patience: Duration) -> Self {
        Self {
            trie: RwLock::default(),
            count: AtomicUsize::new(0),
            patience,
            started: Instant::now(),
            counters: Counters::default(),
        }
    }

    /// Filters subscribed now, each client's counted.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether nobody is subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Subscribes `session` to a checked filter, in place of its subscription to the same filter (MQTT-3.8.4-3).
    pub(super) fn subscribe(&self, session: &Arc<Session>, filter: &str, options: SubscriptionOptions) {
        let subscription = Subscription { session: Arc::clone(session), qos: options.qos, no_local: options.no_local };
        let mut trie = self.trie.write();
        let new = if let Some(subscribers) = trie.first_mut(filter) {
            subscribers.insert(subscription)
        } else {
            trie.insert(filter, Subscribers::One(subscription));
            true
        };
        self.count.fetch_add(usize::from(new), Ordering::Release);
    }

    /// Ends the subscription of `session` to `filter`, if there is one.
    pub(super) fn unsubscribe(&self, session: &Arc<Session>, filter: &str) {
        let mut trie = self.trie.write();
        let removed = match trie.first_mut(filter) {
            Some(subscribers) if subscribers.is_only(session) => {
                trie.remove(filter, |subscribers| subscribers.is_only(session)).is_some()
            }
            Some(subscribers) => subscribers.remove(session),
            None => false,
        };
        self.count.fetch_sub(usize::from(removed), Ordering::Release);
    }

    /// Ends the subscriptions of a session that goes.
    pub(super) fn remove_session<'a>(&self, session: &Arc<Session>, filters: impl IntoIterator<Item = &'a str>) {
        for filter in filters {
            self.unsubscribe(session, filter);
        }
    }

    /// Hands `message` to every session that is subscribed to its topic, once each with the highest QoS that its
    /// matching subscriptions grant (MQTT-3.3.4-2). Returns to how many sessions it was handed, counting those
    /// whose full queue dropped it.
    ///
    /// With a tracker whose owner waits for delivery, QoS 0 deliveries are safe once queued, QoS 1 deliveries
    /// when the client acknowledged; a session that ends or drops the delivery counts as [`Outcome::Rejected`]. A session
    /// that has kept somebody waiting for too long is not waited for until it acknowledges something: it neither delays
    /// the message nor makes it fail. Where all sessions are such, nobody confirmed it: [`Outcome::Unavailable`].
    /// Other owners have done their part when there is a subscriber.
    pub fn deliver(&self, message: &Message, mut tracker: Option<&mut Tracker<'_>>) -> usize {
        if self.is_empty() {
            return 0;
        }
        let trie = self.trie.read();
        let mut matches = Matches::default();
        // By name, so that it holds over connections; a message of the process itself has no client.
        let own = |session: &Session| {
            message.publisher.peer.is_some() && session.publisher.client_id == message.publisher.client_id
        };
        let mut matching = 0;
        let visited = trie.for_each_match(&message.topic, |subscribers| {
            matching += subscribers.as_slice().len();
            for subscription in subscribers.as_slice() {
                if !(subscription.no_local && own(&subscription.session)) {
                    matches.push(&subscription.session, subscription.qos);
                }
            }
        });
        work::add(visited + matching);
        if matches.is_empty() {
            return 0;
        }
        let encodings = Encodings::new(message);
        let (mut handed, mut unconfirmed) = (0, 0);
        let mut serve = |session: &Session, granted: QoS| {
            let tracker = tracker.as_deref_mut();
            match self.hand_over(session, delivery_qos(message.qos, granted), &encodings, tracker) {
                Handed::Not => return,
                Handed::Told => {}
                Handed::Unconfirmed => unconfirmed += 1,
            }
            handed += 1;
        };
        if let Some(crowd) = matches.note_crowd() {
            // A crowd takes long, and whoever subscribes meanwhile would stop all publishers.
            drop(matches);
            drop(trie);
            crowd.for_each(serve);
        } else {
            matches.few().for_each(|(session, granted)| serve(session, granted));
        }
        work::add(handed * SERVING);
        if let Some(tracker) = tracker.filter(|_| unconfirmed > 0 && unconfirmed == handed) {
            tracker.settle(Outcome::Unavailable);
        }
        handed
    }

    fn hand_over(
        &self,
        session: &Session,
        qos: QoS,
        encodings: &Encodings<'_>,
        mut tracker: Option<&mut Tracker<'_>>,
    ) -> Handed {
        let waits = tracker.as_deref().is_some_and(Tracker::waits_for_delivery);
        let Some(frame) = encodings.get(session.version, qos) else {
            self.counters.dropped(Dropped::TooLarge, 1);
            if let Some(tracker) = tracker {
                tracker.settle(if waits { Outcome::Rejected } else { Outcome::Safe });
            }
            return Handed::Told;
        };
        let mut receipt = None;
        let mut unconfirmed = false;
        if let Some(tracker) = tracker.as_deref_mut().filter(|_| waits && qos == QoS::AtLeastOnce) {
            receipt = self.patience_with(session).map(|patience| tracker.impatient_receipt(patience));
            unconfirmed = receipt.is_none();
        }
        // Where there is a receipt it says what becomes of the delivery.
        let waits = waits && receipt.is_none();
        let enqueued = session.enqueue(frame, receipt, &self.counters);
        match (enqueued, tracker) {
            (Enqueued::Closed, _) => return Handed::Not,
            _ if unconfirmed => return Handed::Unconfirmed,
            (Enqueued::Dropped, Some(tracker)) if waits => tracker.settle(Outcome::Rejected),
            (Enqueued::Dropped | Enqueued::Queued, Some(tracker)) => tracker.settle(Outcome::Safe),
            (Enqueued::Dropped | Enqueued::Queued, None) => {}
        }
        Handed::Told
    }

    /// How long this session may be waited for. All that it is handed during one silence is given up on at the same time.
    fn patience_with(&self, session: &Session) -> Option<Duration> {
        let now = self.started.elapsed().as_millis() as u32;
        self.patience.checked_sub(session.waited_for(now)).filter(|patience| !patience.is_zero())
    }
}

#[cfg(test)]
mod tests;
