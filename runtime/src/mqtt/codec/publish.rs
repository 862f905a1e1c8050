//! Decodes PUBLISH (OASIS MQTT 3.1.1 §3.3, 5.0 §3.3) as a client sends it.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use super::Version;
use super::cursor::Cursor;
use super::properties::{MISPLACED, Properties, Property};
use super::reason::{ReasonCode, Violation};
use crate::message::{PublishProperties, QoS};

/// A publication of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The client may have sent it before.
    pub dup: bool,
    /// 0 or 1.
    pub qos: QoS,
    /// The client asks for the message to be retained.
    pub retain: bool,
    /// Not empty, no wildcard, no NUL.
    pub topic: ByteString,
    /// Never 0 with QoS 1, always 0 with QoS 0, which has none.
    pub packet_id: u16,
    /// Properties that travel with the message, absent when there are none.
    pub properties: Option<Arc<PublishProperties>>,
    /// Any bytes.
    pub payload: Bytes,
}

/// The QoS in the flags of a PUBLISH, checked before the rest of the packet is waited for.
pub(super) fn qos(flags: u8) -> Result<QoS, Violation> {
    let qos = match flags >> 1 & 3 {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        2 => {
            return Err(Violation::new(ReasonCode::QosNotSupported, "QoS 2 is not supported: publish with QoS 0 or 1"));
        }
        _ => return Err(Violation::malformed("QoS 3 does not exist")),
    };
    if qos == QoS::AtMostOnce && flags & 0x08 != 0 {
        return Err(Violation::malformed("the DUP flag is set with QoS 0"));
    }
    Ok(qos)
}

impl Publish {
    pub(super) fn decode(flags: u8, body: Bytes, version: Version) -> Result<Self, Violation> {
        let qos = qos(flags)?;
        let mut cursor = Cursor::new(body);
        let topic = cursor.string()?;
        let packet_id = if qos == QoS::AtLeastOnce { cursor.packet_id()? } else { 0 };
        let properties = match version {
            Version::V311 => None,
            Version::V5 => read_properties(&mut cursor)?,
        };
        check_topic(&topic)?;
        Ok(Self {
            dup: flags & 0x08 != 0,
            qos,
            retain: flags & 0x01 != 0,
            topic,
            packet_id,
            properties,
            payload: cursor.rest(),
        })
    }
}

fn read_properties(cursor: &mut Cursor) -> Result<Option<Arc<PublishProperties>>, Violation> {
    let mut properties = Properties::read(cursor)?;
    let mut found: Option<PublishProperties> = None;
    while let Some(property) = properties.next()? {
        match property {
            Property::TopicAlias => {
                return Err(Violation::new(
                    ReasonCode::TopicAliasInvalid,
                    "topic aliases are not supported: the server announced no Topic Alias Maximum",
                ));
            }
            Property::SubscriptionIdentifier => {
                return Err(Violation::protocol("a client may not put a subscription identifier into PUBLISH"));
            }
            other => take_property(found.get_or_insert_default(), other)?,
        }
    }
    Ok(found.map(Arc::new))
}

/// Stores one of the properties that PUBLISH and the will have in common.
pub(super) fn take_property(into: &mut PublishProperties, property: Property) -> Result<(), Violation> {
    match property {
        Property::PayloadFormat(format) => into.payload_format = Some(format),
        Property::MessageExpiry(seconds) => into.message_expiry = Some(seconds),
        Property::ContentType(content_type) => into.content_type = Some(content_type),
        Property::ResponseTopic(topic) => {
            check_topic(&topic)?;
            into.response_topic = Some(topic);
        }
        Property::CorrelationData(data) => into.correlation_data = Some(data),
        Property::User(name, value) => into.user_properties.push((name, value)),
        _ => return Err(MISPLACED),
    }
    Ok(())
}

/// A topic name has at least one character and no wildcard (MQTT-4.7.3-1, MQTT-3.3.2-2).
pub(super) fn check_topic(topic: &str) -> Result<(), Violation> {
    if topic.is_empty() {
        return Err(Violation::protocol("the topic name is empty"));
    }
    if topic.bytes().any(|byte| byte == b'+' || byte == b'#') {
        return Err(Violation::new(ReasonCode::TopicNameInvalid, "the topic name contains a wildcard, + or #"));
    }
    Ok(())
}
