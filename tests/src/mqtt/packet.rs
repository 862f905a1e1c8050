//! Packets of MQTT 3.1.1 and 5.0 as bytes: what a client sends, and what a broker answers.

use anyhow::{Context as _, bail, ensure};

use crate::Result;
pub use crate::mosquitto::Version;

/// A packet that a broker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// CONNACK with its return or reason code, and the 5.0 properties as bytes.
    ConnAck {
        /// 0 is success.
        code: u8,
        /// The properties, undecoded; empty for 3.1.1.
        properties: Vec<u8>,
    },
    /// PUBACK.
    PubAck {
        /// The packet identifier.
        id: u16,
        /// The 5.0 reason code; 0 for 3.1.1.
        reason: u8,
    },
    /// SUBACK with a code per filter.
    SubAck {
        /// The packet identifier.
        id: u16,
        /// A code per filter.
        codes: Vec<u8>,
    },
    /// UNSUBACK.
    UnsubAck {
        /// The packet identifier.
        id: u16,
    },
    /// PUBLISH.
    Publish(Publish),
    /// PINGRESP.
    PingResp,
    /// The broker's DISCONNECT (5.0) with its reason code.
    Disconnect(u8),
    /// The broker closed the connection.
    Closed,
}

/// A PUBLISH as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// 0, 1 or 2.
    pub qos: u8,
    /// The packet identifier; 0 at QoS 0.
    pub id: u16,
}

/// A whole packet: type and flags, remaining length, body.
pub fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut left = body.len();
    loop {
        let low = (left % 128) as u8;
        left /= 128;
        bytes.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

/// A length-prefixed field.
pub fn field(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    [&length.to_be_bytes()[..], bytes].concat()
}

/// CONNECT with clean start and a keep alive of a minute.
pub fn connect(version: Version, client_id: &str) -> Vec<u8> {
    connect_as(version, client_id, 60, None)
}

/// CONNECT with a keep alive in seconds, and a user name and password.
pub fn connect_as(version: Version, client_id: &str, keep_alive: u16, user: Option<(&str, &str)>) -> Vec<u8> {
    let (level, properties): (u8, &[u8]) = match version {
        Version::V311 => (4, &[]),
        Version::V5 => (5, &[0]),
    };
    let flags = 0x02 | if user.is_some() { 0xC0 } else { 0 };
    let mut body = [&field(b"MQTT")[..], &[level, flags], &keep_alive.to_be_bytes()].concat();
    body.extend_from_slice(properties);
    body.extend(field(client_id.as_bytes()));
    if let Some((name, password)) = user {
        body.extend(field(name.as_bytes()));
        body.extend(field(password.as_bytes()));
    }
    frame(0x10, &body)
}

/// PUBLISH; `id` is left out at QoS 0. The topic is bytes so that it can be wrong.
pub fn publish(version: Version, topic: &[u8], qos: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = field(topic);
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    if version == Version::V5 {
        body.push(0);
    }
    body.extend_from_slice(payload);
    frame(0x30 | (qos << 1), &body)
}

/// SUBSCRIBE to one filter.
pub fn subscribe(version: Version, id: u16, filter: &[u8], qos: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(field(filter));
    body.push(qos);
    frame(0x82, &body)
}

/// PUBACK.
pub fn puback(id: u16) -> Vec<u8> {
    frame(0x40, &id.to_be_bytes())
}

/// PINGREQ.
pub fn pingreq() -> Vec<u8> {
    vec![0xC0, 0]
}

/// DISCONNECT without a reason: the normal end.
pub fn disconnect() -> Vec<u8> {
    vec![0xE0, 0]
}

impl Packet {
    /// Takes the first whole packet off the front of `bytes`, or nothing when more is needed.
    pub fn take(version: Version, bytes: &mut Vec<u8>) -> Result<Option<Self>> {
        let Some((length, start)) = remaining_length(bytes)? else { return Ok(None) };
        if bytes.len() < start + length {
            return Ok(None);
        }
        let rest = bytes.split_off(start + length);
        let whole = std::mem::replace(bytes, rest);
        Self::parse(version, whole[0], &whole[start..]).map(Some)
    }

    fn parse(version: Version, first: u8, body: &[u8]) -> Result<Self> {
        let mut body = Body(body);
        Ok(match first >> 4 {
            2 => {
                body.byte()?;
                let code = body.byte()?;
                let properties = if version == Version::V5 { body.properties()?.to_vec() } else { Vec::new() };
                Self::ConnAck { code, properties }
            }
            3 => {
                let qos = (first >> 1) & 3;
                let topic = String::from_utf8(body.field()?.to_vec())?;
                let id = if qos > 0 { body.number()? } else { 0 };
                if version == Version::V5 {
                    body.properties()?;
                }
                Self::Publish(Publish { topic, payload: body.0.to_vec(), qos, id })
            }
            4 => Self::PubAck { id: body.number()?, reason: body.byte().unwrap_or(0) },
            9 => {
                let id = body.number()?;
                if version == Version::V5 {
                    body.properties()?;
                }
                Self::SubAck { id, codes: body.0.to_vec() }
            }
            11 => Self::UnsubAck { id: body.number()? },
            13 => Self::PingResp,
            14 => Self::Disconnect(body.byte().unwrap_or(0)),
            other => bail!("the broker sent packet type {other}"),
        })
    }
}

/// The remaining length and where the body starts; nothing when bytes are missing.
fn remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut length = 0;
    for (index, byte) in bytes.iter().skip(1).enumerate() {
        ensure!(index < 4, "a remaining length of more than four bytes");
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, index + 2)));
        }
    }
    Ok(None)
}

struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn slice(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).context("the packet is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.slice(1)?[0])
    }

    fn number(&mut self) -> Result<u16> {
        let bytes = self.slice(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn field(&mut self) -> Result<&'a [u8]> {
        let length = self.number()?;
        self.slice(length.into())
    }

    fn properties(&mut self) -> Result<&'a [u8]> {
        let mut length = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        self.slice(length)
    }
}
