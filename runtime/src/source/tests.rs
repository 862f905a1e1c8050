//! A Source against the embedded broker: real consumer groups, real commits.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use isthmus_api::source::OffsetReset;
use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::*;
use crate::kafka::client;
use crate::kafka::embedded::Embedded;
use crate::receipt::{Outcome, Receipt};
use crate::status::LinkState;

const PATIENCE: Duration = Duration::from_secs(60);

fn settings(kafka: &Embedded, name: &str) -> Settings {
    Settings {
        name: name.to_owned(),
        bootstrap_servers: kafka.bootstrap_servers().to_owned(),
        security: Security::default(),
        group_id: "readers".to_owned(),
        topics: vec!["commands".to_owned()],
        offset_reset: OffsetReset::Earliest,
        max_fetch_bytes: 917_504,
        max_wait: Duration::from_millis(50),
        commit_interval: Duration::from_millis(100),
        connect_timeout: Duration::from_secs(5),
        metadata_request_timeout: Duration::from_secs(5),
        min_metadata_refresh_interval: Duration::from_secs(3),
        request_timeout: Duration::from_secs(30),
        session_timeout: Duration::from_secs(3),
        statistics_interval: Duration::from_millis(100),
    }
}

/// Hands every record with its receipt to the test.
struct Hold(mpsc::UnboundedSender<(Record, Receipt)>);

impl Handler for Hold {
    fn handle(&self, record: &Record, tracker: &mut Tracker<'_>) -> Result<(), String> {
        self.0.send((record.clone(), tracker.receipt())).map_err(|_| "the test is over".to_owned())
    }
}

fn hold() -> (Arc<Hold>, mpsc::UnboundedReceiver<(Record, Receipt)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Arc::new(Hold(sender)), receiver)
}

async fn kafka(partitions: i32) -> Embedded {
    let kafka = Embedded::start().await.unwrap();
    kafka.create_topic("commands", partitions).await.unwrap();
    kafka
}

async fn produce(kafka: &Embedded, partition: i32, values: impl IntoIterator<Item = String>) {
    produce_to(kafka, "commands", partition, values).await;
}

async fn produce_to(kafka: &Embedded, topic: &str, partition: i32, values: impl IntoIterator<Item = String>) {
    let producer: FutureProducer = client::base(kafka.bootstrap_servers(), "test").create().unwrap();
    let mut deliveries = Vec::new();
    for value in values {
        let record = FutureRecord::<str, _>::to(topic).partition(partition).payload(&value);
        deliveries.push(producer.send_result(record).unwrap());
    }
    for delivery in deliveries {
        delivery.await.unwrap().unwrap();
    }
}

/// What the group committed, as any Kafka client sees it.
async fn committed(kafka: &Embedded, partition: i32) -> Option<i64> {
    let mut config = client::base(kafka.bootstrap_servers(), "check");
    let consumer: BaseConsumer = config.set("group.id", "readers").create().unwrap();
    tokio::task::spawn_blocking(move || {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition("commands", partition);
        let offsets = consumer.committed_offsets(wanted, PATIENCE).unwrap();
        match offsets.elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    })
    .await
    .unwrap()
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "still not after {PATIENCE:?}: {what}");
}

