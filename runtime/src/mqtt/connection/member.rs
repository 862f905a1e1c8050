//! A session's place among the others: registered, subscribed, with deliveries on their way.
//!
//! Owns that all of it ends with the connection.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::inflight::Inflight;
use crate::mqtt::broker::Broker;
use crate::mqtt::counters::Dropped;
use crate::mqtt::session::Session;

/// The session's place among the others. Dropping it, for whatever reason, leaves nothing behind.
pub(super) struct Member {
    pub(super) broker: Arc<Broker>,
    pub(super) session: Arc<Session>,
    pub(super) filters: HashSet<Box<str>, RandomState>,
    pub(super) inflight: Inflight,
}

impl Member {
    pub(super) fn new(broker: Arc<Broker>, session: Arc<Session>, inflight: Inflight) -> Self {
        Self { broker, session, filters: HashSet::default(), inflight }
    }

    /// Ends the membership: no more deliveries, the client identifier is free.
    pub(super) fn leave(&mut self, stopping: bool) {
        self.broker.registry.remove(&self.session);
        let filters = std::mem::take(&mut self.filters);
        self.broker.subscriptions.remove_session(&self.session, filters.iter().map(|filter| &**filter));
        let unsent = self.session.close().into_iter().map(|delivery| delivery.receipt);
        let mut count = 0;
        for receipt in self.inflight.take().chain(unsent) {
            count += 1;
            if stopping {
                receipt.given_up();
            }
        }
        self.broker.counters().dropped(Dropped::SessionEnded, count);
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave(false);
        self.session.left();
    }
}
