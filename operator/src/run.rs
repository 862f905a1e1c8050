//! Wiring: from the command line to watches, workers and the admin port, and back down when asked to stop.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::{
    Client, Config,
    runtime::events::{Recorder, Reporter},
};
use parking_lot::RwLock;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{
    admin,
    args::Args,
    client,
    context::{Context, SharedIndex, Visits},
    crd::{self, Found},
    index::child::ChildKind,
    lease::Election,
    metrics::Metrics,
    names,
    signals::Signals,
    visit::visit,
    watch::{Unsynced, Watches, secrets::SecretWatches},
};

/// Visits at the same time.
const WORKERS: usize = 4;
/// How often the cluster is looked at for definitions and optional kinds.
const LOOK: Duration = Duration::from_secs(20);
/// The same while definitions are missing.
const WAIT: Duration = Duration::from_secs(2);
/// How long visits may take to end.
const FAREWELL: Duration = Duration::from_secs(10);

/// How far the start is.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    waiting: Arc<RwLock<Option<String>>>,
    unsynced: Unsynced,
}

impl Progress {
    /// What is missing before visits can begin.
    pub fn missing(&self) -> Option<String> {
        if let Some(waiting) = &*self.waiting.read() {
            return Some(waiting.clone());
        }
        match self.unsynced.count() {
            0 => None,
            count => Some(format!("{count} watches have not listed everything yet")),
        }
    }

    fn wait_for(&self, what: Option<String>) {
        *self.waiting.write() = what;
    }
}

/// Runs until a signal.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let signals = Signals::listen().context("signals cannot be received")?;
    let metrics = Metrics::default();
    let config = Config::infer()
        .await
        .context("there is no cluster to talk to: neither a kubeconfig nor a service account of a pod is found")?;
    let client = client::build(config, metrics.clone()).context("the client of the API server cannot be made")?;
    let progress = Progress::default();
    progress.wait_for(Some("the API server has not been asked yet".to_owned()));
    let stop = CancellationToken::new();
    let listener = admin::bind(args.admin).await?;
    let told = admin::Told { progress: progress.clone(), metrics: metrics.clone() };
    let serving = tokio::spawn(admin::serve(listener, told, stop.clone()));
    tracing::info!(address = %args.admin, version = env!("CARGO_PKG_VERSION"), "admin port");

    let mut work = tokio::spawn(work(args, client, metrics, progress, stop.clone()));
    let ended = tokio::select! {
        () = signals.stop() => {
            tracing::info!("stopping");
            stop.cancel();
            work.await
        }
        ended = &mut work => ended,
    };
    stop.cancel();
    serving.await??;
    ended?
}

/// Everything between the start and the signal.
async fn work(
    args: Args,
    client: Client,
    metrics: Metrics,
    progress: Progress,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(cluster) = stop.run_until_cancelled(definitions(&client, &progress)).await else { return Ok(()) };
    let identity = args.identity.clone().unwrap_or_else(|| format!("{}-{}", names::MANAGER, std::process::id()));
    let index = SharedIndex::default();
    let queue = Visits::default();
    let watches = Watches {
        client: client.clone(),
        scope: args.scope(),
        index: Arc::clone(&index),
        queue: Arc::clone(&queue),
        unsynced: progress.unsynced.clone(),
    };
    let mut tasks = JoinSet::new();
    watches.start(&mut tasks);
    let has_pod_monitors = cluster.pod_monitors;
    if has_pod_monitors {
        watches.children(ChildKind::PodMonitor, &mut tasks);
    }
    progress.wait_for(None);
    let reporter = Reporter { controller: names::MANAGER.to_owned(), instance: Some(identity.clone()) };
    let context = Arc::new(Context {
        client: client.clone(),
        secrets: SecretWatches::new(client.clone(), Arc::clone(&index), Arc::clone(&queue), stop.clone()),
        index,
        queue,
        applier: crate::apply::Applier::default(),
        figures: crate::figures::Memory::default(),
        rules: crate::kept::KeptRules::default(),
        plans: crate::in_force::PlansInForce::default(),
        history: crate::history::History::default(),
        recorder: Recorder::new(client.clone(), reporter),
        metrics,
        image: args.image(),
        cluster: RwLock::new(cluster),
    });
    tasks.spawn(keep_looking(Arc::clone(&context), watches, has_pod_monitors));
    tasks.spawn(census(Arc::clone(&context)));
    let election = Election::join(client, &args.namespace, &identity).await.context("the Lease cannot be used")?;
    lead(&context, election, &progress, &stop).await;
    tasks.shutdown().await;
    Ok(())
}

