//! The properties of MQTT 5.0 packets (OASIS MQTT 5.0 §2.2.2).
//!
//! Owns their identifiers, data types and the rule that all but two occur once. Which of them a packet
//! may carry is said where that packet is decoded: [`MISPLACED`] refuses the others.

use bytes::Bytes;
use bytestring::ByteString;

use super::cursor::Cursor;
use super::reason::Violation;

/// One property with its value.
#[derive(Debug)]
pub(super) enum Property {
    PayloadFormat(u8),
    MessageExpiry(u32),
    ContentType(ByteString),
    ResponseTopic(ByteString),
    CorrelationData(Bytes),
    SubscriptionIdentifier,
    SessionExpiry(u32),
    AuthenticationMethod,
    AuthenticationData,
    WillDelay,
    RequestProblemInformation,
    RequestResponseInformation,
    ReasonString,
    ReceiveMaximum(u16),
    TopicAliasMaximum,
    TopicAlias,
    User(ByteString, ByteString),
    MaximumPacketSize(u32),
    /// One that only a server sends.
    OfServer,
}

/// The error for a property that this packet may not carry (§2.2.2.2).
pub(super) const MISPLACED: Violation = Violation::malformed("a property is not allowed in this packet");

/// The properties of one packet, in order.
#[derive(Debug)]
pub(super) struct Properties {
    cursor: Cursor,
    /// Bit per identifier already seen; identifiers are below 64.
    seen: u64,
}

impl Properties {
    /// Takes the property length and that many bytes from `packet`.
    pub(super) fn read(packet: &mut Cursor) -> Result<Self, Violation> {
        let length = packet.varint()?;
        Ok(Self { cursor: Cursor::new(packet.take(length as usize)?), seen: 0 })
    }

    /// The next property, `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Property>, Violation> {
        if self.cursor.is_empty() {
            return Ok(None);
        }
        let identifier = self.cursor.varint()?;
        let cursor = &mut self.cursor;
        let property = match identifier {
            0x01 => Property::PayloadFormat(flag(cursor)?),
            0x02 => Property::MessageExpiry(cursor.u32()?),
            0x03 => Property::ContentType(cursor.string()?),
            0x08 => Property::ResponseTopic(cursor.string()?),
            0x09 => Property::CorrelationData(cursor.binary()?),
            0x0B => {
                if cursor.varint()? == 0 {
                    return Err(Violation::protocol("subscription identifier 0 is not allowed"));
                }
                Property::SubscriptionIdentifier
            }
            0x11 => Property::SessionExpiry(cursor.u32()?),
            0x15 => {
                cursor.string()?;
                Property::AuthenticationMethod
            }
            0x16 => {
                cursor.binary()?;
                Property::AuthenticationData
            }
            0x17 => {
                flag(cursor)?;
                Property::RequestProblemInformation
            }
            0x18 => {
                cursor.u32()?;
                Property::WillDelay
            }
            0x19 => {
                flag(cursor)?;
                Property::RequestResponseInformation
            }
            0x1F => {
                cursor.string()?;
                Property::ReasonString
            }
            0x21 => match cursor.u16()? {
                0 => return Err(Violation::protocol("receive maximum 0 is not allowed")),
                maximum => Property::ReceiveMaximum(maximum),
            },
            0x22 => {
                cursor.u16()?;
                Property::TopicAliasMaximum
            }
            0x23 => {
                cursor.u16()?;
                Property::TopicAlias
            }
            0x26 => Property::User(cursor.string()?, cursor.string()?),
            0x27 => match cursor.u32()? {
                0 => return Err(Violation::protocol("maximum packet size 0 is not allowed")),
                maximum => Property::MaximumPacketSize(maximum),
            },
            0x12 | 0x13 | 0x1A | 0x1C | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => Property::OfServer,
            _ => return Err(Violation::malformed("a property has an unknown identifier")),
        };
        if matches!(property, Property::OfServer) {
            return Err(MISPLACED);
        }
        let bit = 1u64 << identifier;
        let repeatable = matches!(property, Property::User(..));
        if self.seen & bit != 0 && !repeatable {
            return Err(Violation::protocol("a property occurs twice"));
        }
        self.seen |= bit;
        Ok(Some(property))
    }
}

fn flag(cursor: &mut Cursor) -> Result<u8, Violation> {
    match cursor.u8()? {
        value @ (0 | 1) => Ok(value),
        _ => Err(Violation::protocol("a property that is 0 or 1 has another value")),
    }
}
