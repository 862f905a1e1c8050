//! Places of a payload that were found, for the next rule that looks there.

use std::cell::Cell;

use crate::value::json::NodeId;
use crate::value::path::packed::{GROUPS, Packed};

/// Of each group of paths the last that was found.
#[derive(Debug, Default)]
pub(crate) struct Places([Cell<Found>; GROUPS]);

/// A path, the node it leads to, and how many nodes a look-up goes by.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    path: Packed,
    node: NodeId,
    passed: u32,
}

impl Places {
    /// The node at the end of a path, if it is kept, and how many nodes finding it went by.
    #[inline]
    pub(crate) fn get(&self, path: &Packed) -> Option<(NodeId, usize)> {
        let found = self.0[path.group()].get();
        // No path that is kept is the empty one.
        (found.path == *path).then_some((found.node, found.passed as usize))
    }

    /// Keeps what was found.
    pub(crate) fn keep(&self, path: &Packed, node: NodeId, passed: usize) {
        self.0[path.group()].set(Found { path: *path, node, passed: passed as u32 });
    }
}
