//! One pod on the node, from its binding to its removal. Each has a thread of its own.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LifecycleHandler, Pod};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::Node;
use super::address::Address;
use super::command::{self, Place};
use super::container::{self, Container};
use super::probe;
use super::volume::Volume;
use crate::Result;

/// How often processes are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How often volumes are looked at when nothing happens to the pod, as on a real node.
const VOLUMES: Duration = Duration::from_secs(60);
/// How soon a pod without all its volumes is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// A pod and what runs for it.
pub struct Running {
    node: Arc<Node>,
    pod: Pod,
    address: Address,
    started: Timestamp,
    folder: PathBuf,
    volumes: Vec<Volume>,
    refresh: Instant,
    mounted: bool,
    containers: Vec<Container>,
    farewell: Option<Farewell>,
    reported: Value,
}

/// The end of a pod that is being deleted.
struct Farewell {
    /// When the processes are asked to end: after `preStop`.
    ask: Instant,
    asked: bool,
    /// When they are killed.
    deadline: Instant,
}

impl Running {
    /// Takes the pod in. Its volumes and containers follow with the first steps.
    pub fn new(node: Arc<Node>, pod: Pod) -> Result<Self> {
        let spec = pod.spec.as_ref().context("a pod without a spec")?;
        let folder = node.folder().join(pod.metadata.uid.as_deref().context("a pod without a uid")?);
        fs::create_dir_all(&folder)?;
        let volumes = spec.volumes.iter().flatten();
        let volumes = volumes.map(|volume| Volume::create(volume, &folder.join("volumes"))).collect::<Result<_>>()?;
        let containers: Vec<_> = spec.containers.iter().cloned().map(Container::new).collect();
        for container in &containers {
            node.register(&pod, &container.spec.name, &container.process);
        }
        Ok(Self {
            node,
            address: Address::take()?,
            started: Timestamp::now(),
            folder,
            volumes,
            refresh: Instant::now(),
            mounted: false,
            containers,
            farewell: None,
            reported: Value::Null,
            pod,
        })
    }

