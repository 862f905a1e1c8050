//! Secrets of local mode: core `v1` Secrets in the same files, for what resources refer to (row K7).

use std::{collections::BTreeMap, fmt};

use isthmus_api::ObjectRef;
use k8s_openapi::ByteString;
use serde_json::Value;

use super::{
    Manifests, metadata, place,
    problem::{Problem, Severity},
    yaml::{Content, Node},
};

/// A Secret and its content.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Values by key, decoded; `stringData` wins over `data` as in a cluster.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// Keys only: values never reach a log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("keys", &self.data.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

pub(super) fn read(file: usize, root: &Node, manifests: &mut Manifests) -> Option<ObjectRef> {
    let before = manifests.problems.len();
    let object = metadata::read(file, root, "Secret", &mut manifests.problems);
    let mut data = BTreeMap::new();
    for field in ["data", "stringData"] {
        let Some(node) = root.get(field).filter(|node| !node.is_null()) else { continue };
        let Content::Mapping(entries) = &node.content else {
            let span = place::of_path(root, field);
            let problem = Problem::error(file, span, format!("`{field}` of a Secret is a mapping of keys to text"));
            manifests.problems.push(problem);
            continue;
        };
        for (key, value) in entries {
            match decode(field, value) {
                Ok(bytes) => {
                    data.insert(key.name.clone(), bytes);
                }
                Err((message, help)) => {
                    let message = format!("`{}`: {message}", key.name);
                    let problem = Problem::error(file, value.span.clone(), message).with_help(help);
                    manifests.problems.push(Problem { secret: true, ..problem });
                }
            }
        }
    }
    let object = object?;
    if manifests.problems[before..].iter().all(|problem| problem.severity != Severity::Error) {
        let keys = data.keys().cloned().collect();
        manifests.resources.secrets.insert((object.namespace.clone(), object.name.clone()), keys);
        manifests.secrets.push(Secret { namespace: object.namespace.clone(), name: object.name.clone(), data });
    }
    Some(object)
}

/// The value of a key. Messages never repeat it.
fn decode(field: &str, value: &Node) -> Result<Vec<u8>, (&'static str, &'static str)> {
    let text = value.as_str().ok_or(("a value of a Secret is text", "put it in quotes"))?;
    if field == "stringData" {
        return Ok(text.as_bytes().to_vec());
    }
    serde_json::from_value::<ByteString>(Value::String(text.to_owned()))
        .map(|bytes| bytes.0)
        .map_err(|_| ("a value in `data` is base64", "move it to `stringData` to write it as it is"))
}
