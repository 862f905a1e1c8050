//! The plan in force of each Bridge: what its `ConfigMap` holds. A rendering takes it as an input, so that the last good
//! version of a resource goes on where the newest one is wrong.
//!
//! The `ConfigMap` is the memory of it that outlives this process. It is read at the first visit of a Bridge; from then on
//! only this operator writes it, and what it wrote last is kept here.

use std::{collections::HashMap, sync::Arc};

use isthmus_plan::Plan;
use parking_lot::Mutex;

use crate::index::BridgeKey;

/// The plans in force.
#[derive(Debug, Default)]
pub struct PlansInForce(Mutex<HashMap<BridgeKey, InForce>>);

#[derive(Debug)]
struct InForce {
    /// Of the Bridge: another one of its name starts with nothing.
    uid: String,
    plan: Option<Arc<Plan>>,
    /// Whether the `ConfigMap` may hold another one by now.
    stale: bool,
}

impl PlansInForce {
    /// The plan of the Bridge with this uid, or that it has none; `None` when its `ConfigMap` has not been read.
    pub fn get(&self, key: &BridgeKey, uid: &str) -> Option<Option<Arc<Plan>>> {
        self.0.lock().get(key).filter(|known| known.uid == uid && !known.stale).map(|known| known.plan.clone())
    }

    /// Takes what the `ConfigMap` holds now.
    pub fn put(&self, key: &BridgeKey, uid: &str, plan: Option<Arc<Plan>>) {
        self.0.lock().insert(key.clone(), InForce { uid: uid.to_owned(), plan, stale: false });
    }

    /// The `ConfigMap` was written, or was not: it is read again.
    pub fn doubt(&self, key: &BridgeKey) {
        if let Some(known) = self.0.lock().get_mut(key) {
            known.stale = true;
        }
    }

    /// The Bridge is gone.
    pub fn forget(&self, key: &BridgeKey) {
        self.0.lock().remove(key);
    }

    /// Forgets all of them: another operator writes now.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Whether the `ConfigMap` of this Bridge has been read.
    pub fn knows(&self, key: &BridgeKey) -> bool {
        self.0.lock().contains_key(key)
    }

    /// Those of a namespace, by name of the Bridge.
    pub fn of_namespace(&self, namespace: &str) -> Vec<(String, Arc<Plan>)> {
        let known = self.0.lock();
        let plans = known.iter().filter(|(key, _)| key.namespace == namespace);
        plans.filter_map(|(key, known)| Some((key.name.clone(), Arc::clone(known.plan.as_ref()?)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures;

    #[test]
    fn plan_belongs_to_one_bridge_and_not_to_its_successor() {
        let (plans, key) = (PlansInForce::default(), BridgeKey::new("plant", "fleet"));
        assert_eq!((plans.get(&key, "1"), plans.knows(&key)), (None, false));
        plans.put(&key, "1", None);
        assert_eq!((plans.get(&key, "1"), plans.knows(&key)), (Some(None), true));
        let rule = fixtures::rule("speeding", "SELECT * FROM \"a\"");
        let plan = Arc::new(fixtures::plan(&fixtures::bridge(&json!({})), vec![rule]));
        plans.put(&key, "1", Some(Arc::clone(&plan)));
        assert_eq!(plans.get(&key, "1"), Some(Some(plan)));
        assert_eq!(plans.get(&key, "2"), None);
        assert_eq!((plans.of_namespace("plant").len(), plans.of_namespace("elsewhere").len()), (1, 0));
        plans.doubt(&key);
        assert_eq!((plans.get(&key, "1"), plans.knows(&key)), (None, true));
        plans.forget(&key);
        assert!(!plans.knows(&key));
    }
}
