//! `metadata` of a resource: its name, its namespace, and that they are legal.

use isthmus_api::{ObjectRef, reference::LABEL_PATTERN, reference::NAME_PATTERN};
use isthmus_plan::resources::DEFAULT_NAMESPACE;
use serde_json::{Value, json};

use super::{place, problem::Problem, schema::Check, yaml::Node};

/// What people write into `metadata`, and what a cluster adds to it.
fn schema() -> Value {
    let map = json!({"type": "map"});
    let any = json!({});
    json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 253, "pattern": NAME_PATTERN},
            "namespace": {"type": "string", "minLength": 1, "maxLength": 63, "pattern": LABEL_PATTERN},
            "labels": map, "annotations": map,
            "generateName": any, "uid": any, "resourceVersion": any, "generation": any, "creationTimestamp": any,
            "deletionTimestamp": any, "deletionGracePeriodSeconds": any, "finalizers": any, "ownerReferences": any,
            "managedFields": any, "selfLink": any,
        },
    })
}

/// The resource's own reference; `None` and a problem when it has no name.
pub(super) fn read(file: usize, root: &Node, kind: &str, problems: &mut Vec<Problem>) -> Option<ObjectRef> {
    let Some((key, metadata)) = root.entry("metadata") else {
        problems.push(
            Problem::error(file, place::of_path(root, "kind"), format!("this {kind} has no name"))
                .with_help("add `metadata: {name: …}`"),
        );
        return None;
    };
    Check { file, problems }.node(&schema(), "metadata", &key.span, metadata);
    let Some(name) = metadata.get("name").and_then(Node::as_str) else {
        if metadata.get("name").is_none_or(Node::is_null) {
            problems.push(
                Problem::error(file, key.span.clone(), format!("this {kind} has no name"))
                    .with_help("add `name: …` to its metadata"),
            );
        }
        return None;
    };
    let namespace = metadata.get("namespace").and_then(Node::as_str).unwrap_or(DEFAULT_NAMESPACE);
    Some(ObjectRef::new(kind, namespace, name))
}
