//! The wire protocol: MQTT 3.1.1 and 5.0 as one codec.
//!
//! Owns what clients may send (decoding, strict, nothing copied) and what a server sends (encoding).
//! It does not own the sockets, the state of a session, or which violation ends a connection.
//! Every error carries the reason code that OASIS names for it; no input panics.
//! Why the codec is our own is told in `docs/decisions/0002-mqtt-codec.md`.

mod connect;
mod cursor;
mod encode;
mod frame;
mod properties;
mod publish;
mod reason;
mod subscribe;

use bytes::{Buf, Bytes, BytesMut};

use crate::message::QoS;
use cursor::Cursor;
use properties::{MISPLACED, Properties, Property};

pub use connect::{Connect, NotConnect, Will};
pub use encode::{Announcement, answer_size, connack, connack_refused, disconnect, pingresp, puback, suback, unsuback};
pub use frame::{Encodings, Frame};
pub use publish::Publish;
pub use reason::{ReasonCode, Violation};
pub use subscribe::{Subscribe, SubscriptionOptions, Unsubscribe};

/// The protocol version of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// MQTT 3.1.1 (protocol level 4).
    V311,
    /// MQTT 5.0 (protocol level 5).
    V5,
}

/// A packet that a client may send once it is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// An application message.
    Publish(Publish),
    /// The client has a QoS 1 delivery; `accepted` is false when its reason code says that it refused the message.
    PubAck {
        /// Of the delivery.
        packet_id: u16,
        /// Reason code below 0x80.
        accepted: bool,
    },
    /// More messages, please.
    Subscribe(Subscribe),
    /// Fewer messages, please.
    Unsubscribe(Unsubscribe),
    /// The client is alive.
    PingReq,
    /// The client goes.
    Disconnect {
        /// Whether the will is to be published nevertheless: any reason code but 0x00 (MQTT-3.14.4-3).
        with_will: bool,
        /// Session Expiry Interval, when given anew.
        session_expiry: Option<u32>,
    },
}

/// The packet types of MQTT that a client may send (§2.1.2), or a reason why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    Publish,
    PubAck,
    Subscribe,
    Unsubscribe,
    PingReq,
    Disconnect,
}

/// One whole packet: its first byte understood, the rest still to be read.
#[derive(Debug)]
pub struct RawPacket {
    kind: Kind,
    flags: u8,
    body: Bytes,
}

/// How much of a packet has arrived.
#[derive(Debug)]
pub enum Progress {
    /// A packet, taken from the buffer.
    Packet(RawPacket),
    /// More bytes are needed: at least this many in all, counted from the start of the buffer.
    Needs(usize),
}

/// Takes the next packet of a client from `buffer`.
///
/// The type, its flags and the size against `max_size` (bytes of the whole packet, §3.1.2.11.4) are
/// checked as soon as the first bytes are there, before anything larger is waited for.
pub fn take_packet(buffer: &mut BytesMut, max_size: usize) -> Result<Progress, Violation> {
    let Some(&first) = buffer.first() else { return Ok(Progress::Needs(2)) };
    let (kind, flags) = kind(first)?;
    let Some((remaining, length)) = cursor::varint(&buffer[1..])? else { return Ok(Progress::Needs(buffer.len() + 1)) };
    let header = 1 + length;
    let total = header + remaining as usize;
    if total > max_size {
        return Err(Violation::new(
            ReasonCode::PacketTooLarge,
            "the packet is larger than the server's Maximum Packet Size",
        ));
    }
    if buffer.len() < total {
        return Ok(Progress::Needs(total));
    }
    let mut body = buffer.split_to(total).freeze();
    body.advance(header);
    Ok(Progress::Packet(RawPacket { kind, flags, body }))
}

