//! The log alone: order, figures and memory.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::receipt::Window;

const ROOMY: Limits = Limits { partition: u64::MAX, elsewhere: 0, total: u64::MAX };

/// The cost of each of [`append`]'s records.
const COST: u64 = 5 + OVERHEAD;

fn append(log: &mut PartitionLog, number: u32, receipt: Option<Receipt>, limits: Limits) -> Appended {
    let value = number.to_be_bytes();
    log.append(Record { key: Some(b"k"), value: Some(&value), timestamp: 0, spread: None }, receipt, limits)
}

fn number(record: Record<'_>) -> u32 {
    u32::from_be_bytes(record.value.unwrap().try_into().unwrap())
}

fn send_all(log: &mut PartitionLog, window: u64) -> Vec<(u64, u32)> {
    let mut sent = Vec::new();
    while let Some((position, record)) = log.next_to_send(window) {
        sent.push((position, number(record)));
        log.mark_sent();
    }
    sent
}

fn report(log: &mut PartitionLog, position: u64, report: Report) {
    log.report(position, report, &mut Resolutions::default());
}

#[test]
fn an_empty_log_gives_its_memory_back_and_others_keep_their_records() {
    let mut log = PartitionLog::default();
    for n in 0..1000 {
        append(&mut log, n, None, ROOMY);
    }
    log.trim();
    let sent = send_all(&mut log, u64::MAX);
    assert_eq!(sent.iter().map(|&(_, n)| n).collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
    for (position, _) in sent {
        log.trim();
        report(&mut log, position, Report::Delivered);
    }
    assert!(log.capacity() > 0);
    log.trim();
    assert_eq!(log.capacity(), 0);
    append(&mut log, 7, None, ROOMY);
    assert_eq!(send_all(&mut log, u64::MAX), [(1000, 7)]);
}

fn balanced(log: &PartitionLog) -> bool {
    let c = log.counters();
    c.matched == c.success + c.failed + c.queue_full + c.sink_deleted + log.queuing() + log.inflight()
}

#[test]
fn null_and_empty_are_different() {
    let mut log = PartitionLog::default();
    for (key, value) in [(None, Some(&b""[..])), (Some(&b"a"[..]), None)] {
        log.append(Record { key, value, timestamp: 0, spread: None }, None, ROOMY);
        let (_, record) = log.next_to_send(u64::MAX).unwrap();
        assert_eq!((record.key, record.value), (key, value));
        log.mark_sent();
    }
}

#[test]
fn a_full_buffer_drops_its_oldest_and_never_what_is_in_flight() {
    let limits = Limits { partition: 3 * COST, elsewhere: 0, total: u64::MAX };
    let mut log = PartitionLog::default();
    let mut window = Window::for_publisher();
    for n in 0..2 {
        append(&mut log, n, None, limits);
    }
    assert_eq!(send_all(&mut log, COST), [(0, 0)]);
    window.track(Instant::now(), "dropped", |tracker| {
        let receipt = tracker.impatient_receipt(Duration::from_secs(60));
        assert_eq!(append(&mut log, 2, Some(receipt), limits), Appended::Stored);
    });
    append(&mut log, 3, None, limits);
    append(&mut log, 4, None, limits);
    window.collect();
    assert_eq!(window.pop_settled(), Some(("dropped", Outcome::QuotaExceeded)));
    assert_eq!(log.counters().queue_full, 2);
    report(&mut log, 0, Report::Delivered);
    assert_eq!(send_all(&mut log, u64::MAX), [(1, 3), (2, 4)]);
    assert_eq!(append(&mut log, 5, None, Limits { partition: COST, ..limits }), Appended::Refused);
    assert!(balanced(&log));
}

/// Its receipt is patient: nobody gives up on it.
fn append_of_source(log: &mut PartitionLog, window: &mut Window<u32>, number: u32, limits: Limits) -> Appended {
    window.track(Instant::now(), number, |tracker| append(log, number, Some(tracker.receipt()), limits))
}

#[test]
fn a_record_of_a_source_drops_nothing_and_is_told_when_there_is_no_room() {
    let limits = Limits { partition: 3 * COST, elsewhere: 0, total: u64::MAX };
    let (mut log, mut window) = (PartitionLog::default(), Window::for_source());
    for n in 0..2 {
        append(&mut log, n, None, limits);
    }
    assert_eq!(append_of_source(&mut log, &mut window, 2, limits), Appended::Stored);
    assert_eq!(append_of_source(&mut log, &mut window, 3, limits), Appended::StoredBeyond);
    assert_eq!(log.counters().queue_full, 0);
    let order: Vec<u32> = send_all(&mut log, u64::MAX).into_iter().map(|(_, n)| n).collect();
    assert_eq!(order, [0, 1, 2, 3]);
    assert!(balanced(&log));
}

#[test]
fn a_record_of_a_source_is_dropped_for_nobody() {
    let limits = Limits { partition: 4 * COST, elsewhere: 0, total: u64::MAX };
    let (mut log, mut window) = (PartitionLog::default(), Window::for_source());
    for n in 0..2 {
        append_of_source(&mut log, &mut window, n, limits);
    }
    append(&mut log, 2, None, limits);
    append_of_source(&mut log, &mut window, 3, limits);
    for n in 4..6 {
        assert_eq!(append(&mut log, n, None, limits), Appended::Stored);
    }
    assert_eq!(log.counters().queue_full, 2, "2 and 4");
    append_of_source(&mut log, &mut window, 6, limits);
    assert_eq!(append(&mut log, 7, None, limits), Appended::Refused, "only the Source's would be left to drop");
    window.collect();
    assert_eq!(window.pop_settled(), None);

    // What is sent again is in front, and kept too.
    let sent = send_all(&mut log, u64::MAX);
    assert_eq!(sent.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 1, 3, 5, 6]);
    for (position, _) in sent {
        report(&mut log, position, Report::Again);
    }
    let roomier = Limits { partition: 5 * COST, ..limits };
    assert_eq!(append(&mut log, 8, None, roomier), Appended::Stored);
    let order: Vec<u32> = send_all(&mut log, u64::MAX).into_iter().map(|(_, n)| n).collect();
    assert_eq!(order, [0, 1, 3, 6, 8], "5 was a device's");
    assert!(balanced(&log));
}

