//! The loader: many devices on one thread, with a record of what was acknowledged and when.
//!
//! Closed loop (a window per device) for the highest rate; open loop (a rate, and for each message the time at which it
//! was due) for latency, so that a stall counts for every message that had to wait behind it. The phases are the
//! caller's: [`Load::connect`], [`Load::start`], [`Load::measure`] when all is warm, [`Load::finish`].

mod device;
mod pace;
mod subscriber;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use isthmus_tests::Result;
use isthmus_tests::mqtt::packet;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::wire::{Form, Template};

pub(crate) use subscriber::Subscribers;

/// User and password of every device.
pub(crate) const USER: (&str, &str) = ("device", "secret");

/// How long unanswered publications are waited for after the last one.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to publish.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) broker: SocketAddr,
    /// Certificates that the broker's is checked against; plain TCP without.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) form: Form,
    /// Connections that publish.
    pub(crate) devices: u32,
    /// Publications of a device that wait for acknowledgement at most.
    pub(crate) window: u32,
    /// Messages per second of all devices; as fast as they are acknowledged without.
    pub(crate) rate: Option<u32>,
    /// Messages of a device at most.
    pub(crate) limit: u32,
    /// Topics that the devices publish to, at most one for each.
    pub(crate) topics: u32,
}

/// What the devices share.
struct Shared {
    acknowledged: AtomicU64,
    sent: AtomicU64,
    measuring: AtomicBool,
    stopping: AtomicBool,
    given_up: AtomicBool,
    /// The schedule of the open loop begins here.
    origin: Instant,
    wakes: Vec<Notify>,
}

/// A device's account of its messages.
pub(crate) struct Record {
    /// Messages 0 to here were sent.
    pub(crate) sent: u32,
    /// Messages 0 to here were answered,
    acknowledged_to: u32,
    /// and of those behind, these.
    acknowledged_also: HashSet<u32>,
    /// Messages that were answered by a reason code of failure.
    pub(crate) refused: HashSet<u32>,
    latency: Histogram<u64>,
    /// Why the device ended early.
    trouble: Option<String>,
}

impl Record {
    fn new() -> Result<Self> {
        Ok(Self {
            sent: 0,
            acknowledged_to: 0,
            acknowledged_also: HashSet::new(),
            refused: HashSet::new(),
            latency: latencies()?,
            trouble: None,
        })
    }

    pub(crate) fn is_acknowledged(&self, message: u32) -> bool {
        let answered = message < self.acknowledged_to || self.acknowledged_also.contains(&message);
        answered && !self.refused.contains(&message)
    }

    fn acknowledged(&self) -> u64 {
        u64::from(self.acknowledged_to) + self.acknowledged_also.len() as u64 - self.refused.len() as u64
    }
}

/// What came of a load.
pub(crate) struct Outcome {
    /// Of each device.
    pub(crate) records: Vec<Record>,
    /// Microseconds from a message's time to its acknowledgement, since [`Load::measure`].
    pub(crate) latency: Histogram<u64>,
    /// Why devices ended early, each reason once.
    pub(crate) troubles: Vec<String>,
}

impl Outcome {
    pub(crate) fn sent(&self) -> u64 {
        self.records.iter().map(|record| u64::from(record.sent)).sum()
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.records.iter().map(Record::acknowledged).sum()
    }
}

