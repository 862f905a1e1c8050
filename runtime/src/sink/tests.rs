//! A Sink against librdkafka's mock cluster: the real protocol and client, and faults on demand.

use std::time::Duration;

use isthmus_api::sink::{Acks, Buffer, Compression, PartitionStrategy};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::*;
use crate::kafka::security::Security;
use crate::receipt::{Outcome, Window};
use crate::status::LinkState;

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn kafka(cluster: &Cluster) -> document::Kafka {
    let mut kafka = document::Kafka::new(vec![cluster.bootstrap_servers()]);
    kafka.min_metadata_refresh_interval = isthmus_api::duration::Duration::from_millis(100);
    kafka.metadata_request_timeout = isthmus_api::duration::Duration::from_millis(1000);
    kafka
}

fn plan(topic: &str, cluster: &Cluster) -> document::Sink {
    let seconds = isthmus_api::duration::Duration::from_secs;
    document::Sink {
        name: "s".into(),
        uid: None,
        generation: None,
        connector: "kafka".into(),
        kafka: kafka(cluster),
        topic: topic.into(),
        dynamic_topic: false,
        key: "${.clientid}".into(),
        value: "${.}".into(),
        timestamp: "${.timestamp}".into(),
        partition_strategy: PartitionStrategy::KeyDispatch,
        partition_count_refresh_interval: seconds(60),
        compression: Compression::None,
        acks: Acks::AllIsr,
        idempotence: true,
        max_batch_bytes: isthmus_api::size::Size::from_bytes(896 << 10),
        linger: isthmus_api::duration::Duration::from_millis(5),
        max_inflight: 10,
        request_mode: RequestMode::Async,
        sync_timeout: seconds(5),
        buffer: Buffer::default(),
    }
}

