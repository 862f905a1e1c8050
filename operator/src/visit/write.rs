//! Writes the statuses of all resources of a Bridge: those that differ from what is there, and no others. A change of
//! `Ready` is told as an event as well.

use futures::{StreamExt as _, TryStreamExt as _, stream::FuturesUnordered};
use isthmus_api::{BridgeStatus, RuleStatus, SinkStatus, SourceStatus, Status, bridge::Endpoint};
use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, object::HasStatus},
    runtime::events::{Event, EventType},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    VisitError,
    judge::{Judgement, Verdicts},
    resources::Diagnoses,
};
use crate::{
    build,
    condition::{Verdict, kind, update},
    context::Context,
    index::{
        Neighbourhood,
        child::ChildKind,
        resource::{Kind, Parent, Stored},
    },
    names,
    status::pods,
};

/// Statuses written at the same time.
const AT_ONCE: usize = 8;

pub(super) async fn all(
    context: &Context,
    around: &Neighbourhood,
    diagnoses: &Diagnoses,
    judgement: &Judgement<'_>,
) -> Result<(), VisitError> {
    if let Some(stored) = &around.bridge {
        let verdicts = judgement.bridge(&diagnoses.of_resource(stored));
        write(context, stored, &verdicts, judgement, |before: &BridgeStatus| {
            bridge_status(context, around, stored, before, judgement)
        })
        .await?;
    }
    for stored in around.connectors_here() {
        let users = users_of(around, judgement, stored.name());
        let verdicts = judgement.connector(stored.name(), &users, &diagnoses.of_resource(stored));
        write(context, stored, &verdicts, judgement, Status::clone).await?;
    }
    for stored in around.of_connectors_here(&around.sinks) {
        let verdicts = judgement.sink(stored.name(), &diagnoses.of_resource(stored));
        write(context, stored, &verdicts, judgement, |before: &SinkStatus| {
            let figures = pods::of_sink(judgement.answers, stored.name());
            let statistics = refresh(context, stored, before.statistics, figures, judgement);
            SinkStatus { statistics, ..before.clone() }
        })
        .await?;
    }
    for stored in around.of_connectors_here(&around.sources) {
        let verdicts = judgement.source(stored.name(), &diagnoses.of_resource(stored));
        write(context, stored, &verdicts, judgement, |before: &SourceStatus| {
            let figures = pods::of_source(judgement.answers, stored.name());
            let statistics = refresh(context, stored, before.statistics, figures, judgement);
            SourceStatus { statistics, ..before.clone() }
        })
        .await?;
    }
    rules(context, around, diagnoses, judgement).await
}

/// The statuses of Rules, of which there may be thousands: of those that have nothing to say nothing is kept.
async fn rules(
    context: &Context,
    around: &Neighbourhood,
    diagnoses: &Diagnoses,
    judgement: &Judgement<'_>,
) -> Result<(), VisitError> {
    let (planned, figures) = (judgement.planned_rules(), pods::of_rules(judgement.answers));
    let mut writes = FuturesUnordered::new();
    for stored in &around.rules {
        let rule = stored.object().map(AsRef::as_ref);
        let verdicts = judgement.rule(stored.name(), rule, &planned, &diagnoses.of_resource(stored));
        let change = change(stored, &verdicts, judgement, |before: &RuleStatus| {
            let figures = figures.get(stored.name()).copied().unwrap_or_default();
            let statistics = refresh(context, stored, before.statistics, figures, judgement);
            RuleStatus { statistics, ..before.clone() }
        });
        let Some(change) = change else { continue };
        if writes.len() >= AT_ONCE {
            writes.next().await.transpose()?;
        }
        writes.push(send(context, stored, change));
    }
    writes.try_collect().await
}

/// Sinks and Sources of a Connector: those that name it, and those that use it in the pods.
fn users_of<'a>(around: &'a Neighbourhood, judgement: &Judgement<'a>, connector: &str) -> Vec<&'a str> {
    let mine = Parent::Connector(connector);
    let in_pods = judgement.plan.into_iter().flat_map(|plan| {
        let sinks = plan.sinks.iter().map(|sink| (&sink.connector, sink.name.as_str()));
        sinks.chain(plan.sources.iter().map(|source| (&source.connector, source.name.as_str())))
    });
    let in_pods = in_pods.filter(|(used, _)| *used == connector).map(|(_, name)| name);
    let sinks = around.sinks.iter().filter(|sink| sink.parent() == mine).map(Stored::name);
    let sources = around.sources.iter().filter(|source| source.parent() == mine).map(Stored::name);
    sinks.chain(sources).chain(in_pods).collect()
}

/// Figures, when pods tell any.
fn refresh<K: Kind, F: crate::figures::Figures>(
    context: &Context,
    stored: &Stored<K>,
    told: Option<F>,
    current: F,
    judgement: &Judgement<'_>,
) -> Option<F> {
    if judgement.answers.iter().all(|answer| answer.report.is_err()) {
        return told;
    }
    let uid = stored.metadata().uid.as_deref().unwrap_or_default();
    Some(context.figures.refresh(uid, told, current))
}

