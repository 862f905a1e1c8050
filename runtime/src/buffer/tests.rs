//! The log alone: order, figures and memory.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::receipt::Window;

const ROOMY: u64 = u64::MAX;

/// The cost of each of [`append`]'s records.
const COST: u64 = 5 + OVERHEAD;

fn append(log: &mut PartitionLog, number: u32, receipt: Option<Receipt>, limit: u64) -> Appended {
    let value = number.to_be_bytes();
    log.append(Record { key: Some(b"k"), value: Some(&value), timestamp: 0, spread: None }, receipt, 0, limit)
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
    let _ = log.report(position, report, &mut Resolutions::default());
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
    c.matched == c.success + c.failed + c.queue_full + c.memory + c.sink_deleted + log.queuing() + log.inflight()
}

#[test]
fn null_and_empty_are_different() {
    let mut log = PartitionLog::default();
    for (key, value) in [(None, Some(&b""[..])), (Some(&b"a"[..]), None)] {
        log.append(Record { key, value, timestamp: 0, spread: None }, None, 0, ROOMY);
        let (_, record) = log.next_to_send(u64::MAX).unwrap();
        assert_eq!((record.key, record.value), (key, value));
        log.mark_sent();
    }
}

#[test]
fn a_full_buffer_drops_its_oldest_and_never_what_is_in_flight() {
    let limit = 3 * COST;
    let mut log = PartitionLog::default();
    let mut window = Window::for_publisher();
    for n in 0..2 {
        append(&mut log, n, None, limit);
    }
    assert_eq!(send_all(&mut log, COST), [(0, 0)]);
    window.track(Instant::now(), "dropped", |tracker| {
        let receipt = tracker.impatient_receipt(Duration::from_secs(60));
        assert_eq!(append(&mut log, 2, Some(receipt), limit), Appended::Stored);
    });
    append(&mut log, 3, None, limit);
    append(&mut log, 4, None, limit);
    window.collect();
    assert_eq!(window.pop_settled(), Some(("dropped", Outcome::QuotaExceeded)));
    assert_eq!(log.counters().queue_full, 2);
    report(&mut log, 0, Report::Delivered);
    assert_eq!(send_all(&mut log, u64::MAX), [(1, 3), (2, 4)]);
    assert_eq!(append(&mut log, 5, None, COST), Appended::Refused);
    assert!(balanced(&log));
}

/// Its receipt is patient: nobody gives up on it.
fn append_of_source(log: &mut PartitionLog, window: &mut Window<u32>, number: u32, limit: u64) -> Appended {
    window.track(Instant::now(), number, |tracker| append(log, number, Some(tracker.receipt()), limit))
}

#[test]
fn a_record_of_a_source_drops_nothing_and_is_told_when_there_is_no_room() {
    let limit = 3 * COST;
    let (mut log, mut window) = (PartitionLog::default(), Window::for_source());
    for n in 0..2 {
        append(&mut log, n, None, limit);
    }
    assert_eq!(append_of_source(&mut log, &mut window, 2, limit), Appended::Stored);
    assert_eq!(append_of_source(&mut log, &mut window, 3, limit), Appended::StoredBeyond);
    assert_eq!(log.counters().queue_full, 0);
    let order: Vec<u32> = send_all(&mut log, u64::MAX).into_iter().map(|(_, n)| n).collect();
    assert_eq!(order, [0, 1, 2, 3]);
    assert!(balanced(&log));
}

#[test]
fn a_record_of_a_source_is_dropped_for_nobody() {
    let limit = 4 * COST;
    let (mut log, mut window) = (PartitionLog::default(), Window::for_source());
    for n in 0..2 {
        append_of_source(&mut log, &mut window, n, limit);
    }
    append(&mut log, 2, None, limit);
    append_of_source(&mut log, &mut window, 3, limit);
    for n in 4..6 {
        assert_eq!(append(&mut log, n, None, limit), Appended::Stored);
    }
    assert_eq!(log.counters().queue_full, 2, "2 and 4");
    append_of_source(&mut log, &mut window, 6, limit);
    assert_eq!(append(&mut log, 7, None, limit), Appended::Refused, "only the Source's would be left to drop");
    window.collect();
    assert_eq!(window.pop_settled(), None);

    // What is sent again is in front, and kept too.
    let sent = send_all(&mut log, u64::MAX);
    assert_eq!(sent.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 1, 3, 5, 6]);
    for (position, _) in sent {
        report(&mut log, position, Report::Again);
    }
    let roomier = 5 * COST;
    assert_eq!(append(&mut log, 8, None, roomier), Appended::Stored);
    let order: Vec<u32> = send_all(&mut log, u64::MAX).into_iter().map(|(_, n)| n).collect();
    assert_eq!(order, [0, 1, 3, 6, 8], "5 was a device's");
    assert!(balanced(&log));
}

