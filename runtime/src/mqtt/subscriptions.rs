//! Who wants which messages, and handing a message to them.
//!
//! Owns the filters of all connected clients and the fan-out. A subscriber never slows a publisher: handing
//! over is putting a shared packet into a bounded queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use isthmus_rules::topic;
use isthmus_rules::trie::FilterTrie;
use parking_lot::RwLock;

use super::codec::{Encodings, SubscriptionOptions, delivery_qos};
use super::counters::{Counters, Dropped};
use super::session::{Enqueued, Session};
use crate::message::{Message, QoS};
use crate::receipt::{Outcome, Tracker};

/// How long a message whose origin waits for delivery may wait for a subscriber's PUBACK.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(30);

/// The subscriptions of all connected clients.
#[derive(Debug, Default)]
pub struct Subscriptions {
    trie: RwLock<FilterTrie<Subscription>>,
    /// As many as `trie` has: a broker that only takes in need not lock it for each message.
    count: AtomicUsize,
    pub(super) counters: Counters,
}

#[derive(Debug)]
struct Subscription {
    session: Arc<Session>,
    qos: QoS,
    no_local: bool,
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
        trie.remove(filter, |known| Arc::ptr_eq(&known.session, session));
        trie.insert(filter, subscription);
        self.count.store(trie.len(), Ordering::Release);
    }

    /// Ends the subscription of `session` to `filter`, if there is one.
    pub(super) fn unsubscribe(&self, session: &Arc<Session>, filter: &str) {
        let mut trie = self.trie.write();
        trie.remove(filter, |known| Arc::ptr_eq(&known.session, session));
        self.count.store(trie.len(), Ordering::Release);
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
    /// when the client acknowledged; a session that ends or drops the delivery counts as [`Outcome::Rejected`].
    /// Other owners have done their part when there is a subscriber.
    pub fn deliver(&self, message: &Message, mut tracker: Option<&mut Tracker<'_>>) -> usize {
        if self.is_empty() {
            return 0;
        }
        let trie = self.trie.read();
        let mut matches = Matches::default();
        trie.for_each_match(&message.topic, |subscription| {
            // By name, so that it holds over connections; a message of the process itself has no client.
            let own = || {
                message.publisher.peer.is_some()
                    && subscription.session.publisher.client_id == message.publisher.client_id
            };
            if !(subscription.no_local && own()) {
                matches.push(&subscription.session, subscription.qos);
            }
        });
        if matches.first.is_none() {
            return 0;
        }
        let encodings = Encodings::new(message);
        let mut handed = 0;
        matches.for_each_session(|session, granted| {
            let tracker = tracker.as_deref_mut();
            handed += usize::from(self.hand_over(session, delivery_qos(message.qos, granted), &encodings, tracker));
        });
        handed
    }

    fn hand_over(
        &self,
        session: &Session,
        qos: QoS,
        encodings: &Encodings<'_>,
        tracker: Option<&mut Tracker<'_>>,
    ) -> bool {
        let mut waiting = tracker.as_deref().is_some_and(Tracker::waits_for_delivery);
        let mut tracker = tracker;
        let enqueued = match encodings.get(session.version, qos) {
            None => {
                self.counters.dropped(Dropped::TooLarge, 1);
                Enqueued::Dropped
            }
            Some(frame) => {
                let mut receipt = None;
                if let Some(tracker) = tracker.as_deref_mut().filter(|_| waiting && qos == QoS::AtLeastOnce) {
                    // From here on the receipt says what becomes of it.
                    waiting = false;
                    receipt = Some(tracker.impatient_receipt(DELIVERY_PATIENCE));
                }
                session.enqueue(frame, receipt, &self.counters)
            }
        };
        if let Some(tracker) = tracker {
            match enqueued {
                Enqueued::Closed => {}
                Enqueued::Dropped if waiting => tracker.settle(Outcome::Rejected),
                Enqueued::Dropped | Enqueued::Queued => tracker.settle(Outcome::Safe),
            }
        }
        enqueued != Enqueued::Closed
    }
}

/// The subscriptions that match one message; nothing is allocated for the first.
#[derive(Default)]
struct Matches<'a> {
    first: Option<(&'a Session, QoS)>,
    more: Vec<(&'a Session, QoS)>,
}

impl<'a> Matches<'a> {
    fn push(&mut self, session: &'a Session, qos: QoS) {
        if self.first.is_none() {
            self.first = Some((session, qos));
        } else {
            self.more.push((session, qos));
        }
    }

    /// Each session once, with its highest QoS.
    fn for_each_session(mut self, mut f: impl FnMut(&Session, QoS)) {
        let Some(first) = self.first else { return };
        if self.more.is_empty() {
            return f(first.0, first.1);
        }
        self.more.push(first);
        self.more.sort_unstable_by_key(|(session, qos)| (session.number, std::cmp::Reverse(*qos)));
        self.more.dedup_by_key(|(session, _)| session.number);
        for (session, qos) in self.more {
            f(session, qos);
        }
    }
}
