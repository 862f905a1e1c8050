//! Questions to Kafka about the topics of a Sink: all of them by one deadline, a few at a time.
//!
//! librdkafka has a request for one topic and one for every topic of the cluster, which may be very many; the questions
//! about a Sink's own share a connection, so asking several at a time costs one round trip for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::core::Core;
use super::topic::Topic;
use crate::kafka::client::Trouble;
use crate::kafka::producer::Producer;

/// How many are asked at a time.
const AT_A_TIME: usize = 16;

/// What Kafka said of a topic: how many partitions it has.
pub(super) type Answer = (Arc<Topic>, Result<usize, Trouble>);

/// Topics to be asked about.
struct Questions {
    topics: Vec<Arc<Topic>>,
    next: AtomicUsize,
    answers: Mutex<Vec<Answer>>,
    /// Nobody waits for the answers, or Kafka is silent.
    over: AtomicBool,
}

/// Ends what was asked for when nobody waits any more.
struct Asking(Arc<Questions>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

impl Questions {
    fn ask(&self, producer: &Producer, deadline: Instant) {
        while !self.over.load(Ordering::Relaxed) {
            let Some(topic) = self.topics.get(self.next.fetch_add(1, Ordering::Relaxed)) else { return };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let answer = producer.partition_count(&topic.name, left);
            if answer.as_ref().is_err_and(Trouble::is_silence) {
                // It would be silent about the others too.
                self.over.store(true, Ordering::Relaxed);
            }
            self.answers.lock().push((Arc::clone(topic), answer));
        }
    }
}

/// What Kafka says of `topics`, as far as it answers within `timeout`. Dropping this gives up on the answers.
pub(super) async fn ask(producer: Arc<Producer>, topics: Vec<Arc<Topic>>, timeout: Duration) -> Vec<Answer> {
    let deadline = Instant::now() + timeout;
    let at_a_time = topics.len().min(AT_A_TIME);
    let questions = Questions { topics, next: AtomicUsize::new(0), answers: Mutex::default(), over: false.into() };
    let asking = Asking(Arc::new(questions));
    let mut askers = JoinSet::new();
    for _ in 0..at_a_time {
        let (questions, producer) = (Arc::clone(&asking.0), Arc::clone(&producer));
        askers.spawn_blocking(move || questions.ask(&producer, deadline));
    }
    while let Some(asked) = askers.join_next().await {
        if let Err(error) = asked {
            tracing::error!("asking Kafka about topics failed: {error}");
        }
    }
    std::mem::take(&mut *asking.0.answers.lock())
}

/// Whether the cluster answers at all.
pub(super) async fn ask_cluster(producer: Arc<Producer>, timeout: Duration) -> Result<(), Trouble> {
    let answer = tokio::task::spawn_blocking(move || producer.cluster(timeout));
    answer.await.map_err(|error| Trouble::internal(&error))?
}

impl Core {
    /// What is known of a topic that a record chose and that Kafka does not let it have: its records fail, the Sink is
    /// fine.
    pub(super) fn refuse_topic(&self, topic: &Topic, trouble: &Trouble) {
        if self.fail_waiting(topic) > 0
            && let Some(left_out) = self.throttle.admit(trouble.reason)
        {
            tracing::warn!(
                sink = self.name,
                topic = %topic.name,
                reason = trouble.reason,
                left_out,
                "records failed for the topic that they chose: {}",
                trouble.message
            );
        }
    }
}
