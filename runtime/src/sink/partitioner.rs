//! Which partition a record goes to.
//!
//! The hash is murmur2 as the Java client's default partitioner computes it, so that topics are co-partitioned
//! with other producers (row X2, KIP-480 for what "default" means with a key).

/// Kafka's murmur2, made positive.
pub(super) fn murmur2(key: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let mut hash = SEED ^ key.len() as u32;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (shift, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * shift);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    hash & 0x7fff_ffff
}

/// The partition, out of `count`, of a record with this hash; any partition without one.
pub(super) fn partition(spread: Option<u32>, count: usize) -> usize {
    match spread {
        Some(hash) => hash as usize % count,
        None => fastrand::usize(..count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_agrees_with_the_java_client() {
        // From Apache Kafka's UtilsTest.testMurmur2 (Apache-2.0), made positive as `Utils.toPositive` does.
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), (hash & 0x7fff_ffff) as u32, "{key}");
        }
    }

    #[test]
    fn a_key_stays_on_its_partition_and_no_key_goes_anywhere() {
        assert_eq!(partition(Some(7), 4), 3);
        assert!((0..100).map(|_| partition(None, 2)).any(|partition| partition == 1));
    }
}
