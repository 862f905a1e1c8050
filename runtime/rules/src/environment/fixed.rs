//! A world in which nothing is left to chance, for tests and reproducible rule runs.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use super::{Host, Store};
use crate::value::Value;

/// A host whose clock stands still, whose random numbers follow from a seed, and whose deadlines pass by themselves:
/// each look at the monotonic clock finds it one millisecond later.
#[derive(Debug)]
pub struct FixedHost {
    now: i128,
    local_offset: i32,
    looks: Cell<u64>,
    seed: Cell<u64>,
    variables: HashMap<String, String>,
    stores: RefCell<HashMap<(Store, String), Value>>,
}

impl Default for FixedHost {
    /// 2023-11-14T22:13:20.123456789Z, local time UTC+1.
    fn default() -> Self {
        Self::at(1_700_000_000_123_456_789)
    }
}

impl FixedHost {
    /// A host whose clock shows `now`, nanoseconds since 1970.
    pub fn at(now: i128) -> Self {
        Self {
            now,
            local_offset: 3600,
            looks: Cell::new(0),
            seed: Cell::new(0),
            variables: HashMap::new(),
            stores: RefCell::default(),
        }
    }

    /// The same host with an environment variable, named in full.
    #[must_use]
    pub fn with_variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

impl Host for FixedHost {
    fn now(&self) -> i128 {
        self.now
    }

    fn local_offset(&self, _second: i64) -> i32 {
        self.local_offset
    }

    fn monotonic(&self) -> Duration {
        self.looks.set(self.looks.get() + 1);
        Duration::from_millis(self.looks.get())
    }

    fn random(&self) -> u64 {
        // SplitMix64: the seed may be anything, zero too.
        self.seed.set(self.seed.get().wrapping_add(0x9E37_79B9_7F4A_7C15));
        let mut bits = self.seed.get();
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn load(&self, store: Store, key: &str) -> Option<Value> {
        self.stores.borrow().get(&(store, key.to_owned())).cloned()
    }

    fn save(&self, store: Store, key: &str, value: Value) -> Result<(), String> {
        self.stores.borrow_mut().insert((store, key.to_owned()), value);
        Ok(())
    }

    fn remove(&self, store: Store, key: &str) {
        self.stores.borrow_mut().remove(&(store, key.to_owned()));
    }
}
