//! Room in a full Sink: its oldest queued record goes, in whichever partition it waits.
//!
//! Nothing here is touched while there is room. When there is none, the partitions stand in a heap by the age of their
//! oldest queued record. That age only grows, so an entry that is out of date is put back where it belongs when it comes
//! to the top; partitions that had nothing queued when the heap was made are younger than all of it, and found when it is
//! made again. Making it looks at every partition, which may take a tenth of the time and no more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::core::Core;
use super::topic::{Partition, Topic};
use crate::buffer::{Full, PartitionLog};

/// Making the heap may take one part in this of the time.
const SHARE: u32 = 10;

/// Logs by the age of their oldest queued record.
#[derive(Debug, Default)]
pub(super) struct Oldest {
    heap: BinaryHeap<Reverse<Candidate>>,
    /// What is younger than this may have older ones beside the heap.
    made_at: u64,
    /// Not to be made again before.
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Candidate {
    age: u64,
    log: Log,
}

#[derive(Debug, Clone)]
enum Log {
    Of(Arc<Partition>),
    /// That of the records that wait for the first metadata.
    Waiting(Arc<Topic>),
}

impl Log {
    fn with<R>(&self, look: impl FnOnce(&mut PartitionLog) -> R) -> R {
        match self {
            Self::Of(partition) => look(&mut partition.log.lock()),
            Self::Waiting(topic) => look(&mut topic.state.read().unassigned.lock()),
        }
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.age == other.age
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.age.cmp(&other.age)
    }
}

impl Core {
    /// Bytes that the Sink may hold so that another of this `cost` can be taken, and what stands in the way of more.
    ///
    /// The memory of the process has to hold what is in flight twice: Kafka's client copies it.
    pub(super) fn allowed(&self, cost: u64) -> (u64, Full) {
        let total = self.bounds.total.load(Ordering::Relaxed);
        let copied = self.bounds.copied.load(Ordering::Relaxed);
        let wanted = self.bytes() + cost;
        let covered = self.memory.cover(wanted + wanted.min(copied));
        let within = if covered / 2 >= copied { covered - copied } else { covered / 2 };
        if within < total { (within, Full::Memory) } else { (total, Full::Limit) }
    }

    /// Gives back memory that the Sink does not need any more.
    pub(super) fn give_memory_back(&self) {
        let held = self.bytes();
        self.memory.shrink(held + held.min(self.bounds.copied.load(Ordering::Relaxed)));
    }

    /// Drops the oldest queued records of the Sink until another of this `cost` is within what is `allowed`. `false` when
    /// what is left is in flight. No lock of a topic or a log may be held.
    pub(super) fn make_room(&self, cost: u64, (total, full): (u64, Full)) -> bool {
        if cost > total {
            return false;
        }
        let mut oldest = self.oldest.lock();
        loop {
            let excess = self.bytes().saturating_add(cost).saturating_sub(total);
            if excess == 0 {
                return true;
            }
            if oldest.heap.peek().is_none_or(|Reverse(top)| top.age >= oldest.made_at) {
                self.find_oldest(&mut oldest);
            }
            let Some(Reverse(Candidate { log, .. })) = oldest.heap.pop() else { return false };
            let next = oldest.heap.peek().map_or(u64::MAX, |Reverse(next)| next.age);
            let left = log.with(|log| self.drop_from(log, excess, next, full));
            if let Some(age) = left {
                oldest.heap.push(Reverse(Candidate { age, log }));
            }
        }
    }

    /// Drops queued records that are no younger than `until`, up to so many bytes. Gives the age of the oldest one left.
    fn drop_from(&self, log: &mut PartitionLog, bytes: u64, until: u64, full: Full) -> Option<u64> {
        let before = log.bytes();
        while before - log.bytes() < bytes && log.oldest().is_some_and(|age| age <= until) {
            log.drop_oldest(full);
        }
        self.account(before, log);
        log.oldest()
    }

    fn find_oldest(&self, oldest: &mut Oldest) {
        let start = Instant::now();
        if oldest.not_before.is_some_and(|not_before| start < not_before) {
            return;
        }
        oldest.heap.clear();
        oldest.made_at = self.age();
        for topic in self.all_topics() {
            let partitions: Vec<_> = topic.state.read().partitions.iter().map(Arc::clone).map(Log::Of).collect();
            for log in partitions.into_iter().chain([Log::Waiting(topic)]) {
                if let Some(age) = log.with(PartitionLog::oldest) {
                    oldest.heap.push(Reverse(Candidate { age, log }));
                }
            }
        }
        oldest.not_before = Some(Instant::now() + start.elapsed().saturating_mul(SHARE).min(Duration::from_secs(1)));
    }

    /// Lets go of the heap when it is not needed.
    pub(super) fn forget_oldest(&self) {
        if self.bytes() < self.bounds.total.load(Ordering::Relaxed) / 2 {
            *self.oldest.lock() = Oldest::default();
        }
    }
}
