//! What to visit next, and when: each key once, never two visits to one key at the same time, and more and more
//! patience with a key whose visits fail.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Patience after the first failure.
const FIRST: Duration = Duration::from_millis(500);
/// Patience after many.
const LONGEST: Duration = Duration::from_secs(15);

/// Keys, each with the time of its next visit.
#[derive(Debug)]
pub struct Queue<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct State<K> {
    due: BTreeSet<(Instant, K)>,
    times: HashMap<K, Instant>,
    running: HashSet<K>,
    failures: HashMap<K, u32>,
}

impl<K> Default for State<K> {
    fn default() -> Self {
        Self { due: BTreeSet::new(), times: HashMap::new(), running: HashSet::new(), failures: HashMap::new() }
    }
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: Notify::new() }
    }
}

impl<K: Clone + Ord + Hash> Queue<K> {
    /// Asks for a visit within `delay`. An earlier time that was asked for before stands.
    pub fn add(&self, key: K, delay: Duration) {
        let at = Instant::now() + delay;
        let mut state = self.state.lock();
        match state.times.get(&key).copied() {
            Some(before) if before <= at => return,
            Some(before) => {
                state.due.remove(&(before, key.clone()));
            }
            None => {}
        }
        state.times.insert(key.clone(), at);
        state.due.insert((at, key));
        drop(state);
        self.changed.notify_one();
    }

    /// The next key whose time has come; it is not handed out again before [`Queue::done`] or [`Queue::failed`].
    pub async fn next(&self) -> K {
        loop {
            let changed = self.changed.notified();
            let wait = {
                let mut state = self.state.lock();
                let now = Instant::now();
                let ready = state.due.iter().find(|(_, key)| !state.running.contains(key)).cloned();
                match ready {
                    Some((at, key)) if at <= now => {
                        state.due.remove(&(at, key.clone()));
                        state.times.remove(&key);
                        state.running.insert(key.clone());
                        // Another worker may take the one after it.
                        self.changed.notify_one();
                        return key;
                    }
                    other => other.map(|(at, _)| at),
                }
            };
            match wait {
                Some(at) => tokio::select! { () = changed => {}, () = sleep_until(at) => {} },
                None => changed.await,
            }
        }
    }

    /// The visit is over and went well; the next one within `again`.
    pub fn done(&self, key: K, again: Option<Duration>) {
        {
            let mut state = self.state.lock();
            state.running.remove(&key);
            state.failures.remove(&key);
        }
        match again {
            Some(again) => self.add(key, again),
            None => self.changed.notify_one(),
        }
    }

    /// The visit failed. Returns after which time there will be another.
    pub fn failed(&self, key: K) -> Duration {
        let delay = {
            let mut state = self.state.lock();
            state.running.remove(&key);
            let failures = state.failures.entry(key.clone()).or_insert(0);
            *failures += 1;
            FIRST.saturating_mul(1 << (*failures - 1).min(10)).min(LONGEST)
        };
        self.add(key, delay);
        delay
    }

    /// Keys whose time has come, and keys that are being visited.
    pub fn depth(&self) -> (usize, usize) {
        let state = self.state.lock();
        let now = Instant::now();
        (state.due.iter().take_while(|(at, _)| *at <= now).count(), state.running.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[tokio::test]
    async fn a_key_that_is_added_twice_is_visited_once_at_the_earlier_time() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.add("a", Duration::from_secs(300));
        queue.add("a", Duration::from_millis(50));
        queue.add("a", Duration::from_secs(200));
        assert_eq!(queue.next().await, "a");
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(50) && waited < Duration::from_secs(100), "{waited:?}");
        queue.done("a", None);
        assert_eq!(queue.depth(), (0, 0));
    }

    #[tokio::test]
    async fn a_key_is_not_visited_twice_at_the_same_time() {
        let queue = Queue::default();
        queue.add("a", NOW);
        assert_eq!(queue.next().await, "a");
        queue.add("a", NOW);
        queue.add("b", Duration::from_millis(1));
        assert_eq!(queue.next().await, "b");
        queue.done("a", Some(Duration::from_secs(30)));
        // It was asked for during its visit.
        assert_eq!(queue.next().await, "a");
    }

    #[tokio::test]
    async fn patience_grows_with_failures_and_ends_with_success() {
        let queue = Queue::default();
        queue.add("a", NOW);
        queue.next().await;
        let delays: Vec<_> = (0..9).map(|_| queue.failed("a").as_millis()).collect();
        assert_eq!(delays, [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000, 15000]);
        queue.done("a", Some(NOW));
        queue.next().await;
        assert_eq!(queue.failed("a"), FIRST);
    }
}
