//! What Kafka answered: each answer settles its record in the log, or decides that it is sent again.
//!
//! Runs on the producer's polling thread.

use std::sync::atomic::Ordering;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::core::{Core, Replace};
use super::topic::Partition;
use crate::buffer::Report;
use crate::kafka::client::{self, Trouble};
use crate::kafka::producer::{Deliveries, Token};

impl Core {
    /// What an error about a sent record means for it.
    fn judge(&self, code: Code, partition: &Partition, cost: u64) -> Report {
        match code {
            Code::MessageSizeTooLarge | Code::InvalidMessageSize => {
                if cost >= self.batch_bytes.load(Ordering::Relaxed) {
                    return Report::Failed;
                }
                self.ask_to_replace(Replace::SmallerBatches);
                Report::Again
            }
            Code::InvalidTopic | Code::InvalidRecord | Code::InvalidTimestamp | Code::InvalidMessage => Report::Failed,
            Code::Fatal
            | Code::OutOfOrderSequenceNumber
            | Code::UnknownProducerId
            | Code::InvalidProducerEpoch
            | Code::Fenced => {
                self.ask_to_replace(Replace::Broken);
                Report::Again
            }
            Code::PurgeQueue | Code::PurgeInflight => Report::Again,
            other => {
                let servers = self.bootstrap_servers.lock().clone();
                self.set_link(Trouble::with_topic(other, &partition.topic, &servers).into());
                self.hold(partition);
                Report::Again
            }
        }
    }
}

impl Deliveries for Core {
    fn delivered(&self, token: Token, result: Result<(), Code>) {
        let Some(partition) = self.partition(token.slot) else { return };
        let mut log = partition.log.lock();
        let position = token.position(log.acknowledged());
        let report = match result {
            Ok(()) => {
                if !self.is_connected() {
                    self.suspect();
                }
                Report::Delivered
            }
            Err(code) => {
                let report = self.judge(code, &partition, log.cost_at(position).unwrap_or(0));
                if report == Report::Failed {
                    tracing::warn!(sink = self.name, topic = %partition.topic, "Kafka refused a record: {code}");
                }
                report
            }
        };
        let before = log.bytes();
        log.report(position, report);
        self.account(before, &log);
        self.pump(&partition, &mut log);
        drop(log);
        if self.any_stalled.load(Ordering::Acquire) {
            self.pump_stalled();
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
        self.ask_to_replace(Replace::Broken);
    }
}
