use super::*;
use crate::memory::Budget;
use crate::message::{Message, MessageIds, Publisher};
use crate::mqtt::codec::{Encodings, Version};

const MIB: usize = 1 << 20;

/// A packet that counts for `bytes`; `tag` is the last of its payload.
fn frame(qos: QoS, tag: u8, bytes: usize) -> Arc<Frame> {
    let encoded = |payload: usize| {
        let mut payload = vec![0; payload];
        *payload.last_mut().unwrap() = tag;
        let message = Message {
            id: MessageIds::new().next(0),
            topic: "t".into(),
            payload: payload.into(),
            qos,
            dup: false,
            retain: false,
            publisher: Arc::new(Publisher { client_id: "a".into(), username: None, peer: None }),
            properties: None,
            received_at: 0,
        };
        Arc::clone(Encodings::new(&message).get(Version::V311, qos).unwrap())
    };
    let beside = weight(&encoded(bytes - 200)) - (bytes - 200);
    let frame = encoded(bytes - beside);
    // The length itself may need a byte more.
    let frame = if weight(&frame) == bytes { frame } else { encoded(bytes - beside - 1) };
    assert_eq!(weight(&frame), bytes);
    frame
}

struct Fixture {
    queue: Queue,
    settings: Settings,
    counters: Counters,
}

impl Fixture {
    fn new(settings: Settings) -> Self {
        Self { queue: Queue::default(), settings, counters: Counters::default() }
    }

    fn offer(&mut self, frame: &Arc<Frame>) -> bool {
        let room = self.queue.make_room(frame, &self.settings, &mut Evicted::default(), &self.counters);
        if room {
            self.queue.push(Delivery { frame: Arc::clone(frame), receipt: None.into() });
        }
        room
    }

    /// What waits: the tag of each.
    fn tags(&self) -> String {
        let tag = |delivery: &Delivery| {
            let mut bytes = bytes::BytesMut::new();
            delivery.frame.write(&mut bytes, 1, 0);
            char::from(*bytes.last().unwrap())
        };
        self.queue.deliveries.iter().map(tag).collect()
    }

    fn dropped(&self, reason: Dropped) -> u64 {
        self.counters.snapshot().deliveries_dropped[reason as usize]
    }
}

use QoS::{AtLeastOnce, AtMostOnce};

#[test]
fn bytes_are_bounded_and_one_delivery_may_cost_several() {
    let mut fixture = Fixture::new(Settings { max_queued_bytes: 100_000, ..Settings::default() });
    for (qos, tag) in [(AtLeastOnce, b'A'), (AtMostOnce, b'B'), (AtLeastOnce, b'C'), (AtMostOnce, b'D')] {
        assert!(fixture.offer(&frame(qos, tag, 25_000)));
    }
    assert!(!fixture.offer(&frame(AtMostOnce, b'E', 1_000)), "QoS 0 drives nobody out");
    assert_eq!((fixture.tags().as_str(), fixture.dropped(Dropped::QueueFull)), ("ABCD", 1));
    assert!(fixture.offer(&frame(AtLeastOnce, b'F', 10_000)));
    assert_eq!((fixture.tags().as_str(), fixture.dropped(Dropped::QueueFull)), ("ACDF", 2));
    assert!(fixture.offer(&frame(AtLeastOnce, b'G', 60_000)));
    assert_eq!((fixture.tags().as_str(), fixture.dropped(Dropped::QueueFull)), ("CFG", 4));
    assert_eq!((fixture.queue.bytes, fixture.queue.at_most_once), (95_000, 0));
    assert!(fixture.offer(&frame(AtLeastOnce, b'H', 5_000)), "exactly full");
    assert_eq!(fixture.tags(), "CFGH");
}

