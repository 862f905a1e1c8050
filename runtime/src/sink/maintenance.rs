//! The slow matters of a Sink, in one task: starting and replacing its producer, asking Kafka for partitions,
//! keeping its link state true.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use rdkafka::config::ClientConfig;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::questions;
use crate::kafka::client::{INVALID_TOPIC, NOT_AUTHORIZED, TOPIC_NOT_FOUND, Trouble};
use crate::kafka::producer::{Deliveries, Producer};
use crate::kafka::security::Secured;

/// How long a producer whose settings changed may finish what is in flight; the rest is sent again by the new one.
const HANDOVER: Duration = Duration::from_secs(5);

/// librdkafka's name for how long a batch may wait to fill.
pub(super) const LINGER: &str = "linger.ms";

/// Everything that makes a producer. A change of these makes a new one; the buffers stay.
#[derive(Debug, Clone)]
pub(super) struct ProducerSettings {
    pub(super) config: ClientConfig,
    /// User, password and TLS, or why there can be no producer yet.
    pub(super) security: Secured,
    /// Largest batch, bytes.
    pub(super) batch_bytes: u64,
    /// How long a metadata request may take.
    pub(super) metadata_timeout: Duration,
    /// Partitions are asked for again this often.
    pub(super) refresh: Duration,
    /// … and never sooner than this after a refusal.
    pub(super) min_refresh: Duration,
    /// The link is checked this often.
    pub(super) health_check: Duration,
}

/// A linger that is worth a new producer to get rid of when the process stops.
const LONG_LINGER: Duration = Duration::from_millis(100);

impl ProducerSettings {
    /// The same without waiting for batches to fill; `None` when the wait is short anyway.
    pub(super) fn without_linger(&self) -> Option<Self> {
        let linger = self.config.get(LINGER).and_then(|linger| linger.parse().ok()).map(Duration::from_millis);
        linger.filter(|linger| *linger > LONG_LINGER)?;
        let mut hurried = self.clone();
        hurried.config.set(LINGER, "0");
        Some(hurried)
    }

    /// Whether a producer made from these would be the same.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.config.config_map() == other.config.config_map()
            && self.security == other.security
            && self.batch_bytes == other.batch_bytes
            && self.metadata_timeout == other.metadata_timeout
            && self.refresh == other.refresh
            && self.min_refresh == other.min_refresh
    }
}

/// Runs until `stop`, which waits for nothing; the producer is then still there for [`Core`] to drain.
pub(super) async fn maintain(
    core: Arc<Core>,
    settings: watch::Receiver<Arc<ProducerSettings>>,
    stop: CancellationToken,
) {
    // A task of its own: maintenance may be waiting for Kafka while answers come.
    let settling = tokio::spawn(stop.clone().run_until_cancelled_owned(Arc::clone(&core).settle_as_they_come()));
    stop.run_until_cancelled(work(&core, settings)).await;
    drop(settling.await);
}