#[test]
fn a_record_that_can_never_fit_drops_nobody() {
    let limit = 10 * COST;
    let mut log = PartitionLog::default();
    for n in 0..8 {
        append(&mut log, n, None, limit);
    }
    let huge = Record { key: None, value: Some(&[0; 10_000]), timestamp: 0, spread: None };
    assert_eq!(log.append(huge, None, 0, limit), Appended::Refused);
    assert_eq!((log.queuing(), log.counters().queue_full), (8, 1));
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

/// Kafka, for which these records are bad: it refuses a batch that holds one, or more than `max_batch` records.
/// Says what it took, and what failed, in order.
fn feed(log: &mut PartitionLog, batch: usize, bad: &[u32], max_batch: usize, names_them: bool) -> (Vec<u32>, usize) {
    let (mut taken, mut rounds) = (Vec::new(), 0);
    while !log.is_empty() {
        rounds += 1;
        assert!(rounds < 10_000, "no end");
        let sent = send_all(log, u64::MAX);
        assert!(!sent.is_empty(), "it stops");
        for batch in sent.chunks(batch) {
            let spoilt = batch.iter().any(|(_, n)| bad.contains(n));
            for &(position, n) in batch {
                let said = if batch.len() > max_batch {
                    Report::TooLarge
                } else if !spoilt {
                    taken.push(n);
                    Report::Delivered
                } else if names_them && !bad.contains(&n) {
                    Report::Bystander
                } else {
                    Report::Refused
                };
                let failed = log.report(position, said, &mut Resolutions::default());
                assert!(!failed || (batch.len() == 1 && bad.contains(&n)), "{n} of {batch:?}");
            }
        }
        assert!(balanced(log));
    }
    (taken, rounds)
}

#[test]
fn only_a_record_that_is_refused_alone_fails() {
    for names_them in [true, false] {
        let mut log = PartitionLog::default();
        for n in 0..3000 {
            append(&mut log, n, None, ROOMY);
        }
        let bad: Vec<u32> = (0..10).map(|n| n * 271 + 3).collect();
        let (taken, rounds) = feed(&mut log, 3000, &bad, 3000, names_them);
        assert_eq!(taken, (0..3000).filter(|n| !bad.contains(n)).collect::<Vec<_>>());
        assert_eq!((log.counters().failed, log.counters().success), (10, 2990));
        assert!(rounds < 250, "{rounds}");
    }
}

#[test]
fn a_batch_too_large_goes_in_smaller_ones_and_the_next_need_not_be_refused() {
    let mut log = PartitionLog::default();
    for n in 0..3000 {
        append(&mut log, n, None, ROOMY);
    }
    let (taken, _) = feed(&mut log, 1000, &[], 100, false);
    assert_eq!(taken, (0..3000).collect::<Vec<_>>());
    let retried = log.counters().retried;
    for n in 0..1000 {
        append(&mut log, n, None, ROOMY);
    }
    assert_eq!(feed(&mut log, 1000, &[], 100, false).0, (0..1000).collect::<Vec<_>>());
    assert!(log.counters().retried - retried < 200, "{:?}", log.counters());
    append(&mut log, 7, None, ROOMY);
    let (position, _) = send_all(&mut log, u64::MAX)[0];
    assert!(log.report(position, Report::TooLarge, &mut Resolutions::default()), "alone, it has failed");
    assert!(log.is_empty());
}

#[test]
fn nothing_overtakes_records_that_are_sent_again_alone() {
    let mut log = PartitionLog::default();
    for n in 0..6 {
        append(&mut log, n, None, ROOMY);
    }
    let sent = send_all(&mut log, 2 * COST);
    for (position, _) in sent {
        report(&mut log, position, Report::Refused);
    }
    for n in 0..2 {
        assert_eq!(send_all(&mut log, u64::MAX), [(n + 2, n as u32)]);
        report(&mut log, n + 2, Report::Delivered);
    }
    assert_eq!(send_all(&mut log, u64::MAX).len(), 4, "the others go together");
}

/// All that Kafka can say of a record.
const SAID: [Report; 6] =
    [Report::Delivered, Report::Again, Report::Failed, Report::Refused, Report::TooLarge, Report::Bystander];

proptest! {
    #[test]
    fn figures_add_up_and_order_holds(steps in proptest::collection::vec((0u8..9, 0u64..8), 1..200)) {
            let limit = 10 * COST;
        let mut log = PartitionLog::default();
        let (mut appended, mut delivered, mut unreported) = (0, Vec::new(), Vec::new());
        for (step, pick) in steps {
            match step {
                0 | 1 => { append(&mut log, appended, None, limit); appended += 1; }
                2 => unreported.extend(send_all(&mut log, 4 * COST)),
                _ if unreported.is_empty() => {}
                _ => {
                    let (position, n) = unreported.remove(pick as usize % unreported.len());
                    let said = SAID[step as usize - 3];
                    let failed = log.report(position, said, &mut Resolutions::default());
                    prop_assert!(!failed || said == Report::Failed || unreported.is_empty());
                    if said == Report::Delivered { delivered.push(n); }
                }
            }
            prop_assert!(balanced(&log));
            prop_assert!(log.bytes() <= limit);
            prop_assert_eq!(log.bytes(), (log.queuing() + log.inflight()) * COST);
        }
        for (position, _) in unreported { report(&mut log, position, Report::Delivered); }
        while !log.is_empty() {
            let sent = send_all(&mut log, u64::MAX);
            prop_assert!(!sent.is_empty());
            prop_assert!(sent.is_sorted(), "queue out of order: {:?}", sent);
            for (position, _) in sent { report(&mut log, position, Report::Delivered); }
        }
        prop_assert!(balanced(&log));
        prop_assert_eq!((log.bytes(), log.inflight()), (0, 0));
    }

    #[test]
    fn every_good_record_of_a_refused_batch_is_delivered(
        bad in proptest::collection::vec(0u32..120, 0..8),
        batch in 1usize..50,
        max_batch in 1usize..60,
        names_them: bool,
    ) {
        let mut log = PartitionLog::default();
        for n in 0..120 { append(&mut log, n, None, ROOMY); }
        let (mut taken, _) = feed(&mut log, batch, &bad, max_batch, names_them);
        taken.sort_unstable();
        prop_assert_eq!(taken, (0..120).filter(|n| !bad.contains(n)).collect::<Vec<_>>());
    }
}
