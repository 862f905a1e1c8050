//! One container of a pod: waiting, running, ended, running again.

use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container as Spec;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::probe::Probe;
use crate::Result;
use crate::process::Process;

/// How long the first restart waits, and at most any. A real node waits 10 s and 5 min.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(8));
/// What the termination message of a crashed container may hold, when it is taken from its output.
const MESSAGE_BYTES: usize = 2048;

/// The process of a container, which a test may look at and signal.
pub type Handle = Arc<Mutex<Option<Process>>>;

/// The process in a handle.
pub fn lock(handle: &Handle) -> MutexGuard<'_, Option<Process>> {
    handle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A container's state.
pub struct Container {
    /// Its spec.
    pub spec: Spec,
    /// Its process while it runs.
    pub process: Handle,
    state: State,
    last: Option<Value>,
    restarts: u32,
    probes: Probes,
}

enum State {
    Waiting { reason: &'static str, message: String },
    BackOff { until: Instant },
    Running { since: Timestamp },
    Ended(Value),
}

/// What each probe says; none where the spec has no such probe.
#[derive(Default)]
struct Probes {
    startup: Option<Probe>,
    liveness: Option<Probe>,
    readiness: Option<Probe>,
}

impl Container {
    /// A container that has not been started.
    pub fn new(spec: Spec) -> Self {
        let state = State::Waiting { reason: "ContainerCreating", message: String::new() };
        Self { spec, process: Handle::default(), state, last: None, restarts: 0, probes: Probes::default() }
    }

    /// Says why it is not started.
    pub fn wait(&mut self, reason: &'static str, message: String) {
        self.state = State::Waiting { reason, message };
    }

    /// Whether it should be started now.
    pub fn is_due(&self) -> bool {
        match self.state {
            State::Waiting { .. } => true,
            State::BackOff { until } => Instant::now() >= until,
            State::Running { .. } | State::Ended(_) => false,
        }
    }

    /// Whether its process runs.
    pub fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// Whether it has been started at least once.
    pub fn has_started(&self) -> bool {
        !matches!(self.state, State::Waiting { .. })
    }

    /// Whether it takes part in the pod's readiness, and does so now.
    pub fn is_ready(&self) -> bool {
        let passes = |probe: &Option<Probe>| probe.as_ref().is_none_or(Probe::verdict);
        self.is_running() && passes(&self.probes.startup) && passes(&self.probes.readiness)
    }

    /// Starts the process.
    pub fn start(&mut self, name: &str, mut command: Command, ip: Ipv4Addr) -> Result<()> {
        let begin = |spec: &Option<_>, verdict| {
            spec.as_ref().map(|probe| Probe::begin(probe, &self.spec, ip, verdict)).transpose()
        };
        self.probes = Probes {
            startup: begin(&self.spec.startup_probe, false)?,
            liveness: begin(&self.spec.liveness_probe, true)?,
            readiness: begin(&self.spec.readiness_probe, false)?,
        };
        *lock(&self.process) = Some(Process::start(name, &mut command)?);
        self.state = State::Running { since: Timestamp::now() };
        Ok(())
    }

    /// Looks after a running process: notices its end, asks its probes, restarts what they give up.
    pub fn look_after(&mut self) -> Result<()> {
        if let Some(ended) = self.ended()? {
            self.last = Some(ended);
            let pause = BACK_OFF.0 * 2_u32.pow(self.restarts.min(10));
            self.restarts += 1;
            self.state = State::BackOff { until: Instant::now() + pause.min(BACK_OFF.1) };
            return Ok(());
        }
        if !self.is_running() {
            return Ok(());
        }
        if let Some(startup) = &mut self.probes.startup
            && !startup.verdict()
        {
            // The others begin when this one is content.
            startup.run();
            return Ok(());
        }
        if let Some(readiness) = &mut self.probes.readiness {
            readiness.run();
        }
        if let Some(liveness) = &mut self.probes.liveness
            && liveness.run()
            && !liveness.verdict()
        {
            self.signal(Signal::KILL)?;
        }
        Ok(())
    }

    /// Like [`Container::look_after`] for a pod that is being deleted: what ends stays ended.
    pub fn see_off(&mut self) -> Result<()> {
        if let Some(ended) = self.ended()? {
            self.state = State::Ended(ended);
        } else if let Some(readiness) = &mut self.probes.readiness
            && matches!(self.state, State::Running { .. })
        {
            readiness.run();
        }
        Ok(())
    }

    /// Sends a signal to the process, if it runs.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        lock(&self.process).as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    fn ended(&mut self) -> Result<Option<Value>> {
        let State::Running { since } = self.state else { return Ok(None) };
        let mut guard = lock(&self.process);
        let Some(process) = guard.as_mut() else { return Ok(None) };
        if process.is_running()? {
            return Ok(None);
        }
        let status = process.wait(Duration::from_secs(1))?;
        let message = self.message(status, &process.output());
        *guard = None;
        Ok(Some(json!({
            "exitCode": status.code().or_else(|| status.signal().map(|signal| 128 + signal)),
            "reason": if status.success() { "Completed" } else { "Error" },
            "message": message,
            "startedAt": since.to_string(),
            "finishedAt": Timestamp::now().to_string(),
        })))
    }

    /// The end of the output, where the spec asks for it.
    fn message(&self, status: ExitStatus, output: &str) -> Option<String> {
        let from_logs = self.spec.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        let start = output.len().saturating_sub(MESSAGE_BYTES);
        let start = (start..=output.len()).find(|start| output.is_char_boundary(*start))?;
        (from_logs && !status.success()).then(|| output[start..].to_owned())
    }

    /// Its `containerStatuses` entry.
    pub fn status(&self) -> Value {
        let state = match &self.state {
            State::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
            State::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
            State::BackOff { .. } => {
                let message = format!("back-off restarting failed container {}", self.spec.name);
                json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
            }
            State::Running { since } => json!({"running": {"startedAt": since.to_string()}}),
            State::Ended(ended) => json!({"terminated": ended}),
        };
        let image = self.spec.image.as_deref().unwrap_or_default();
        json!({
            "name": self.spec.name,
            "image": image,
            "imageID": image,
            "ready": self.is_ready(),
            "started": self.is_running() && self.probes.startup.as_ref().is_none_or(Probe::verdict),
            "restartCount": self.restarts,
            "state": state,
            "lastState": self.last.as_ref().map_or(json!({}), |last| json!({"terminated": last})),
        })
    }
}
