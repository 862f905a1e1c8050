//! Watches on single Secrets, those that resources refer to and no others. Of each, the names of its keys and its
//! version are kept; values are dropped as soon as they are received.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1 as core;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Config, Event},
    },
};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    context::{SETTLE, SharedIndex, Visits},
    index::{
        BridgeKey,
        secret::{Secret, SecretName},
    },
};

/// The Secrets that are watched, and for which Bridges.
pub struct SecretWatches {
    client: Client,
    index: SharedIndex,
    queue: Visits,
    tasks: TaskTracker,
    stop: CancellationToken,
    needed: Arc<Mutex<HashMap<SecretName, Watched>>>,
}

#[derive(Debug)]
struct Watched {
    by: BTreeSet<BridgeKey>,
    since: Instant,
    stop: CancellationToken,
}

impl SecretWatches {
    /// Watches nothing yet. All watches end with `stop`.
    pub fn new(client: Client, index: SharedIndex, queue: Visits, stop: CancellationToken) -> Self {
        Self { client, index, queue, tasks: TaskTracker::new(), stop, needed: Arc::default() }
    }

    /// A Bridge needs these Secrets and no others.
    pub fn need(&self, key: &BridgeKey, names: &BTreeSet<SecretName>) {
        let mut needed = self.needed.lock();
        for name in names {
            if let Some(watched) = needed.get_mut(name) {
                watched.by.insert(key.clone());
                continue;
            }
            let stop = self.stop.child_token();
            let watched = Watched { by: BTreeSet::from([key.clone()]), since: Instant::now(), stop: stop.clone() };
            needed.insert(name.clone(), watched);
            self.start(name.clone(), stop);
        }
        needed.retain(|name, watched| {
            if !names.contains(name) {
                watched.by.remove(key);
            }
            let keep = !watched.by.is_empty();
            if !keep {
                watched.stop.cancel();
                self.index.lock().forget_secret(name);
            }
            keep
        });
    }

    /// Since when a Secret is watched.
    pub fn since(&self, name: &SecretName) -> Option<Instant> {
        self.needed.lock().get(name).map(|watched| watched.since)
    }

    fn start(&self, name: SecretName, stop: CancellationToken) {
        let follow = follow(
            self.client.clone(),
            Arc::clone(&self.index),
            Arc::clone(&self.queue),
            Arc::clone(&self.needed),
            name,
        );
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = follow => {}
            }
        });
    }
}

async fn follow(
    client: Client,
    index: SharedIndex,
    queue: Visits,
    needed: Arc<Mutex<HashMap<SecretName, Watched>>>,
    name: SecretName,
) {
    let api: Api<core::Secret> = Api::namespaced(client, &name.0);
    let config = Config::default().fields(&format!("metadata.name={}", name.1));
    let mut events = watcher::watcher(api, config).backoff(super::Patience::default()).boxed();
    let mut seen = None;
    loop {
        let told = match events.try_next().await {
            Ok(Some(Event::Init)) => {
                seen = None;
                continue;
            }
            Ok(Some(Event::InitApply(secret))) => {
                seen = Some(read(secret));
                continue;
            }
            Ok(Some(Event::InitDone)) => seen.take().unwrap_or(Secret::Absent),
            Ok(Some(Event::Apply(secret))) => read(secret),
            Ok(Some(Event::Delete(_))) => Secret::Absent,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(namespace = name.0, secret = name.1, %error, "the watch on a secret is interrupted and starts over");
                continue;
            }
        };
        if index.lock().put_secret(name.clone(), &told) {
            let keys = needed.lock().get(&name).map(|watched| watched.by.clone()).unwrap_or_default();
            for key in keys {
                queue.add(key, SETTLE);
            }
        }
    }
}

/// Names of keys and the version; the values end here.
fn read(secret: core::Secret) -> Secret {
    Secret::Present {
        keys: secret.data.unwrap_or_default().into_keys().collect(),
        version: secret.metadata.resource_version.unwrap_or_default(),
    }
}
