//! The revision of a plan: a hash of its content.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::Plan;

/// First 16 hexadecimal digits of SHA-256 over the plan's JSON without its `revision`. The order of fields is that
/// of the types, and a plan holds no maps, so equal content is equal text.
pub fn of(plan: &Plan) -> String {
    let mut hasher = Sha256::new();
    let parts = (&plan.bridge, &plan.sinks, &plan.sources, &plan.rules);
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
