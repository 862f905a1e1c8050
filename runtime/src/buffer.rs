//! The memory buffer of one Kafka partition of a Sink: an ordered log of records, each with its receipt.
//!
//! Three positions move through it, *acknowledged* ≤ *sent* ≤ *appended*: records after *sent* are queued,
//! records between the two others are in flight. Pure: no Kafka, no clock, no lock. Who sends, and when,
//! is the business of `sink`.
//!
//! The figures of row X6 live here, beside the records they count, so that
//! `matched = success + failed + dropped + queuing + inflight` holds whenever the log is not being changed.

mod segments;
mod waves;

use std::collections::VecDeque;

use self::segments::{Place, Segments};
use self::waves::Waves;
use crate::receipt::{Outcome, Receipt, Resolutions};

/// What a record costs beyond its own bytes, roughly: the entry, and its place with Kafka's client.
const OVERHEAD: u64 = 96;

/// One Kafka record, ready to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Record<'r> {
    /// `None` for NULL.
    pub key: Option<&'r [u8]>,
    /// `None` for NULL.
    pub value: Option<&'r [u8]>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// What chooses the partition: a hash, or nothing for any.
    pub spread: Option<u32>,
}

impl Record<'_> {
    /// Bytes this record takes from the buffer's limits.
    pub fn cost(&self) -> u64 {
        (self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len)) as u64 + OVERHEAD
    }
}

/// What leaves no room for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// A limit of the Sink.
    Limit,
    /// The memory of the process.
    Memory,
}

impl Counters {
    /// One more record has no room.
    pub fn count_full(&mut self, full: Full) {
        match full {
            Full::Limit => self.queue_full += 1,
            Full::Memory => self.memory += 1,
        }
    }
}

/// What became of an appended record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is in the buffer.
    Stored,
    /// It is in the buffer, beyond the limits: a record of a Source, which should bring no more until this one left.
    StoredBeyond,
    /// The buffer is full of records that cannot be dropped any more: this one was, and is counted.
    Refused,
}

/// What Kafka said of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It is in Kafka.
    Delivered,
    /// It will never be.
    Failed,
    /// It has to be sent again, in its place.
    Again,
    /// The batch it was in was refused, perhaps for its sake: it failed if it was alone, and is sent again in smaller
    /// company if it was not.
    Refused,
    /// The same, because the batch had too many bytes.
    TooLarge,
    /// The batch it was in was refused for the sake of others.
    Bystander,
}

/// A record in the log.
#[derive(Debug)]
struct Entry {
    /// Key and value, one behind the other.
    place: Place,
    /// Length of the key.
    key: Option<u32>,
    has_value: bool,
    sent_before: bool,
    /// How many may be on their way together with it, itself included.
    company: u16,
    spread: Option<u32>,
    timestamp: i64,
    /// When it was appended, in an order over all logs of the Sink.
    age: u64,
    receipt: Option<Receipt>,
}

impl Entry {
    fn cost(&self) -> u64 {
        u64::from(self.place.length) + OVERHEAD
    }

    /// A record of a Source is not dropped: its offset would be committed, and nobody would send it again (row X3). A
    /// Source has a bounded number of them, and stops where there is no room.
    fn may_be_dropped(&self) -> bool {
        !self.receipt.as_ref().is_some_and(Receipt::is_patient)
    }

    fn record<'s>(&self, segments: &'s Segments) -> Record<'s> {
        let (key, value) = segments.get(self.place).split_at(self.key.unwrap_or(0) as usize);
        Record {
            key: self.key.map(|_| key),
            value: self.has_value.then_some(value),
            timestamp: self.timestamp,
            spread: self.spread,
        }
    }

    /// It leaves the log.
    fn resolve(self, segments: &mut Segments, outcome: Outcome) {
        segments.release(self.place);
        if let Some(receipt) = self.receipt {
            receipt.resolve(outcome);
        }
    }
}

#[derive(Debug)]
enum Flight {
    Sent(Entry),
    Again(Entry),
    /// To be sent again in smaller company.
    Refused(Entry),
    Done,
}

