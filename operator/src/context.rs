//! What all visits share.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kube::{Client, runtime::events::Recorder};
use parking_lot::{Mutex, RwLock};

use crate::{
    apply::Applier,
    build::RuntimeImage,
    figures,
    history::History,
    in_force::PlansInForce,
    index::{BridgeKey, Index},
    kept::KeptRules,
    metrics::Metrics,
    queue::Queue,
    watch::secrets::SecretWatches,
};

/// Changes that come together, as `kubectl apply` of one file sends them, are one visit.
pub const SETTLE: Duration = Duration::from_millis(30);

/// The index, shared by watches and visits. It is never locked across an await.
pub type SharedIndex = Arc<Mutex<Index>>;

/// The queue of visits.
pub type Visits = Arc<Queue<BridgeKey>>;

/// What all visits share.
pub struct Context {
    /// Client of the API server.
    pub client: Client,
    /// What the API server holds.
    pub index: SharedIndex,
    /// What to visit next.
    pub queue: Visits,
    /// Watches on the Secrets that are used.
    pub secrets: SecretWatches,
    /// Applies children.
    pub applier: Applier,
    /// When figures were told.
    pub figures: figures::Memory,
    /// Compiled Rules.
    pub rules: KeptRules,
    /// What the pods run.
    pub plans: PlansInForce,
    /// What the last revisions held.
    pub history: History,
    /// Publishes events.
    pub recorder: Recorder,
    /// Our own figures.
    pub metrics: Metrics,
    /// What the pods of Bridges run.
    pub image: RuntimeImage,
    /// What was found out about the cluster.
    pub cluster: RwLock<Cluster>,
}

/// What was found out about the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Whether it knows `PodMonitor`.
    pub pod_monitors: bool,
    /// Kinds whose definition is older than ours, with what it lacks.
    pub outdated: BTreeMap<String, String>,
}
