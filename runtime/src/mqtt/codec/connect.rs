//! Decodes CONNECT (OASIS MQTT 3.1.1 §3.1, 5.0 §3.1), the first packet of every connection.

use bytes::Bytes;
use bytestring::ByteString;

use super::Version;
use super::cursor::Cursor;
use super::properties::{MISPLACED, Properties, Property};
use super::publish;
use super::reason::{ReasonCode, Violation};
use crate::message::{PublishProperties, QoS};

/// A client's request to connect.
#[derive(Debug, PartialEq, Eq)]
pub struct Connect {
    /// The protocol that both sides speak from here on.
    pub version: Version,
    /// Clean Session (3.1.1) or Clean Start (5.0).
    pub clean_start: bool,
    /// Seconds, 0 = no keep alive.
    pub keep_alive: u16,
    /// Empty when the client leaves the choice to the server.
    pub client_id: ByteString,
    /// User name, when given.
    pub username: Option<ByteString>,
    /// Password, when given: any bytes.
    pub password: Option<Bytes>,
    /// What to publish when the client goes without saying so.
    pub will: Option<Will>,
    /// Seconds that the client wants its session kept; 0 for a 3.1.1 client with Clean Session.
    pub session_expiry: u32,
    /// QoS 1 publications that the client takes at a time; 65,535 unless it says less.
    pub receive_maximum: u16,
    /// Bytes of the largest packet that the client takes, when limited.
    pub maximum_packet_size: Option<u32>,
    /// Whether the client wants enhanced authentication (AUTH packets).
    pub enhanced_authentication: bool,
}

/// The message published in the client's name when its session ends without DISCONNECT.
#[derive(Debug, PartialEq, Eq)]
pub struct Will {
    /// Topic name.
    pub topic: ByteString,
    /// Payload.
    pub payload: Bytes,
    /// The QoS asked for: 0, 1 or 2.
    pub qos: u8,
    /// The RETAIN flag asked for.
    pub retain: bool,
    /// MQTT 5.0 properties, absent when there are none.
    pub properties: Option<PublishProperties>,
}

/// Why a CONNECT was not understood, and the protocol version of the answer when one can be given.
#[derive(Debug, PartialEq, Eq)]
pub struct NotConnect {
    /// `None`: close without a word, the peer may not speak MQTT at all.
    pub version: Option<Version>,
    /// What is wrong.
    pub violation: Violation,
}

impl Connect {
    /// Decodes the variable header and payload of a CONNECT packet.
    pub(super) fn decode(body: Bytes) -> Result<Self, NotConnect> {
        let mut cursor = Cursor::new(body);
        let version = protocol(&mut cursor)?;
        decode_as(version, cursor).map_err(|violation| NotConnect { version: Some(version), violation })
    }
}

/// Protocol name and level (MQTT-3.1.2-1, MQTT-3.1.2-2).
fn protocol(cursor: &mut Cursor) -> Result<Version, NotConnect> {
    let unknown = |violation| NotConnect { version: None, violation };
    let name = cursor.binary().map_err(unknown)?;
    let level = cursor.u8().map_err(unknown)?;
    let unsupported = |version| NotConnect {
        version: Some(version),
        violation: Violation::new(
            ReasonCode::UnsupportedProtocolVersion,
            "the protocol version is not supported: use MQTT 3.1.1 or 5.0",
        ),
    };
    match (name.as_ref(), level) {
        // The highest bit is how mosquitto says that a bridge connects; nothing else changes.
        (b"MQTT", 4 | 0x84) => Ok(Version::V311),
        (b"MQTT", 5) => Ok(Version::V5),
        (b"MQIsdp", _) | (b"MQTT", 0..=3 | 0x80..=0x83) => Err(unsupported(Version::V311)),
        (b"MQTT", _) => Err(unsupported(Version::V5)),
        _ => Err(unknown(Violation::new(ReasonCode::UnsupportedProtocolVersion, "the protocol name is not MQTT"))),
    }
}

