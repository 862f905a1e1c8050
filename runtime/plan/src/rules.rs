//! What was found out about Rules by themselves, kept from one rendering to the next.
//!
//! Compiling the SQL of a Rule and running its own tests depends on its spec alone: the tests have a fixed clock and
//! empty stores. So the outcome holds for a uid and a generation. What a Rule refers to is looked at in every rendering.

use std::collections::HashMap;

use isthmus_api::Rule;

use crate::Finding;

/// Checked Rules, those of the last rendering and no others.
#[derive(Debug, Default)]
pub struct RuleCache {
    kept: HashMap<String, Kept>,
    before: HashMap<String, Kept>,
    compiled: u64,
}

#[derive(Debug)]
struct Kept {
    generation: i64,
    checked: Checked,
}

/// What was found out about a Rule by itself.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The compiled SQL, when there is nothing wrong with it.
    pub(crate) compiled: Option<isthmus_rules::Rule>,
    /// What the compiler found.
    pub(crate) findings: Vec<Finding>,
    /// What its own tests found, once they were run.
    pub(crate) tests: Option<Vec<Finding>>,
}

impl RuleCache {
    /// How many Rules were compiled so far.
    pub fn compiled(&self) -> u64 {
        self.compiled
    }

    /// How many Rules are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// A rendering begins: what it does not ask for will be forgotten.
    pub(crate) fn begin(&mut self) {
        self.before = std::mem::take(&mut self.kept);
    }

    /// The rendering is over.
    pub(crate) fn end(&mut self) {
        self.before = HashMap::new();
    }

    /// What is known of this generation of the Rule, or what `check` finds.
    pub(crate) fn take(&mut self, rule: &Rule, check: impl FnOnce() -> Checked) -> Checked {
        let known = rule.metadata.uid.as_ref().and_then(|uid| self.before.remove(uid));
        match known {
            Some(known) if Some(known.generation) == rule.metadata.generation => known.checked,
            _ => {
                self.compiled += 1;
                check()
            }
        }
    }

    /// Keeps what is known of the Rule. One that no API server has (a file's) has nothing to be recognised by.
    pub(crate) fn keep(&mut self, rule: &Rule, checked: Checked) {
        if let (Some(uid), Some(generation)) = (rule.metadata.uid.clone(), rule.metadata.generation) {
            self.kept.insert(uid, Kept { generation, checked });
        }
    }
}