fn kind(first: u8) -> Result<(Kind, u8), Violation> {
    let flags = first & 0x0f;
    let (kind, expected) = match first >> 4 {
        1 => (Kind::Connect, 0),
        3 => {
            publish::qos(flags)?;
            return Ok((Kind::Publish, flags));
        }
        4 => (Kind::PubAck, 0),
        5..=7 => return Err(Violation::protocol("PUBREC, PUBREL and PUBCOMP belong to QoS 2, which is not supported")),
        8 => (Kind::Subscribe, 2),
        10 => (Kind::Unsubscribe, 2),
        12 => (Kind::PingReq, 0),
        14 => (Kind::Disconnect, 0),
        15 => return Err(Violation::protocol("AUTH without enhanced authentication")),
        0 => return Err(Violation::malformed("packet type 0 does not exist")),
        _ => return Err(Violation::protocol("the packet type is one that only a server sends")),
    };
    if flags != expected {
        return Err(Violation::malformed("the flags of the packet's first byte are wrong for its type"));
    }
    Ok((kind, flags))
}

impl RawPacket {
    /// Reads the first packet of a connection, which must be CONNECT (MQTT-3.1.0-1).
    pub fn into_connect(self) -> Result<Connect, NotConnect> {
        if self.kind == Kind::Connect {
            return Connect::decode(self.body);
        }
        Err(NotConnect { version: None, violation: Violation::protocol("the first packet is not CONNECT") })
    }

    /// Reads any packet after the first.
    pub fn decode(self, version: Version) -> Result<Packet, Violation> {
        match self.kind {
            Kind::Publish => Publish::decode(self.flags, self.body, version).map(Packet::Publish),
            Kind::PubAck => puback_of_client(Cursor::new(self.body), version),
            Kind::Subscribe => Subscribe::decode(self.body, version).map(Packet::Subscribe),
            Kind::Unsubscribe => Unsubscribe::decode(self.body, version).map(Packet::Unsubscribe),
            Kind::PingReq => Cursor::new(self.body).finish().map(|()| Packet::PingReq),
            Kind::Disconnect => disconnect_of_client(Cursor::new(self.body), version),
            Kind::Connect => Err(Violation::protocol("a second CONNECT on one connection")),
        }
    }
}

fn puback_of_client(mut cursor: Cursor, version: Version) -> Result<Packet, Violation> {
    let packet_id = cursor.packet_id()?;
    let mut reason = 0;
    // Reason code and properties may be left out when all is well (5.0 §3.4.2.1).
    if version == Version::V5 && !cursor.is_empty() {
        reason = cursor.u8()?;
        if !matches!(reason, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99) {
            return Err(Violation::malformed("PUBACK has a reason code that it cannot have"));
        }
        if !cursor.is_empty() {
            only_reason_and_user_properties(&mut cursor)?;
        }
    }
    cursor.finish()?;
    Ok(Packet::PubAck { packet_id, accepted: reason < 0x80 })
}

fn only_reason_and_user_properties(cursor: &mut Cursor) -> Result<(), Violation> {
    let mut properties = Properties::read(cursor)?;
    while let Some(property) = properties.next()? {
        match property {
            Property::ReasonString | Property::User(..) => {}
            _ => return Err(MISPLACED),
        }
    }
    Ok(())
}

fn disconnect_of_client(mut cursor: Cursor, version: Version) -> Result<Packet, Violation> {
    let mut with_will = false;
    let mut session_expiry = None;
    if version == Version::V5 && !cursor.is_empty() {
        let reason = cursor.u8()?;
        if !matches!(reason, 0x00 | 0x04 | 0x80..=0x83 | 0x90 | 0x93..=0x97 | 0x99) {
            return Err(Violation::malformed("DISCONNECT has a reason code that a client cannot send"));
        }
        with_will = reason != 0;
        if !cursor.is_empty() {
            let mut properties = Properties::read(&mut cursor)?;
            while let Some(property) = properties.next()? {
                match property {
                    Property::SessionExpiry(seconds) => session_expiry = Some(seconds),
                    Property::ReasonString | Property::User(..) => {}
                    _ => return Err(MISPLACED),
                }
            }
        }
    }
    cursor.finish()?;
    Ok(Packet::Disconnect { with_will, session_expiry })
}

/// Whether a payload is what its Payload Format Indicator says (5.0 §3.3.2.3.2).
pub fn payload_matches_format(format: Option<u8>, payload: &[u8]) -> bool {
    format != Some(1) || simdutf8::basic::from_utf8(payload).is_ok()
}

/// The QoS of a delivery: the lower of the publication's and the subscription's (MQTT-3.8.4-8).
pub fn delivery_qos(published: QoS, granted: QoS) -> QoS {
    published.min(granted)
}
