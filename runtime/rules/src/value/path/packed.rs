//! Paths of few short keys in a form that is compared at once.

use super::Step;

/// Bytes of the keys, each with one for its length.
const BYTES: usize = 32;
/// Groups into which paths fall.
pub(crate) const GROUPS: usize = 4;

/// The keys of a path: equal for equal paths only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Packed {
    words: [u64; BYTES / 8],
    group: usize,
}

impl Packed {
    /// `None` when there is no key or a step that is none, and when the keys are too long.
    pub(crate) fn of<'s>(steps: impl IntoIterator<Item = &'s Step>) -> Option<Self> {
        let (mut bytes, mut end) = ([0; BYTES], 0);
        for step in steps {
            let Step::Key(key) = step else { return None };
            let from = end + 1;
            end = from + key.len();
            bytes.get_mut(from..end)?.copy_from_slice(key.as_bytes());
            // Not 0, so that a key more is another path even when it is empty.
            bytes[from - 1] = key.len() as u8 + 1;
        }
        if end == 0 {
            return None;
        }
        let mut words = [0; BYTES / 8];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        let mixed = words.iter().fold(0, |mixed, word| mixed ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Some(Self { words, group: (mixed >> 32) as usize % GROUPS })
    }

    /// The group of the path.
    #[inline]
    pub(crate) fn group(&self) -> usize {
        self.group % GROUPS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Text;

    fn keys(keys: &[String]) -> Vec<Step> {
        keys.iter().map(|key| Step::Key(Text::from(key.as_str()))).collect()
    }

    proptest! {
        #[test]
        fn paths_are_equal_when_their_keys_are(
            a in prop::collection::vec("[a\u{0}\u{1}\u{2}é]{0,3}", 1..4),
            b in prop::collection::vec("[a\u{0}\u{1}\u{2}é]{0,3}", 1..4),
        ) {
            let (packed_a, packed_b) = (Packed::of(&keys(&a)).unwrap(), Packed::of(&keys(&b)).unwrap());
            prop_assert_eq!(packed_a == packed_b, a == b);
            prop_assert!(packed_a.group() < GROUPS);
        }
    }

    #[test]
    fn only_short_paths_of_keys_are_packed() {
        let steps = |text: &str| [Step::Key(Text::from(text))];
        assert!(Packed::of(&steps(&"x".repeat(BYTES - 1))).is_some());
        assert_eq!(Packed::of(&steps(&"x".repeat(BYTES))), None);
        assert_eq!(Packed::of(&steps(&"x".repeat(300))), None);
        assert_eq!(Packed::of(&[Step::Key(Text::from("a")), Step::Index(1)]), None);
        assert_eq!(Packed::of(&[Step::End]), None);
        assert_eq!(Packed::of(&[]), None);
    }
}