fn record<'r>(key: &'r str, value: &'r str) -> Record<'r> {
    let spread = partitioner::murmur2(key.as_bytes());
    Record { key: Some(key.as_bytes()), value: Some(value.as_bytes()), timestamp: 1, spread: Some(spread) }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn adds_up(sink: &status::Sink) -> bool {
    sink.matched == sink.success + sink.failed + sink.dropped + sink.queuing + sink.inflight
}

/// What a partition holds, read with a consumer of its own.
fn read(cluster: &Cluster, topic: &str, partition: i32, count: usize) -> Vec<String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut values = Vec::new();
    while values.len() < count {
        let message = consumer.poll(Duration::from_secs(20)).expect("a record within 20 s").unwrap();
        values.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
    }
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_for_their_topic_and_arrive_in_order() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("later", 1, 1).unwrap();
    cluster.topic_error("later", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let sink = Sink::start(&plan("later", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    let mut window = Window::for_publisher();
    for number in 0..100 {
        let stored = window.track(Instant::now(), number, |tracker| {
            sink.core.store("later", record("k", &number.to_string()), Some(tracker.receipt()))
        });
        assert_eq!(stored, Appended::Stored);
    }
    until("the missing topic is reported", || sink.snapshot().link.reason == "TopicNotFound").await;
    assert_eq!(sink.snapshot().queuing, 100);
    window.collect();
    assert_eq!(window.pop_settled(), None);

    cluster.topic_error("later", RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    until("all are delivered", || sink.snapshot().success == 100).await;
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    window.collect();
    let settled: Vec<_> = std::iter::from_fn(|| window.pop_settled()).collect();
    assert_eq!(settled, (0..100).map(|number| (number, Outcome::Safe)).collect::<Vec<_>>());
    assert_eq!(read(&cluster, "later", 0, 100), (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(sink.drain(Instant::now() + Duration::from_secs(5)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_a_burst_is_given_back() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let mut plan = plan("t", &cluster);
    plan.partition_count_refresh_interval = isthmus_api::duration::Duration::from_millis(200);
    let sink = Sink::start(&plan, Ok(Security::default()), &Budget::unlimited()).unwrap();
    for number in 0..10_000 {
        sink.core.store("t", record(&(number % 10).to_string(), &number.to_string()), None);
    }
    until("all are delivered", || sink.snapshot().success == 10_000).await;
    let kept = || {
        let of = |topic: &Arc<topic::Topic>| {
            let state = topic.state.read();
            state.partitions.iter().map(|partition| partition.log.lock().capacity()).sum::<usize>()
        };
        sink.core.all_topics().iter().map(of).sum::<usize>()
    };
    until("nothing is kept", || kept() == 0).await;
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_producer_is_replaced_and_nothing_is_lost() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let sink = Sink::start(&plan("t", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    sink.core.store("t", record("k", "first"), None);
    until("the first is delivered", || sink.snapshot().success == 1).await;
    cluster
        .request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER; 3]);
    for number in 0..1000 {
        sink.core.store("t", record(&format!("key-{}", number % 7), &number.to_string()), None);
    }
    until("all are delivered", || sink.snapshot().success == 1001).await;
    assert!(adds_up(&sink.snapshot()));
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_large_fails_and_the_next_ones_flow() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut plan = plan("t", &cluster);
    plan.max_batch_bytes = isthmus_api::size::Size::from_bytes(1024);
    let sink = Sink::start(&plan, Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let mut window = Window::for_publisher();
    window.track(Instant::now(), "large", |tracker| {
        sink.core.store("t", record("k", &"x".repeat(4000)), Some(tracker.receipt()))
    });
    until("it has failed", || sink.snapshot().failed == 1).await;
    window.track(Instant::now(), "next", |tracker| sink.core.store("t", record("k", "small"), Some(tracker.receipt())));
    until("the next is delivered", || sink.snapshot().success == 1).await;
    let snapshot = sink.snapshot();
    assert_eq!((snapshot.failed, snapshot.matched), (1, 2));
    window.collect();
    assert_eq!(window.pop_settled(), Some(("large", Outcome::Rejected)));
    assert_eq!(window.pop_settled(), Some(("next", Outcome::Safe)));
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_too_large_is_made_smaller_and_sent_again() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let sink = Sink::start(&plan("t", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; 2]);
    for number in 0..500 {
        sink.core.store("t", record("k", &number.to_string()), None);
    }
    until("all are delivered", || sink.snapshot().success == 500).await;
    let snapshot = sink.snapshot();
    assert!(snapshot.retried > 0 && snapshot.failed == 0, "{snapshot:?}");
    assert_eq!(read(&cluster, "t", 0, 500).first().map(String::as_str), Some("0"));
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_is_no_refused_record() {
    for idempotence in [true, false] {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("t", 1, 1).unwrap();
        let mut plan = plan("t", &cluster);
        plan.idempotence = idempotence;
        plan.linger = isthmus_api::duration::Duration::from_millis(100);
        let sink = Sink::start(&plan, Ok(Security::default()), &Budget::unlimited()).unwrap();
        until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
        for error in [
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_MSG,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_POLICY_VIOLATION,
        ] {
            let before = sink.snapshot().success;
            cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
            for number in 0..100 {
                sink.core.store("t", record("k", &number.to_string()), None);
            }
            until("all are delivered", || sink.snapshot().success == before + 100).await;
        }
        let snapshot = sink.snapshot();
        assert_eq!((snapshot.failed, snapshot.queuing, snapshot.inflight), (0, 0, 0));
        assert!(snapshot.retried > 0 && adds_up(&snapshot), "{snapshot:?}");
        assert_eq!(snapshot.link.state, LinkState::Connected);
        let mut values = read(&cluster, "t", 0, 600);
        values.sort_unstable_by_key(|value| value.parse::<u32>().unwrap());
        assert_eq!(values, (0..600).map(|n| (n / 6).to_string()).collect::<Vec<_>>());
        sink.drain(Instant::now() + Duration::from_secs(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_kafka_does_not_let_write_to_keeps_its_records_and_says_so() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let sink = Sink::start(&plan("t", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    // It may be described: only the producing is refused.
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3]);
    for number in 0..500 {
        sink.core.store("t", record("k", &number.to_string()), None);
    }
    until("it is said", || sink.snapshot().link.reason == "NotAuthorized").await;
    until("all are delivered", || sink.snapshot().success == 500).await;
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    assert_eq!(sink.snapshot().failed, 0);
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_a_record_chose_and_may_not_have_fails_that_record_only() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    cluster.topic_error("secret", RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED).unwrap();
    cluster.topic_error("odd", RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION).unwrap();
    let sink = Sink::start(&plan("${topic}", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    let mut window = Window::for_publisher();
    for topic in ["secret", "odd", "t"] {
        window
            .track(Instant::now(), topic, |tracker| sink.core.store(topic, record("k", "v"), Some(tracker.receipt())));
    }
    until("all are settled", || sink.snapshot().success + sink.snapshot().failed == 3).await;
    window.collect();
    assert_eq!(window.pop_settled(), Some(("secret", Outcome::Rejected)));
    assert_eq!(window.pop_settled(), Some(("odd", Outcome::Rejected)));
    assert_eq!(window.pop_settled(), Some(("t", Outcome::Safe)));
    until("the Sink itself is fine", || sink.snapshot().link.state == LinkState::Connected).await;
    // It may be described, and not be written to.
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    sink.core.store("t", record("k", "v"), None);
    until("it has failed", || sink.snapshot().failed == 3).await;
    assert_eq!(sink.snapshot().link.state, LinkState::Connected);
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_do_not_wait_for_what_is_asked_with_the_present_ones() {
    let cluster = MockCluster::new(1).unwrap();
    // It takes the connection and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for number in 0..50 {
        cluster.create_topic(&format!("t{number}"), 1, 1).unwrap();
    }
    let mut wrong = plan("${topic}", &cluster);
    wrong.kafka.bootstrap_servers = vec![silent.local_addr().unwrap().to_string()];
    wrong.kafka.metadata_request_timeout = isthmus_api::duration::Duration::from_secs(10);
    let sink = Sink::start(&wrong, Ok(Security::default()), &Budget::unlimited()).unwrap();
    for number in 0..50 {
        sink.core.store(&format!("t{number}"), record("k", "v"), None);
    }
    // A connection to it is the question under way.
    let _asked =
        tokio::task::spawn_blocking(move || silent.accept().map(|taken| (silent, taken))).await.unwrap().unwrap();
    let changed = Instant::now();
    sink.reconfigure(&plan("${topic}", &cluster), Ok(Security::default())).unwrap();
    until("all are delivered", || sink.snapshot().success == 50).await;
    assert!(changed.elapsed() < Duration::from_secs(8), "{:?}", changed.elapsed());
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_listed_as_stalled_once() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let sink = Sink::start(&plan("t", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    let partitions = [0, 1].map(|slot| sink.core.partition(slot).unwrap());
    for _ in 0..1000 {
        for partition in &partitions {
            sink.core.stall(partition);
        }
    }
    assert_eq!(sink.core.stalled_partitions(), 2);
    sink.core.pump_stalled();
    assert_eq!(sink.core.stalled_partitions(), 0);
    sink.core.stall(&partitions[0]);
    assert_eq!(sink.core.stalled_partitions(), 1);
    sink.drain(Instant::now()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buffer_outlives_an_outage_and_its_figures_add_up() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 3, 1).unwrap();
    let sink = Sink::start(&plan("t", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    cluster.broker_down(1).unwrap();
    for number in 0..5000 {
        sink.core.store("t", record(&(number % 10).to_string(), &number.to_string()), None);
        assert!(adds_up(&sink.snapshot()));
    }
    until("the outage is reported", || sink.snapshot().link.state == LinkState::Connecting).await;
    assert_eq!(sink.snapshot().link.reason, "KafkaUnreachable");
    cluster.broker_up(1).unwrap();
    until("all are delivered", || sink.snapshot().success == 5000).await;
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    assert_eq!(sink.drain(Instant::now() + Duration::from_secs(5)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_settings_replace_the_producer_and_keep_the_records() {
    let old = MockCluster::new(1).unwrap();
    let new = MockCluster::new(1).unwrap();
    old.create_topic("t", 1, 1).unwrap();
    new.create_topic("t", 1, 1).unwrap();
    let sink = Sink::start(&plan("t", &old), Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    old.broker_down(1).unwrap();
    for number in 0..100 {
        sink.core.store("t", record("k", &number.to_string()), None);
    }
    sink.reconfigure(&plan("t", &new), Ok(Security::default())).unwrap();
    until("all are delivered", || sink.snapshot().success == 100).await;
    assert_eq!(read(&new, "t", 0, 100), (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_when_draining_is_counted_and_its_senders_are_told() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let sink = Sink::start(&plan("t", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    cluster.broker_down(1).unwrap();
    let mut window = Window::for_publisher();
    window.track(Instant::now(), (), |tracker| sink.core.store("t", record("k", "v"), Some(tracker.receipt())));
    assert_eq!(sink.drain(Instant::now() + Duration::from_millis(50)).await, 1);
    assert_eq!(sink.snapshot().dropped, 1);
    window.collect();
    assert_eq!(window.pop_settled(), Some(((), Outcome::Unavailable)));

    let late =
        window.track(Instant::now(), (), |tracker| sink.write((&row()).into(), Origin::default(), Some(tracker)));
    assert!(late.is_err(), "a message that still met the old rules is not acknowledged");
    assert_ne!(window.pop_settled(), Some(((), Outcome::Safe)));
    assert!(adds_up(&sink.snapshot()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_secret_is_not_waited_for_when_draining() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let place = isthmus_plan::document::SecretKey::new("kafka-user", "password");
    let sink =
        Sink::start(&plan("t", &cluster), Err(SecretError::new(&place, "is not there")), &Budget::unlimited()).unwrap();
    assert_eq!(sink.core.store("t", record("k", "v"), None), Appended::Stored);
    assert_eq!(sink.is_cut_off().unwrap().secret, "kafka-user");
    let drained = tokio::time::timeout(Duration::from_secs(20), sink.drain(Instant::now() + Duration::from_secs(300)));
    assert_eq!(drained.await, Ok(1), "it is over long before the grace period is");
    assert!(adds_up(&sink.snapshot()));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_topics_share_a_sink_and_idle_ones_make_room() {
    let cluster = MockCluster::new(1).unwrap();
    let names: Vec<String> = (0..15).map(|number| format!("t{number}")).collect();
    for name in &names {
        cluster.create_topic(name, 1, 1).unwrap();
    }
    let sink = Sink::start(&plan("${topic}", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    sink.core.bounds.topics.store(10, std::sync::atomic::Ordering::Relaxed);
    for (count, name) in names.iter().enumerate() {
        assert_eq!(sink.core.store(name, record("k", "v"), None), Appended::Stored);
        until("delivered so far", || sink.snapshot().success == count as u64 + 1).await;
    }
    assert_eq!(sink.core.topics.read().len(), 10);
    assert!(adds_up(&sink.snapshot()));

    cluster.broker_down(1).unwrap();
    for name in &names[..10] {
        sink.core.store(name, record("k", "v"), None);
    }
    let stored = sink.core.store(&names[10], record("k", "v"), None);
    assert_eq!(stored, Appended::Refused, "no topic is idle: a new one has no room");
    let mut window = Window::for_source();
    for (name, appended) in [(&names[11], Appended::StoredBeyond), (&names[11], Appended::Stored)] {
        let stored = window
            .track(Instant::now(), (), |tracker| sink.core.store(name, record("k", "v"), Some(tracker.receipt())));
        assert_eq!(stored, appended, "a Source waits instead");
    }
    assert!(adds_up(&sink.snapshot()));
    sink.drain(Instant::now()).await;
}

/// The numbers that wait for a topic whose partitions nobody knows.
fn waiting(sink: &Sink, topic: &str) -> Vec<u32> {
    let (topic, _) = sink.core.topic(topic, false).unwrap();
    let mut numbers = Vec::new();
    topic.state.read().unassigned.lock().move_queued(|record, _, _| {
        numbers.push(std::str::from_utf8(record.value.unwrap()).unwrap().trim().parse().unwrap());
    });
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_stays_within_the_memory_of_the_process_and_gives_it_back() {
    const MIB: u64 = 1 << 20;
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    cluster.topic_error("t", RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE).unwrap();
    let budget = Budget::new(Some(64 * MIB));
    let usable = budget.usage().usable.unwrap();
    let mut plan = plan("t", &cluster);
    plan.buffer.total_limit = isthmus_api::size::Size::from_bytes(1024 * MIB);
    plan.buffer.per_partition_limit = plan.buffer.total_limit;
    let sink = Sink::start(&plan, Ok(Security::default()), &budget).unwrap();
    let value = "v".repeat(10_000);
    for _ in 0..usable / 10_000 * 2 {
        assert_eq!(sink.core.store("t", record("k", &value), None), Appended::Stored, "the oldest goes instead");
        assert!(budget.usage().granted <= usable && adds_up(&sink.snapshot()));
    }
    let snapshot = sink.snapshot();
    let by_memory = snapshot.dropped_by.iter().find(|(reason, _)| *reason == "memory").unwrap().1;
    assert!(by_memory > 0 && by_memory == snapshot.dropped, "{snapshot:?}");
    assert!(snapshot.buffered_bytes > usable / 2 && budget.usage().under_pressure, "{snapshot:?}");
    let huge = "v".repeat(usable as usize);
    assert_eq!(sink.core.store("t", record("k", &huge), None), Appended::Refused);
    assert_eq!(sink.snapshot().queuing, snapshot.queuing, "what never fits drops nobody");
    cluster.topic_error("t", RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).unwrap();
    until("all is delivered", || sink.snapshot().queuing + sink.snapshot().inflight == 0).await;
    until("the memory is given back", || budget.usage().granted == 0).await;
    assert!(!budget.usage().under_pressure);
    sink.drain(Instant::now()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_sink_drops_its_oldest_record_wherever_it_is() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let stuck: Vec<String> = (0..4).map(|number| format!("stuck-{number}")).collect();
    for topic in &stuck {
        cluster.topic_error(topic, RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE).unwrap();
    }
    let mut plan = plan("${topic}", &cluster);
    let cost = record("k", "00000").cost();
    plan.buffer.total_limit = isthmus_api::size::Size::from_bytes(1000 * cost);
    let sink = Sink::start(&plan, Ok(Security::default()), &Budget::unlimited()).unwrap();
    for number in 0..1500_u32 {
        let stored = sink.core.store(&stuck[number as usize % 4], record("k", &format!("{number:5}")), None);
        assert_eq!(stored, Appended::Stored);
    }
    assert_eq!((sink.core.bytes(), sink.snapshot().dropped), (1000 * cost, 500));
    // Nothing is dropped for a Source, which waits: its record is kept, and counts.
    let mut window = Window::for_source();
    let stored = window
        .track(Instant::now(), (), |tracker| sink.core.store(&stuck[0], record("k", " 1500"), Some(tracker.receipt())));
    assert_eq!((stored, sink.snapshot().dropped), (Appended::StoredBeyond, 500));
    // Nobody who can deliver is refused for those who cannot.
    for number in 0..2000_u32 {
        assert_eq!(sink.core.store("t", record("k", &format!("{number:5}")), None), Appended::Stored);
        assert!(sink.core.bytes() <= 1000 * cost && adds_up(&sink.snapshot()));
    }
    until("all are delivered or dropped", || sink.snapshot().queuing + sink.snapshot().inflight <= 1000).await;
    let snapshot = sink.snapshot();
    assert_eq!(snapshot.matched, 3501);
    let left: Vec<Vec<u32>> = stuck.iter().map(|topic| waiting(&sink, topic)).collect();
    let oldest = left.iter().flatten().min().copied().unwrap_or(1500);
    let mut all: Vec<u32> = left.concat();
    all.sort_unstable();
    assert_eq!(all, (oldest..=1500).collect::<Vec<_>>(), "the youngest are left, over all topics");
    assert!(oldest >= 500, "{oldest}");
    sink.drain(Instant::now()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_not_dropped_for_room() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let mut plan = plan("t", &cluster);
    let cost = record("00000", "00000").cost();
    plan.buffer.total_limit = isthmus_api::size::Size::from_bytes(100 * cost);
    let sink = Sink::start(&plan, Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    cluster.broker_down(1).unwrap();
    let mut refused = 0;
    for number in 0..1000_u32 {
        let value = format!("{number:5}");
        let stored = sink.core.store("t", record(&value, &value), None);
        refused += u64::from(stored == Appended::Refused);
        let snapshot = sink.snapshot();
        assert!(adds_up(&snapshot) && sink.core.bytes() <= 100 * cost, "{snapshot:?}");
        assert_eq!(snapshot.queuing + snapshot.inflight, u64::from(number + 1).min(100));
    }
    assert!(refused > 0, "two windows of half the room each: it can be full of what is in flight");
    let huge = "x".repeat(200 * cost as usize);
    assert_eq!(sink.core.store("t", record("k", &huge), None), Appended::Refused);
    assert_eq!(sink.snapshot().dropped, 901);
    sink.drain(Instant::now()).await;
    assert_eq!(sink.core.bytes(), 0);
}

fn row() -> isthmus_rules::Row {
    let mut row = isthmus_rules::Row::with_capacity(1);
    row.set(isthmus_rules::Text::constant("clientid"), isthmus_rules::Value::constant("car-7"));
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn async_mode_acknowledges_devices_from_the_buffer_and_sources_from_kafka() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let sink = Sink::start(&plan("t", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    cluster.broker_down(1).unwrap();
    let (mut device, mut source) = (Window::for_publisher(), Window::for_source());
    for window in [&mut device, &mut source] {
        window
            .track(Instant::now(), (), |tracker| sink.write((&row()).into(), Origin::default(), Some(tracker)))
            .unwrap();
        window.collect();
    }
    assert_eq!(device.pop_settled(), Some(((), Outcome::Safe)));
    assert_eq!(source.pop_settled(), None);
    assert_eq!(source.next_deadline(), None, "a Source waits as long as it takes");
    cluster.broker_up(1).unwrap();
    source.inbox().resolved().await;
    source.collect();
    assert_eq!(source.pop_settled(), Some(((), Outcome::Safe)));
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_mode_gives_up_on_time_and_the_record_still_arrives() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let mut plan = plan("t", &cluster);
    plan.request_mode = RequestMode::Sync;
    plan.sync_timeout = isthmus_api::duration::Duration::from_millis(200);
    let sink = Sink::start(&plan, Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    cluster.broker_down(1).unwrap();
    let mut window = Window::for_publisher();
    window.track(Instant::now(), (), |tracker| sink.write((&row()).into(), Origin::default(), Some(tracker))).unwrap();
    let deadline = window.next_deadline().expect("a deadline");
    window.expire(deadline);
    assert_eq!(window.pop_settled(), Some(((), Outcome::Unavailable)));
    cluster.broker_up(1).unwrap();
    until("the record arrives late", || sink.snapshot().success == 1).await;
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_a_record_chose_and_that_does_not_exist_fails_that_record_only() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    cluster.topic_error("gone", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let sink = Sink::start(&plan("${topic}", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    let mut window = Window::for_publisher();
    for topic in ["gone", "t"] {
        window
            .track(Instant::now(), topic, |tracker| sink.core.store(topic, record("k", "v"), Some(tracker.receipt())));
    }
    until("both are settled", || sink.snapshot().success + sink.snapshot().failed == 2).await;
    window.collect();
    assert_eq!(window.pop_settled(), Some(("gone", Outcome::Rejected)));
    assert_eq!(window.pop_settled(), Some(("t", Outcome::Safe)));
    until("the Sink itself is fine", || sink.snapshot().link.state == LinkState::Connected).await;
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_edited_away_no_longer_takes_the_link_down() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("right", 1, 1).unwrap();
    cluster.topic_error("typo", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).unwrap();
    let sink = Sink::start(&plan("typo", &cluster), Ok(Security::default()), &Budget::unlimited()).unwrap();
    until("the typo is reported", || sink.snapshot().link.reason == "TopicNotFound").await;
    sink.reconfigure(&plan("right", &cluster), Ok(Security::default())).unwrap();
    until("connected", || sink.snapshot().link.state == LinkState::Connected).await;
    assert_eq!(sink.core.topics.read().len(), 1);
    sink.drain(Instant::now() + Duration::from_secs(5)).await;
}

#[test]
fn a_timestamp_is_a_time_since_1970_or_now() {
    use isthmus_rules::Value;
    let cluster = MockCluster::new(1).unwrap();
    let mut plan = plan("t", &cluster);
    plan.timestamp = "${ts}".into();
    let writing = Writing::compile(&plan).unwrap();
    let rendered = |ts: Value| {
        let mut row = row();
        row.set("ts".into(), ts);
        writing.render((&row).into(), Origin::default(), |_, record| record.timestamp).unwrap()
    };
    for (given, expected) in [(Value::Int(7), 7), (Value::from("1700000000000"), 1_700_000_000_000)] {
        assert_eq!(rendered(given), expected);
    }
    let before = crate::message::now_millis();
    for given in [
        Value::Int(0),
        Value::Int(-5),
        Value::Int(i128::MAX),
        Value::from("0"),
        Value::from("-5"),
        Value::from("soon"),
        Value::from(1.5),
        Value::from(-1.5),
        Value::Undefined,
        Value::Null,
    ] {
        assert!(rendered(given.clone()) >= before, "{given:?}");
    }
}

#[test]
fn bytes_that_are_no_text_reach_kafka_as_they_are_or_not_at_all() {
    use isthmus_rules::Value;
    let cluster = MockCluster::new(1).unwrap();
    let mut row = row();
    row.set("payload".into(), Value::binary(b"S\x80S".to_vec()));
    let render = |key: &str, value: &str| {
        let mut plan = plan("t", &cluster);
        (plan.key, plan.value) = (key.into(), value.into());
        let copy = |record: Record<'_>| (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
        Writing::compile(&plan).unwrap().render((&row).into(), Origin::default(), |_, record| copy(record))
    };
    let bytes = Some(b"S\x80S".to_vec());
    assert_eq!(render("${payload}", "${payload}"), Ok((bytes.clone(), bytes)));
    for (key, value) in [("k", "${.}"), ("${.}", "v")] {
        let problem = render(key, value).unwrap_err();
        assert!(problem.contains("${payload}") && problem.contains("base64_encode"), "{problem}");
    }
}