    /// Looks after the pod until its object is gone, which closes `updates`.
    pub fn run(mut self, updates: &Receiver<Pod>) {
        loop {
            match updates.recv_timeout(TICK) {
                Ok(pod) => {
                    self.pod = pod;
                    // What a change of the pod is for: volumes follow at once.
                    self.refresh = Instant::now();
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.node.is_stopping() {
                break;
            }
            if let Err(error) = self.step() {
                // The API server may be away: a test does that. The next step tries again.
                self.node.note(&format!("{}: {error:#}", self.name()));
            }
        }
        for container in &self.containers {
            drop(container::lock(&container.process).take());
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            self.node.note(&format!("{}: {error}", self.folder.display()));
        }
    }

    fn step(&mut self) -> Result<()> {
        if let Some(grace) = self.pod.metadata.deletion_timestamp.as_ref().map(|_| self.grace()) {
            return self.end(grace);
        }
        let volumes = self.follow_volumes();
        for index in 0..self.containers.len() {
            if self.mounted && self.containers[index].is_due() {
                self.start(index)?;
            }
            self.containers[index].look_after()?;
        }
        self.report()?;
        volumes
    }

    fn follow_volumes(&mut self) -> Result<()> {
        if Instant::now() < self.refresh {
            return Ok(());
        }
        self.refresh = Instant::now() + if self.mounted { VOLUMES } else { RETRY };
        let namespace = self.pod.metadata.namespace.as_deref().context("a pod without a namespace")?;
        for volume in &mut self.volumes {
            volume.refresh(self.node.api(), namespace)?;
        }
        if !self.mounted {
            self.mounted = true;
            self.refresh = Instant::now() + VOLUMES;
        }
        Ok(())
    }

    fn start(&mut self, index: usize) -> Result<()> {
        let container = &mut self.containers[index];
        let image = container.spec.image.as_deref().unwrap_or_default();
        let Some(program) = self.node.program(image) else {
            let message = format!("Back-off pulling image {image:?}: not found");
            container.wait("ImagePullBackOff", message);
            return Ok(());
        };
        let ip = self.address.ip();
        let root = self.folder.join(&container.spec.name);
        fs::create_dir_all(&root)?;
        let place = Place { program, root: &root, ip };
        let command = command::command(&self.pod, &container.spec, &self.volumes, &place)?;
        let name = format!("{}/{}", self.pod.metadata.name.as_deref().unwrap_or_default(), container.spec.name);
        container.start(&name, command, ip)
    }

    /// One step towards the end: `preStop`, SIGTERM, SIGKILL, and the object removed.
    fn end(&mut self, grace: Duration) -> Result<()> {
        if self.farewell.is_none() {
            let deadline = Instant::now() + grace;
            let pause = self.pre_stop(grace).unwrap_or_else(|error| {
                self.node.note(&format!("{}: preStop: {error:#}", self.name()));
                Duration::ZERO
            });
            self.farewell = Some(Farewell { ask: Instant::now() + pause, asked: false, deadline });
        }
        let farewell = self.farewell.as_mut().context("just set")?;
        if !farewell.asked && Instant::now() >= farewell.ask {
            farewell.asked = true;
            self.containers.iter().try_for_each(|container| container.signal(Signal::TERM))?;
        } else if Instant::now() >= farewell.deadline {
            self.containers.iter().try_for_each(|container| container.signal(Signal::KILL))?;
        }
        self.containers.iter_mut().try_for_each(Container::see_off)?;
        self.report()?;
        if !self.containers.iter().any(Container::is_running) {
            let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": self.pod.metadata.uid}});
            self.node.api().delete(&self.path(), &options)?;
        }
        Ok(())
    }

    /// Runs the hooks; returns how long to wait before SIGTERM.
    fn pre_stop(&self, grace: Duration) -> Result<Duration> {
        let mut pause = Duration::ZERO;
        for container in &self.containers {
            let lifecycle = container.spec.lifecycle.as_ref();
            match lifecycle.and_then(|lifecycle| lifecycle.pre_stop.as_ref()) {
                None => {}
                Some(LifecycleHandler { sleep: Some(sleep), .. }) => {
                    pause = pause.max(Duration::from_secs(u64::try_from(sleep.seconds)?));
                }
                Some(LifecycleHandler { http_get: Some(action), .. }) => {
                    probe::get(&probe::url(action, &container.spec, self.address.ip())?, grace)?;
                }
                Some(_) => anyhow::bail!("only sleep and httpGet are run as preStop here"),
            }
        }
        Ok(pause)
    }

    fn grace(&self) -> Duration {
        let seconds = self.pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
        Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }

    fn report(&mut self) -> Result<()> {
        let status = self.status();
        if status != self.reported {
            let answer = self.node.api().patch(&format!("{}/status", self.path()), &json!({"status": status}))?;
            // A pod that is gone has nobody left to tell.
            if answer.code != 404 {
                answer.object::<Value>()?;
            }
            self.reported = status;
        }
        Ok(())
    }

    fn status(&self) -> Value {
        let ready = self.containers.iter().all(Container::is_ready);
        let started = self.containers.iter().all(Container::has_started);
        let condition = |kind: &str, holds: bool| json!({"type": kind, "status": if holds { "True" } else { "False" }});
        json!({
            "phase": if started { "Running" } else { "Pending" },
            "conditions": [
                condition("PodScheduled", true),
                condition("Initialized", true),
                condition("ContainersReady", ready),
                condition("Ready", ready),
            ],
            "hostIP": "127.0.0.1",
            "podIP": self.address.ip().to_string(),
            "podIPs": [{"ip": self.address.ip().to_string()}],
            "startTime": self.started.to_string(),
            "containerStatuses": self.containers.iter().map(Container::status).collect::<Value>(),
        })
    }

    fn path(&self) -> String {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        format!("/api/v1/namespaces/{namespace}/pods/{}", self.name())
    }

    fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }
}
