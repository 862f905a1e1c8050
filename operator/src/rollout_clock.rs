//! Since when a revision is asked of the pods of a Bridge. Only so can be said that one takes too long.

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;

use crate::index::BridgeKey;

/// The newest revision of each Bridge and since when it is asked for.
#[derive(Debug, Default)]
pub struct RolloutClock(Mutex<HashMap<BridgeKey, (String, Timestamp)>>);

impl RolloutClock {
    /// Since when `revision` is asked for: now, if it is new.
    pub fn since(&self, key: &BridgeKey, revision: &str, now: Timestamp) -> Timestamp {
        let mut clock = self.0.lock();
        match clock.get(key) {
            Some((known, since)) if known == revision => *since,
            _ => {
                clock.insert(key.clone(), (revision.to_owned(), now));
                now
            }
        }
    }

    /// Forgets a Bridge.
    pub fn forget(&self, key: &BridgeKey) {
        self.0.lock().remove(key);
    }
}
