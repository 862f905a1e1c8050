//! What is to be known of a Secret: whether it exists, which keys it has, and which version it is. Values stay out.

use std::collections::BTreeSet;

/// Namespace and name of a Secret.
pub type SecretName = (String, String);

/// What is known of a Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// There is none of that name.
    Absent,
    /// It exists.
    Present {
        /// Its keys.
        keys: BTreeSet<String>,
        /// Changes with every change of it, which is how a rotation shows.
        version: String,
    },
}
