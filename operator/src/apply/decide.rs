//! Whether a child has to be written. Pure.

use super::compare::covers;
use crate::{
    build::Desired,
    index::child::{Child, digest},
    names,
};

/// What to do about a child.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// Nothing: it is as it should be. What to remember of it.
    Keep(Written),
    /// Write it.
    Apply,
    /// It belongs to somebody else: leave it alone.
    Foreign,
    /// It belonged to a Bridge of the same name that is gone, and goes too.
    Leftover,
}

/// What was written, and the version it had then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    digest: String,
    uid: Option<String>,
    version: Version,
}

/// Changes with every change of what an object asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Version {
    /// Kinds with a generation: it does not count changes of status.
    Generation(i64),
    /// Kinds without.
    Resource(Option<String>),
}

impl Written {
    /// What to remember of a child that is as it should be.
    pub fn of(desired: &Desired, live: &Child) -> Self {
        let metadata = &live.metadata;
        let version = match metadata.generation {
            Some(generation) => Version::Generation(generation),
            None => Version::Resource(metadata.resource_version.clone()),
        };
        Self { digest: desired.digest.clone(), uid: metadata.uid.clone(), version }
    }
}

/// What to do about a child of the Bridge with the uid `owner`, as the API server has it, with what was written last.
pub fn decide(desired: &Desired, live: Option<&Child>, owner: &str, written: Option<&Written>) -> Decision {
    let Some(live) = live else { return Decision::Apply };
    if !live.is_owned_by(owner) {
        let of_a_bridge = live.metadata.owner_references.iter().flatten().any(|owner| {
            owner.controller == Some(true) && owner.kind == "Bridge" && owner.api_version == isthmus_api::API_VERSION
        });
        return if of_a_bridge { Decision::Leftover } else { Decision::Foreign };
    }
    let now = Written::of(desired, live);
    // Labels and annotations have no part in the generation.
    if written == Some(&now) && has_metadata(live, desired) {
        return Decision::Keep(now);
    }
    let applied = live.metadata.annotations.as_ref().and_then(|annotations| annotations.get(names::APPLIED));
    if applied == Some(&desired.digest) && has_metadata(live, desired) && has_content(live, desired) {
        return Decision::Keep(now);
    }
    Decision::Apply
}

fn has_metadata(live: &Child, desired: &Desired) -> bool {
    let metadata = serde_json::to_value(&live.metadata).unwrap_or_default();
    covers(&metadata, &desired.body["metadata"])
}

fn has_content(live: &Child, desired: &Desired) -> bool {
    let mut content = desired.body.clone();
    if let Some(object) = content.as_object_mut() {
        for elsewhere in ["metadata", "apiVersion", "kind"] {
            object.remove(elsewhere);
        }
    }
    if content.get("data").or(content.get("binaryData")).is_some() {
        digest(&mut content);
    }
    covers(&live.data, &content)
}

#[cfg(test)]
mod tests;