/// Waits until the cluster has our definitions.
async fn definitions(client: &Client, progress: &Progress) -> crate::context::Cluster {
    loop {
        let why = match crd::look(client).await {
            Ok(Found::All(cluster)) => return cluster,
            Ok(Found::Missing(names)) => format!(
                "the cluster does not have the definitions {}: install the chart isthmus-crds, or apply crds/yaml",
                names.join(", ")
            ),
            Err(error) => format!("the API server does not tell which definitions it has: {error}"),
        };
        tracing::warn!("waiting: {why}");
        progress.wait_for(Some(why));
        tokio::time::sleep(WAIT).await;
    }
}

/// Looks at the cluster now and then: definitions are upgraded, and Prometheus is installed, while we run.
async fn keep_looking(context: Arc<Context>, watches: Watches, mut has_pod_monitors: bool) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::time::sleep(LOOK).await;
        let uids = context.index.lock().uids();
        context.figures.retain(|uid| uids.contains(uid));
        match crd::look(&context.client).await {
            Ok(Found::All(cluster)) => {
                if cluster.pod_monitors && !has_pod_monitors {
                    has_pod_monitors = true;
                    watches.children(ChildKind::PodMonitor, &mut tasks);
                }
                let changed = *context.cluster.read() != cluster;
                if changed {
                    *context.cluster.write() = cluster;
                    visit_all(&context);
                }
            }
            Ok(Found::Missing(names)) => {
                tracing::warn!(definitions = names.join(", "), "the cluster has lost definitions: apply them again");
            }
            Err(error) => tracing::warn!(%error, "the API server does not tell which definitions it has"),
        }
    }
}

/// Counts resources and conditions for the metrics.
async fn census(context: Arc<Context>) {
    loop {
        context.metrics.queue(context.queue.depth());
        {
            let index = context.index.lock();
            let counts = index.counts();
            context.metrics.census(&counts, &index.conditions());
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

fn visit_all(context: &Context) {
    let keys = context.index.lock().keys();
    for key in keys {
        context.queue.add(key, Duration::ZERO);
    }
}

/// Works while the Lease is ours, until `stop`.
async fn lead(context: &Arc<Context>, mut election: Election, progress: &Progress, stop: &CancellationToken) {
    loop {
        let leading = election.leading.borrow_and_update().to_owned();
        context.metrics.lead(leading);
        let over = if leading {
            tracing::info!("this operator leads");
            let term = stop.child_token();
            let workers = tokio::spawn(work_off(Arc::clone(context), progress.clone(), term.clone()));
            let over = tokio::select! {
                () = stop.cancelled() => true,
                changed = election.leading.changed() => changed.is_err(),
            };
            term.cancel();
            if tokio::time::timeout(FAREWELL, workers).await.is_err() {
                tracing::warn!("visits did not end in time");
            }
            context.rules.clear();
            context.plans.clear();
            over
        } else {
            tokio::select! {
                () = stop.cancelled() => true,
                changed = election.leading.changed() => changed.is_err(),
            }
        };
        if over {
            break;
        }
    }
    context.metrics.lead(false);
    election.leave().await;
}

/// Visits what the queue hands out, until the term is over.
async fn work_off(context: Arc<Context>, progress: Progress, term: CancellationToken) {
    while progress.missing().is_some() {
        tokio::select! {
            () = term.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
    visit_all(&context);
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (context, term) = (Arc::clone(&context), term.clone());
        workers.spawn(async move {
            while let Some(key) = term.run_until_cancelled(context.queue.next()).await {
                let begun = Instant::now();
                let span = tracing::info_span!("visit", bridge = %key, otel.status_description = tracing::field::Empty);
                let result = term.run_until_cancelled(visit(&context, &key).instrument(span.clone())).await;
                let kind = if context.index.lock().has_bridge(&key) { "Bridge" } else { "Orphans" };
                match result {
                    None => {
                        // The term is over in the middle of it: whoever leads next starts with all of them.
                        context.queue.done(key, Some(Duration::ZERO));
                        return;
                    }
                    Some(Ok(again)) => {
                        context.metrics.visited(kind, true, begun.elapsed());
                        tracing::debug!(bridge = %key, took = ?begun.elapsed(), ?again, "visited");
                        context.queue.done(key, again);
                    }
                    Some(Err(error)) => {
                        context.metrics.visited(kind, false, begun.elapsed());
                        let again = context.queue.failed(key.clone());
                        let error = anyhow::Error::new(error);
                        span.record("otel.status_description", format!("{error:#}"));
                        tracing::warn!(bridge = %key, ?again, "a visit failed: {error:#}");
                    }
                }
            }
        });
    }
    while workers.join_next().await.is_some() {}
}