async fn next(records: &mut mpsc::UnboundedReceiver<(Record, Receipt)>) -> (Record, Receipt) {
    tokio::time::timeout(PATIENCE, records.recv()).await.expect("no record arrived").unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_committed_only_after_delivery_and_without_gaps() {
    let kafka = kafka(1).await;
    produce(&kafka, 0, (0..4).map(|n| n.to_string())).await;
    let (handler, mut records) = hold();
    let source = Source::start_with(settings(&kafka, "a"), handler).unwrap();
    let mut receipts = Vec::new();
    for offset in 0..4 {
        let (record, receipt) = next(&mut records).await;
        assert_eq!((record.offset, record.value.as_deref()), (offset, Some(offset.to_string().as_bytes())));
        receipts.push(receipt);
    }
    let last = receipts.pop().unwrap();
    let third = receipts.pop().unwrap();
    last.resolve(Outcome::Safe);
    for receipt in receipts {
        receipt.resolve(Outcome::Safe);
    }
    eventually("the first two are committed", async || committed(&kafka, 0).await == Some(2)).await;
    let figures = source.figures();
    assert_eq!((figures.received, figures.delivered, figures.failed, figures.pending), (4, 2, 0, 2));
    assert_eq!(figures.link.state, LinkState::Connected);

    let left = source.stop(Instant::now() + Duration::from_millis(50)).await;
    assert_eq!(left, Left { unsettled: 2, commit_unconfirmed: false });
    assert_eq!(committed(&kafka, 0).await, Some(2));
    third.resolve(Outcome::Safe);

    let (handler, mut records) = hold();
    let again = Source::start_with(settings(&kafka, "b"), handler).unwrap();
    let (record, receipt) = next(&mut records).await;
    assert_eq!(record.offset, 2);
    receipt.resolve(Outcome::Safe);
    next(&mut records).await.1.resolve(Outcome::Safe);
    assert_eq!(again.stop(soon()).await, Left::default());
    assert_eq!(committed(&kafka, 0).await, Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_while_stopping_is_not_committed() {
    let kafka = kafka(1).await;
    produce(&kafka, 0, (0..3).map(|n| n.to_string())).await;
    let (handler, mut records) = hold();
    let source = Source::start_with(settings(&kafka, "a"), handler).unwrap();
    let (_, first) = next(&mut records).await;
    let (_, second) = next(&mut records).await;
    let (_, third) = next(&mut records).await;
    let health = source.health.clone();
    let stopping = tokio::spawn(source.stop(soon()));
    eventually("it was told to stop", async || health.figures().link.reason == health::STOPPING).await;
    first.resolve(Outcome::Safe);
    third.resolve(Outcome::Safe);
    drop(second);
    assert_eq!(stopping.await.unwrap(), Left { unsettled: 2, commit_unconfirmed: false });
    assert_eq!(committed(&kafka, 0).await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_record_is_counted_and_does_not_hold_up_the_next() {
    struct Refuse;
    impl Handler for Refuse {
        fn handle(&self, record: &Record, tracker: &mut Tracker<'_>) -> Result<(), String> {
            match record.offset {
                0 => Err("it is the first".to_owned()),
                1 => {
                    drop(tracker.receipt());
                    Ok(())
                }
                _ => Ok(()),
            }
        }
    }
    let kafka = kafka(1).await;
    produce(&kafka, 0, (0..3).map(|n| n.to_string())).await;
    let source = Source::start_with(settings(&kafka, "a"), Arc::new(Refuse)).unwrap();
    eventually("all are committed", async || committed(&kafka, 0).await == Some(3)).await;
    let figures = source.figures();
    assert_eq!((figures.received, figures.delivered, figures.failed, figures.pending), (3, 1, 2, 0));
    eventually("the lag is known", async || source.figures().lag == Some(0)).await;
    assert_eq!(source.stop(soon()).await, Left::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_records_are_taken_than_the_window_holds() {
    /// Counts records that were taken and not settled.
    struct Count {
        records: mpsc::UnboundedSender<Receipt>,
        most: AtomicI64,
        now: Arc<AtomicI64>,
    }
    impl Handler for Count {
        fn handle(&self, _: &Record, tracker: &mut Tracker<'_>) -> Result<(), String> {
            let now = self.now.fetch_add(1, Relaxed) + 1;
            self.most.fetch_max(now, Relaxed);
            self.records.send(tracker.receipt()).map_err(|error| error.to_string())
        }
    }
    let total = WINDOW + WINDOW / 2;
    let kafka = kafka(1).await;
    produce(&kafka, 0, (0..total).map(|n| n.to_string())).await;
    let (sender, mut receipts) = mpsc::unbounded_channel();
    let now = Arc::new(AtomicI64::new(0));
    let handler = Arc::new(Count { records: sender, most: AtomicI64::new(0), now: now.clone() });
    let source = Source::start_with(settings(&kafka, "a"), handler.clone()).unwrap();
    eventually("the window is full", async || source.figures().pending == WINDOW as u64).await;
    eventually("kafka has more", async || source.figures().lag == Some((total - WINDOW) as u64)).await;
    for _ in 0..total {
        let receipt = tokio::time::timeout(PATIENCE, receipts.recv()).await.expect("no more records").unwrap();
        now.fetch_sub(1, Relaxed);
        receipt.resolve(Outcome::Safe);
    }
    eventually("all are committed", async || committed(&kafka, 0).await == Some(total as i64)).await;
    assert_eq!(handler.most.load(Relaxed), WINDOW as i64);
    assert_eq!(source.stop(soon()).await, Left::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_member_takes_over_half_and_repeats_nothing_that_was_committed() {
    /// Delivers at once and remembers what.
    struct Deliver(Mutex<Vec<(i32, i64)>>);
    impl Handler for Deliver {
        fn handle(&self, record: &Record, _: &mut Tracker<'_>) -> Result<(), String> {
            self.0.lock().push((record.partition, record.offset));
            Ok(())
        }
    }
    let kafka = kafka(2).await;
    let seen = Arc::new(Deliver(Mutex::default()));
    let first = Source::start_with(settings(&kafka, "a"), seen.clone()).unwrap();
    for partition in 0..2 {
        produce(&kafka, partition, (0..50).map(|n| n.to_string())).await;
    }
    eventually("both partitions are delivered", async || seen.0.lock().len() == 100).await;
    // The embedded broker may refuse the commit of what is given back (it makes a member rejoin that was slower than
    // the leader, and takes no commits meanwhile); that Apache Kafka takes it is tested with the whole product.
    eventually("both are committed", async || {
        committed(&kafka, 0).await == Some(50) && committed(&kafka, 1).await == Some(50)
    })
    .await;
    let second = Source::start_with(settings(&kafka, "b"), seen.clone()).unwrap();
    eventually("each has one partition", async || first.figures().partitions == 1 && second.figures().partitions == 1)
        .await;
    for partition in 0..2 {
        produce(&kafka, partition, (50..100).map(|n| n.to_string())).await;
    }
    eventually("everything is delivered", async || seen.0.lock().len() >= 200).await;
    assert_eq!(first.stop(Instant::now() + Duration::from_secs(15)).await, Left::default());
    assert_eq!(second.stop(soon()).await, Left::default());
    let mut seen = std::mem::take(&mut *seen.0.lock());
    seen.sort_unstable();
    assert_eq!(seen, (0..2).flat_map(|partition| (0..100).map(move |offset| (partition, offset))).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_away_at_start_is_said_and_tried_again() {
    let kafka = kafka(1).await;
    produce(&kafka, 0, ["hello".to_owned()]).await;
    kafka.set_up(false).await.unwrap();
    let (handler, mut records) = hold();
    let source = Source::start_with(settings(&kafka, "a"), handler).unwrap();
    eventually("the outage is said", async || source.figures().link.reason == client::KAFKA_UNREACHABLE).await;
    assert!(source.figures().link.message.contains("bootstrapServers"), "{:?}", source.figures().link);
    kafka.set_up(true).await.unwrap();
    next(&mut records).await.1.resolve(Outcome::Safe);
    eventually("the link is up", async || source.figures().link.state == LinkState::Connected).await;
    assert_eq!(source.stop(soon()).await, Left::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_is_named_and_read_once_it_is_there() {
    let kafka = kafka(1).await;
    let mut both = settings(&kafka, "a");
    both.topics.push("later".to_owned());
    let (handler, _records) = hold();
    let source = Source::start_with(both, handler).unwrap();
    eventually("the topic is missed", async || source.figures().link.reason == client::TOPIC_NOT_FOUND).await;
    assert!(source.figures().link.message.contains("later"), "{:?}", source.figures().link);
    eventually("the other topic is read meanwhile", async || source.figures().partitions == 1).await;
    kafka.create_topic("later", 1).await.unwrap();
    eventually("the topic is read", async || source.figures().partitions == 2).await;
    eventually("the link is up", async || source.figures().link.state == LinkState::Connected).await;
    assert_eq!(source.stop(soon()).await, Left::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_written_after_connected_is_skipped_when_starting_at_the_end() {
    let kafka = kafka(1).await;
    produce(&kafka, 0, ["before".to_owned()]).await;
    let mut latest = settings(&kafka, "a");
    latest.offset_reset = OffsetReset::Latest;
    let (handler, mut records) = hold();
    let source = Source::start_with(latest, handler).unwrap();
    eventually("the link is up", async || source.figures().link.state == LinkState::Connected).await;
    produce(&kafka, 0, ["after".to_owned()]).await;
    let (record, receipt) = next(&mut records).await;
    assert_eq!((record.offset, record.value.as_deref()), (1, Some(&b"after"[..])));
    receipt.resolve(Outcome::Safe);
    assert_eq!(source.stop(soon()).await, Left::default());
}

/// As any Kafka client can.
async fn commit(kafka: &Embedded, partition: i32, offset: i64) {
    let mut config = client::base(kafka.bootstrap_servers(), "admin");
    let consumer: BaseConsumer = config.set("group.id", "readers").create().unwrap();
    tokio::task::spawn_blocking(move || {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset("commands", partition, Offset::Offset(offset)).unwrap();
        consumer.commit(&offsets, CommitMode::Sync).unwrap();
    })
    .await
    .unwrap();
}

/// The topic was deleted and created anew, or lost its end, while nobody looked.
async fn a_place_beyond_the_end_goes_back(reset: OffsetReset) {
    let kafka = kafka(1).await;
    produce(&kafka, 0, (0..3).map(|n| n.to_string())).await;
    commit(&kafka, 0, 100).await;
    let mut settings = settings(&kafka, "a");
    settings.offset_reset = reset;
    let (handler, mut records) = hold();
    let source = Source::start_with(settings, handler).unwrap();
    let mut receipts = Vec::new();
    for offset in 0..3 {
        let (record, receipt) = next(&mut records).await;
        assert_eq!(record.offset, offset);
        receipts.push(receipt);
    }
    eventually("the group's place goes back", async || committed(&kafka, 0).await == Some(0)).await;
    assert_eq!(source.figures().rewinds, 1);
    for receipt in receipts {
        receipt.resolve(Outcome::Safe);
    }
    eventually("and on from there", async || committed(&kafka, 0).await == Some(3)).await;
    assert_eq!(source.stop(soon()).await, Left::default());
    assert_eq!(committed(&kafka, 0).await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_beyond_the_end_goes_back_to_the_beginning_with_earliest() {
    a_place_beyond_the_end_goes_back(OffsetReset::Earliest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_beyond_the_end_goes_back_to_the_beginning_with_latest() {
    a_place_beyond_the_end_goes_back(OffsetReset::Latest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_missing_is_read_from_its_beginning_with_latest_too() {
    let kafka = kafka(1).await;
    let mut both = settings(&kafka, "a");
    both.topics.push("later".to_owned());
    both.offset_reset = OffsetReset::Latest;
    let (handler, mut records) = hold();
    let source = Source::start_with(both, handler).unwrap();
    eventually("the topic is missed", async || source.figures().link.reason == client::TOPIC_NOT_FOUND).await;
    kafka.create_topic("later", 1).await.unwrap();
    // The Source has not seen the topic yet.
    produce_to(&kafka, "later", 0, ["first".to_owned()]).await;
    let (record, receipt) = next(&mut records).await;
    assert_eq!((&*record.topic, record.offset), ("later", 0));
    receipt.resolve(Outcome::Safe);
    assert_eq!(source.stop(soon()).await, Left::default());
}

/// A process that is killed before its first commit would look for the end again, behind records that it had.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_that_a_new_group_starts_at_is_its_place_at_once() {
    let kafka = kafka(1).await;
    produce(&kafka, 0, (0..2).map(|n| n.to_string())).await;
    let mut latest = settings(&kafka, "a");
    latest.offset_reset = OffsetReset::Latest;
    let (handler, mut records) = hold();
    let source = Source::start_with(latest, handler).unwrap();
    eventually("the place is committed", async || committed(&kafka, 0).await == Some(2)).await;
    produce(&kafka, 0, ["2".to_owned()]).await;
    let (record, receipt) = next(&mut records).await;
    assert_eq!(record.offset, 2);
    receipt.resolve(Outcome::Safe);
    eventually("the record is committed", async || committed(&kafka, 0).await == Some(3)).await;
    assert_eq!(source.figures().rewinds, 0);
    assert_eq!(source.stop(soon()).await, Left::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_with_kafka_away_ends_at_the_deadline_and_says_what_is_open() {
    let kafka = kafka(1).await;
    produce(&kafka, 0, ["hello".to_owned()]).await;
    let mut slow_commits = settings(&kafka, "a");
    slow_commits.commit_interval = Duration::from_secs(3600);
    let (handler, mut records) = hold();
    let source = Source::start_with(slow_commits, handler).unwrap();
    next(&mut records).await.1.resolve(Outcome::Safe);
    eventually("it is delivered", async || source.figures().delivered == 1).await;
    kafka.set_up(false).await.unwrap();
    let asked = Instant::now();
    let left = source.stop(asked + Duration::from_secs(1)).await;
    assert_eq!(left, Left { unsettled: 0, commit_unconfirmed: true });
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn everything_the_resource_allows_is_taken_by_librdkafka() {
    struct Ignore;
    impl Handler for Ignore {
        fn handle(&self, _: &Record, _: &mut Tracker<'_>) -> Result<(), String> {
            Ok(())
        }
    }
    let seconds = Duration::from_secs;
    let least = Settings {
        name: "a".to_owned(),
        bootstrap_servers: "127.0.0.1:1".to_owned(),
        security: Security::default(),
        group_id: "g".to_owned(),
        topics: vec!["t".to_owned()],
        offset_reset: OffsetReset::Latest,
        max_fetch_bytes: 1,
        max_wait: Duration::ZERO,
        commit_interval: Duration::from_millis(100),
        connect_timeout: seconds(1),
        metadata_request_timeout: seconds(1),
        min_metadata_refresh_interval: Duration::from_millis(100),
        request_timeout: seconds(1),
        session_timeout: seconds(6),
        statistics_interval: seconds(1),
    };
    let most = Settings {
        max_fetch_bytes: 512 * 1024 * 1024,
        max_wait: seconds(300),
        commit_interval: seconds(3600),
        connect_timeout: seconds(300),
        metadata_request_timeout: seconds(300),
        min_metadata_refresh_interval: seconds(60),
        request_timeout: seconds(300),
        session_timeout: seconds(1800),
        ..least.clone()
    };
    let short_requests = Settings { request_timeout: seconds(1), ..most.clone() };
    for settings in [least, most, short_requests] {
        let source = Source::start_with(settings.clone(), Arc::new(Ignore));
        assert!(source.is_ok(), "{settings:?}: {}", source.unwrap_err());
        source.unwrap().stop(Instant::now()).await;
    }
}

/// Takes responsibility for nothing.
struct Count(AtomicI64);

impl Handler for Count {
    fn handle(&self, _: &Record, tracker: &mut Tracker<'_>) -> Result<(), String> {
        tracker.settle(Outcome::Safe);
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }
}

/// librdkafka fetches no more while enough records wait, and looks again after a second unless it is told otherwise: then
/// a Source takes some thousand records a second, whatever the machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_of_the_client_does_not_hold_up_a_source() {
    const RECORDS: i64 = 12_000;
    let kafka = kafka(1).await;
    produce(&kafka, 0, (0..RECORDS).map(|number| format!("{number:0350}"))).await;
    let handler = Arc::new(Count(AtomicI64::new(0)));
    let count = || handler.0.load(std::sync::atomic::Ordering::Relaxed);
    let mut settings = settings(&kafka, "a");
    // About a thousand of them.
    settings.max_fetch_bytes = 350_000;
    let source = Source::start_with(settings, Arc::clone(&handler) as Arc<dyn Handler>).unwrap();
    eventually("the first record", async || count() > 0).await;
    let first = Instant::now();
    eventually("all records", async || count() == RECORDS).await;
    let taken = first.elapsed();
    assert!(taken < Duration::from_secs(4), "{RECORDS} records took {taken:?}");
    assert_eq!(source.stop(soon()).await, Left::default());
}