/// Figures of a log, in records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Appended here.
    pub matched: u64,
    /// Delivered.
    pub success: u64,
    /// Failed for good.
    pub failed: u64,
    /// Dropped because a limit of the Sink was reached.
    pub queue_full: u64,
    /// Dropped because the process has no memory left.
    pub memory: u64,
    /// Dropped because the Sink was removed.
    pub sink_deleted: u64,
    /// Sent again; outside the sum.
    pub retried: u64,
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.matched += other.matched;
        self.success += other.success;
        self.failed += other.failed;
        self.queue_full += other.queue_full;
        self.memory += other.memory;
        self.sink_deleted += other.sink_deleted;
        self.retried += other.retried;
    }
}

/// Refusals since nothing was in flight.
#[derive(Debug, Default)]
struct Refusals {
    refused: usize,
    bystanders: usize,
    /// Bytes of what was too large together.
    too_large: u64,
}

/// The log of one partition.
#[derive(Debug, Default)]
pub struct PartitionLog {
    queued: VecDeque<Entry>,
    inflight: VecDeque<Flight>,
    /// Keys and values of all of them.
    segments: Segments,
    /// Position of `inflight[0]`.
    acknowledged: u64,
    bytes: u64,
    inflight_bytes: u64,
    /// Bytes of queued records that may not be dropped, and how many at the front are known to be such.
    kept_bytes: u64,
    kept_in_front: usize,
    /// Entries in flight without a report, and those to be sent again.
    unreported: usize,
    again: usize,
    waves: Waves,
    refusals: Refusals,
    counters: Counters,
}

impl PartitionLog {
    /// Appends a record of this age, dropping the oldest queued ones when `limit` bytes would be exceeded. Dropped records
    /// that somebody waits for resolve as [`Outcome::QuotaExceeded`], so does the receipt of a refused one. A record of a
    /// Source is always taken, and none is dropped for it.
    pub fn append(&mut self, record: Record<'_>, receipt: Option<Receipt>, age: u64, limit: u64) -> Appended {
        self.counters.matched += 1;
        let cost = record.cost();
        let fits = |held: u64| held + cost <= limit;
        if receipt.as_ref().is_some_and(Receipt::is_patient) {
            let appended = if fits(self.bytes) { Appended::Stored } else { Appended::StoredBeyond };
            self.push(record, receipt, age);
            return appended;
        }
        if !fits(self.inflight_bytes + self.kept_bytes) {
            // Dropping all that waits would not make room: nothing that was taken is dropped for it.
            self.counters.queue_full += 1;
            if let Some(receipt) = receipt {
                receipt.resolve(Outcome::QuotaExceeded);
            }
            return Appended::Refused;
        }
        while !fits(self.bytes) {
            if !self.drop_oldest(Full::Limit) {
                break;
            }
        }
        self.push(record, receipt, age);
        Appended::Stored
    }

    /// Age of the oldest queued record that may be dropped.
    pub fn oldest(&mut self) -> Option<u64> {
        let kept = self.queued.range(self.kept_in_front..).take_while(|entry| !entry.may_be_dropped()).count();
        self.kept_in_front += kept;
        self.queued.get(self.kept_in_front).map(|entry| entry.age)
    }

    /// Drops the oldest queued record that may be: there is no room. Says whether there was one.
    pub fn drop_oldest(&mut self, full: Full) -> bool {
        self.oldest();
        let Some(oldest) = self.queued.remove(self.kept_in_front) else { return false };
        self.bytes -= oldest.cost();
        self.counters.count_full(full);
        oldest.resolve(&mut self.segments, Outcome::QuotaExceeded);
        true
    }

    fn pop_queued(&mut self) -> Option<Entry> {
        let entry = self.queued.pop_front()?;
        self.kept_in_front = self.kept_in_front.saturating_sub(1);
        if !entry.may_be_dropped() {
            self.kept_bytes -= entry.cost();
        }
        Some(entry)
    }

