//! The task of a Source: serves the group, starts and ends the partitions' tasks.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::health::Health;
use super::partition::Partition;
use super::{Handler, Left, WINDOW};
use crate::kafka::consumer::{Consumer, Key, PartitionStream, Partitions, Place, Places, Rebalance, Settings};

/// A partition that the group takes away has this long to settle the records it has, so that the next owner does
/// not deliver them again. Short, because the whole group waits.
const REVOKE_GRACE: Duration = Duration::from_secs(2);

/// The last commit is tried for this long even when the deadline is over: it saves deliveries that were made.
const CLOSE_GRACE: Duration = Duration::from_millis(500);

/// Pause before Kafka is asked again where to begin.
const LOOK_UP_PAUSE: Duration = Duration::from_secs(1);

/// How often Kafka is asked whether a missing topic is there now.
const MISSING_TOPIC_CHECK: Duration = Duration::from_secs(5);

/// Partitions that the group gave, while Kafka is asked where to begin in them.
struct Placing {
    partitions: Partitions,
    places: JoinHandle<Places>,
}

struct Running {
    task: JoinHandle<usize>,
    end: oneshot::Sender<Instant>,
}

/// A member of the group.
pub(super) struct Member {
    settings: Settings,
    handler: Arc<dyn Handler>,
    health: Arc<Health>,
    consumer: Consumer,
    stop: oneshot::Receiver<Instant>,
    placing: Option<Placing>,
    /// Partitions that this member has, or had.
    read_before: HashSet<Key>,
    partitions: BTreeMap<Key, Running>,
    /// The share of [`WINDOW`] that each partition has.
    limit: Arc<AtomicUsize>,
}

impl Member {
    pub(super) fn new(
        settings: Settings,
        handler: Arc<dyn Handler>,
        health: Arc<Health>,
        consumer: Consumer,
        stop: oneshot::Receiver<Instant>,
    ) -> Self {
        Self {
            settings,
            handler,
            health,
            consumer,
            stop,
            placing: None,
            read_before: HashSet::new(),
            partitions: BTreeMap::new(),
            limit: Arc::new(AtomicUsize::new(WINDOW)),
        }
    }

