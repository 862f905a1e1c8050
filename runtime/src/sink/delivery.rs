//! What Kafka answered: each answer settles its record in the log, or decides that it is sent again.
//!
//! The producer's polling thread only collects answers; a task of the Sink settles them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use rdkafka::error::RDKafkaErrorCode as Code;
use tokio::sync::Notify;

use super::core::Core;
use super::topic::Partition;
use super::verdict::Verdict;
use crate::buffer::Report;
use crate::kafka::client::{self, Trouble};
use crate::kafka::producer::{Deliveries, Token};
use crate::receipt::Resolutions;

/// One of Kafka's answers.
#[derive(Debug, Clone, Copy)]
struct Answer {
    token: Token,
    result: Result<(), Code>,
}

/// Kafka's answers, on their way from the producer's polling thread to the task that settles them. Handed over in
/// batches: settling on the polling thread would take a partition's lock from the connections for every single record,
/// and wake every connection from a thread that is none of the runtime's.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: Mutex<Vec<Answer>>,
    came: Notify,
    settling: Mutex<Settling>,
}

/// What is being settled; its memory is kept from batch to batch.
#[derive(Debug, Default)]
struct Settling {
    answers: Vec<Answer>,
    resolutions: Resolutions,
}

impl Core {
    /// What an error about a sent record means for it.
    fn judge(&self, code: Code, partition: &Partition) -> Report {
        match Verdict::of(code) {
            Verdict::Record => Report::Refused,
            Verdict::TooLarge => Report::TooLarge,
            Verdict::Bystander => Report::Bystander,
            // Whether a topic that a record chose is there, maintenance finds out: it may have been made anew.
            Verdict::TopicMissing if self.topic_is_template() => {
                self.hold(partition);
                Report::Again
            }
            Verdict::TopicRefused if self.topic_is_template() => Report::Failed,
            Verdict::TopicMissing | Verdict::TopicRefused | Verdict::Kafka => {
                self.hold_for(code, partition);
                Report::Again
            }
            Verdict::Producer => {
                self.ask_to_replace();
                Report::Again
            }
            Verdict::TakenBack => Report::Again,
        }
    }

    /// Settles the answers as they come, until the task is dropped.
    pub(super) async fn settle_as_they_come(self: Arc<Self>) {
        loop {
            self.answers.came.notified().await;
            self.settle();
        }
    }

    /// Settles the answers that have come: one lock of a partition for all of its answers that follow each other.
    pub(super) fn settle(&self) {
        let mut settling = self.answers.settling.lock();
        let Settling { answers, resolutions } = &mut *settling;
        std::mem::swap(answers, &mut *self.answers.waiting.lock());
        for run in answers.chunk_by(|one, next| one.token.slot == next.token.slot) {
            self.settle_in_one_partition(run, resolutions);
            resolutions.tell();
        }
        answers.clear();
        drop(settling);
        self.give_memory_back();
        if self.any_stalled.load(Ordering::Acquire) {
            self.pump_stalled();
        }
    }

    fn settle_in_one_partition(&self, answers: &[Answer], resolutions: &mut Resolutions) {
        let Some(partition) = self.partition(answers[0].token.slot) else { return };
        let mut log = partition.log.lock();
        let before = log.bytes();
        for Answer { token, result } in answers {
            let position = token.position(log.acknowledged());
            let (report, code) = match result {
                Ok(()) => {
                    if !self.is_connected() {
                        self.works_again();
                    }
                    (Report::Delivered, None)
                }
                Err(code) => (self.judge(*code, &partition), Some(code)),
            };
            let failed = log.report(position, report, resolutions);
            if let Some(code) = code.filter(|_| failed) {
                self.say_refused(&partition.topic, *code);
            } else if report == Report::TooLarge {
                self.say_too_large(&partition.topic);
            }
        }
        self.account(before, &log);
        self.pump(&partition, &mut log);
    }
}

impl Deliveries for Core {
    fn delivered(&self, token: Token, result: Result<(), Code>) {
        let first = {
            let mut waiting = self.answers.waiting.lock();
            waiting.push(Answer { token, result });
            waiting.len() == 1
        };
        if first {
            self.answers.came.notify_one();
        }
    }

    fn trouble(&self, trouble: Trouble) {
        // One broker of several may be away: only the whole cluster, or a refusal, is the Sink's state. Anything else
        // makes maintenance look for itself, and a refusal stands no longer when there is nobody who would refuse.
        if trouble.all_brokers || client::is_refusal(trouble.reason) {
            self.set_trouble(trouble);
        } else if trouble.not_connected {
            self.forget_refusal();
        }
        self.suspect();
    }

    fn broken(&self, reason: &str) {
        tracing::warn!(sink = self.name, "the producer cannot go on ({reason}): replacing it, records are kept");
        self.ask_to_replace();
    }
}