fn decode_as(version: Version, mut cursor: Cursor) -> Result<Connect, Violation> {
    let flags = Flags(cursor.u8()?);
    flags.check(version)?;
    let keep_alive = cursor.u16()?;
    let mut connect = Connect {
        version,
        clean_start: flags.has(Flags::CLEAN_START),
        keep_alive,
        client_id: ByteString::new(),
        username: None,
        password: None,
        will: None,
        session_expiry: if version == Version::V311 && !flags.has(Flags::CLEAN_START) { u32::MAX } else { 0 },
        receive_maximum: u16::MAX,
        maximum_packet_size: None,
        enhanced_authentication: false,
    };
    if version == Version::V5 {
        read_properties(&mut cursor, &mut connect)?;
    }
    connect.client_id = cursor.string()?;
    if flags.has(Flags::WILL) {
        connect.will = Some(read_will(version, flags, &mut cursor)?);
    }
    if flags.has(Flags::USERNAME) {
        connect.username = Some(cursor.string()?);
    }
    if flags.has(Flags::PASSWORD) {
        connect.password = Some(cursor.binary()?);
    }
    cursor.finish()?;
    Ok(connect)
}

/// The Connect Flags byte (§3.1.2.3).
#[derive(Debug, Clone, Copy)]
struct Flags(u8);

impl Flags {
    const CLEAN_START: u8 = 0x02;
    const WILL: u8 = 0x04;
    const WILL_RETAIN: u8 = 0x20;
    const PASSWORD: u8 = 0x40;
    const USERNAME: u8 = 0x80;

    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    fn will_qos(self) -> u8 {
        self.0 >> 3 & 3
    }

    fn check(self, version: Version) -> Result<(), Violation> {
        if self.has(0x01) {
            return Err(Violation::malformed("the reserved connect flag is set"));
        }
        if !self.has(Self::WILL) && (self.will_qos() != 0 || self.has(Self::WILL_RETAIN)) {
            return Err(Violation::malformed("will QoS or will retain is set without a will"));
        }
        if self.will_qos() == 3 {
            return Err(Violation::malformed("will QoS 3 does not exist"));
        }
        if version == Version::V311 && self.has(Self::PASSWORD) && !self.has(Self::USERNAME) {
            return Err(Violation::malformed("a password without a user name is not allowed in MQTT 3.1.1"));
        }
        Ok(())
    }
}

fn read_properties(cursor: &mut Cursor, connect: &mut Connect) -> Result<(), Violation> {
    let mut properties = Properties::read(cursor)?;
    let mut authentication_data = false;
    while let Some(property) = properties.next()? {
        match property {
            Property::SessionExpiry(seconds) => connect.session_expiry = seconds,
            Property::ReceiveMaximum(maximum) => connect.receive_maximum = maximum,
            Property::MaximumPacketSize(maximum) => connect.maximum_packet_size = Some(maximum),
            Property::AuthenticationMethod => connect.enhanced_authentication = true,
            Property::AuthenticationData => authentication_data = true,
            // Offers and wishes that a server may leave aside: no alias is ever sent to the client, no
            // response information is made up, and reason strings go only where they are always allowed.
            Property::TopicAliasMaximum
            | Property::RequestResponseInformation
            | Property::RequestProblemInformation
            | Property::User(..) => {}
            _ => return Err(MISPLACED),
        }
    }
    if authentication_data && !connect.enhanced_authentication {
        return Err(Violation::protocol("authentication data without an authentication method"));
    }
    Ok(())
}

fn read_will(version: Version, flags: Flags, cursor: &mut Cursor) -> Result<Will, Violation> {
    let mut found = PublishProperties::default();
    if version == Version::V5 {
        let mut properties = Properties::read(cursor)?;
        while let Some(property) = properties.next()? {
            match property {
                // No session outlives its connection, so a will is due at once whatever delay is asked for (§3.1.3.2.2).
                Property::WillDelay => {}
                other => publish::take_property(&mut found, other)?,
            }
        }
    }
    let topic = cursor.string()?;
    publish::check_topic(&topic)?;
    let payload = cursor.binary()?;
    Ok(Will {
        topic,
        payload,
        qos: flags.will_qos(),
        retain: flags.has(Flags::WILL_RETAIN),
        properties: (found != PublishProperties::default()).then_some(found),
    })
}

impl Will {
    /// The QoS as this broker offers it, `None` for QoS 2.
    pub fn offered_qos(&self) -> Option<QoS> {
        match self.qos {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            _ => None,
        }
    }
}
