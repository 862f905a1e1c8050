//! Compiled Rules of each Bridge, from one visit to the next. A visit takes those of its Bridge out and puts back the
//! ones that it met, so what is kept is what exists.

use std::collections::HashMap;

use isthmus_plan::RuleCache;
use parking_lot::Mutex;

use crate::index::BridgeKey;

/// Compiled Rules of each Bridge.
#[derive(Debug, Default)]
pub struct KeptRules(Mutex<HashMap<BridgeKey, RuleCache>>);

impl KeptRules {
    /// Hands `use_them` the Rules of a Bridge. A Bridge is never visited twice at the same time.
    pub fn with<T>(&self, key: &BridgeKey, use_them: impl FnOnce(&mut RuleCache) -> T) -> T {
        let mut rules = self.0.lock().remove(key).unwrap_or_default();
        let result = use_them(&mut rules);
        if !rules.is_empty() {
            self.0.lock().insert(key.clone(), rules);
        }
        result
    }

    /// Forgets all of them: who does not visit does not see Rules go.
    pub fn clear(&self) {
        self.0.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use isthmus_plan::{Borrowed, Options, render_kept};
    use serde_json::json;

    use super::*;
    use crate::fixtures;

    #[test]
    fn rules_are_kept_as_long_as_their_bridge_has_some() {
        let (kept, key) = (KeptRules::default(), BridgeKey::new("plant", "fleet"));
        let bridge = fixtures::bridge(&json!({}));
        let rule = fixtures::rule("a", "SELECT * FROM \"a\"");
        let visit = |with_rule: bool| {
            let rules = if with_rule { vec![&rule] } else { Vec::new() };
            let resources = Borrowed { bridges: vec![&bridge], rules, ..Borrowed::default() };
            let options = Options { bridge: Some(("plant".to_owned(), "fleet".to_owned())) };
            kept.with(&key, |rules| {
                render_kept(&resources, &options, rules, None);
                rules.compiled()
            })
        };
        assert_eq!((visit(true), visit(true)), (1, 1));
        visit(false);
        assert!(kept.0.lock().is_empty());
    }
}
