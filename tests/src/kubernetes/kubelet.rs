//! A node without containers: what the real kubelet does for a pod, done with a plain process.
//!
//! It binds every new pod to itself, writes its volumes ([`volume`]), starts the program that its
//! image stands for ([`command`]), asks its probes ([`probe`]), restarts what ends ([`container`]),
//! and reports all of it in the pod's status ([`pod`]). Each pod has a loopback address of its own
//! ([`address`]).

pub mod address;
pub mod command;
pub mod container;
pub mod pod;
pub mod probe;
pub mod volume;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::List;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::container::Handle;
use super::{Api, ControlPlane};
use crate::{Result, guard};

/// How soon the API server is asked again when it does not answer.
const RETRY: Duration = Duration::from_millis(200);
/// The name of the one node.
const NAME: &str = "node";

/// The node's agent. Dropping it kills the processes of its pods.
pub struct Kubelet(Arc<Node>);

/// What the threads of the pods share.
pub struct Node {
    api: Api,
    images: BTreeMap<String, PathBuf>,
    stopping: AtomicBool,
    processes: Mutex<BTreeMap<(String, String, String), Handle>>,
    notes: Mutex<Vec<String>>,
    folder: TempDir,
}

impl Kubelet {
    /// Starts the agent of a node that knows these images, each with the program that it stands for.
    pub fn start(control_plane: &ControlPlane, images: BTreeMap<String, PathBuf>) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("isthmus-node-").tempdir()?;
        guard::remove(folder.path())?;
        let api = Api::start(&control_plane.credentials().kubeconfig("node")?)?;
        let ready = json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "a test's node"});
        let node =
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME}, "status": {"conditions": [ready]}});
        api.create("/api/v1/nodes", &node)?.object::<Value>()?;
        let node = Arc::new(Node {
            api,
            images,
            stopping: AtomicBool::new(false),
            processes: Mutex::default(),
            notes: Mutex::default(),
            folder,
        });
        let watching = Arc::clone(&node);
        thread::Builder::new().name("kubelet".to_owned()).spawn(move || watch(&watching))?;
        Ok(Self(node))
    }

    /// The process of a container.
    pub fn process(&self, namespace: &str, pod: &str, container: &str) -> Result<Handle> {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned());
        self.0.processes().get(&key).cloned().with_context(|| format!("{pod} never ran here"))
    }

    /// What went wrong on the node, and what the processes of a namespace print.
    pub fn log(&self, namespace: &str) -> String {
        let mut log = lock(&self.0.notes).clone();
        for ((_, pod, container), handle) in self.0.processes().iter().filter(|(key, _)| key.0 == namespace) {
            if let Some(process) = container::lock(handle).as_ref() {
                log.push(format!("--- {pod}/{container}\n{}", process.output()));
            }
        }
        log.join("\n")
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        for handle in self.0.processes().values() {
            drop(container::lock(handle).take());
        }
    }
}

impl Node {
    fn api(&self) -> &Api {
        &self.api
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn program(&self, image: &str) -> Option<&Path> {
        self.images.get(image).map(PathBuf::as_path)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn note(&self, text: &str) {
        let mut notes = lock(&self.notes);
        if notes.last().is_none_or(|last| last != text) {
            notes.push(text.to_owned());
        }
    }

    fn processes(&self) -> MutexGuard<'_, BTreeMap<(String, String, String), Handle>> {
        lock(&self.processes)
    }

    fn register(&self, pod: &Pod, container: &str, handle: &Handle) {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let name = pod.metadata.name.clone().unwrap_or_default();
        self.processes().insert((namespace, name, container.to_owned()), Arc::clone(handle));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows the pods of the cluster until the node stops.
fn watch(node: &Arc<Node>) {
    let mut pods = BTreeMap::new();
    while !node.is_stopping() {
        if let Err(error) = follow(node, &mut pods) {
            node.note(&format!("pods: {error:#}"));
            thread::sleep(RETRY);
        }
    }
}

fn follow(node: &Arc<Node>, pods: &mut BTreeMap<String, Sender<Pod>>) -> Result<()> {
    let list: List<Pod> = node.api.get("/api/v1/pods")?.object()?;
    let uid = |pod: &Pod| pod.metadata.uid.clone().unwrap_or_default();
    pods.retain(|known, _| list.items.iter().any(|pod| uid(pod) == *known));
    for pod in list.items {
        see(node, pods, pod);
    }
    let version = list.metadata.resource_version.context("a list without a version")?;
    node.api.watch("/api/v1/pods", &version, |kind, object| match serde_json::from_value::<Pod>(object) {
        Ok(pod) if kind == "DELETED" => drop(pods.remove(&uid(&pod))),
        Ok(pod) if matches!(kind, "ADDED" | "MODIFIED") => see(node, pods, pod),
        other => node.note(&format!("{kind}: {other:?}")),
    })
}

/// A pod as it is now: bound to the node if it is new, then handed to its thread.
fn see(node: &Arc<Node>, pods: &mut BTreeMap<String, Sender<Pod>>, pod: Pod) {
    if let Err(error) = take(node, pods, pod) {
        node.note(&format!("{error:#}"));
    }
}

fn take(node: &Arc<Node>, pods: &mut BTreeMap<String, Sender<Pod>>, pod: Pod) -> Result<()> {
    let uid = pod.metadata.uid.clone().context("a pod without a uid")?;
    if pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none()) {
        return bind(node, &pod);
    }
    if let Some(known) = pods.get(&uid) {
        // A thread that has ended is told in vain.
        let _ = known.send(pod);
        return Ok(());
    }
    let name = pod.metadata.name.clone().unwrap_or_default();
    let running = pod::Running::new(Arc::clone(node), pod).with_context(|| name.clone())?;
    let (sender, updates) = channel();
    thread::Builder::new().name(name).spawn(move || running.run(&updates))?;
    pods.insert(uid, sender);
    Ok(())
}

/// What a scheduler would do.
fn bind(node: &Node, pod: &Pod) -> Result<()> {
    let name = pod.metadata.name.as_deref().context("a pod without a name")?;
    let namespace = pod.metadata.namespace.as_deref().context("a pod without a namespace")?;
    let target = json!({"apiVersion": "v1", "kind": "Node", "name": NAME});
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target});
    let answer = node.api.create(&format!("/api/v1/namespaces/{namespace}/pods/{name}/binding"), &binding)?;
    // It may be bound already, or gone.
    if answer.code != 409 && answer.code != 404 {
        answer.object::<Value>()?;
    }
    Ok(())
}
