//! Bit strings whose length need not be a whole number of bytes (functions `subbits`, `bitsize`, `bin2hexstr`).

/// A sequence of bits, most significant first. Unused low bits of the last byte are zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    /// The bits `start..start + len` of `bytes`, counted from the most significant bit of the first byte.
    /// Bits beyond the end are left out.
    pub fn slice(bytes: &[u8], start: usize, len: usize) -> Self {
        let len = len.min((bytes.len() * 8).saturating_sub(start));
        let mut out = vec![0; len.div_ceil(8)];
        for at in 0..len {
            let from = start + at;
            let bit = bytes[from / 8] >> (7 - from % 8) & 1;
            out[at / 8] |= bit << (7 - at % 8);
        }
        Self { bytes: out, len }
    }

    /// Length in bits.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, the last one padded with zero bits.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes when the length is a whole number of them.
    pub fn into_bytes(self) -> Result<Vec<u8>, Self> {
        if self.len.is_multiple_of(8) { Ok(self.bytes) } else { Err(self) }
    }
}
