//! A client that writes and reads bytes, so that it can break every rule.

use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use isthmus_runtime::mqtt::codec::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::edge::Edge;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const CONNACK_V311: &[u8] = &[0x20, 2, 0, 0];

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: BytesMut,
    pub(crate) version: Version,
}

/// The fields of a CONNECT packet.
#[derive(Clone, Default)]
pub(crate) struct Hello<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) keep_alive: u16,
    pub(crate) persistent: bool,
    pub(crate) properties: &'a [u8],
    /// Flags of the will (QoS and retain), its properties, topic and payload.
    pub(crate) will: Option<(u8, &'a [u8], &'a str, &'a [u8])>,
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

impl Hello<'_> {
    pub(crate) fn packet(&self, version: Version) -> Vec<u8> {
        let mut flags = if self.persistent { 0 } else { 0x02 };
        let mut body = string("MQTT");
        body.push(if version == Version::V5 { 5 } else { 4 });
        let mut payload = string(self.client_id);
        if let Some((will, properties, topic, message)) = self.will {
            flags |= 0x04 | will;
            if version == Version::V5 {
                payload.push(properties.len() as u8);
                payload.extend_from_slice(properties);
            }
            payload.extend(string(topic));
            payload.put_u16(message.len() as u16);
            payload.extend_from_slice(message);
        }
        for (flag, field) in [(0x80, self.username), (0x40, self.password)] {
            if let Some(field) = field {
                flags |= flag;
                payload.extend(string(field));
            }
        }
        body.push(flags);
        body.put_u16(self.keep_alive);
        if version == Version::V5 {
            body.push(self.properties.len() as u8);
            body.extend_from_slice(self.properties);
        }
        body.extend(payload);
        packet(0x10, &body)
    }
}

pub(crate) fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    while length >= 128 {
        bytes.push((length % 128) as u8 | 0x80);
        length /= 128;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(body);
    bytes
}

/// PUBLISH; packet identifier 0 means QoS 0.
pub(crate) fn publish(version: Version, topic: &str, packet_id: u16, payload: &[u8]) -> Vec<u8> {
    publish_with(version, topic, packet_id, &[], payload)
}

pub(crate) fn publish_with(
    version: Version,
    topic: &str,
    packet_id: u16,
    properties: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let mut body = string(topic);
    if packet_id != 0 {
        body.put_u16(packet_id);
    }
    if version == Version::V5 {
        body.push(properties.len() as u8);
        body.extend_from_slice(properties);
    }
    body.extend_from_slice(payload);
    packet(if packet_id == 0 { 0x30 } else { 0x32 }, &body)
}

pub(crate) fn subscribe(version: Version, packet_id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    for (filter, options) in filters {
        body.extend(string(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

pub(crate) fn unsubscribe(version: Version, packet_id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    for filter in filters {
        body.extend(string(filter));
    }
    packet(0xA2, &body)
}

pub(crate) fn puback(packet_id: u16) -> Vec<u8> {
    packet(0x40, &packet_id.to_be_bytes())
}

/// A delivery as a subscriber reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) topic: String,
    pub(crate) packet_id: u16,
    pub(crate) properties: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Client {
    /// A socket, nothing sent.
    pub(crate) async fn open(edge: &Edge, version: Version) -> Self {
        let stream = TcpStream::connect(edge.address).await.unwrap();
        Self { stream, buffer: BytesMut::new(), version }
    }

    /// Connected, CONNACK read.
    pub(crate) async fn connect_with(edge: &Edge, version: Version, hello: &Hello<'_>) -> (Self, Vec<u8>) {
        let mut client = Self::open(edge, version).await;
        client.send(&hello.packet(version)).await;
        let connack = client.packet().await;
        (client, connack)
    }

    /// Connected with this client identifier.
    pub(crate) async fn connect(edge: &Edge, version: Version, client_id: &str) -> Self {
        let (client, connack) = Self::connect_with(edge, version, &Hello { client_id, ..Hello::default() }).await;
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:?}");
        client
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        tokio::time::timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("the server does not read").unwrap();
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: u8) {
        self.send(&subscribe(self.version, 9, &[(filter, qos)])).await;
        let suback = self.packet().await;
        assert_eq!((suback[0], suback.last()), (0x90, Some(&qos)), "{suback:?}");
    }

    /// The next whole packet.
    pub(crate) async fn packet(&mut self) -> Vec<u8> {
        self.next().await.expect("the server closed the connection")
    }

    /// The next whole packet, `None` when the server closes instead.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = whole(&self.buffer) {
                return Some(self.buffer.split_to(length).to_vec());
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            match read.expect("the server sends nothing") {
                Ok(0) | Err(_) => {
                    assert!(self.buffer.is_empty(), "closed within a packet: {:?}", self.buffer);
                    return None;
                }
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn expect(&mut self, expected: &[u8]) {
        assert_eq!(self.packet().await, expected);
    }

    /// The server closes without another packet.
    pub(crate) async fn expect_closed(&mut self) {
        assert_eq!(self.next().await, None);
    }

    /// The server says DISCONNECT with this reason (5.0) or nothing (3.1.1) and closes.
    pub(crate) async fn expect_disconnect(&mut self, reason: u8) {
        if self.version == Version::V5 {
            let disconnect = self.packet().await;
            assert_eq!((disconnect[0], disconnect[2]), (0xE0, reason), "{disconnect:x?}");
        }
        self.expect_closed().await;
    }

    /// A PUBLISH.
    pub(crate) async fn delivery(&mut self) -> Delivery {
        let packet = self.packet().await;
        assert_eq!(packet[0] & 0xf0, 0x30, "{packet:?}");
        let mut body = &packet[header(&packet)..];
        let length = usize::from(body.get_u16());
        let topic = String::from_utf8(body[..length].to_vec()).unwrap();
        body.advance(length);
        let packet_id = if packet[0] & 0x06 == 0 { 0 } else { body.get_u16() };
        let mut properties = Vec::new();
        if self.version == Version::V5 {
            let length = usize::from(body.get_u8());
            properties = body[..length].to_vec();
            body.advance(length);
        }
        Delivery { topic, packet_id, properties, payload: body.to_vec() }
    }

    /// Everything before was handled: PINGREQ is answered.
    pub(crate) async fn ping(&mut self) {
        self.send(&[0xC0, 0]).await;
        self.expect(&[0xD0, 0]).await;
    }
}

fn header(packet: &[u8]) -> usize {
    1 + packet[1..].iter().position(|byte| byte & 0x80 == 0).unwrap() + 1
}

/// Length of the packet at the start of `buffer`, once it is whole.
pub(crate) fn whole(buffer: &[u8]) -> Option<usize> {
    let mut remaining = 0;
    for (index, byte) in buffer.iter().skip(1).enumerate() {
        remaining |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let total = 2 + index + remaining;
            return (buffer.len() >= total).then_some(total);
        }
    }
    None
}
