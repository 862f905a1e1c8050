//! Whether the cluster has our definitions, whether they know all that we know, and which optional kinds there are.

use std::collections::BTreeMap;

use isthmus_api::schema::{KINDS, definitions};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};
use serde_json::Value;

use crate::{context::Cluster, index::child::ChildKind};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Definitions that are missing or not served yet, by name.
    Missing(Vec<String>),
    /// All are there.
    All(Cluster),
}

/// Looks at the cluster.
pub async fn look(client: &Client) -> kube::Result<Found> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut missing = Vec::new();
    let mut outdated = BTreeMap::new();
    for (kind, own) in KINDS.iter().zip(definitions()) {
        let name = own["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        match api.get_opt(&name).await? {
            Some(served) if is_established(&served) => {
                let served = serde_json::to_value(&served).unwrap_or_default();
                if let Some(lacking) = lacking(&served, &own) {
                    outdated.insert((*kind).to_owned(), lacking);
                }
            }
            _ => missing.push(name),
        }
    }
    if !missing.is_empty() {
        return Ok(Found::Missing(missing));
    }
    Ok(Found::All(Cluster { pod_monitors: has_pod_monitors(client).await?, outdated }))
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
}

async fn has_pod_monitors(client: &Client) -> kube::Result<bool> {
    match client.list_api_group_resources("monitoring.coreos.com/v1").await {
        Ok(list) => Ok(list.resources.iter().any(|resource| resource.kind == ChildKind::PodMonitor.name())),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

/// The first field or choice of ours that the served definition does not know.
fn lacking(served: &Value, own: &Value) -> Option<String> {
    let schema = |definition: &Value| {
        let versions = definition["spec"]["versions"].as_array()?;
        let version = versions.iter().find(|version| version["name"] == isthmus_api::VERSION)?;
        Some(version["schema"]["openAPIV3Schema"].clone())
    };
    match (schema(served), schema(own)) {
        (Some(served), Some(own)) => lacking_in(&served, &own, ""),
        _ => Some(format!("the version {}", isthmus_api::VERSION)),
    }
}

fn lacking_in(served: &Value, own: &Value, path: &str) -> Option<String> {
    for (name, field) in own["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match served["properties"].get(name) {
            None => return Some(format!("the field `{path}`")),
            Some(known) => {
                if let Some(lacking) = lacking_in(known, field, &path) {
                    return Some(lacking);
                }
            }
        }
    }
    for choice in own["enum"].as_array().into_iter().flatten() {
        if !served["enum"].as_array().is_some_and(|choices| choices.contains(choice)) {
            return Some(format!("the choice {choice} of `{path}`"));
        }
    }
    ["items", "additionalProperties"]
        .into_iter()
        .find_map(|nested| own.get(nested).and_then(|own| lacking_in(&served[nested], own, &format!("{path}[]"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_definitions_lack_nothing() {
        for definition in definitions() {
            assert_eq!(lacking(&definition, &definition), None);
        }
    }

    #[test]
    fn a_definition_without_a_field_or_a_choice_is_outdated() {
        let own = definitions().remove(0);
        let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        let mut older = own.clone();
        older.pointer_mut(schema).and_then(Value::as_object_mut).unwrap().remove("suspend");
        assert_eq!(lacking(&older, &own), Some("the field `spec.suspend`".to_owned()));
        let mut older = own.clone();
        let choices = older.pointer_mut(&format!("{schema}/service/properties/type/enum")).unwrap();
        choices.as_array_mut().unwrap().retain(|choice| choice != "NodePort");
        assert_eq!(lacking(&older, &own), Some("the choice \"NodePort\" of `spec.service.type`".to_owned()));
    }
}
