//! The sessions that one message is for.
//!
//! Owns that each is served once, with its highest QoS, and that the lock of the filters is not held for a crowd.

use std::cell::Cell;
use std::cmp::Reverse;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::message::QoS;
use crate::mqtt::session::Session;

/// So many are served under the lock, which costs nothing: a few microseconds are no wait. More are noted first.
const FEW: usize = 32;

thread_local! {
    static NOTED: Cell<Vec<(Arc<Session>, QoS)>> = Cell::default();
}

/// Noted sessions for which a thread keeps memory.
const KEPT: usize = 4096;

/// What the filters found; nothing is allocated for [`FEW`] sessions.
pub(super) struct Matches<'a> {
    found: SmallVec<[(&'a Arc<Session>, QoS); FEW]>,
    /// At this length, sessions that were found several times are made one.
    unite_at: usize,
}

/// More than [`FEW`] sessions, apart from the filters.
pub(super) struct Crowd(Vec<(Arc<Session>, QoS)>);

impl Crowd {
    pub(super) fn for_each(mut self, mut f: impl FnMut(&Session, QoS)) {
        for (session, qos) in self.0.drain(..) {
            f(&session, qos);
        }
        if self.0.capacity() <= KEPT {
            NOTED.set(self.0);
        }
    }
}

impl Default for Matches<'_> {
    fn default() -> Self {
        Self { found: SmallVec::new(), unite_at: FEW }
    }
}

impl<'a> Matches<'a> {
    pub(super) fn push(&mut self, session: &'a Arc<Session>, qos: QoS) {
        // A client with many filters is often found by one after the other.
        if let Some((last, highest)) = self.found.last_mut()
            && last.number == session.number
        {
            *highest = qos.max(*highest);
            return;
        }
        if self.found.len() >= self.unite_at {
            // However many filters match, what is noted is no more than twice the sessions.
            self.unite();
            self.unite_at = FEW.max(2 * self.found.len());
        }
        self.found.push((session, qos));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Makes all that was found of a session one. A crowd is noted, to be served without what it was found in; where this
    /// says `None` the few are there.
    pub(super) fn note_crowd(&mut self) -> Option<Crowd> {
        if self.found.len() > 1 {
            self.unite();
        }
        if self.found.len() <= FEW {
            return None;
        }
        let mut noted = NOTED.take();
        noted.extend(self.found.drain(..).map(|(session, qos)| (Arc::clone(session), qos)));
        Some(Crowd(noted))
    }

    /// The few, after [`Matches::note_crowd`].
    pub(super) fn few(&self) -> impl Iterator<Item = (&Session, QoS)> {
        self.found.iter().map(|(session, qos)| (&***session, *qos))
    }

    fn unite(&mut self) {
        self.found.sort_unstable_by_key(|(session, qos)| (session.number, Reverse(*qos)));
        self.found.dedup_by_key(|(session, _)| session.number);
    }
}
