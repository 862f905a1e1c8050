//! What a rule may ask of the world: time, chance, variables, stores. The crate has none of them itself, so that every
//! result can be reproduced; the runtime implements [`Host`] once, tests use [`FixedHost`].

mod fixed;

use std::time::Duration;

pub use fixed::FixedHost;

use crate::eval::budget::Used;
use crate::limits::Limits;
use crate::value::{Map, Text, Value};

/// The world outside a rule. Implementations are shared by all rules of a worker and use interior mutability.
pub trait Host {
    /// Wall clock: nanoseconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> i128;

    /// Offset of local time from UTC in seconds at an instant (seconds since 1970), for time zone `local`.
    fn local_offset(&self, second: i64) -> i32;

    /// A clock that never goes back, for deadlines. Its start is arbitrary.
    fn monotonic(&self) -> Duration;

    /// Uniformly random bits.
    fn random(&self) -> u64;

    /// An environment variable. Called with the full name, which always starts with [`VARIABLE_PREFIX`].
    fn variable(&self, name: &str) -> Option<String>;

    /// Reads from a store.
    fn load(&self, store: Store, key: &str) -> Option<Value>;

    /// Writes to a store. `Err` says why not, for instance because it is full.
    fn save(&self, store: Store, key: &str, value: Value) -> Result<(), String>;

    /// Removes from a store.
    fn remove(&self, store: Store, key: &str);
}

/// Only environment variables that start so can be read by `getenv`, which adds the prefix itself.
pub const VARIABLE_PREFIX: &str = "ISTHMUSVAR_";

/// The stores rules can keep values in. Both are bounded by the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Store {
    /// `kv_store_*`: one per pod, shared by all rules.
    Node,
    /// `proc_dict_*`: one per worker.
    Worker,
}

/// The name of a rule, as its column `metadata` has it; made once for all runs of the rule.
#[derive(Debug, Clone)]
pub struct RuleId(Value);

impl RuleId {
    /// The `metadata` column.
    pub(crate) fn metadata(&self) -> &Value {
        &self.0
    }
}

impl From<Text> for RuleId {
    fn from(name: Text) -> Self {
        Self(Value::map(Map::from_iter([(Text::constant("rule_id"), name)])))
    }
}

impl From<&str> for RuleId {
    fn from(name: &str) -> Self {
        Text::from(name).into()
    }
}

/// Everything around one rule run.
pub struct Environment<'e> {
    /// The outside world.
    pub host: &'e dyn Host,
    /// What the run may use at most.
    pub limits: &'e Limits,
    /// What rule runs.
    pub rule_id: &'e RuleId,
    /// What the run has used of it.
    pub(crate) used: Used,
}

impl<'e> Environment<'e> {
    /// An environment for a rule.
    pub fn new(host: &'e dyn Host, limits: &'e Limits, rule_id: &'e RuleId) -> Self {
        Self { host, limits, rule_id, used: Used::default() }
    }
}
