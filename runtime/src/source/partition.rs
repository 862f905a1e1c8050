//! The task of one assigned partition: takes records in order, waits for their receipts, stores offsets in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Handler;
use super::health::{Health, Progress};
use crate::kafka::consumer::{PartitionStream, Place};
use crate::receipt::{Outcome, Window};
use crate::work::{self, Stretch};

/// After so many records, or so much work on them, the task lets others run: a partition with a backlog never has to wait by itself.
const BURST: usize = 64;

/// How late a message whose patience is over may be noticed.
const EXPIRY_TICK: Duration = Duration::from_millis(100);

/// How soon Kafka is told the group's place again while it is not known to have it.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// Shortest time between two log lines about failed records of one partition.
const FAILURE_LOG_INTERVAL: Duration = Duration::from_secs(5);

pub(super) struct Partition {
    pub(super) stream: PartitionStream,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) health: Arc<Health>,
    pub(super) progress: Arc<Progress>,
    /// How many unsettled records this partition may have.
    pub(super) limit: Arc<AtomicUsize>,
    /// Asks the task to end: it takes no more records and has until then to settle those it took.
    pub(super) end: oneshot::Receiver<Instant>,
}

/// A record that was taken.
#[derive(Debug, Clone, Copy)]
struct Taken {
    offset: i64,
    /// Which of the logs that this partition had.
    log: u32,
}

struct State {
    partition: Partition,
    window: Window<Taken>,
    /// The next offset that is not known. A record before it means that the log is another one.
    reached: i64,
    /// Goes up with each log: an offset of one says nothing about the next.
    log: u32,
    /// What the group has to know: everything before it is settled.
    stored: i64,
    /// When Kafka is told `stored` (again). librdkafka by itself would not let the group's place go back.
    tell: Option<Instant>,
    failures: Failures,
    /// When the window's deadlines are looked at next; `None` while it has none.
    expiry: Option<Instant>,
    /// When the task ends at the latest, once it was asked to.
    until: Option<Instant>,
    /// While ending: a record was given up on, so neither its offset nor a later one may be committed.
    stuck: bool,
    /// Units of work on records since others had a turn.
    worked: u64,
}

impl Partition {
    /// Runs until it is asked to end. Returns how many records it took and did not settle.
    pub(super) async fn run(self) -> usize {
        let place = self.stream.place();
        let mut state = State {
            reached: match place {
                Some(Place::Committed(offset) | Place::Chosen(offset)) => offset,
                Some(Place::Beginning) | None => 0,
            },
            log: 0,
            stored: 0,
            tell: None,
            partition: self,
            window: Window::for_source(),
            failures: Failures::default(),
            expiry: None,
            until: None,
            stuck: false,
            worked: 0,
        };
        if let Some(Place::Chosen(offset)) = place {
            state.begin_at(offset);
        }
        let mut burst = 0;
        while !state.is_done() {
            state.step().await;
            burst += 1;
            if burst == BURST || state.worked > work::STEP {
                burst = 0;
                state.worked = 0;
                tokio::task::yield_now().await;
            }
        }
        state.failures.report(&state.partition, true);
        // The record that got it stuck has left the window.
        state.window.len() + usize::from(state.stuck)
    }
}

impl State {
    fn is_done(&self) -> bool {
        self.until.is_some_and(|until| self.stuck || self.window.is_empty() || until <= Instant::now())
    }

    async fn step(&mut self) {
        // A Sink that took a record beyond its limits gets no more of them meanwhile.
        let room =
            self.until.is_none() && !self.window.is_held() && self.window.len() < self.partition.limit.load(Relaxed);
        if self.expiry.is_none() {
            self.expiry = self.window.next_deadline().map(|deadline| deadline.min(Instant::now() + EXPIRY_TICK));
        }
        tokio::select! {
            biased;
            asked = &mut self.partition.end, if self.until.is_none() => {
                self.until = Some(asked.unwrap_or_else(|_| Instant::now()));
                self.settle();
            }
            () = self.window.inbox().resolved(), if !self.window.is_empty() => self.settle(),
            () = at(self.expiry), if self.expiry.is_some() => {
                self.window.expire(Instant::now());
                self.expiry = None;
                self.settle();
            }
            () = at(self.until), if self.until.is_some() => {}
            () = at(self.tell), if self.tell.is_some() => self.tell_place(),
            record = self.partition.stream.next(), if room => {
                self.partition.health.count_received();
                if record.offset < self.reached {
                    self.rewind(record.offset);
                }
                self.reached = record.offset + 1;
                let taken = Taken { offset: record.offset, log: self.log };
                let handler = &self.partition.handler;
                let work = Stretch::begin();
                let refused = self.window.track(Instant::now(), taken, |tracker| {
                    let refused = handler.handle(&record, tracker).err();
                    if refused.is_some() {
                        tracker.settle(Outcome::Rejected);
                    }
                    refused
                });
                self.worked += work.done();
                if let Some(why) = refused {
                    self.failures.because(&self.partition, record.offset, why);
                }
                self.partition.progress.received(record.offset, self.window.len());
                if self.window.len() == 1 {
                    // Nothing is ahead of it: when nobody had to take responsibility it is settled already.
                    self.settle();
                }
            }
        }
    }

