//! One visit to a Bridge: everything around it is looked at, its children are made as they should be, its pods are
//! asked, and every resource that belongs to it gets its status.
//!
//! ```text
//! neighbourhood ─▶ render ─▶ diagnose ─▶ build ─▶ apply ─▶ tell pods ─▶ ask pods ─▶ judge ─▶ write statuses
//!     index         plan      status      build    apply     pods       observe     judge      write
//! ```
//!
//! The steps that decide (render, diagnose, build, judge) are pure; this module puts the calls between them. A visit
//! with nothing to do writes nothing.

mod in_force;
mod judge;
mod pods;
mod resources;
mod secrets;
mod write;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use isthmus_api::Bridge;
use isthmus_plan::{Options, Plan};
use jiff::Timestamp;
use kube::ResourceExt as _;

use self::{judge::Judgement, resources::Diagnoses, secrets::Secrets};
use crate::{
    apply::{ApplyError, Owner},
    build::{self, BuildError, Inputs},
    condition::{Verdict, reason},
    context::{Context, SETTLE},
    history::{Part, Revisions},
    index::{BridgeKey, Neighbourhood, child::ChildKind},
    observe,
    status::{
        Blocked, memory,
        rollout::{Rollout, rollout},
    },
};

/// How long what passes by itself (an API server that is away, a conflict) is tried again before anything is said.
const PATIENCE: Duration = Duration::from_secs(30);
/// Until the next visit when all is as it should be.
const SETTLED: Duration = Duration::from_secs(30);
/// Until the next one while something is on its way.
const UNSETTLED: Duration = Duration::from_secs(3);
/// Until the next one while pods are expected to take a new revision any moment.
const SOON: Duration = Duration::from_millis(200);
/// How long "any moment" lasts.
const EAGER: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);

