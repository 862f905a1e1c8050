//! The packet identifiers of a client that are in use.

/// As many are kept in a list, which is small and quick for the few of most clients; beyond it is a bit for each that there
/// is, 8 KiB.
pub(super) const LISTED: usize = 32;
const WORDS: usize = (u16::MAX as usize + 1) / 64;

/// A set of packet identifiers. Nearly always the first that was added is the first to go.
#[derive(Debug, Default)]
pub(super) struct Identifiers {
    listed: Vec<u16>,
    bits: Option<Box<[u64; WORDS]>>,
}

impl Identifiers {
    /// Adds one; `false` when it is there already.
    pub(super) fn insert(&mut self, identifier: u16) -> bool {
        let Some(bits) = &mut self.bits else {
            if self.listed.contains(&identifier) {
                return false;
            }
            if self.listed.len() < LISTED {
                self.listed.push(identifier);
                return true;
            }
            let mut bits = Box::new([0; WORDS]);
            for listed in self.listed.drain(..).chain([identifier]) {
                let (word, bit) = place(listed);
                bits[word] |= bit;
            }
            self.bits = Some(bits);
            return true;
        };
        let (word, bit) = place(identifier);
        let new = bits[word] & bit == 0;
        bits[word] |= bit;
        new
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, identifier: u16) {
        if let Some(bits) = &mut self.bits {
            let (word, bit) = place(identifier);
            bits[word] &= !bit;
        } else if let Some(index) = self.listed.iter().position(|listed| *listed == identifier) {
            self.listed.remove(index);
        }
    }
}

fn place(identifier: u16) -> (usize, u64) {
    (usize::from(identifier) / 64, 1 << (identifier % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set(steps in prop::collection::vec((any::<bool>(), 0..80_u16, any::<bool>()), 0..400)) {
            let (mut identifiers, mut model) = (Identifiers::default(), HashSet::new());
            for (adds, near, far) in steps {
                let identifier = if far { u16::MAX - near } else { near };
                if adds {
                    prop_assert_eq!(identifiers.insert(identifier), model.insert(identifier));
                } else {
                    identifiers.remove(identifier);
                    model.remove(&identifier);
                }
            }
        }
    }
}
