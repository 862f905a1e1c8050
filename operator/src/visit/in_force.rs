//! Reads the plan in force of a Bridge out of its `ConfigMap`, once.

use std::sync::Arc;

use isthmus_plan::Plan;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::VisitError;
use crate::{
    build,
    context::Context,
    index::{BridgeKey, Neighbourhood},
    names,
};

/// What the pods of a Bridge run, if they were given anything yet.
pub(super) async fn of(
    context: &Context,
    key: &BridgeKey,
    around: &Neighbourhood,
) -> Result<Option<Arc<Plan>>, VisitError> {
    let Some(bridge) = &around.bridge else {
        context.plans.forget(key);
        return Ok(None);
    };
    let uid = bridge.metadata().uid.as_deref().unwrap_or_default();
    if let Some(known) = context.plans.get(key, uid) {
        return Ok(known);
    }
    // A Bridge around which nothing was made has given its pods nothing.
    let plan = if around.children.is_empty() { None } else { read(context, key, uid).await? };
    let plan = plan.map(Arc::new);
    context.plans.put(key, uid, plan.clone());
    Ok(plan)
}

async fn read(context: &Context, key: &BridgeKey, uid: &str) -> Result<Option<Plan>, VisitError> {
    let name = names::plan_of(&key.name);
    let api: Api<ConfigMap> = Api::namespaced(context.client.clone(), &key.namespace);
    let found =
        api.get_opt(&name).await.map_err(|source| VisitError::Plan { name: name.clone(), source: Box::new(source) })?;
    let Some(map) = found else { return Ok(None) };
    let owners = map.metadata.owner_references.iter().flatten();
    if !owners.into_iter().any(|owner| owner.uid == uid && owner.controller == Some(true)) {
        tracing::warn!(bridge = %key, name, "the ConfigMap of the plan does not belong to this Bridge and is not read");
        return Ok(None);
    }
    match build::read_plan(&map) {
        Ok(plan) => Ok(Some(plan)),
        Err(error) => {
            let error = anyhow::Error::new(error);
            tracing::warn!(
                bridge = %key,
                name,
                "the plan in force cannot be read, so that resources with an error are left out: {error:#}"
            );
            Ok(None)
        }
    }
}
