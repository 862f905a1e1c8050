//! A Sink: turns the output of rules into Kafka records and keeps them until Kafka has them.
//!
//! In the order a record travels: `render` makes it from a rule's output, `core` puts it into the log of its
//! partition ([`buffer`](crate::buffer)) and hands it to the producer ([`kafka::producer`](crate::kafka::producer)),
//! whose answer resolves the receipt. `maintenance` does everything slow beside that path.

mod core;
mod maintenance;
mod partitioner;
mod settings;
mod topic;

use std::sync::Arc;
use std::time::{Duration, Instant};

use isthmus_api::connector::Kafka;
use isthmus_api::sink::SinkSpec;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::core::Core;
use self::maintenance::ProducerSettings;
use crate::status;

/// How often a drain looks whether the buffer is empty.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// A running Sink.
#[derive(Debug)]
pub struct Sink {
    core: Arc<Core>,
    producer: watch::Sender<Arc<ProducerSettings>>,
    stop: CancellationToken,
    maintenance: Mutex<Option<JoinHandle<()>>>,
}

impl Sink {
    /// Starts a Sink. It takes records at once, whether Kafka answers or not.
    pub fn start(name: &str, spec: &SinkSpec, kafka: &Kafka) -> Self {
        let core = Arc::new(Core::new(name.to_owned()));
        core.set_bounds(spec);
        let (producer, settings) = watch::channel(Arc::new(settings::producer(name, spec, kafka)));
        let stop = CancellationToken::new();
        let task = tokio::spawn(maintenance::maintain(Arc::clone(&core), settings, stop.clone()));
        Self { core, producer, stop, maintenance: Mutex::new(Some(task)) }
    }

    /// Takes on a changed specification. Records that wait stay; they keep the topic and content they were given.
    pub fn reconfigure(&self, spec: &SinkSpec, kafka: &Kafka) {
        self.core.set_bounds(spec);
        let changed = settings::producer(&self.core.name, spec, kafka);
        self.producer.send_if_modified(|current| {
            let modified = !current.same(&changed);
            if modified {
                *current = Arc::new(changed);
            }
            modified
        });
    }

    /// Waits until Kafka has all records, or until `deadline`, then stops. Says how many records were left behind.
    pub async fn drain(&self, deadline: Instant) -> u64 {
        while !self.core.is_empty() && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        self.stop.cancel();
        let task = self.maintenance.lock().take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(sink = self.core.name, "maintenance ended badly: {error}");
        }
        maintenance::retire(&self.core, Duration::ZERO).await;
        self.core.abandon()
    }

    /// Figures and link state, now.
    pub fn snapshot(&self) -> status::Sink {
        let totals = self.core.totals();
        let counters = totals.counters;
        let dropped_by = vec![("queue_full", counters.queue_full), ("sink_deleted", counters.sink_deleted)];
        status::Sink {
            name: self.core.name.clone(),
            link: self.core.link(),
            matched: counters.matched,
            success: counters.success,
            failed: counters.failed,
            dropped: dropped_by.iter().map(|(_, count)| count).sum(),
            dropped_by,
            queuing: totals.queuing,
            buffered_bytes: totals.bytes,
            inflight: totals.inflight,
            retried: counters.retried,
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // The producer's thread holds the core and the core the producer: taking it out lets both go.
        self.stop.cancel();
        self.core.producer.store(None);
    }
}

#[cfg(test)]
mod tests;