#[test]
fn a_packet_larger_than_the_bound_waits_alone() {
    let mut fixture = Fixture::new(Settings { max_queued_bytes: 100_000, ..Settings::default() });
    assert!(fixture.offer(&frame(AtMostOnce, b'A', MIB)));
    assert!(!fixture.offer(&frame(AtMostOnce, b'B', 1_000)));
    assert!(fixture.offer(&frame(AtLeastOnce, b'C', 1_000)));
    assert!(fixture.offer(&frame(AtLeastOnce, b'D', MIB)));
    assert_eq!((fixture.tags().as_str(), fixture.dropped(Dropped::QueueFull)), ("D", 3));
}

#[test]
fn small_packets_count_for_what_they_cost() {
    let bound = 100_000;
    let settings = Settings { max_queued_bytes: bound, max_queued_messages: 1_000_000, ..Settings::default() };
    let mut fixture = Fixture::new(settings);
    let small = frame(AtLeastOnce, b'A', 600);
    for _ in 0..1_000 {
        fixture.offer(&small);
    }
    assert_eq!(fixture.queue.deliveries.len(), bound / 600);
    assert!(fixture.queue.bytes <= bound);
}

#[test]
fn order_stays_when_much_of_qos_0_goes() {
    let mut fixture = Fixture::new(Settings { max_queued_messages: 6, ..Settings::default() });
    for (qos, tag) in [
        (AtLeastOnce, b'A'),
        (AtMostOnce, b'B'),
        (AtLeastOnce, b'C'),
        (AtMostOnce, b'D'),
        (AtMostOnce, b'E'),
        (AtLeastOnce, b'F'),
    ] {
        assert!(fixture.offer(&frame(qos, tag, 1_000)));
    }
    let mut evicted = Evicted::default();
    assert_eq!(fixture.queue.evict(4, usize::MAX, &mut evicted), 2);
    assert_eq!(fixture.tags(), "ACEF");
    assert_eq!(fixture.queue.evict(2, usize::MAX, &mut evicted), 2);
    assert_eq!(fixture.tags(), "CF");
    assert_eq!(evicted.more.len(), 3);
}

#[test]
fn queues_share_the_memory_of_the_process() {
    let memory = Budget::new(Some(33 << 20));
    let settings = || Settings { memory: Arc::clone(&memory), ..Settings::default() };
    let usable = memory.usage().usable.unwrap() as usize;
    let (mut slow, mut other) = (Fixture::new(settings()), Fixture::new(settings()));
    // Whoever keeps up asks for nothing.
    let small = frame(AtLeastOnce, b'S', 1_000);
    for _ in 0..100 {
        assert!(other.offer(&small));
        other.queue.pop();
        other.queue.ran_empty();
    }
    assert_eq!((memory.usage().granted, other.queue.borrows()), (0, false));

    let large = frame(AtLeastOnce, b'L', 50_000);
    while slow.dropped(Dropped::Memory) == 0 {
        assert!(slow.offer(&large));
    }
    assert!(slow.queue.bytes > usable / 100 * 80 && slow.queue.bytes <= usable / 100 * 95, "{}", slow.queue.bytes);
    assert!(slow.queue.bytes as u64 <= memory.usage().granted);
    assert!(!slow.offer(&frame(AtMostOnce, b'M', 50_000)));
    assert_eq!((slow.dropped(Dropped::Memory), slow.dropped(Dropped::QueueFull)), (2, 0));
    // The others still have what needs nobody's leave.
    assert!(other.offer(&small));
    assert!(!other.offer(&frame(AtLeastOnce, b'L', usable)), "more than there is");
    assert_eq!((other.tags().as_str(), other.dropped(Dropped::Memory)), ("S", 1));

    while slow.queue.pop().is_some() {}
    slow.queue.ran_empty();
    assert!(memory.usage().granted <= 32 << 10, "{:?}", memory.usage());
    assert!(other.offer(&frame(AtLeastOnce, b'L', usable / 2)));
    assert!(!slow.queue.give_back());
    drop(other.queue.take());
    assert!(!other.queue.give_back());
    assert_eq!(memory.usage().granted, 0);
}