/// Why a visit could not be completed. The next one starts over.
#[derive(Debug, thiserror::Error)]
pub enum VisitError {
    /// A status could not be written.
    #[error("the status of the {kind} `{name}` cannot be written")]
    Status {
        /// Kind of the resource.
        kind: String,
        /// Its name.
        name: String,
        /// What the API server says.
        #[source]
        source: Box<kube::Error>,
    },
    /// It is not known what the pods run.
    #[error("the ConfigMap `{name}` with the plan in force cannot be read")]
    Plan {
        /// Its name.
        name: String,
        /// What the API server says.
        #[source]
        source: Box<kube::Error>,
    },
    /// A pod could not be told of a new revision.
    #[error("the pod `{name}` cannot be told of the new revision")]
    Pod {
        /// Its name.
        name: String,
        /// What the API server says.
        #[source]
        source: Box<kube::Error>,
    },
    /// A status has no JSON form.
    #[error("a status cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// Children are not all as they should be; the resources say so.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

/// Visits a Bridge. Returns how long the next visit can wait; `None` when there is nothing left to visit.
pub async fn visit(context: &Context, key: &BridgeKey) -> Result<Option<Duration>, VisitError> {
    let mut around = context.index.lock().neighbourhood(key);
    if around.bridge.is_none() && !knows_all_plans(context, key, &around) {
        return Ok(Some(SOON));
    }
    let in_force = in_force::of(context, key, &around).await?;
    around.take_strays(&context.plans.of_namespace(&key.namespace));
    let secrets = Secrets::of(context, key, &around);
    if secrets.are_coming(context) {
        return Ok(Some(UNSETTLED));
    }
    let present = secrets.present();
    let resources = resources::gather(&around, &present);
    let options = Options { bridge: Some((key.namespace.clone(), key.name.clone())) };
    let rendered = context.rules.with(key, |rules| {
        let before = rules.compiled();
        let rendered = isthmus_plan::render_kept(&resources, &options, rules, in_force.as_deref());
        context.metrics.compiled(rules.compiled() - before);
        rendered
    });
    let diagnoses = Diagnoses::of(&around, &rendered);
    let plan = rendered.plan.map(Arc::new);
    let mut failure = None;
    let mut blocked = blocked(&around, &diagnoses, &secrets);
    let mut fresh = around.children.clone();
    if let (None, Some(bridge), Some(plan)) = (&blocked, bridge_of(&around), &plan) {
        match apply(context, key, bridge, plan, &mut fresh).await {
            Ok(()) => {
                context.applier.succeeded(key);
                pods::tell(context, &around.pods, &plan.revision, &secrets.version()).await?;
                if around.lets_go(plan) {
                    visit_the_lost(context, key);
                }
            }
            // Not worth a word yet: what was said before still holds.
            Err(Failure::Apply(error)) if error.is_passing() && context.applier.failed(key) < PATIENCE => {
                return Err(error.into());
            }
            Err(error) => {
                blocked = Some(Blocked::Failed(verdict_of(&error)));
                failure = Some(error);
            }
        }
    }
    if blocked == Some(Blocked::Missing) {
        context.applier.forget(key);
        context.history.forget(key);
    }
    let answers = observe::ask(&around.pods).await;
    let now = Timestamp::now();
    // What is held back is not asked of the pods: they are compared with it once it is.
    let revisions = match (&blocked, &plan) {
        (None, Some(plan)) => context.history.note(key, plan, now),
        _ => Revisions::default(),
    };
    let judgement = Judgement {
        key,
        revisions,
        rollout: rollout_of(&around, &fresh, key, now),
        blocked,
        answers: &answers,
        plan: plan.as_deref(),
        memory: bridge_of(&around).and_then(|bridge| memory::limit(bridge)),
        outdated: context.cluster.read().outdated.clone(),
        now,
    };
    write::all(context, &around, &diagnoses, &judgement).await?;
    match failure {
        Some(Failure::Apply(error)) => Err(error.into()),
        // It does not become smaller by itself.
        Some(Failure::Build(_)) => Ok(Some(SETTLED)),
        None if around.is_empty() => Ok(None),
        None => Ok(Some(next(&judgement, now))),
    }
}

/// Visits what leads to no Bridge: some of it is run by none any more.
fn visit_the_lost(context: &Context, key: &BridgeKey) {
    let index = context.index.lock();
    for lost in index.keys().into_iter().filter(|lost| lost.namespace == key.namespace && !index.has_bridge(lost)) {
        context.queue.add(lost, SETTLE);
    }
}

/// Whether the plans of all Bridges in the namespace are known. What leads to no Bridge may run in the pods of any.
fn knows_all_plans(context: &Context, key: &BridgeKey, around: &Neighbourhood) -> bool {
    around.bridge_names.iter().all(|name| context.plans.knows(&BridgeKey::new(&key.namespace, name)))
}

fn next(judgement: &Judgement<'_>, now: Timestamp) -> Duration {
    match &judgement.blocked {
        Some(Blocked::Failed(_)) => return UNSETTLED,
        Some(_) => return SETTLED,
        None => {}
    }
    let rolling = judgement.rollout.as_ref().is_some_and(|rollout| rollout.pending.is_some());
    let eager = judgement.revisions.since().is_some_and(|since| now.duration_since(since) < EAGER);
    if judgement.running(Part::Whole).reason == reason::PROGRAMMING && eager {
        SOON
    } else if rolling || judgement.is_unsettled() {
        UNSETTLED
    } else {
        SETTLED
    }
}

/// The Bridge, when its pods are to be looked after.
fn bridge_of(around: &Neighbourhood) -> Option<&Arc<Bridge>> {
    around.bridge.as_ref()?.object().filter(|bridge| bridge.metadata.deletion_timestamp.is_none())
}

/// What keeps changes from the pods, before anything is tried.
fn blocked(around: &Neighbourhood, diagnoses: &Diagnoses, secrets: &Secrets) -> Option<Blocked> {
    let Some(stored) = &around.bridge else { return Some(Blocked::Missing) };
    let Some(bridge) = stored.object() else { return Some(Blocked::Bridge) };
    if bridge.metadata.deletion_timestamp.is_some() {
        return Some(Blocked::Missing);
    }
    if bridge.spec.suspend {
        return Some(Blocked::Suspended);
    }
    if let Some(name) = secrets.unread() {
        let message = format!(
            "The Secret `{name}` has not been read yet. If this stays so, see whether the operator may list and watch Secrets in this namespace."
        );
        return Some(Blocked::Failed(Verdict::unknown(reason::PENDING, message)));
    }
    let found = diagnoses.of_bridge(&bridge.name_any());
    // Pods that run already go on without a Secret that vanished; new ones would only wait for it.
    let exists = around.children.keys().any(|(kind, _)| *kind == ChildKind::Deployment);
    let may_go_on = found.accepted.is_true() && (found.resolved.is_true() || exists);
    (!may_go_on).then_some(Blocked::Bridge)
}

/// Why children are not as they should be.
#[derive(Debug)]
enum Failure {
    Build(BuildError),
    Apply(ApplyError),
}

fn verdict_of(failure: &Failure) -> Verdict {
    match failure {
        Failure::Build(error @ BuildError::PlanTooLarge { .. }) => {
            Verdict::no(reason::PLAN_TOO_LARGE, sentence(&error.to_string()))
        }
        Failure::Build(error) => Verdict::no(reason::APPLY_FAILED, sentence(&error.to_string())),
        Failure::Apply(error @ (ApplyError::NameConflict { .. } | ApplyError::Leftover { .. })) => {
            Verdict::no(reason::NAME_CONFLICT, sentence(&error.to_string()))
        }
        Failure::Apply(error) => Verdict::no(reason::APPLY_FAILED, sentence(&error.to_string())),
    }
}

/// The first letter large, a full stop at the end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

/// Makes the children as they should be and removes those that are not wanted any more. All are tried; the first
/// failure is returned.
async fn apply(
    context: &Context,
    key: &BridgeKey,
    bridge: &Bridge,
    plan: &Arc<Plan>,
    children: &mut BTreeMap<(ChildKind, String), Arc<crate::index::child::Child>>,
) -> Result<(), Failure> {
    let uid = bridge.uid().unwrap_or_default();
    let live = children.get(&(ChildKind::Deployment, key.name.clone())).filter(|live| live.is_owned_by(&uid)).cloned();
    let pod_monitors = context.cluster.read().pod_monitors;
    let inputs = Inputs { bridge, plan, image: &context.image, pod_monitors, live: live.as_deref() };
    let desired = build::children(&inputs).map_err(Failure::Build)?;
    let owner = Owner { key, uid: &uid };
    for desired in &desired {
        let place = (desired.kind, desired.name.clone());
        let live = children.get(&place).cloned();
        let written = context.applier.apply(&context.client, owner, desired, live.as_deref()).await;
        if desired.kind == ChildKind::ConfigMap {
            match &written {
                Ok(_) => context.plans.put(key, &uid, Some(Arc::clone(plan))),
                Err(_) => context.plans.doubt(key),
            }
        }
        let written = written.map_err(Failure::Apply)?;
        if let Some(written) = written {
            context.index.lock().put_child(written.clone());
            children.insert(place, Arc::new(written));
        }
    }
    let unwanted: Vec<_> = children
        .iter()
        .filter(|((kind, name), child)| {
            child.is_owned_by(&uid) && !desired.iter().any(|desired| desired.kind == *kind && desired.name == *name)
        })
        .map(|(place, child)| (place.clone(), Arc::clone(child)))
        .collect();
    for (place, child) in unwanted {
        context.applier.remove(&context.client, owner, &child).await.map_err(Failure::Apply)?;
        // No watch tells of it when its kind is gone from the cluster.
        context.index.lock().remove_child(place.0, &key.namespace, &place.1);
        children.remove(&place);
    }
    Ok(())
}

fn rollout_of(
    around: &Neighbourhood,
    children: &BTreeMap<(ChildKind, String), Arc<crate::index::child::Child>>,
    key: &BridgeKey,
    now: Timestamp,
) -> Option<Rollout> {
    let bridge = bridge_of(around)?;
    let live = children.get(&(ChildKind::Deployment, key.name.clone()));
    let pods: Vec<_> = around.pods.iter().map(AsRef::as_ref).collect();
    Some(rollout(
        bridge.spec.replicas,
        live.map(|live| &live.data),
        live.and_then(|live| live.metadata.generation),
        &pods,
        now,
    ))
}
