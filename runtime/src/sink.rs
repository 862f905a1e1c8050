//! A Sink: turns the output of rules into Kafka records and keeps them until Kafka has them.
//!
//! In the order a record travels: `writing` makes it from a rule's output, `core` puts it into the log of its
//! partition ([`buffer`](crate::buffer)) and hands it to the producer ([`kafka::producer`](crate::kafka::producer)),
//! whose answer resolves the receipt (`delivery`). `maintenance` does everything slow beside that path.

mod core;
mod delivery;
mod maintenance;
mod partitioner;
mod settings;
mod topic;
mod topics;
mod writing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use isthmus_api::sink::RequestMode;
use isthmus_plan::document;
use isthmus_rules::Output;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::core::Core;
use self::maintenance::ProducerSettings;
pub use self::writing::Origin;
use self::writing::Writing;
use crate::buffer::{Appended, Record};
use crate::kafka::security::Secured;
use crate::receipt::{Outcome, Tracker};
use crate::secrets::SecretError;
use crate::status;

/// How often a drain looks whether the buffer is empty.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// Why a Sink did not take an output.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output cannot be made into a record; it never could.
    #[error("Sink {sink}: {problem}")]
    Rejected {
        /// Its name.
        sink: String,
        /// What is wrong with the output.
        problem: String,
    },
    /// The limits leave no room and nothing that could be dropped.
    #[error("the buffer of Sink {sink} is full: raise `buffer`, or look why Kafka does not take its records")]
    Full {
        /// Its name.
        sink: String,
    },
    /// The Sink was removed while the rule ran.
    #[error("Sink {sink} was removed")]
    Gone {
        /// Its name.
        sink: String,
    },
}

/// A running Sink.
#[derive(Debug)]
pub struct Sink {
    core: Arc<Core>,
    writing: ArcSwap<Writing>,
    producer: watch::Sender<Arc<ProducerSettings>>,
    stop: CancellationToken,
    maintenance: Mutex<Option<JoinHandle<()>>>,
}

impl Sink {
    /// Starts a Sink. It takes records at once, whether Kafka answers or not, and whether there are the Secrets to reach
    /// it. `Err` says which template is wrong.
    pub fn start(plan: &document::Sink, security: Secured) -> Result<Self, String> {
        let writing = Writing::compile(plan)?;
        let core = Arc::new(Core::new(plan.name.clone()));
        core.configure(plan);
        core.prepare(writing.fixed_topic());
        let (producer, settings) = watch::channel(Arc::new(settings::producer(plan, security)));
        let stop = CancellationToken::new();
        let task = tokio::spawn(maintenance::maintain(Arc::clone(&core), settings, stop.clone()));
        Ok(Self { core, writing: ArcSwap::from_pointee(writing), producer, stop, maintenance: Mutex::new(Some(task)) })
    }

    /// Whether a Sink can be made from this.
    pub fn check(plan: &document::Sink) -> Result<(), String> {
        Writing::compile(plan).map(drop)
    }

    /// Takes on a changed specification, or changed Secrets. Records that wait stay; they keep the topic and content they were given.
    pub fn reconfigure(&self, plan: &document::Sink, security: Secured) -> Result<(), String> {
        let writing = Writing::compile(plan)?;
        self.core.configure(plan);
        self.core.prepare(writing.fixed_topic());
        self.writing.store(Arc::new(writing));
        let changed = settings::producer(plan, security);
        self.producer.send_if_modified(|current| {
            let modified = !current.same(&changed);
            if modified {
                *current = Arc::new(changed);
            }
            modified
        });
        Ok(())
    }

    /// Makes a rule's output a record and takes responsibility for it. In `Sync` mode, and for records of a Source, the
    /// receipt is resolved when Kafka has answered; in `Async` mode a record is safe as soon as it is in the buffer.
    pub fn write(
        &self,
        output: Output<'_>,
        origin: Origin<'_>,
        mut tracker: Option<&mut Tracker<'_>>,
    ) -> Result<(), WriteError> {
        let writing = self.writing.load();
        let mut waits = false;
        let store = |topic: &str, record: Record<'_>| {
            let mut receipt = None;
            if let Some(tracker) = tracker.as_deref_mut() {
                // A Source can wait: its offset is committed when the record is in Kafka, whatever the mode (row X3).
                if tracker.waits_for_delivery() {
                    receipt = Some(tracker.receipt());
                } else if writing.request_mode == RequestMode::Sync {
                    receipt = Some(tracker.impatient_receipt(writing.sync_timeout));
                }
            }
            waits = receipt.is_some();
            self.core.store(topic, record, receipt)
        };
        let stored = writing.render(output, origin, store).map_err(|problem| {
            self.core.count_failed();
            WriteError::Rejected { sink: self.core.name.clone(), problem }
        })?;
        match stored {
            Appended::Stored => {
                if let Some(tracker) = tracker.filter(|_| !waits) {
                    tracker.settle(Outcome::Safe);
                }
                Ok(())
            }
            Appended::StoredBeyond => {
                if let Some(tracker) = tracker {
                    tracker.hold();
                }
                Ok(())
            }
            Appended::Refused if self.core.is_closed() => Err(WriteError::Gone { sink: self.core.name.clone() }),
            Appended::Refused => Err(WriteError::Full { sink: self.core.name.clone() }),
        }
    }

    /// From now on batches do not wait to fill: what is in the buffer shall reach Kafka soon.
    pub fn hurry(&self) {
        self.producer.send_if_modified(|current| {
            let hurried = current.without_linger();
            let modified = hurried.is_some();
            *current = hurried.map_or_else(|| Arc::clone(current), Arc::new);
            modified
        });
    }

    /// Why nothing that waits can reach Kafka any more, once no Secret is taken on: there is no producer and none can be
    /// made.
    pub fn is_cut_off(&self) -> Option<SecretError> {
        let cause = self.producer.borrow().security.as_ref().err().cloned();
        cause.filter(|_| self.core.producer.load().is_none())
    }

    /// Waits until Kafka has all records, or until `deadline`, then stops. Says how many records were left behind. A
    /// Secret that is missing now will not come any more, so its records are not waited for.
    pub async fn drain(&self, deadline: Instant) -> u64 {
        self.hurry();
        while !self.core.is_empty() && Instant::now() < deadline && self.is_cut_off().is_none() {
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
        self.core.abandon();
        self.core.producer.store(None);
    }
}

#[cfg(test)]
mod tests;
