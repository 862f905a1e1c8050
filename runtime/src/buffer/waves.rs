//! How many records of a partition may be on their way together.
//!
//! As long as Kafka takes them, any number: then this only counts. A record that Kafka refused together with others is
//! sent again in smaller company, at last alone, and only one that is refused alone has failed. A *wave* is what is sent
//! between two moments at which nothing is in flight; a limited wave is over before the next begins, so that nothing
//! overtakes a record that comes back.
//!
//! After a refusal the partition goes on in waves for a while: the next refusal then finds little behind it. A wave may be
//! several batches of the client, and those behind a refused one are stored before what is sent again.

/// Company of a record that Kafka has not refused.
pub(super) const ANY: u16 = u16::MAX;

/// The largest company of one that it has.
const MOST: usize = 1 << 14;

/// Records and bytes of a wave, for a while after a refusal.
const WAVE_RECORDS: u32 = 500;
const WAVE_BYTES: u64 = 256 * 1024;

/// The bytes of a wave double after this many delivered records …
const PATIENCE: u32 = 10_000;

/// … until waves of more than this are allowed: then there are none any more.
const FULL: u64 = 1024 * 1024;

/// What is on its way since nothing was, and how much may be.
#[derive(Debug)]
pub(super) struct Waves {
    /// Records of this wave, reported ones too.
    records: u32,
    bytes: u64,
    max_records: u32,
    max_bytes: u64,
    careful: Option<Careful>,
}

/// What a refusal left behind.
#[derive(Debug)]
struct Careful {
    bytes: u64,
    /// Records to be delivered until the waves grow.
    left: u32,
}

impl Default for Waves {
    fn default() -> Self {
        Self { records: 0, bytes: 0, max_records: u32::MAX, max_bytes: u64::MAX, careful: None }
    }
}

impl Waves {
    /// Whether a record of this company and cost may be sent now.
    pub(super) fn admit(&self, company: u16, cost: u64) -> bool {
        self.records == 0
            || (self.records < self.max_records.min(most(company)) && self.bytes.saturating_add(cost) <= self.max_bytes)
    }

    /// It is on its way.
    pub(super) fn sent(&mut self, company: u16, cost: u64) {
        self.max_records = self.max_records.min(most(company));
        self.records = self.records.saturating_add(1);
        self.bytes = self.bytes.saturating_add(cost);
    }

    /// Whether the wave is one record.
    pub(super) fn is_single(&self) -> bool {
        self.records == 1
    }

    /// Nothing is in flight any more.
    pub(super) fn landed(&mut self) {
        (self.records, self.bytes) = (0, 0);
        (self.max_records, self.max_bytes) =
            self.careful.as_ref().map_or((u32::MAX, u64::MAX), |careful| (WAVE_RECORDS, careful.bytes));
    }

    /// Kafka refused records of this wave; `too_large` are the bytes of those that were too many for one batch.
    pub(super) fn refused(&mut self, too_large: Option<u64>) {
        let before = self.careful.as_ref().map_or(WAVE_BYTES, |careful| careful.bytes);
        let bytes = too_large.map_or(WAVE_BYTES, |bytes| (bytes / 2).max(1)).min(before);
        self.careful = Some(Careful { bytes, left: PATIENCE });
    }

    /// A record was delivered.
    pub(super) fn delivered(&mut self) {
        let Some(careful) = &mut self.careful else { return };
        careful.left -= 1;
        if careful.left == 0 {
            *careful = Careful { bytes: careful.bytes.saturating_mul(2), left: PATIENCE };
            if careful.bytes > FULL {
                self.careful = None;
            }
        }
    }
}

/// The company of each of so many records that were refused together.
pub(super) fn smaller(refused: usize) -> u16 {
    (refused / 2).clamp(1, MOST) as u16
}

fn most(company: u16) -> u32 {
    if company == ANY { u32::MAX } else { u32::from(company) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_grow_again_until_there_are_none() {
        let mut waves = Waves::default();
        waves.refused(Some(20_000));
        waves.landed();
        waves.sent(ANY, 9_000);
        assert!(waves.admit(ANY, 1_000) && !waves.admit(ANY, 1_001));
        for _ in 0..PATIENCE {
            waves.delivered();
        }
        waves.landed();
        waves.sent(ANY, 9_000);
        assert!(waves.admit(ANY, 11_000) && !waves.admit(ANY, 11_001));
        for _ in 0..10 * PATIENCE {
            waves.delivered();
        }
        waves.landed();
        waves.sent(ANY, 9_000);
        assert!(waves.admit(ANY, u64::MAX / 2) && waves.careful.is_none());
    }

    #[test]
    fn a_larger_company_does_not_join_a_smaller_one() {
        let mut waves = Waves::default();
        for _ in 0..3 {
            assert!(waves.admit(ANY, 1));
            waves.sent(ANY, 1);
        }
        assert!(!waves.admit(3, 1) && waves.admit(4, 1));
        waves.sent(4, 1);
        assert!(!waves.admit(ANY, 1));
        waves.landed();
        assert!(waves.admit(1, 1));
        waves.sent(1, 1);
        assert!(!waves.admit(ANY, 1) && waves.is_single());
    }
}