    fn push(&mut self, record: Record<'_>, receipt: Option<Receipt>, age: u64) {
        let Record { key, value, timestamp, spread } = record;
        self.bytes += record.cost();
        let entry = Entry {
            place: self.segments.push(key.unwrap_or_default(), value.unwrap_or_default()),
            key: key.map(|key| key.len() as u32),
            has_value: value.is_some(),
            sent_before: false,
            company: waves::ANY,
            spread,
            timestamp,
            age,
            receipt,
        };
        if !entry.may_be_dropped() {
            self.kept_bytes += entry.cost();
        }
        self.queued.push_back(entry);
    }

    /// The next record to send while less than `window` bytes are in flight, with its position.
    /// Nothing while records wait to be sent again: those go first, in their place. One that was refused together with
    /// others waits until its company is small enough.
    pub fn next_to_send(&self, window: u64) -> Option<(u64, Record<'_>)> {
        if self.again > 0 || (self.inflight_bytes >= window && self.inflight_bytes > 0) {
            return None;
        }
        let position = self.acknowledged + self.inflight.len() as u64;
        let entry = self.queued.front().filter(|entry| self.waves.admit(entry.company, entry.cost()))?;
        Some((position, entry.record(&self.segments)))
    }

    /// The record that [`PartitionLog::next_to_send`] gave is with Kafka's client now.
    pub fn mark_sent(&mut self) {
        if let Some(mut entry) = self.pop_queued() {
            self.inflight_bytes += entry.cost();
            self.counters.retried += u64::from(entry.sent_before);
            entry.sent_before = true;
            self.waves.sent(entry.company, entry.cost());
            self.unreported += 1;
            self.inflight.push_back(Flight::Sent(entry));
        }
    }

    /// The record that [`PartitionLog::next_to_send`] gave can never be sent.
    pub fn mark_unsendable(&mut self) {
        if let Some(entry) = self.pop_queued() {
            self.bytes -= entry.cost();
            self.counters.failed += 1;
            entry.resolve(&mut self.segments, Outcome::Rejected);
        }
    }

    /// Takes in what Kafka said of the record at `position`, and says whether it failed for good. An unknown position is
    /// ignored. Whoever waits for the record is told with the other `resolutions`.
    pub fn report(&mut self, position: u64, report: Report, resolutions: &mut Resolutions) -> bool {
        let Some(index) = position.checked_sub(self.acknowledged) else { return false };
        let Some(flight) = self.inflight.get_mut(index as usize) else { return false };
        let entry = match std::mem::replace(flight, Flight::Done) {
            Flight::Sent(entry) => entry,
            other => {
                *flight = other;
                return false;
            }
        };
        self.unreported -= 1;
        let is_single = self.waves.is_single();
        let outcome = match report {
            Report::Delivered => {
                self.counters.success += 1;
                self.waves.delivered();
                Some(Outcome::Safe)
            }
            Report::Again => None,
            Report::Refused | Report::TooLarge | Report::Bystander if !is_single => None,
            Report::Failed | Report::Refused | Report::TooLarge | Report::Bystander => {
                self.counters.failed += 1;
                Some(Outcome::Rejected)
            }
        };
        if let Some(outcome) = outcome {
            self.bytes -= entry.cost();
            self.inflight_bytes -= entry.cost();
            self.segments.release(entry.place);
            if let Some(receipt) = entry.receipt {
                resolutions.push(receipt, outcome);
            }
        } else {
            self.again += 1;
            *flight = match report {
                Report::Refused | Report::TooLarge => {
                    self.refusals.refused += 1;
                    self.refusals.too_large += if report == Report::TooLarge { entry.cost() } else { 0 };
                    Flight::Refused(entry)
                }
                _ => {
                    self.refusals.bystanders += usize::from(report == Report::Bystander);
                    Flight::Again(entry)
                }
            };
        }
        if self.unreported == 0 {
            self.rewind();
        } else {
            while matches!(self.inflight.front(), Some(Flight::Done)) {
                self.inflight.pop_front();
                self.acknowledged += 1;
            }
        }
        outcome == Some(Outcome::Rejected)
    }