async fn work(core: &Arc<Core>, mut settings: watch::Receiver<Arc<ProducerSettings>>) {
    let mut current = Arc::clone(&settings.borrow_and_update());
    let mut asked: HashMap<ByteString, Instant> = HashMap::new();
    loop {
        if settings.has_changed().unwrap_or(false) {
            current = Arc::clone(&settings.borrow_and_update());
            retire(core, HANDOVER).await;
            core.forget_refusal();
            core.forget_refused_records();
        } else if core.is_replacing() {
            retire(core, Duration::ZERO).await;
        }
        let step = async {
            let wait = match ensure_producer(core, &current) {
                Ok(producer) => check(core, &current, producer, &mut asked).await,
                Err(problem) => {
                    core.set_link(problem.into());
                    current.min_refresh
                }
            };
            tokio::select! {
                () = core.attention.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        };
        // Other settings need not wait for what Kafka has to say to the present ones.
        tokio::select! {
            () = step => {}
            changed = settings.changed() => {
                if changed.is_err() {
                    return;
                }
                settings.mark_changed();
            }
        }
    }
}

fn ensure_producer(core: &Arc<Core>, settings: &ProducerSettings) -> Result<Option<Arc<Producer>>, Trouble> {
    if core.producer.load().is_none() {
        let security = settings.security.as_ref().map_err(Trouble::secret)?;
        let deliveries = Arc::clone(core) as Arc<dyn Deliveries>;
        let config = settings.config.clone();
        core.install(Producer::start(&core.name, config, security, settings.batch_bytes, deliveries)?);
    }
    Ok(core.producer.load_full())
}

/// Takes the producer away and waits for the answers of what it has in flight; what it gives up on is queued again.
pub(super) async fn retire(core: &Arc<Core>, grace: Duration) {
    let Some(producer) = core.producer.swap(None) else { return };
    core.wait_for_senders();
    let retired = tokio::task::spawn_blocking(move || producer.retire(Instant::now() + grace)).await;
    if let Err(error) = retired {
        tracing::error!(sink = core.name, "retiring a producer failed: {error}");
    }
    // All its answers have come; none may wait while the next producer sends.
    core.settle();
}

/// Asks Kafka about the topics that are due and says how long to wait until the next time.
async fn check(
    core: &Arc<Core>,
    settings: &ProducerSettings,
    producer: Option<Arc<Producer>>,
    asked: &mut HashMap<ByteString, Instant>,
) -> Duration {
    core.forget_old_topics();
    core.trim();
    let topics = core.all_topics();
    let suspect = core.take_suspicion();
    if asked.len() > topics.len() {
        asked.retain(|name, _| topics.iter().any(|topic| topic.name == *name));
    }
    let mut wait = settings.refresh.min(settings.health_check);
    // A topic that was refused a moment ago is not due yet: the state it led to stands.
    let mut refused_before = false;
    let has_topics = !topics.is_empty();
    let mut due = Vec::new();
    for topic in topics {
        if topic.needs_metadata() && core.topic_is_template() && topic.is_empty() && asked.contains_key(&topic.name) {
            // Nobody wants a topic that is not there. When a record does, this is soon enough.
            wait = wait.min(settings.min_refresh);
            continue;
        }
        let due_in = asked.get(&topic.name).map_or(Duration::ZERO, |asked| {
            let interval = if topic.needs_metadata() {
                settings.min_refresh
            } else if core.is_connected() && !suspect {
                settings.refresh.min(settings.health_check)
            } else {
                Duration::ZERO
            };
            interval.saturating_sub(asked.elapsed())
        });
        if due_in > Duration::ZERO {
            refused_before |= topic.needs_metadata() && !core.topic_is_template();
            wait = wait.min(due_in);
            continue;
        }
        due.push(topic);
    }
    let Some(producer) = producer else { return wait };
    let mut problem = None;
    let asks_nothing = due.is_empty();
    if !has_topics || (asks_nothing && core.topic_is_template() && !core.is_connected()) {
        problem = questions::ask_cluster(Arc::clone(&producer), settings.metadata_timeout).await.err();
    }
    for (topic, answer) in questions::ask(producer, due, settings.metadata_timeout).await {
        asked.insert(topic.name.clone(), Instant::now());
        match answer {
            Ok(count) => core.assign(&topic, count),
            // A record that chose a topic that it cannot have fails (as in the reference system); the Sink is fine.
            Err(trouble) if core.topic_is_template() && is_about_the_topic(&trouble) => {
                core.refuse_topic(&topic, &trouble);
            }
            Err(trouble) => problem = Some(trouble),
        }
    }
    if let Some(problem) = problem {
        // An unreachable Kafka was already waited for; a refusal is asked about again after the floor.
        let again = if problem.is_silence() { Duration::from_millis(100) } else { settings.min_refresh };
        wait = wait.min(again);
        core.set_trouble(problem);
    } else if let Some(refusal) = core.refusal().filter(|_| !core.is_empty()) {
        // It answers questions, and does not take the records that wait.
        wait = wait.min(settings.min_refresh);
        core.set_trouble(refusal);
    } else if !refused_before {
        core.set_connected();
    }
    wait
}

/// Whether the topic is missing, or Kafka refuses it to this user.
fn is_about_the_topic(trouble: &Trouble) -> bool {
    [TOPIC_NOT_FOUND, NOT_AUTHORIZED, INVALID_TOPIC].contains(&trouble.reason)
}