    /// Runs until it is asked to stop.
    pub(super) async fn run(mut self) -> Left {
        let mut check = tokio::time::interval(MISSING_TOPIC_CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = loop {
            tokio::select! {
                // A Source that was dropped instead of stopped ends at once.
                deadline = &mut self.stop => break deadline.unwrap_or_else(|_| Instant::now()),
                rebalance = self.consumer.next() => self.rebalance(rebalance).await,
                places = placed(self.placing.as_mut()) => self.placed(&places),
                _ = check.tick() => self.look_for_missing_topics(),
            }
        };
        self.close(deadline).await
    }

    async fn rebalance(&mut self, rebalance: Rebalance) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                let places = self.look_up(partitions.clone());
                self.placing = Some(Placing { partitions, places });
            }
            Rebalance::Revoke(partitions) => {
                // Not before the assignment was answered; librdkafka waits for that.
                self.placed(&Places::new());
                // When somebody else may have the partitions already, waiting would only deliver twice what
                // cannot be committed anyway.
                let lost = self.consumer.assignment_lost();
                let grace = if lost { Duration::ZERO } else { REVOKE_GRACE };
                let ending = self.ask_to_end(partitions.keys(), Instant::now() + grace);
                self.ended(ending).await;
                self.consumer.unassign(&partitions);
                self.health.member(!lost);
            }
        }
        self.share_window();
    }

    /// Asks Kafka where to begin, until it says so.
    fn look_up(&self, partitions: Partitions) -> JoinHandle<Places> {
        // Kafka forgets the group's place together with the topic.
        let is_new = |key: &Key| self.read_before.contains(key) || self.health.is_new_topic(&key.0);
        let new = partitions.keys().into_iter().filter(is_new).collect();
        let Settings { offset_reset, metadata_request_timeout, .. } = self.settings;
        let look = Arc::new(self.consumer.look_up(partitions, offset_reset, new, metadata_request_timeout));
        let source = self.settings.name.clone();
        tokio::spawn(async move {
            loop {
                let look = Arc::clone(&look);
                match tokio::task::spawn_blocking(move || look()).await {
                    Ok(Ok(places)) => return places,
                    Ok(Err(error)) => {
                        tracing::warn!(source, %error, "Kafka does not say where to begin; it is asked again");
                    }
                    Err(error) => tracing::error!(source, %error, "the look for a place ended badly"),
                }
                tokio::time::sleep(LOOK_UP_PAUSE).await;
            }
        })
    }

    /// Takes on the partitions whose places were looked for, if any are.
    fn placed(&mut self, places: &Places) {
        let Some(placing) = self.placing.take() else { return };
        placing.places.abort();
        for stream in self.consumer.assign(&placing.partitions, places) {
            self.take_on(stream);
        }
        self.health.member(true);
        self.share_window();
    }

    fn share_window(&self) {
        self.limit.store((WINDOW / self.partitions.len().max(1)).max(1), Relaxed);
    }

    fn take_on(&mut self, stream: PartitionStream) {
        let key = (stream.topic().clone(), stream.partition());
        let place = stream.place();
        tracing::info!(source = %self.settings.name, topic = %key.0, partition = key.1, ?place, "partition assigned");
        // A place that was chosen is committed at once: it does not get lost but with the topic.
        if !self.read_before.insert(key.clone()) && matches!(place, Some(Place::Chosen(_))) {
            self.health.rewound(&key.0, key.1, "the group's place in it is gone, as when a topic is deleted");
        }
        let (end, asked_to_end) = oneshot::channel();
        let partition = Partition {
            stream,
            handler: self.handler.clone(),
            health: self.health.clone(),
            progress: self.health.assigned(&key),
            limit: self.limit.clone(),
            end: asked_to_end,
        };
        self.partitions.insert(key, Running { task: tokio::spawn(partition.run()), end });
    }

    /// Asks the partitions' tasks to end; they have until the deadline to settle what they took.
    fn ask_to_end(&mut self, keys: Vec<Key>, deadline: Instant) -> Vec<(Key, JoinHandle<usize>)> {
        keys.into_iter()
            .filter_map(|key| {
                let Running { task, end } = self.partitions.remove(&key)?;
                // A task that ended already needs no request.
                let _ = end.send(deadline);
                Some((key, task))
            })
            .collect()
    }

    /// Waits for the tasks; returns how many records they did not settle.
    async fn ended(&self, ending: Vec<(Key, JoinHandle<usize>)>) -> usize {
        let mut left = 0;
        for (key, task) in ending {
            let unsettled = task.await.unwrap_or(0);
            left += unsettled;
            self.health.revoked(&key);
            let (topic, partition) = key;
            tracing::info!(source = %self.settings.name, %topic, partition, unsettled, "partition given back");
        }
        left
    }

    fn look_for_missing_topics(&self) {
        for topic in self.health.missing_topics() {
            let look = self.consumer.has_topic(topic.clone(), self.settings.metadata_request_timeout);
            let health = self.health.clone();
            // Ends by itself within the timeout given to the request.
            drop(tokio::task::spawn_blocking(move || {
                if look() {
                    health.topic_found(&topic);
                }
            }));
        }
    }

    async fn close(mut self, deadline: Instant) -> Left {
        if let Some(placing) = self.placing.take() {
            placing.places.abort();
            // librdkafka does not close while it waits for the answer.
            drop(self.consumer.assign(&placing.partitions, &Places::new()));
        }
        let keys = self.partitions.keys().cloned().collect();
        // Heartbeats come from librdkafka's own thread; a rebalance now waits for the answer that closing gives.
        let ending = self.ask_to_end(keys, deadline);
        self.health.stopping();
        let unsettled = self.ended(ending).await;
        let confirmed = self.consumer.close(deadline.max(Instant::now() + CLOSE_GRACE)).await;
        Left { unsettled, commit_unconfirmed: !confirmed }
    }
}

/// Where to begin, once that is known; never when nothing is looked for.
async fn placed(placing: Option<&mut Placing>) -> Places {
    match placing {
        // One that ended badly leaves the choice to librdkafka.
        Some(placing) => (&mut placing.places).await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}
