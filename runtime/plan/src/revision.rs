//! The revision of a plan: a hash of its content.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::{
    Plan,
    document::{Bridge, Part},
};

/// First 16 hexadecimal digits of SHA-256 over the plan's JSON without its `revision` and without uids and generations:
/// an edit that changes nothing for pods is no new revision. The order of fields is that of the types, and a plan holds
/// no maps, so equal content is equal text.
pub fn of(plan: &Plan) -> String {
    let mut hasher = Sha256::new();
    let bridge = Bridge { generation: None, ..plan.bridge.clone() };
    let parts = (bridge, Anonymous(&plan.sinks), Anonymous(&plan.sources), Anonymous(&plan.rules));
    // Writing to a hasher cannot fail, and every type of a plan has a JSON form.
    if serde_json::to_writer(&mut hasher, &parts).is_err() {
        return String::new();
    }
    hasher.finalize().iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Parts as they are for whoever runs them; copied one at a time.
struct Anonymous<'a, T>(&'a [T]);

impl<T: Part + Serialize> Serialize for Anonymous<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Part::anonymous))
    }
}