#[test]
fn a_record_that_can_never_fit_drops_nobody() {
    let limits = Limits { partition: 10 * COST, elsewhere: 0, total: u64::MAX };
    let mut log = PartitionLog::default();
    for n in 0..8 {
        append(&mut log, n, None, limits);
    }
    let huge = Record { key: None, value: Some(&[0; 10_000]), timestamp: 0, spread: None };
    assert_eq!(log.append(huge, None, limits), Appended::Refused);
    let crowded = Limits { elsewhere: u64::MAX / 2, total: u64::MAX / 2, ..limits };
    assert_eq!(append(&mut log, 9, None, crowded), Appended::Refused);
    assert_eq!((log.queuing(), log.counters().queue_full), (8, 2));
    assert!(balanced(&log));
}

#[test]
fn records_to_be_sent_again_keep_their_place() {
    let mut log = PartitionLog::default();
    for n in 0..4 {
        append(&mut log, n, None, ROOMY);
    }
    assert_eq!(send_all(&mut log, 3 * COST).len(), 3);
    report(&mut log, 1, Report::Again);
    assert_eq!(log.next_to_send(u64::MAX).map(|(position, _)| position), None);
    report(&mut log, 0, Report::Again);
    report(&mut log, 2, Report::Delivered);
    let order: Vec<u32> = send_all(&mut log, u64::MAX).into_iter().map(|(_, n)| n).collect();
    assert_eq!(order, [0, 1, 3]);
    assert_eq!(log.counters().retried, 2);
    assert!(balanced(&log));
}

proptest! {
    #[test]
    fn figures_add_up_and_order_holds(steps in proptest::collection::vec((0u8..6, 0u64..8), 1..200)) {
            let limits = Limits { partition: 10 * COST, elsewhere: 0, total: u64::MAX };
        let mut log = PartitionLog::default();
        let (mut appended, mut delivered, mut unreported) = (0, Vec::new(), Vec::new());
        for (step, pick) in steps {
            match step {
                0 | 1 => { append(&mut log, appended, None, limits); appended += 1; }
                2 => unreported.extend(send_all(&mut log, 4 * COST)),
                _ if unreported.is_empty() => {}
                _ => {
                    let (position, n) = unreported.remove(pick as usize % unreported.len());
                    let said = [Report::Delivered, Report::Again, Report::Failed][step as usize - 3];
                    report(&mut log, position, said);
                    if said == Report::Delivered { delivered.push(n); }
                }
            }
            prop_assert!(balanced(&log));
            prop_assert!(log.bytes() <= limits.partition);
            prop_assert_eq!(log.bytes(), (log.queuing() + log.inflight()) * COST);
        }
        for (position, _) in unreported { report(&mut log, position, Report::Delivered); }
        while !log.is_empty() {
            let sent = send_all(&mut log, u64::MAX);
            prop_assert!(sent.is_sorted(), "queue out of order: {:?}", sent);
            for (position, _) in sent { report(&mut log, position, Report::Delivered); }
        }
        prop_assert!(balanced(&log));
        prop_assert_eq!((log.bytes(), log.inflight()), (0, 0));
    }
}
