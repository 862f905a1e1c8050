//! Outgoing PUBLISH packets, encoded once per message and shared by all its subscribers.
//!
//! Owns the encoding and the two fields that differ per subscriber: the packet identifier and what is
//! left of the message expiry. They are patched while the packet is copied into a write buffer.

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::Version;
use super::encode::{put_varint, varint_length};
use crate::message::{Message, PublishProperties, QoS};

/// The largest Remaining Length that the wire format can say.
const MAX_REMAINING: usize = 268_435_455;

/// One PUBLISH packet, without packet identifier.
#[derive(Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    /// Where the packet identifier goes; 0 with QoS 0, which has none.
    packet_id_at: usize,
    /// Where the remaining seconds go, and when the message expires (milliseconds since the epoch).
    expiry: Option<(usize, i64)>,
}

impl Frame {
    fn encode(message: &Message, version: Version, qos: QoS) -> Option<Self> {
        let topic = message.topic.as_bytes();
        let topic_length = u16::try_from(topic.len()).ok()?;
        let properties = match version {
            Version::V311 => Properties::default(),
            Version::V5 => Properties::encode(message.properties.as_deref())?,
        };
        let packet_id_length = if qos == QoS::AtLeastOnce { 2 } else { 0 };
        let remaining = 2 + topic.len() + packet_id_length + properties.bytes.len() + message.payload.len();
        if remaining > MAX_REMAINING {
            return None;
        }
        let mut bytes = Vec::with_capacity(1 + varint_length(remaining as u32) + remaining);
        // DUP and RETAIN stay 0: nothing is sent twice on a connection, nothing is retained.
        bytes.put_u8(0x30 | qos.level() << 1);
        put_varint(&mut bytes, remaining as u32);
        bytes.put_u16(topic_length);
        bytes.put_slice(topic);
        let packet_id_at = if qos == QoS::AtLeastOnce { bytes.len() } else { 0 };
        bytes.put_bytes(0, packet_id_length);
        let expiry = properties.expiry.map(|(offset, seconds)| {
            (bytes.len() + offset, message.received_at.saturating_add(i64::from(seconds) * 1000))
        });
        bytes.put_slice(&properties.bytes);
        bytes.put_slice(&message.payload);
        Some(Self { bytes, packet_id_at, expiry })
    }

    /// Bytes on the wire.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the subscriber acknowledges it.
    pub fn qos(&self) -> QoS {
        if self.packet_id_at == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce }
    }

    /// Whether nobody wants the message any more at `now`, milliseconds since the epoch (MQTT-3.3.2-5).
    pub fn expired(&self, now: i64) -> bool {
        self.expiry.is_some_and(|(_, at)| at <= now)
    }

    /// Appends the packet as one subscriber gets it; `packet_id` is not used with QoS 0.
    pub fn write(&self, out: &mut BytesMut, packet_id: u16, now: i64) {
        let start = out.len();
        out.put_slice(&self.bytes);
        if self.packet_id_at != 0 {
            patch(out, start + self.packet_id_at, &packet_id.to_be_bytes());
        }
        if let Some((offset, at)) = self.expiry {
            // Rounded up: a message that is not expired has at least a second left (MQTT-3.3.2-6).
            let seconds = u32::try_from(at.saturating_sub(now).max(0).saturating_add(999) / 1000).unwrap_or(u32::MAX);
            patch(out, start + offset, &seconds.to_be_bytes());
        }
    }
}

fn patch(out: &mut BytesMut, at: usize, value: &[u8]) {
    if let Some(field) = out.get_mut(at..at + value.len()) {
        field.copy_from_slice(value);
    }
}

/// Property length and properties of a PUBLISH.
#[derive(Debug, Default)]
struct Properties {
    bytes: Vec<u8>,
    /// Offset in `bytes` of the Message Expiry Interval, and its value when the message arrived.
    expiry: Option<(usize, u32)>,
}

impl Properties {
    /// `None` when a text or byte string is longer than the wire format can say.
    fn encode(properties: Option<&PublishProperties>) -> Option<Self> {
        let Some(properties) = properties else { return Some(Self { bytes: vec![0], expiry: None }) };
        let mut bytes = Vec::new();
        let mut expiry = None;
        if let Some(format) = properties.payload_format {
            bytes.put_slice(&[0x01, format]);
        }
        if let Some(seconds) = properties.message_expiry {
            bytes.put_u8(0x02);
            expiry = Some((bytes.len(), seconds));
            bytes.put_u32(seconds);
        }
        if let Some(content_type) = &properties.content_type {
            put_bytes(&mut bytes, 0x03, content_type.as_bytes())?;
        }
        if let Some(topic) = &properties.response_topic {
            put_bytes(&mut bytes, 0x08, topic.as_bytes())?;
        }
        if let Some(data) = &properties.correlation_data {
            put_bytes(&mut bytes, 0x09, data)?;
        }
        for (name, value) in &properties.user_properties {
            put_bytes(&mut bytes, 0x26, name.as_bytes())?;
            bytes.put_u16(u16::try_from(value.len()).ok()?);
            bytes.put_slice(value.as_bytes());
        }
        if bytes.len() > MAX_REMAINING {
            return None;
        }
        let mut with_length = Vec::with_capacity(4 + bytes.len());
        put_varint(&mut with_length, bytes.len() as u32);
        let shift = with_length.len();
        with_length.append(&mut bytes);
        Some(Self { bytes: with_length, expiry: expiry.map(|(offset, seconds)| (offset + shift, seconds)) })
    }
}

fn put_bytes(out: &mut Vec<u8>, identifier: u8, value: &[u8]) -> Option<()> {
    let length = u16::try_from(value.len()).ok()?;
    out.put_u8(identifier);
    out.put_u16(length);
    out.put_slice(value);
    Some(())
}

/// The PUBLISH packets of one message, each encoded when the first subscriber needs it.
#[derive(Debug)]
pub struct Encodings<'m> {
    message: &'m Message,
    /// By version and QoS.
    frames: [OnceCell<Option<Arc<Frame>>>; 4],
}

impl<'m> Encodings<'m> {
    /// Nothing is encoded yet.
    pub fn new(message: &'m Message) -> Self {
        Self { message, frames: [const { OnceCell::new() }; 4] }
    }

    /// The packet for subscribers of this version and QoS; `None` when the wire format cannot carry the message
    /// (a topic or property over 65,535 bytes, a packet over 256 MiB).
    pub fn get(&self, version: Version, qos: QoS) -> Option<&Arc<Frame>> {
        let index = usize::from(version == Version::V5) << 1 | usize::from(qos.level());
        self.frames[index].get_or_init(|| Frame::encode(self.message, version, qos).map(Arc::new)).as_ref()
    }
}
