//! Where one test lives: a namespace of its own on a shared control plane.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use serde_json::{Value, json};

use super::{ControlPlane, Kubectl, Pod};
use crate::Result;
use crate::condition::eventually;
use crate::manifest::{self, Resource};

/// How long the controllers may take to furnish a new namespace.
const FURNISHED: Duration = Duration::from_secs(60);

/// Requests at the same time where there are thousands.
const AT_ONCE: usize = 8;

/// A namespace that allows only pods of the `restricted` security standard.
pub struct Namespace<'a> {
    control_plane: &'a ControlPlane,
    name: String,
    kubectl: Kubectl,
}

impl<'a> Namespace<'a> {
    /// Creates one whose name starts with `stem`, and waits until pods can be created in it.
    pub fn create(control_plane: &'a ControlPlane, stem: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{stem}-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": &name, "labels": labels}});
        control_plane.api().create("/api/v1/namespaces", &namespace)?.object::<Value>()?;
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        eventually("the namespace has its default service account", FURNISHED, || {
            let answer = control_plane.api().get(&account)?;
            if answer.code == 200 { Ok(()) } else { Err(anyhow!("{}", answer.body)) }
        })?;
        Ok(Self::attach(control_plane, &name))
    }

    /// One that exists.
    pub fn attach(control_plane: &'a ControlPlane, name: &str) -> Self {
        Self { control_plane, name: name.to_owned(), kubectl: control_plane.kubectl().in_namespace(name) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The control plane it is on.
    pub fn control_plane(&self) -> &'a ControlPlane {
        self.control_plane
    }

    /// `kubectl` in this namespace, as an administrator.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// `kubectl apply` of these resources.
    pub fn apply(&self, resources: &[Resource]) -> Result<String> {
        self.kubectl.apply(&manifest::documents(resources))
    }

    /// Creates these resources, several at a time: `kubectl` takes minutes for thousands.
    pub fn create_all(&self, resources: &[Resource]) -> Result<()> {
        let create = |resource: &Resource| -> Result<()> {
            let path = format!("/apis/isthmus.dev/v1alpha1/namespaces/{}/{}", self.name, resource.plural());
            self.control_plane.api().create(&path, &resource.object())?.object::<Value>()?;
            Ok(())
        };
        let share = resources.len().div_ceil(AT_ONCE).max(1);
        thread::scope(|scope| {
            let threads: Vec<_> =
                resources.chunks(share).map(|share| scope.spawn(move || share.iter().try_for_each(create))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
        })
    }

    /// An object of one of our kinds as it is now (`object("bridges", "fleet")`).
    pub fn object(&self, plural: &str, name: &str) -> Result<Value> {
        self.read(&format!("/apis/isthmus.dev/v1alpha1/namespaces/{}/{plural}/{name}", self.name))
    }

    /// All objects of one of our kinds as they are now.
    pub fn objects(&self, plural: &str) -> Result<Vec<Value>> {
        let mut list = self.read(&format!("/apis/isthmus.dev/v1alpha1/namespaces/{}/{plural}", self.name))?;
        serde_json::from_value(list["items"].take()).context("not a list")
    }

    /// An object or list of another kind (`other("apps/v1", "deployments/fleet")`).
    pub fn other(&self, group_version: &str, rest: &str) -> Result<Value> {
        let root = if group_version.contains('/') { "apis" } else { "api" };
        self.read(&format!("/{root}/{group_version}/namespaces/{}/{rest}", self.name))
    }

    /// A condition of one of our objects as it is now.
    pub fn condition(&self, plural: &str, name: &str, kind: &str) -> Result<Value> {
        let object = self.object(plural, name)?;
        let conditions = object["status"]["conditions"].as_array();
        let found = conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
        found.cloned().with_context(|| format!("no condition {kind}: {}", object["status"]))
    }

    /// Waits until a condition of one of our objects has this status for the newest generation, and returns it.
    pub fn wait_for(
        &self,
        plural: &str,
        name: &str,
        kind: &str,
        status: &str,
        within: Duration,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        eventually(&format!("{plural} {name} has {kind}={status}"), within, || {
            let object = self.object(plural, name)?;
            let conditions = object["status"]["conditions"].as_array();
            let condition = conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
            let condition = condition.with_context(|| format!("no {kind}: {:#}", object["status"]))?;
            let newest = condition["observedGeneration"] == object["metadata"]["generation"];
            ensure!(newest && condition["status"] == status && is_so(condition), "{:#}", object["status"]);
            Ok(condition.clone())
        })
    }

    /// The pods, once exactly so many exist and all are ready.
    pub fn pods(&self, count: usize, within: Duration) -> Result<Vec<Pod>> {
        eventually(&format!("there are {count} pods, all ready"), within, || {
            let list = self.other("v1", "pods")?;
            let items = list["items"].as_array().context("not a list")?;
            let ready: Vec<Pod> = items.iter().filter_map(Pod::ready).collect();
            ensure!(items.len() == count && ready.len() == count, "{:#}", list["items"]);
            Ok(ready)
        })
    }

    fn read(&self, path: &str) -> Result<Value> {
        self.control_plane.api().get(path)?.object()
    }
}