    /// Everything in flight has been reported: what has to be sent again goes back to the front of the queue, in order.
    fn rewind(&mut self) {
        self.separate();
        self.acknowledged += self.inflight.len() as u64;
        while let Some(flight) = self.inflight.pop_back() {
            if let Flight::Again(entry) | Flight::Refused(entry) = flight {
                self.inflight_bytes -= entry.cost();
                if !entry.may_be_dropped() {
                    self.kept_bytes += entry.cost();
                }
                self.queued.push_front(entry);
            }
        }
        self.again = 0;
        self.kept_in_front = 0;
        self.waves.landed();
    }

    /// Gives the records that were refused together smaller company: half of those that are side by side.
    fn separate(&mut self) {
        let refusals = std::mem::take(&mut self.refusals);
        if refusals.refused + refusals.bystanders == 0 {
            return;
        }
        self.waves.refused((refusals.too_large > 0).then_some(refusals.too_large));
        // Kafka says that others are to blame and not who: it may be any of them.
        let blame_all = refusals.refused == 0;
        let flights = self.inflight.make_contiguous();
        let is_refused = |flight: &Flight| match flight {
            Flight::Refused(_) => true,
            Flight::Again(_) => blame_all,
            Flight::Sent(_) | Flight::Done => false,
        };
        for run in flights.chunk_by_mut(|one, next| is_refused(one) && is_refused(next)) {
            let company = waves::smaller(run.len());
            for flight in run {
                if is_refused(flight)
                    && let Flight::Refused(entry) | Flight::Again(entry) = flight
                {
                    entry.company = entry.company.min(company);
                }
            }
        }
    }

    /// Moves the queued records out, oldest first, as if they had never been here.
    pub fn move_queued(&mut self, mut into: impl FnMut(Record<'_>, Option<Receipt>, u64)) {
        (self.kept_bytes, self.kept_in_front) = (0, 0);
        for mut entry in std::mem::take(&mut self.queued) {
            self.counters.matched -= 1;
            self.bytes -= entry.cost();
            into(entry.record(&self.segments), entry.receipt.take(), entry.age);
            self.segments.release(entry.place);
        }
    }

    /// Takes in a record that [`PartitionLog::move_queued`] moved out; it was within the limits already.
    pub fn adopt(&mut self, record: Record<'_>, receipt: Option<Receipt>, age: u64) {
        self.counters.matched += 1;
        self.push(record, receipt, age);
    }

    /// Gives back the memory that an empty log keeps for the next records.
    pub fn trim(&mut self) {
        if self.is_empty() {
            self.segments.trim();
            (self.queued, self.inflight) = (VecDeque::new(), VecDeque::new());
        }
    }

    /// Fails what waits: its topic does not exist.
    pub fn fail_queued(&mut self) {
        while !self.queued.is_empty() {
            self.mark_unsendable();
        }
    }

    /// Gives up on everything: the Sink is gone.
    pub fn abandon(&mut self) {
        let flights = std::mem::take(&mut self.inflight);
        self.acknowledged += flights.len() as u64;
        let flying = flights.into_iter().filter_map(|flight| match flight {
            Flight::Sent(entry) | Flight::Again(entry) | Flight::Refused(entry) => Some(entry),
            Flight::Done => None,
        });
        for entry in flying.chain(std::mem::take(&mut self.queued)) {
            self.counters.sink_deleted += 1;
            entry.resolve(&mut self.segments, Outcome::Unavailable);
        }
        (self.bytes, self.inflight_bytes, self.unreported, self.again) = (0, 0, 0, 0);
        (self.kept_bytes, self.kept_in_front) = (0, 0);
        self.refusals = Refusals::default();
        self.waves.landed();
    }

    /// Position of the first record that is not finally reported.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Records not yet sent, or to be sent again.
    pub fn queuing(&self) -> u64 {
        (self.queued.len() + self.again) as u64
    }

    /// Records sent and not yet reported.
    pub fn inflight(&self) -> u64 {
        self.unreported as u64
    }

    /// Bytes held, as the limits count them.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.inflight.is_empty()
    }

    /// The figures so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

#[cfg(test)]
impl PartitionLog {
    /// Bytes of memory, but for the queues: their entries.
    pub fn capacity(&self) -> usize {
        self.segments.capacity() + self.queued.capacity() + self.inflight.capacity()
    }
}

#[cfg(test)]
mod tests;
