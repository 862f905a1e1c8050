//! The name of a Bridge that exists or that something refers to.

use std::fmt;

/// Namespace and name. The Bridge without a name stands for resources whose Connector does not exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeKey {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl BridgeKey {
    /// The Bridge `namespace`/`name`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for BridgeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
