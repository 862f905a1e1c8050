//! The bytes of a log's records: written one behind the other into segments, a segment's memory given back when the last
//! of its records is gone.
//!
//! A record of its own allocation is made on one thread and freed on another, for every message; these are touched by
//! whoever holds the lock of the log, in the order in which the records lie there.

use std::collections::VecDeque;

/// Bytes of the first segment. Each is twice as large as the one before it, up to the largest.
const SMALLEST: usize = 1024;
const LARGEST: usize = 64 * 1024;

/// Where a record's bytes are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    segment: u32,
    start: u32,
    pub(super) length: u32,
}

/// The segments of one log, oldest first.
#[derive(Debug, Default)]
pub(super) struct Segments {
    all: VecDeque<Segment>,
    /// One of the largest whose records are gone, for the next.
    spare: Vec<u8>,
    /// Number of the next segment; numbers wrap.
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
        let segment = self.with_room(length);
        let start = segment.bytes.len();
        segment.bytes.extend_from_slice(first);
        segment.bytes.extend_from_slice(second);
        segment.held += 1;
        Place { segment: segment.number, start: start as u32, length: length as u32 }
    }

    fn with_room(&mut self, length: usize) -> &mut Segment {
        let (size, room) =
            self.all.back().map_or((0, 0), |last| (last.bytes.capacity(), last.bytes.capacity() - last.bytes.len()));
        if self.all.is_empty() || room < length {
            self.drop_last_if(|last| last.held == 0);
            let size = (2 * size).clamp(SMALLEST, LARGEST).max(length);
            let spare = std::mem::take(&mut self.spare);
            let bytes = if spare.capacity() >= size { spare } else { Vec::with_capacity(size) };
            self.all.push_back(Segment { number: self.next, held: 0, bytes });
            self.next = self.next.wrapping_add(1);
        }
        let last = self.all.len() - 1;
        &mut self.all[last]
    }

    /// The bytes of a record that is there.
    pub(super) fn get(&self, place: Place) -> &[u8] {
        let start = place.start as usize;
        self.index(place).map_or(&[], |index| &self.all[index].bytes[start..start + place.length as usize])
    }

    /// A record is gone.
    pub(super) fn release(&mut self, place: Place) {
        let Some(index) = self.index(place) else { return };
        let segment = &mut self.all[index];
        segment.held -= 1;
        if segment.held > 0 {
            return;
        }
        segment.bytes.clear();
        if index + 1 < self.all.len()
            && let Some(gone) = self.all.remove(index)
            && gone.bytes.capacity() == LARGEST
        {
            self.spare = gone.bytes;
        }
        // Made for one record of its own.
        self.drop_last_if(|last| last.held == 0 && last.bytes.capacity() > LARGEST);
    }

    fn drop_last_if(&mut self, condition: impl FnOnce(&Segment) -> bool) {
        if self.all.back().is_some_and(condition) {
            self.all.pop_back();
        }
    }

    /// Gives back the memory that is kept for the next records, when there are none now.
    pub(super) fn trim(&mut self) {
        self.spare = Vec::new();
        if self.all.iter().all(|segment| segment.held == 0) {
            self.all = VecDeque::new();
        }
    }

    /// Where its segment is. Those whose records are gone leave gaps in the numbers.
    fn index(&self, place: Place) -> Option<usize> {
        let first = self.all.front()?.number;
        let distance = place.segment.wrapping_sub(first);
        match self.all.get(distance as usize) {
            Some(segment) if segment.number == place.segment => Some(distance as usize),
            _ => self.all.binary_search_by_key(&distance, |segment| segment.number.wrapping_sub(first)).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn capacity(segments: &Segments) -> usize {
        segments.all.iter().map(|segment| segment.bytes.capacity()).sum::<usize>() + segments.spare.capacity()
    }

    #[test]
    fn segments_hold_little_more_than_their_records() {
        let mut segments = Segments::default();
        assert_eq!(capacity(&segments), 0);
        for count in [1, 3, 1000] {
            let places: Vec<_> = (0..count).map(|_| segments.push(b"key", &[0; 297])).collect();
            assert!(capacity(&segments) <= 300 * count + LARGEST + LARGEST / 4, "{}", capacity(&segments));
            for place in places {
                segments.release(place);
            }
            assert!(capacity(&segments) <= 2 * LARGEST, "{}", capacity(&segments));
        }
        let bytes = vec![1; 1_000_000];
        let large = segments.push(&[], &bytes);
        assert_eq!(segments.get(large), bytes);
        segments.release(large);
        assert!(capacity(&segments) <= 2 * LARGEST);
        segments.trim();
        assert_eq!(capacity(&segments), 0);
    }

    #[test]
    fn what_stays_at_the_front_holds_only_its_own_segment() {
        let mut segments = Segments { next: u32::MAX - 20, ..Segments::default() };
        let first = segments.push(b"first", b"");
        for number in 0..100_000_u32 {
            let place = segments.push(&number.to_be_bytes(), &[0; 300]);
            assert_eq!(segments.get(place)[..4], number.to_be_bytes());
            segments.release(place);
        }
        assert_eq!(segments.get(first), b"first");
        assert!(segments.all.len() <= 2);
    }

    proptest! {
        #[test]
        fn every_record_is_what_was_written(steps in proptest::collection::vec((0usize..3000, any::<u8>(), 0usize..10), 1..300)) {
            let mut segments = Segments { next: u32::MAX - 5, ..Segments::default() };
            let mut held = Vec::new();
            for (length, byte, pick) in steps {
                let bytes = vec![byte; length];
                let (first, second) = bytes.split_at(length / 3);
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
            prop_assert!(capacity(&segments) <= 2 * LARGEST);
            segments.trim();
            prop_assert_eq!(capacity(&segments), 0);
        }
    }
}
