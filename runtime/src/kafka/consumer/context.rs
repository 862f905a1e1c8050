//! The callbacks of librdkafka's consumer.
//!
//! They only pass on what happened: a rebalance waits until the Source has settled the records of the
//! partitions that go, which a callback must not wait for.

use std::sync::Arc;

use bytestring::ByteString;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::mpsc;

use super::super::client::{self, Trouble};
use super::super::handshake::Handshakes;
use super::{Monitor, Settings, Statistics};

/// Partitions of a rebalance.
#[derive(Debug, Clone)]
pub struct Partitions(pub(super) TopicPartitionList);

impl Partitions {
    /// Topic and number of each.
    pub fn keys(&self) -> Vec<(ByteString, i32)> {
        self.0.elements().iter().map(|element| (element.topic().into(), element.partition())).collect()
    }
}

/// The group gives or takes partitions; librdkafka waits for the answer.
#[derive(Debug)]
pub enum Rebalance {
    /// Answer with `Consumer::assign`.
    Assign(Partitions),
    /// Answer with `Consumer::unassign`.
    Revoke(Partitions),
}

pub(super) struct Context {
    name: String,
    handshakes: Arc<Handshakes>,
    monitor: Arc<dyn Monitor>,
    rebalances: mpsc::Sender<Rebalance>,
}

impl Context {
    pub(super) fn new(settings: &Settings, monitor: Arc<dyn Monitor>, rebalances: mpsc::Sender<Rebalance>) -> Self {
        let handshakes = Handshakes::new(settings.security.clone(), &settings.bootstrap_servers);
        Self { name: settings.name.clone(), handshakes, monitor, rebalances }
    }

    /// An error that came in the place of a record. The general ones came through [`ClientContext::error`] too,
    /// with more detail; why the group does not take this member in comes here alone.
    pub(super) fn consumption_error(&self, error: &KafkaError) {
        if let Some(code @ RDKafkaErrorCode::InvalidSessionTimeout) = error.rdkafka_error_code() {
            self.monitor.trouble(Trouble::of(code, "", ""));
        }
        tracing::debug!(source = %self.name, %error, "consumer error");
    }
}

/// Takes partitions on in the way that the group's protocol asks for.
pub(super) fn assign<C: ConsumerContext>(consumer: &impl Consumer<C>, partitions: &TopicPartitionList) {
    let assigned = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(partitions),
    };
    if let Err(error) = assigned {
        tracing::error!(%error, "assignment refused by librdkafka");
    }
}

/// Gives partitions back in the way that the group's protocol asks for.
pub(super) fn unassign<C: ConsumerContext>(consumer: &impl Consumer<C>, partitions: &TopicPartitionList) {
    let unassigned = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
    };
    if let Err(error) = unassigned {
        // Happens when the assignment was lost while its records were settled.
        tracing::debug!(%error, "revocation answered too late");
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        client::log(&self.name, level, facility, line);
    }

    fn stats_raw(&self, json: &[u8]) {
        match serde_json::from_slice::<Statistics>(json) {
            Ok(statistics) => self.monitor.statistics(statistics),
            Err(error) => tracing::debug!(source = %self.name, %error, "statistics of librdkafka not understood"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(code) if !client::is_passing(code) => {
                let monitor = Arc::clone(&self.monitor);
                self.monitor.trouble(self.handshakes.trouble(code, reason, move |trouble| monitor.trouble(trouble)));
            }
            _ => tracing::debug!(source = %self.name, %error, reason, "consumer error"),
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let given = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let rebalance = if given {
            Rebalance::Assign(Partitions(partitions.clone()))
        } else {
            Rebalance::Revoke(Partitions(partitions.clone()))
        };
        if self.rebalances.try_send(rebalance).is_err() {
            // Closing: nobody answers any more, but librdkafka waits for it.
            if given {
                assign(consumer, partitions);
            } else {
                unassign(consumer, partitions);
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                tracing::warn!(source = %self.name, %error, "offsets not committed; their records may come again");
            }
        }
    }
}
