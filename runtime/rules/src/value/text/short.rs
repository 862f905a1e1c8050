//! Texts so short that they are kept in place, without memory to share and so without a counter to change.

/// The longest: the text is as large as one that is shared.
pub(super) const LONGEST: usize = 31;

/// A short UTF-8 text.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(super) struct Short {
    bytes: [u8; LONGEST],
    length: u8,
}

impl Short {
    /// `None` when the text is too long.
    #[inline]
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { length: text.len() as u8, bytes })
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Checks that the bytes are UTF-8, which they are: bytes that are known to be so cannot be said to be without
    /// unsafe code. Still far cheaper than a counter that threads share.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}
