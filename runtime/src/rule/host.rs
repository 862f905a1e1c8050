//! What rules may ask of the process: clocks, chance, variables, and the two key-value stores.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use isthmus_rules::{Host, Store, Value};
use parking_lot::RwLock;

/// Entries that a store holds at most.
const STORE_ENTRIES: usize = 100_000;
/// Bytes that the keys and values of a store take at most.
const STORE_BYTES: usize = 64 << 20;

/// A bounded key-value store.
#[derive(Debug, Default)]
struct Entries {
    values: HashMap<String, Value, foldhash::fast::RandomState>,
    bytes: usize,
}

impl Entries {
    fn insert(&mut self, key: &str, value: Value) -> Result<(), String> {
        let full = |what: String| Err(format!("the store is full: it holds {what}; delete some with kv_store_del"));
        let replaced = self.values.get(key).map(|old| key.len() + old.memory());
        if replaced.is_none() && self.values.len() >= STORE_ENTRIES {
            return full(format!("{STORE_ENTRIES} keys"));
        }
        let bytes = self.bytes - replaced.unwrap_or(0) + key.len() + value.memory();
        if bytes > STORE_BYTES {
            return full(format!("{} of at most {STORE_BYTES} bytes", self.bytes));
        }
        self.values.insert(key.to_owned(), value);
        self.bytes = bytes;
        Ok(())
    }

    fn remove(&mut self, key: &str) {
        if let Some(old) = self.values.remove(key) {
            self.bytes -= key.len() + old.memory();
        }
    }
}

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
            Store::Node => self.node.read().values.get(key).cloned(),
            Store::Worker => WORKER.with_borrow(|entries| entries.values.get(key).cloned()),
        }
    }

    fn save(&self, store: Store, key: &str, value: Value) -> Result<(), String> {
        match store {
            Store::Node => self.node.write().insert(key, value),
            Store::Worker => WORKER.with_borrow_mut(|entries| entries.insert(key, value)),
        }
    }

    fn remove(&self, store: Store, key: &str) {
        match store {
            Store::Node => self.node.write().remove(key),
            Store::Worker => WORKER.with_borrow_mut(|entries| entries.remove(key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_bounded_in_bytes_and_gives_back_what_is_removed() {
        let host = ProcessHost::default();
        let large = || Value::from("x".repeat(STORE_BYTES / 2 - 1000));
        assert_eq!(host.save(Store::Node, "a", large()), Ok(()));
        assert_eq!(host.save(Store::Node, "a", large()), Ok(()), "a value in place of another of its size");
        assert_eq!(host.save(Store::Node, "b", large()), Ok(()));
        let refused = host.save(Store::Node, "c", large());
        assert!(refused.is_err_and(|why| why.contains("the store is full")));
        host.remove(Store::Node, "a");
        assert_eq!(host.save(Store::Node, "c", large()), Ok(()));
    }

    #[test]
    fn a_store_is_bounded_in_keys() {
        let host = ProcessHost::default();
        for key in 0..STORE_ENTRIES {
            assert_eq!(host.save(Store::Worker, &key.to_string(), Value::Null), Ok(()));
        }
        assert!(host.save(Store::Worker, "one more", Value::Null).is_err());
        assert_eq!(host.save(Store::Worker, "7", Value::Bool(true)), Ok(()), "a key that is there");
    }
}
