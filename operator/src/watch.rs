//! Watches on the API server that keep the index up to date and ask for visits.
//!
//! A watch never ends: when the connection is lost, refused or too old it starts over, with more and more patience.
//! After a list, what is not in it any more is forgotten.

pub mod secrets;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _};
use isthmus_api::{Bridge, Connector, Rule, Sink, Source};
use k8s_openapi::api::core::v1 as core;
use kube::{
    Api, Client, Resource,
    core::DynamicObject,
    runtime::{
        WatchStreamExt as _,
        utils::Backoff,
        watcher::{self, Config, DefaultBackoff, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::{
    context::{SETTLE, SharedIndex, Visits},
    index::{
        BridgeKey, Index,
        child::{Child, ChildKind},
        pod::Pod,
        resource::{Kind, Stored},
    },
    names,
};

/// Where to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere.
    Cluster,
    /// In these namespaces.
    Namespaces(Vec<String>),
}

/// Watches that have not listed everything yet.
#[derive(Debug, Clone, Default)]
pub struct Unsynced(Arc<AtomicUsize>);

impl Unsynced {
    /// How many.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// All that watches need.
#[derive(Clone)]
pub struct Watches {
    /// Client of the API server.
    pub client: Client,
    /// Where to watch.
    pub scope: Scope,
    /// What is kept up to date.
    pub index: SharedIndex,
    /// Who is told.
    pub queue: Visits,
    /// Which of them are not through yet.
    pub unsynced: Unsynced,
}

/// What a watch does with what it is told.
trait Feed: Send + 'static {
    type Object: Resource + DeserializeOwned + Clone + std::fmt::Debug + Send + Sync;
    fn put(index: &mut Index, kind: ChildKind, object: Self::Object) -> BTreeSet<BridgeKey>;
    fn remove(index: &mut Index, kind: ChildKind, namespace: &str, name: &str) -> BTreeSet<BridgeKey>;
    fn names(index: &mut Index, kind: ChildKind) -> BTreeSet<(String, String)>;
}

struct Resources<K>(std::marker::PhantomData<K>);
struct Children;
struct Pods;

impl<K: Kind> Feed for Resources<K> {
    type Object = DynamicObject;

    fn put(index: &mut Index, _: ChildKind, object: DynamicObject) -> BTreeSet<BridgeKey> {
        index.put(&Stored::<K>::read(object))
    }

    fn remove(index: &mut Index, _: ChildKind, namespace: &str, name: &str) -> BTreeSet<BridgeKey> {
        index.remove::<K>(namespace, name)
    }

    fn names(index: &mut Index, _: ChildKind) -> BTreeSet<(String, String)> {
        index.names::<K>()
    }
}

impl Feed for Children {
    type Object = DynamicObject;

    fn put(index: &mut Index, kind: ChildKind, object: DynamicObject) -> BTreeSet<BridgeKey> {
        index.put_child(Child::read(kind, object)).into_iter().collect()
    }

    fn remove(index: &mut Index, kind: ChildKind, namespace: &str, name: &str) -> BTreeSet<BridgeKey> {
        index.remove_child(kind, namespace, name).into_iter().collect()
    }

    fn names(index: &mut Index, kind: ChildKind) -> BTreeSet<(String, String)> {
        index.child_names(kind)
    }
}

impl Feed for Pods {
    type Object = core::Pod;

    fn put(index: &mut Index, _: ChildKind, pod: core::Pod) -> BTreeSet<BridgeKey> {
        Pod::read(&pod).and_then(|pod| index.put_pod(pod)).into_iter().collect()
    }

    fn remove(index: &mut Index, _: ChildKind, namespace: &str, name: &str) -> BTreeSet<BridgeKey> {
        index.remove_pod(namespace, name).into_iter().collect()
    }

    fn names(index: &mut Index, _: ChildKind) -> BTreeSet<(String, String)> {
        index.pod_names()
    }
}

impl Watches {
    /// Starts the watches that every cluster needs. They end with the returned set.
    pub fn start(&self, tasks: &mut JoinSet<()>) {
        self.resources::<Bridge>(tasks);
        self.resources::<Connector>(tasks);
        self.resources::<Sink>(tasks);
        self.resources::<Source>(tasks);
        self.resources::<Rule>(tasks);
        for kind in ChildKind::BUILT_IN {
            self.children(kind, tasks);
        }
        for namespace in self.namespaces() {
            let api = match &namespace {
                Some(namespace) => Api::<core::Pod>::namespaced(self.client.clone(), namespace),
                None => Api::all(self.client.clone()),
            };
            self.spawn::<Pods>(api, ours(), ChildKind::Deployment, namespace, "Pod", tasks);
        }
    }

    /// Starts the watch on one kind of child.
    pub fn children(&self, kind: ChildKind, tasks: &mut JoinSet<()>) {
        for namespace in self.namespaces() {
            let api = self.api(&kind.resource(), namespace.as_deref());
            self.spawn::<Children>(api, ours(), kind, namespace, kind.name(), tasks);
        }
    }

    fn resources<K: Kind>(&self, tasks: &mut JoinSet<()>) {
        let resource = kube::core::ApiResource::erase::<K>(&());
        for namespace in self.namespaces() {
            let api = self.api(&resource, namespace.as_deref());
            let kind: String = K::kind(&()).into_owned();
            self.spawn::<Resources<K>>(api, Config::default(), ChildKind::Deployment, namespace, &kind, tasks);
        }
    }

    fn namespaces(&self) -> Vec<Option<String>> {
        match &self.scope {
            Scope::Cluster => vec![None],
            Scope::Namespaces(names) => names.iter().cloned().map(Some).collect(),
        }
    }

    fn api(&self, resource: &kube::core::ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        }
    }

    fn spawn<F: Feed>(
        &self,
        api: Api<F::Object>,
        config: Config,
        kind: ChildKind,
        namespace: Option<String>,
        what: &str,
        tasks: &mut JoinSet<()>,
    ) {
        self.unsynced.0.fetch_add(1, Ordering::AcqRel);
        let watches = self.clone();
        let what = what.to_owned();
        tasks.spawn(async move { watches.follow::<F>(api, config, kind, namespace, &what).await });
    }

    async fn follow<F: Feed>(
        &self,
        api: Api<F::Object>,
        config: Config,
        kind: ChildKind,
        namespace: Option<String>,
        what: &str,
    ) {
        let mut events = watcher::watcher(api, config).backoff(Patience::default()).boxed();
        let mut listed: BTreeSet<(String, String)> = BTreeSet::new();
        let mut synced = false;
        loop {
            let event = match events.try_next().await {
                Ok(Some(event)) => event,
                // The stream of a watch does not end by itself.
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(kind = what, namespace = namespace.as_deref(), %error, "a watch is interrupted and starts over");
                    continue;
                }
            };
            let mut keys = BTreeSet::new();
            {
                let mut index = self.index.lock();
                match event {
                    Event::Init => listed.clear(),
                    Event::InitApply(object) => {
                        listed.insert(name_of(&object));
                        keys = F::put(&mut index, kind, object);
                    }
                    Event::Apply(object) => keys = F::put(&mut index, kind, object),
                    Event::Delete(object) => {
                        let (namespace, name) = name_of(&object);
                        keys = F::remove(&mut index, kind, &namespace, &name);
                    }
                    Event::InitDone => {
                        for (in_namespace, name) in F::names(&mut index, kind).difference(&listed) {
                            if namespace.as_ref().is_none_or(|namespace| namespace == in_namespace) {
                                keys.append(&mut F::remove(&mut index, kind, in_namespace, name));
                            }
                        }
                        listed = BTreeSet::new();
                        if !synced {
                            synced = true;
                            self.unsynced.0.fetch_sub(1, Ordering::AcqRel);
                        }
                    }
                }
            }
            for key in keys {
                self.queue.add(key, SETTLE);
            }
        }
    }
}

/// More and more patience with an API server that is away or busy, but not so much that changes wait long once it is back.
#[derive(Default)]
struct Patience(DefaultBackoff);

/// The longest pause before a watch starts over.
const LONGEST: Duration = Duration::from_secs(10);

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|pause| pause.min(LONGEST))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.0.reset();
    }
}

fn ours() -> Config {
    Config::default().labels(&format!("{}={}", names::MANAGED_BY, names::MANAGER))
}

fn name_of<K: Resource>(object: &K) -> (String, String) {
    let meta = object.meta();
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}