/// A running load.
pub(crate) struct Load {
    plan: Plan,
    runtime: Runtime,
    shared: Arc<Shared>,
    waiting: Vec<device::Connected>,
    running: Vec<JoinHandle<Record>>,
    pacer: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    /// Connects all devices; they send nothing yet.
    pub(crate) fn connect(plan: Plan) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut waiting = Vec::new();
        for number in 0..plan.devices {
            let connected = runtime.block_on(connect(&plan, &format!("d{number:05}")));
            waiting.push(connected.with_context(|| format!("device {number} of {}", plan.devices))?);
        }
        let shared = Shared {
            acknowledged: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            measuring: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
            origin: Instant::now(),
            wakes: (0..plan.devices).map(|_| Notify::new()).collect(),
        };
        Ok(Self { plan, runtime, shared: Arc::new(shared), waiting, running: Vec::new(), pacer: None })
    }

    /// Lets the devices publish.
    pub(crate) fn start(&mut self) -> Result<()> {
        // The schedule begins now: nobody else has the shared state yet.
        Arc::get_mut(&mut self.shared).context("started twice")?.origin = Instant::now();
        for (number, connected) in (0..).zip(self.waiting.drain(..)) {
            let template =
                Template::new(self.plan.form, &format!("v1/{}/telemetry", number % self.plan.topics), number);
            let device = device::Device::new(&self.plan, number, template, Arc::clone(&self.shared))?;
            self.running.push(match connected {
                device::Connected::Plain(stream) => self.runtime.spawn(device.run(stream)),
                device::Connected::Tls(stream) => self.runtime.spawn(device.run(*stream)),
            });
        }
        if let Some(rate) = self.plan.rate {
            self.pacer = Some(pace::start(Arc::clone(&self.shared), rate));
        }
        Ok(())
    }

    /// From now on latency is recorded.
    pub(crate) fn measure(&self) {
        self.shared.measuring.store(true, Ordering::Relaxed);
    }

    /// Messages acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Messages sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Sends nothing more and waits for the answers to what was sent.
    pub(crate) fn finish(mut self) -> Result<Outcome> {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.wake_all();
        let deadline = Instant::now() + PATIENCE;
        let mut outcome = Outcome { records: Vec::new(), latency: latencies()?, troubles: Vec::new() };
        for handle in std::mem::take(&mut self.running) {
            let record = self.runtime.block_on(async {
                let mut handle = handle;
                if let Ok(record) = tokio::time::timeout_at(deadline.into(), &mut handle).await {
                    return record;
                }
                self.shared.given_up.store(true, Ordering::Relaxed);
                self.wake_all();
                handle.await
            })?;
            outcome.latency.add(&record.latency)?;
            if let Some(trouble) = record.trouble.as_ref().filter(|trouble| !outcome.troubles.contains(trouble)) {
                outcome.troubles.push(trouble.clone());
            }
            outcome.records.push(record);
        }
        if let Some(pacer) = self.pacer.take() {
            pacer.join().ok().context("the pacer panicked")?;
        }
        Ok(outcome)
    }

    fn wake_all(&self) {
        for wake in &self.shared.wakes {
            wake.notify_one();
        }
    }
}

/// Connections that send nothing; dropped they are gone.
pub(crate) struct Idle {
    _runtime: Runtime,
    _streams: Vec<device::Connected>,
}

impl Idle {
    /// Opens this many connections.
    pub(crate) fn connect(plan: &Plan, count: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let streams = (0..count).map(|number| runtime.block_on(connect(plan, &format!("idle-{number:05}"))));
        let streams = streams.collect::<Result<_>>()?;
        Ok(Self { _runtime: runtime, _streams: streams })
    }
}

async fn connect(plan: &Plan, client_id: &str) -> Result<device::Connected> {
    let mut stream = TcpStream::connect(plan.broker).await?;
    stream.set_nodelay(true)?;
    let hello = packet::connect_as(plan.form.version, client_id, 600, Some(USER));
    let Some(tls) = &plan.tls else {
        device::shake_hands(&mut stream, &hello).await?;
        return Ok(device::Connected::Plain(stream));
    };
    let name = ServerName::try_from("localhost")?;
    let mut stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
    device::shake_hands(&mut stream, &hello).await?;
    Ok(device::Connected::Tls(Box::new(stream)))
}

/// Room for latencies up to ten minutes, microseconds.
pub(crate) fn latencies() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}

/// Fails when devices ended before they were told to.
pub(crate) fn check(outcome: &Outcome) -> Result<()> {
    if !outcome.troubles.is_empty() {
        bail!("devices ended early: {}", outcome.troubles.join("; "));
    }
    Ok(())
}