fn bridge_status(
    context: &Context,
    around: &Neighbourhood,
    stored: &Stored<isthmus_api::Bridge>,
    before: &BridgeStatus,
    judgement: &Judgement<'_>,
) -> BridgeStatus {
    let mut status = before.clone();
    if let Some(rollout) = &judgement.rollout {
        status.replicas = rollout.replicas.existing;
        status.ready_replicas = rollout.replicas.ready;
    }
    if let Some(bridge) = stored.object() {
        status.selector = build::selector_text(bridge);
        let host = outside(around).unwrap_or_else(|| format!("{}.{}.svc", stored.name(), stored.namespace()));
        status.endpoints = bridge
            .spec
            .listeners
            .iter()
            .map(|listener| Endpoint { name: listener.name.clone(), address: format!("{host}:{}", listener.port) })
            .collect();
    }
    if judgement.blocked.is_none() {
        status.revision = judgement.plan.map(|plan| plan.revision.clone()).unwrap_or_default();
    }
    let told = (before.observed_generation >= 0).then_some(before.connections);
    let current = pods::connections(judgement.answers);
    status.connections = refresh(context, stored, told, current, judgement).unwrap_or(before.connections);
    status
}

/// The address outside the cluster that the Service was given, if any.
fn outside(around: &Neighbourhood) -> Option<String> {
    let service = around.children.get(&(ChildKind::Service, around.name.clone()))?;
    let given = service.data.pointer("/status/loadBalancer/ingress/0")?;
    let address = given.get("hostname").or_else(|| given.get("ip"))?.as_str()?;
    Some(if address.contains(':') { format!("[{address}]") } else { address.to_owned() })
}

/// A status with conditions.
trait HasConditions: Serialize + DeserializeOwned + Default + Clone + PartialEq {
    fn conditions(&self) -> &[Condition];
    fn set(&mut self, generation: i64, conditions: Vec<Condition>);
}

macro_rules! has_conditions {
    ($($kind:ty),*) => {$(
        impl HasConditions for $kind {
            fn conditions(&self) -> &[Condition] {
                &self.conditions
            }

            fn set(&mut self, generation: i64, conditions: Vec<Condition>) {
                self.observed_generation = generation;
                self.conditions = conditions;
            }
        }
    )*};
}

has_conditions!(BridgeStatus, Status, SinkStatus, SourceStatus, RuleStatus);

/// A status as it is and as it should be.
struct Change<S> {
    before: S,
    after: S,
}

/// Writes the status of one resource, if it is not there already. `rest` gives what is in it besides conditions.
async fn write<K>(
    context: &Context,
    stored: &Stored<K>,
    verdicts: &Verdicts,
    judgement: &Judgement<'_>,
    rest: impl FnOnce(&K::Status) -> K::Status,
) -> Result<(), VisitError>
where
    K: Kind + HasStatus<Status: HasConditions>,
{
    match change(stored, verdicts, judgement, rest) {
        Some(change) => send(context, stored, change).await,
        None => Ok(()),
    }
}

/// What there is to write, if anything.
fn change<K>(
    stored: &Stored<K>,
    verdicts: &Verdicts,
    judgement: &Judgement<'_>,
    rest: impl FnOnce(&K::Status) -> K::Status,
) -> Option<Change<K::Status>>
where
    K: Kind + HasStatus<Status: HasConditions>,
{
    let before: K::Status = match stored {
        Stored::Parsed(object) => object.status().cloned().unwrap_or_default(),
        Stored::Unreadable(object) => serde_json::from_value(object.data["status"].clone()).unwrap_or_default(),
    };
    let generation = stored.metadata().generation.unwrap_or(0);
    let verdicts: Vec<(&str, &Verdict)> = verdicts.iter().map(|(kind, verdict)| (*kind, verdict)).collect();
    let mut after = rest(&before);
    after.set(generation, update(before.conditions(), &verdicts, generation, judgement.now));
    (after != before).then_some(Change { before, after })
}

async fn send<K>(context: &Context, stored: &Stored<K>, change: Change<K::Status>) -> Result<(), VisitError>
where
    K: Kind + HasStatus<Status: HasConditions>,
{
    let Change { before, after } = change;
    let failed = |source: kube::Error| VisitError::Status {
        kind: K::kind(&()).into_owned(),
        name: stored.name().to_owned(),
        source: Box::new(source),
    };
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), stored.namespace(), &resource);
    let body = json!({
        "apiVersion": isthmus_api::API_VERSION,
        "kind": K::kind(&()),
        // With its uid, so that another object of the same name, made in the meantime, does not get it.
        "metadata": {"name": stored.name(), "uid": stored.metadata().uid},
        "status": after,
    });
    let parameters = PatchParams::apply(names::MANAGER).force();
    match api.patch_status(stored.name(), &parameters, &Patch::Apply(&body)).await {
        Ok(object) => {
            let touched = context.index.lock().put(&Stored::<K>::read(object));
            for key in touched {
                context.queue.add(key, crate::context::SETTLE);
            }
        }
        // Gone, or another one: its own visit will come.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(source) => return Err(failed(source)),
    }
    tell(context, stored, before.conditions(), after.conditions()).await;
    Ok(())
}

/// Publishes an event when `Ready` changed. That it cannot be published is no reason to do anything again.
async fn tell<K: Kind>(context: &Context, stored: &Stored<K>, before: &[Condition], after: &[Condition]) {
    let ready = |conditions: &[Condition]| conditions.iter().find(|condition| condition.type_ == kind::READY).cloned();
    let (Some(before), Some(after)) = (ready(before), ready(after)) else { return };
    if before.status == after.status {
        return;
    }
    let reference = ObjectReference {
        api_version: Some(isthmus_api::API_VERSION.to_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: Some(stored.name().to_owned()),
        namespace: Some(stored.namespace().to_owned()),
        uid: stored.metadata().uid.clone(),
        resource_version: None,
        field_path: None,
    };
    let note: String = after.message.chars().take(1000).collect();
    let event = Event {
        type_: if after.status == "False" { EventType::Warning } else { EventType::Normal },
        reason: after.reason,
        note: Some(note),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, &reference).await {
        tracing::warn!(kind = %K::kind(&()), name = stored.name(), %error, "an event cannot be published");
    }
}
