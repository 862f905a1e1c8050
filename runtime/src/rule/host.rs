//! What rules may ask of the process: clocks, chance, variables, and the two key-value stores.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use isthmus_rules::{Host, Store, Value};
use parking_lot::RwLock;

/// Entries that a store holds at most.
const STORE_ENTRIES: usize = 100_000;

type Entries = HashMap<String, Value, foldhash::fast::RandomState>;

/// The process as rules see it; one for all rules.
#[derive(Debug)]
pub struct ProcessHost {
    started: Instant,
    zone: jiff::tz::TimeZone,
    node: RwLock<Entries>,
}

thread_local! {
    static WORKER: RefCell<Entries> = RefCell::default();
}

impl Default for ProcessHost {
    fn default() -> Self {
        Self { started: Instant::now(), zone: jiff::tz::TimeZone::system(), node: RwLock::default() }
    }
}

fn insert(entries: &mut Entries, key: &str, value: Value) -> Result<(), String> {
    if entries.len() >= STORE_ENTRIES && !entries.contains_key(key) {
        return Err(format!("the store is full: it holds {STORE_ENTRIES} keys; delete some with kv_store_del"));
    }
    entries.insert(key.to_owned(), value);
    Ok(())
}

impl Host for ProcessHost {
    fn now(&self) -> i128 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128)
    }

    fn local_offset(&self, second: i64) -> i32 {
        jiff::Timestamp::from_second(second).map_or(0, |instant| self.zone.to_offset(instant).seconds())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn random(&self) -> u64 {
        fastrand::u64(..)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn load(&self, store: Store, key: &str) -> Option<Value> {
        match store {
            Store::Node => self.node.read().get(key).cloned(),
            Store::Worker => WORKER.with_borrow(|entries| entries.get(key).cloned()),
        }
    }

    fn save(&self, store: Store, key: &str, value: Value) -> Result<(), String> {
        match store {
            Store::Node => insert(&mut self.node.write(), key, value),
            Store::Worker => WORKER.with_borrow_mut(|entries| insert(entries, key, value)),
        }
    }

    fn remove(&self, store: Store, key: &str) {
        match store {
            Store::Node => self.node.write().remove(key),
            Store::Worker => WORKER.with_borrow_mut(|entries| entries.remove(key)),
        };
    }
}
