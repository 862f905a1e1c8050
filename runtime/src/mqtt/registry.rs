//! The connected sessions by client identifier.
//!
//! Owns the rule that a client identifier is connected once: a newcomer replaces the older session.
//! Sharded, so that a crowd of connecting clients and the keep-alive sweep do not wait for each other.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::Mutex;

use super::session::Session;

const SHARDS: usize = 64;

/// All connected sessions.
#[derive(Debug)]
pub(super) struct Registry {
    shards: [Mutex<HashTable<Arc<Session>>>; SHARDS],
    hasher: RandomState,
    len: AtomicUsize,
}

/// More clients are connected than may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            shards: [const { Mutex::new(HashTable::new()) }; SHARDS],
            hasher: RandomState::default(),
            len: AtomicUsize::new(0),
        }
    }

    /// Sessions connected now.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Adds a session and returns the older one with the same client identifier; that one takes no new place.
    pub(super) fn insert(&self, session: Arc<Session>, max: usize) -> Result<Option<Arc<Session>>, Full> {
        let client_id = &session.publisher.client_id;
        let hash = self.hash(client_id);
        let mut shard = self.shards[shard_of(hash)].lock();
        if let Some(place) = shard.find_mut(hash, |known| known.publisher.client_id == *client_id) {
            return Ok(Some(std::mem::replace(place, session)));
        }
        if self.len.fetch_add(1, Ordering::Relaxed) >= max {
            self.len.fetch_sub(1, Ordering::Relaxed);
            return Err(Full);
        }
        shard.insert_unique(hash, session, |known| self.hash(&known.publisher.client_id));
        Ok(None)
    }

    /// Removes this session, unless a newer one has taken its place.
    pub(super) fn remove(&self, session: &Arc<Session>) {
        let hash = self.hash(&session.publisher.client_id);
        let mut shard = self.shards[shard_of(hash)].lock();
        if let Ok(entry) = shard.find_entry(hash, |known| Arc::ptr_eq(known, session)) {
            entry.remove();
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Calls `f` with every session; sessions that come or go meanwhile may be missed.
    pub(super) fn for_each(&self, mut f: impl FnMut(&Session)) {
        for shard in &self.shards {
            shard.lock().iter().for_each(|session| f(session));
        }
    }

    fn hash(&self, client_id: &str) -> u64 {
        self.hasher.hash_one(client_id)
    }
}

/// Bits in the middle: the tables use the lowest and the highest.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Publisher;
    use crate::mqtt::codec::Version;

    fn session(number: u32, client_id: &str) -> Arc<Session> {
        let publisher = Publisher { client_id: client_id.into(), username: None, peer: None };
        Arc::new(Session::new(number, Version::V5, Arc::new(publisher), 0, Arc::default(), 0))
    }

    #[test]
    fn a_newcomer_takes_the_place_and_the_old_session_cannot_remove_it() {
        let registry = Registry::new();
        let (old, new) = (session(1, "car"), session(2, "car"));
        assert!(registry.insert(Arc::clone(&old), 1).unwrap().is_none());
        assert!(Arc::ptr_eq(&registry.insert(Arc::clone(&new), 1).unwrap().unwrap(), &old));
        registry.remove(&old);
        assert_eq!(registry.len(), 1);
        assert_eq!(registry.insert(session(3, "bike"), 1).unwrap_err(), Full);
        registry.remove(&new);
        assert_eq!(registry.len(), 0);
        assert!(registry.insert(session(3, "bike"), 1).is_ok());
    }
}
