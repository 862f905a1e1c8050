//! Many devices at once that publish at QoS 1, never give up, and remember what was acknowledged.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};

use crate::Result;
use crate::mqtt::{Client, Packet, Version, packet};

/// Publications that a device keeps unacknowledged at most; below the broker's Receive Maximum.
const WINDOW: usize = 64;

/// How long one device may go without any progress before the load is a failure.
const STALLED: Duration = Duration::from_secs(90);

/// What to publish.
#[derive(Debug, Clone)]
pub struct Load {
    /// Distinguishes the devices of several loads.
    pub name: &'static str,
    /// Where to.
    pub broker: SocketAddr,
    /// The devices' version.
    pub version: Version,
    /// Number of devices, each with a connection and a thread.
    pub devices: u32,
    /// Messages per device; [`Running::stop`] ends a load earlier.
    pub messages: u32,
    /// Messages per second and device; 0 is as fast as they are acknowledged.
    pub rate: u32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Messages acknowledged as safe, each counted once.
    pub messages: u64,
    /// Connections that ended under a device, after which it connected again.
    pub reconnects: u64,
    /// Publications that were refused with a 5.0 reason code and sent again.
    pub refused: u64,
}

/// A running load.
pub struct Running {
    devices: Vec<JoinHandle<Result<Outcome>>>,
    acknowledged: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<String>>>,
}

/// The topic of a device.
pub fn topic(name: &str, device: u32) -> String {
    format!("load/{name}/{device}")
}

/// The payload of a message: JSON that names the device and the number.
pub fn payload(name: &str, device: u32, message: u32) -> String {
    format!(r#"{{"device":"{name}-{device}","message":{message}}}"#)
}

impl Load {
    /// Starts the devices.
    pub fn start(&self) -> Running {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let log = Arc::new(Mutex::new(Vec::new()));
        let devices = (0..self.devices)
            .map(|number| {
                let load = self.clone();
                let (acknowledged, stopped) = (Arc::clone(&acknowledged), Arc::clone(&stopped));
                let log = Arc::clone(&log);
                let outcome = Outcome::default();
                let device = Device { load, number, begun: 0, outcome, acknowledged, stopped, log };
                thread::spawn(move || device.run())
            })
            .collect();
        Running { devices, acknowledged, stopped, log }
    }
}

impl Running {
    /// Messages acknowledged as safe so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// What a device saw each time that its connection ended under it, so far.
    pub fn disconnects(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the devices begin no further message, and waits until every one begun is acknowledged.
    pub fn stop(self) -> Result<Outcome> {
        self.stopped.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits until every message of every device is acknowledged.
    pub fn finish(self) -> Result<Outcome> {
        let mut total = Outcome::default();
        for device in self.devices {
            let outcome = device.join().map_err(|_| anyhow!("a device panicked"))?;
            let outcome = outcome.map_err(|error| {
                let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                error.context(format!("{} device events:\n{}", log.len(), log.join("\n")))
            })?;
            total.messages += outcome.messages;
            total.reconnects += outcome.reconnects;
            total.refused += outcome.refused;
        }
        Ok(total)
    }
}

struct Device {
    load: Load,
    number: u32,
    /// Messages sent at least once.
    begun: u32,
    outcome: Outcome,
    acknowledged: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Device {
    fn run(mut self) -> Result<Outcome> {
        let mut waiting: VecDeque<u32> = (0..self.load.messages).collect();
        let mut progress = Instant::now();
        while !waiting.is_empty() {
            let before = waiting.len();
            if let Err(error) = self.session(&mut waiting) {
                self.outcome.reconnects += 1;
                let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                log.push(format!("device {}: {error:#}", self.number));
            }
            if waiting.len() < before {
                progress = Instant::now();
            }
            if progress.elapsed() > STALLED {
                bail!("device {} got nothing acknowledged for {STALLED:?}", self.number);
            }
        }
        Ok(self.outcome)
    }

    /// One connection: publishes what waits, in order; what is not acknowledged when it ends waits
    /// again, in order.
    fn session(&mut self, waiting: &mut VecDeque<u32>) -> Result<()> {
        let mut sent: VecDeque<(u16, u32)> = VecDeque::new();
        let result = self.exchange(waiting, &mut sent);
        for (_, message) in sent.into_iter().rev() {
            waiting.push_front(message);
        }
        result
    }

    fn exchange(&mut self, waiting: &mut VecDeque<u32>, sent: &mut VecDeque<(u16, u32)>) -> Result<()> {
        let name = self.load.name;
        let id = format!("{name}-{}", self.number);
        let mut client = Client::connect(self.load.broker, self.load.version, &id)?;
        let topic = topic(name, self.number);
        let start = Instant::now();
        let mut count = 0;
        loop {
            if self.stopped.load(Ordering::Relaxed) {
                waiting.retain(|message| *message < self.begun);
            }
            while sent.len() < WINDOW && self.is_due(start, count) {
                let Some(message) = waiting.pop_front() else { break };
                // On the list first: a write that fails half way may have arrived.
                let id = (count % 60_000) as u16 + 1;
                sent.push_back((id, message));
                count += 1;
                self.begun = self.begun.max(message + 1);
                let payload = payload(name, self.number, message);
                client.send(&packet::publish(self.load.version, topic.as_bytes(), 1, id, payload.as_bytes()))?;
            }
            if sent.is_empty() && waiting.is_empty() {
                return client.send(&packet::disconnect());
            }
            let patience = if self.load.rate == 0 { STALLED } else { self.pause() };
            match client.receive_within(patience)? {
                Some(Packet::PubAck { id, reason }) => {
                    let place = sent.iter().position(|(expected, _)| *expected == id);
                    let Some((_, message)) = place.and_then(|place| sent.remove(place)) else {
                        bail!("a PUBACK for {id}, which is not waited for");
                    };
                    if reason < 0x80 {
                        self.outcome.messages += 1;
                        self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    } else {
                        self.outcome.refused += 1;
                        waiting.push_front(message);
                    }
                }
                None if self.load.rate > 0 => {}
                other => bail!("while {} publications wait: {other:?}", sent.len()),
            }
        }
    }

    fn pause(&self) -> Duration {
        Duration::from_secs(1) / self.load.rate.max(1)
    }

    fn is_due(&self, start: Instant, count: u32) -> bool {
        self.load.rate == 0 || start.elapsed() >= self.pause() * count
    }
}