    /// The record with this offset was read before, or another one was that had the same.
    fn rewind(&mut self, offset: i64) {
        let Partition { stream, health, progress, .. } = &self.partition;
        let why = format!("a record has offset {offset}, and {} was reached", self.reached);
        health.rewound(stream.topic(), stream.partition(), &why);
        progress.forget_committed();
        self.log = self.log.wrapping_add(1);
        self.begin_at(offset);
    }

    /// Makes this the group's place, wherever it was before.
    fn begin_at(&mut self, offset: i64) {
        self.stored = offset;
        self.partition.stream.store(offset);
        self.tell = Some(Instant::now());
    }

    fn tell_place(&mut self) {
        if self.partition.progress.is_committed_up_to(self.stored) {
            self.tell = None;
        } else {
            self.partition.stream.commit(self.stored);
            self.tell = Some(Instant::now() + TELL_AGAIN);
        }
    }

    /// Takes what is settled from the front of the window and stores how far that goes.
    fn settle(&mut self) {
        self.window.collect();
        let (mut delivered, mut failed, mut next) = (0, 0, None);
        while !self.stuck {
            let Some((Taken { offset, log }, outcome)) = self.window.pop_settled() else { break };
            match outcome {
                Outcome::Unmatched | Outcome::Safe => delivered += 1,
                // Given up because things are stopping, as far as anybody knows: it must come again.
                Outcome::Unavailable if self.until.is_some() => {
                    self.stuck = true;
                    break;
                }
                Outcome::Rejected | Outcome::Misconfigured | Outcome::QuotaExceeded | Outcome::Unavailable => {
                    failed += 1;
                    self.failures.settled(offset, outcome);
                }
            }
            if log == self.log {
                next = Some(offset + 1);
            }
        }
        if delivered + failed > 0 {
            self.partition.health.count_settled(delivered, failed);
        }
        if let Some(next) = next {
            self.stored = next;
            self.partition.stream.store(next);
        }
        self.partition.progress.pending(self.window.len());
        self.failures.report(&self.partition, false);
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// Failed records since the last log line about them.
#[derive(Debug, Default)]
struct Failures {
    count: u64,
    example: Option<(i64, String)>,
    reported: Option<Instant>,
}

impl Failures {
    /// The handler says why the record with this offset fails.
    fn because(&mut self, partition: &Partition, offset: i64, why: String) {
        tracing::debug!(source = partition.health.name(), offset, why, "record cannot be delivered");
        self.example.get_or_insert((offset, why));
    }

    fn settled(&mut self, offset: i64, outcome: Outcome) {
        self.count += 1;
        self.example.get_or_insert_with(|| {
            let why = match outcome {
                Outcome::Misconfigured => "a Sink that a rule names is gone",
                Outcome::QuotaExceeded => "a limit of what it was handed to is reached",
                Outcome::Unavailable => "it was not confirmed in time",
                _ => "what it was handed to refused it for good",
            };
            (offset, why.to_owned())
        });
    }

    fn report(&mut self, partition: &Partition, now: bool) {
        let due = now || self.reported.is_none_or(|reported| reported.elapsed() >= FAILURE_LOG_INTERVAL);
        if self.count == 0 || !due {
            return;
        }
        let (offset, why) = self.example.take().unwrap_or_default();
        tracing::warn!(
            source = partition.health.name(),
            topic = %partition.stream.topic(),
            partition = partition.stream.partition(),
            failed = self.count,
            offset,
            why,
            "records not delivered; their offsets go on"
        );
        self.count = 0;
        self.reported = Some(Instant::now());
    }
}
