//! Reads the data types of MQTT (OASIS MQTT 5.0 §1.5) from one packet, without copying.
//!
//! Every read is checked against the end of the packet; what is returned shares the packet's bytes.

use bytes::{Buf, Bytes};
use bytestring::ByteString;

use super::reason::Violation;

const TRUNCATED: Violation = Violation::malformed("the packet ends before its last field does");

/// What is left of a packet's bytes.
#[derive(Debug)]
pub(super) struct Cursor {
    bytes: Bytes,
}

impl Cursor {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn u8(&mut self) -> Result<u8, Violation> {
        self.bytes.try_get_u8().map_err(|_| TRUNCATED)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Violation> {
        self.bytes.try_get_u16().map_err(|_| TRUNCATED)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Violation> {
        self.bytes.try_get_u32().map_err(|_| TRUNCATED)
    }

    /// A packet identifier, which is never zero (MQTT-2.2.1-3).
    pub(super) fn packet_id(&mut self) -> Result<u16, Violation> {
        match self.u16()? {
            0 => Err(Violation::protocol("packet identifier 0 is not allowed")),
            id => Ok(id),
        }
    }

    /// A Variable Byte Integer in its shortest form (MQTT-1.5.5-1).
    pub(super) fn varint(&mut self) -> Result<u32, Violation> {
        match varint(&self.bytes)? {
            Some((value, length)) => {
                self.bytes.advance(length);
                Ok(value)
            }
            None => Err(TRUNCATED),
        }
    }

    /// Two bytes of length, then that many bytes.
    pub(super) fn binary(&mut self) -> Result<Bytes, Violation> {
        let length = usize::from(self.u16()?);
        self.take(length)
    }

    /// Two bytes of length, then well-formed UTF-8 without U+0000 (MQTT-1.5.4-1, MQTT-1.5.4-2).
    pub(super) fn string(&mut self) -> Result<ByteString, Violation> {
        let bytes = self.binary()?;
        if bytes.contains(&0) {
            return Err(Violation::malformed("a string contains the null character U+0000"));
        }
        ByteString::try_from(bytes).map_err(|_| Violation::malformed("a string is not valid UTF-8"))
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<Bytes, Violation> {
        if length > self.bytes.len() {
            return Err(TRUNCATED);
        }
        Ok(self.bytes.split_to(length))
    }

    /// Everything up to the end of the packet.
    pub(super) fn rest(self) -> Bytes {
        self.bytes
    }

    /// Fails when bytes follow the last field.
    pub(super) fn finish(self) -> Result<(), Violation> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(Violation::malformed("bytes follow the last field of the packet"))
        }
    }
}

/// Reads a Variable Byte Integer at the start of `bytes`: its value and length, `None` while bytes are missing.
pub(super) fn varint(bytes: &[u8]) -> Result<Option<(u32, usize)>, Violation> {
    let mut value = 0u32;
    for index in 0..4 {
        let Some(&byte) = bytes.get(index) else { return Ok(None) };
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return Err(Violation::malformed("a variable byte integer is longer than it needs to be"));
            }
            return Ok(Some((value, index + 1)));
        }
    }
    Err(Violation::malformed("a variable byte integer is longer than four bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_byte_integers_at_their_bounds() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x7f], 127),
            (&[0x80, 0x01], 128),
            (&[0xff, 0x7f], 16_383),
            (&[0x80, 0x80, 0x01], 16_384),
            (&[0xff, 0xff, 0xff, 0x7f], 268_435_455),
        ] {
            assert_eq!(varint(bytes), Ok(Some((value, bytes.len()))));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), Ok(None));
        }
        assert!(varint(&[0xff, 0xff, 0xff, 0xff, 0x01]).is_err());
        assert!(varint(&[0x80, 0x00]).is_err(), "128 encodings of zero are one too many");
    }

    #[test]
    fn strings_are_utf8_without_nul() {
        let read = |bytes: &[u8]| {
            let mut packet = (bytes.len() as u16).to_be_bytes().to_vec();
            packet.extend_from_slice(bytes);
            Cursor::new(packet.into()).string()
        };
        assert_eq!(read("température/é".as_bytes()).unwrap(), "température/é");
        assert!(read(b"a\0b").is_err());
        assert!(read(&[0xed, 0xa0, 0x80]).is_err(), "a UTF-16 surrogate is not UTF-8");
        assert!(Cursor::new(Bytes::from_static(&[0, 5, b'a'])).string().is_err());
    }
}
