//! Decodes SUBSCRIBE and UNSUBSCRIBE (OASIS MQTT 3.1.1 §3.8 and §3.10, 5.0 likewise).

use bytes::Bytes;
use bytestring::ByteString;

use super::Version;
use super::cursor::Cursor;
use super::properties::{MISPLACED, Properties, Property};
use super::reason::{ReasonCode, Violation};
use crate::message::QoS;

/// A client's wish for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Comes back in SUBACK.
    pub packet_id: u16,
    /// At least one; answered in this order.
    pub filters: Vec<(ByteString, SubscriptionOptions)>,
}

/// How one filter is served (5.0 §3.8.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionOptions {
    /// The highest QoS of deliveries; a wish for QoS 2 is granted QoS 1 (MQTT-3.8.4-8 allows less).
    pub qos: QoS,
    /// Leave out what this client published itself.
    pub no_local: bool,
}

/// A client's wish for no more messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Comes back in UNSUBACK.
    pub packet_id: u16,
    /// At least one; answered in this order.
    pub filters: Vec<ByteString>,
}

impl Subscribe {
    pub(super) fn decode(body: Bytes, version: Version) -> Result<Self, Violation> {
        let mut cursor = Cursor::new(body);
        let packet_id = cursor.packet_id()?;
        if version == Version::V5 {
            let mut properties = Properties::read(&mut cursor)?;
            while let Some(property) = properties.next()? {
                match property {
                    Property::User(..) => {}
                    Property::SubscriptionIdentifier => {
                        return Err(Violation::new(
                            ReasonCode::SubscriptionIdentifiersNotSupported,
                            "subscription identifiers are not supported",
                        ));
                    }
                    _ => return Err(MISPLACED),
                }
            }
        }
        let mut filters = Vec::new();
        while !cursor.is_empty() {
            let filter = read_filter(&mut cursor)?;
            let options = read_options(cursor.u8()?, version, &filter)?;
            filters.push((filter, options));
        }
        if filters.is_empty() {
            return Err(Violation::protocol("SUBSCRIBE has no topic filter"));
        }
        Ok(Self { packet_id, filters })
    }
}

impl Unsubscribe {
    pub(super) fn decode(body: Bytes, version: Version) -> Result<Self, Violation> {
        let mut cursor = Cursor::new(body);
        let packet_id = cursor.packet_id()?;
        if version == Version::V5 {
            let mut properties = Properties::read(&mut cursor)?;
            while let Some(property) = properties.next()? {
                let Property::User(..) = property else { return Err(MISPLACED) };
            }
        }
        let mut filters = Vec::new();
        while !cursor.is_empty() {
            filters.push(read_filter(&mut cursor)?);
        }
        if filters.is_empty() {
            return Err(Violation::protocol("UNSUBSCRIBE has no topic filter"));
        }
        Ok(Self { packet_id, filters })
    }
}

fn read_filter(cursor: &mut Cursor) -> Result<ByteString, Violation> {
    let filter = cursor.string()?;
    if filter.is_empty() {
        return Err(Violation::protocol("a topic filter is empty"));
    }
    Ok(filter)
}

fn read_options(byte: u8, version: Version, filter: &str) -> Result<SubscriptionOptions, Violation> {
    let reserved = if version == Version::V5 { 0xc0 } else { 0xfc };
    if byte & reserved != 0 {
        return Err(Violation::malformed("reserved bits of the subscription options are set"));
    }
    let qos = match byte & 3 {
        0 => QoS::AtMostOnce,
        1 | 2 => QoS::AtLeastOnce,
        _ => return Err(Violation::protocol("a subscription asks for QoS 3, which does not exist")),
    };
    // Retain As Published and Retain Handling 0 to 2 ask for nothing where no message is ever retained.
    if byte >> 4 & 3 == 3 {
        return Err(Violation::protocol("retain handling 3 does not exist"));
    }
    let no_local = byte & 4 != 0;
    if no_local && filter.starts_with("$share/") {
        return Err(Violation::protocol("No Local is not allowed on a shared subscription"));
    }
    Ok(SubscriptionOptions { qos, no_local })
}
