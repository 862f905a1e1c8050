//! The bytes of a log's records: written one behind the other into segments, a segment's memory given back when the last
//! of its records is gone.
//!
//! A record of its own allocation is made on one thread and freed on another, for every message; these are touched by
//! whoever holds the lock of the log, in the order in which the records lie there.

use std::collections::VecDeque;

/// Bytes of the first segment. Each is twice as large as the one before it, up to the largest.
const SMALLEST: usize = 1024;
const LARGEST: usize = 64 * 1024;
/// A larger record has a segment of its own, so that little is left over at the end of the others.
const SHARING: usize = LARGEST / 8;

/// Where a record's bytes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    segment: u32,
    start: u32,
    pub(super) length: u32,
}

/// The segments of one log.
#[derive(Debug, Default)]
pub(super) struct Segments {
    shared: Row,
    /// Those of one record each.
    own: Row,
    /// A shared one of the largest whose records are gone, for the next.
    spare: Vec<u8>,
}

/// Segments in the order in which they were made.
#[derive(Debug, Default)]
struct Row {
    segments: VecDeque<Segment>,
    /// Number of the next; numbers wrap.
    next: u32,
}

#[derive(Debug)]
struct Segment {
    number: u32,
    /// Records in it that are not gone.
    held: u32,
    /// Never grows beyond the capacity that it was made with.
    bytes: Vec<u8>,
}

impl Segments {
    /// Writes a record's bytes, in two parts.
    pub(super) fn push(&mut self, first: &[u8], second: &[u8]) -> Place {
        let length = first.len() + second.len();
        let segment = if length > SHARING {
            self.own.add(Vec::with_capacity(length))
        } else {
            match self.shared.segments.back() {
                Some(last) if last.room() >= length => {}
                last => {
                    let (size, unused) = last.map_or((0, false), |last| (last.bytes.capacity(), last.held == 0));
                    if unused {
                        self.shared.segments.pop_back();
                    }
                    let size = (2 * size).clamp(SMALLEST, LARGEST);
                    let spare = std::mem::take(&mut self.spare);
                    self.shared.add(if spare.capacity() >= size {
                        spare
                    } else {
                        Vec::with_capacity(size.max(length))
                    });
                }
            }
            let last = self.shared.segments.len() - 1;
            &mut self.shared.segments[last]
        };
        let start = segment.bytes.len();
        segment.bytes.extend_from_slice(first);
        segment.bytes.extend_from_slice(second);
        segment.held += 1;
        Place { segment: segment.number, start: start as u32, length: length as u32 }
    }

    /// The bytes of a record that is there.
    pub(super) fn get(&self, place: Place) -> &[u8] {
        let row = if place.is_shared() { &self.shared } else { &self.own };
        let start = place.start as usize;
        row.index(place).map_or(&[], |index| &row.segments[index].bytes[start..start + place.length as usize])
    }

    /// A record is gone.
    pub(super) fn release(&mut self, place: Place) {
        let shared = place.is_shared();
        let row = if shared { &mut self.shared } else { &mut self.own };
        let Some(index) = row.index(place) else { return };
        let segment = &mut row.segments[index];
        segment.held -= 1;
        if segment.held > 0 {
            return;
        }
        if shared && index + 1 == row.segments.len() {
            // The next records begin it anew.
            row.segments[index].bytes.clear();
        } else if let Some(mut gone) = row.segments.remove(index)
            && shared
            && gone.bytes.capacity() >= LARGEST
        {
            gone.bytes.clear();
            self.spare = gone.bytes;
        }
    }

    /// Gives back the memory that is kept for the next records. There are none now.
    pub(super) fn trim(&mut self) {
        *self = Self::default();
    }
}

impl Place {
    fn is_shared(self) -> bool {
        self.length as usize <= SHARING
    }
}

impl Row {
    fn add(&mut self, bytes: Vec<u8>) -> &mut Segment {
        self.segments.push_back(Segment { number: self.next, held: 0, bytes });
        self.next = self.next.wrapping_add(1);
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }

    /// Where the segment of a record is. Those whose records are gone leave gaps in the numbers.
    fn index(&self, place: Place) -> Option<usize> {
        let first = self.segments.front()?.number;
        let distance = place.segment.wrapping_sub(first);
        match self.segments.get(distance as usize) {
            Some(segment) if segment.number == place.segment => Some(distance as usize),
            _ => self.segments.binary_search_by_key(&distance, |segment| segment.number.wrapping_sub(first)).ok(),
        }
    }
}

impl Segment {
    fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }
}

#[cfg(test)]
impl Segments {
    /// Bytes of memory.
    pub(super) fn capacity(&self) -> usize {
        let of = |row: &Row| row.segments.iter().map(|segment| segment.bytes.capacity()).sum::<usize>();
        of(&self.shared) + of(&self.own) + self.spare.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Segments whose numbers are about to wrap.
    fn old() -> Segments {
        let row = || Row { next: u32::MAX - 5, ..Row::default() };
        Segments { shared: row(), own: row(), spare: Vec::new() }
    }

    #[test]
    fn segments_hold_little_more_than_their_records() {
        let mut segments = Segments::default();
        for (length, count) in [(1, 1), (300, 1000), (SHARING, 100), (SHARING + 1, 100), (40_000, 30), (1_000_000, 3)] {
            let value = vec![7; length];
            let places: Vec<_> =
                (0..count).map(|_| (segments.push(b"", &value), segments.push(b"key", b"v"))).collect();
            let held = (length + 4) * count;
            assert!(segments.capacity() <= held + held / 8 + 2 * LARGEST, "{} for {held}", segments.capacity());
            for (place, small) in places {
                assert_eq!(segments.get(place), value);
                segments.release(place);
                segments.release(small);
            }
            assert!(segments.capacity() <= 2 * LARGEST, "{}", segments.capacity());
        }
        segments.trim();
        assert_eq!(segments.capacity(), 0);
    }

    #[test]
    fn what_stays_at_the_front_holds_only_its_own_segment() {
        let mut segments = old();
        let first = segments.push(b"first", b"");
        for number in 0..100_000_u32 {
            let place = segments.push(&number.to_be_bytes(), &[0; 300]);
            assert_eq!(segments.get(place)[..4], number.to_be_bytes());
            segments.release(place);
        }
        assert_eq!(segments.get(first), b"first");
        assert!(segments.shared.segments.len() <= 2);
    }

    proptest! {
        #[test]
        fn every_record_is_what_was_written(steps in proptest::collection::vec((0usize..20_000, any::<u8>(), 0usize..10), 1..300)) {
            let mut segments = old();
            let mut held = Vec::new();
            for (length, byte, pick) in steps {
                // Half of them are small.
                let bytes = vec![byte; if byte < 128 { length % 3000 } else { length }];
                let (first, second) = bytes.split_at(bytes.len() / 3);
                held.push((segments.push(first, second), bytes));
                if pick < 6 {
                    let (place, bytes) = held.remove(pick % held.len());
                    prop_assert_eq!(segments.get(place), &*bytes);
                    segments.release(place);
                }
            }
            for (place, bytes) in held {
                prop_assert_eq!(segments.get(place), &*bytes);
                segments.release(place);
            }
            prop_assert!(segments.capacity() <= 2 * LARGEST);
            prop_assert!(segments.shared.segments.len() <= 1 && segments.own.segments.is_empty());
        }
    }
}
