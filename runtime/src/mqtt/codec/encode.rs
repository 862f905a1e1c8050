//! Encodes what a server sends, PUBLISH apart (that is [`super::frame`]).
//!
//! All functions append to `out` and cannot fail: their inputs are bounded by type.

use bytes::{BufMut, BytesMut};

use super::Version;
use super::reason::{ReasonCode, Violation};

/// What a 5.0 client is told in CONNACK about the server (§3.2.2.3). What is not offered is said in
/// every CONNACK: Maximum QoS 1, no retained messages, subscription identifiers or shared subscriptions;
/// Topic Alias Maximum is left out, which means none.
#[derive(Debug, Clone, Copy)]
pub struct Announcement<'a> {
    /// Unacknowledged QoS 1 publications that the client may have.
    pub receive_maximum: u16,
    /// Bytes of the largest packet that the server takes.
    pub maximum_packet_size: u32,
    /// The client asked for a session that outlives the connection; it is told that there is none.
    pub no_session_kept: bool,
    /// The client identifier that the server chose.
    pub assigned_client_id: Option<&'a str>,
    /// The keep alive that counts instead of the client's, seconds.
    pub server_keep_alive: Option<u16>,
}

/// CONNACK of an accepted connection; 3.1.1 has no room for an announcement.
pub fn connack(out: &mut BytesMut, version: Version, announcement: &Announcement<'_>) {
    if version == Version::V311 {
        out.put_slice(&[0x20, 2, 0, 0]);
        return;
    }
    let mut properties = BytesMut::with_capacity(64);
    if announcement.no_session_kept {
        properties.put_u8(0x11);
        properties.put_u32(0);
    }
    properties.put_u8(0x21);
    properties.put_u16(announcement.receive_maximum);
    properties.put_slice(&[0x24, 1]);
    properties.put_slice(&[0x25, 0]);
    properties.put_u8(0x27);
    properties.put_u32(announcement.maximum_packet_size);
    if let Some(client_id) = announcement.assigned_client_id {
        properties.put_u8(0x12);
        put_string(&mut properties, client_id);
    }
    properties.put_slice(&[0x28, 1]);
    properties.put_slice(&[0x29, 0]);
    properties.put_slice(&[0x2A, 0]);
    if let Some(seconds) = announcement.server_keep_alive {
        properties.put_u8(0x13);
        properties.put_u16(seconds);
    }
    put_with_properties(out, 0x20, &[0, ReasonCode::Success.code()], &properties);
}

/// CONNACK of a refused connection, or nothing where 3.1.1 has no return code for the reason (MQTT-3.2.2-6).
///
/// The Reason String is left out when the packet would be larger than the client's Maximum Packet Size, and so is the packet
/// when that does not help (MQTT-3.1.2-24).
pub fn connack_refused(out: &mut BytesMut, version: Version, violation: &Violation, limit: Option<u32>) {
    match version {
        Version::V311 => {
            if let Some(code) = violation.reason.connack_return_code_v311() {
                out.put_slice(&[0x20, 2, 0, code]);
            }
        }
        Version::V5 => {
            put_with_reason_string(out, 0x20, &[0, violation.reason.code()], violation.detail, limit);
        }
    }
}

/// DISCONNECT of a server; 3.1.1 has none, the connection is just closed.
///
/// The Reason String is left out when the packet would be larger than the client's Maximum Packet Size (MQTT-3.14.2-3), and so
/// is the packet when that does not help.
pub fn disconnect(out: &mut BytesMut, version: Version, violation: &Violation, limit: Option<u32>) {
    if version == Version::V5 {
        put_with_reason_string(out, 0xE0, &[violation.reason.code()], violation.detail, limit);
    }
}

/// PUBACK; the reason code is for 5.0.
pub fn puback(out: &mut BytesMut, version: Version, packet_id: u16, reason: ReasonCode) {
    let [high, low] = packet_id.to_be_bytes();
    if version == Version::V311 || reason == ReasonCode::Success {
        out.put_slice(&[0x40, 2, high, low]);
    } else {
        out.put_slice(&[0x40, 3, high, low, reason.code()]);
    }
}

/// SUBACK with one granted QoS or refusal per filter; 3.1.1 has the single refusal 0x80.
pub fn suback(out: &mut BytesMut, version: Version, packet_id: u16, reasons: &[ReasonCode]) {
    put_reasons(out, 0x90, version, packet_id, reasons);
}

/// UNSUBACK, with one reason code per filter in 5.0.
pub fn unsuback(out: &mut BytesMut, version: Version, packet_id: u16, reasons: &[ReasonCode]) {
    let reasons = if version == Version::V5 { reasons } else { &[] };
    put_reasons(out, 0xB0, version, packet_id, reasons);
}

/// Bytes of the SUBACK or UNSUBACK of a 5.0 client that named so many filters.
pub fn answer_size(filters: usize) -> usize {
    let remaining = 3 + filters;
    1 + varint_length(remaining as u32) + remaining
}

/// PINGRESP.
pub fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xD0, 0]);
}

fn put_reasons(out: &mut BytesMut, first: u8, version: Version, packet_id: u16, reasons: &[ReasonCode]) {
    let properties = usize::from(version == Version::V5);
    out.put_u8(first);
    put_varint(out, (2 + properties + reasons.len()) as u32);
    out.put_u16(packet_id);
    if version == Version::V5 {
        out.put_u8(0);
    }
    out.extend(reasons.iter().map(|reason| match reason.code() {
        refused @ 0x80.. if version == Version::V311 => refused & 0x80,
        code => code,
    }));
}

fn put_with_reason_string(out: &mut BytesMut, first: u8, fields: &[u8], detail: &str, limit: Option<u32>) {
    let mut properties = BytesMut::with_capacity(3 + detail.len());
    properties.put_u8(0x1F);
    put_string(&mut properties, detail);
    let start = out.len();
    put_with_properties(out, first, fields, &properties);
    let too_large = |out: &BytesMut| limit.is_some_and(|limit| out.len() - start > limit as usize);
    if too_large(out) {
        out.truncate(start);
        put_with_properties(out, first, fields, &[]);
        if too_large(out) {
            out.truncate(start);
        }
    }
}

fn put_with_properties(out: &mut BytesMut, first: u8, fields: &[u8], properties: &[u8]) {
    out.put_u8(first);
    put_varint(out, (fields.len() + varint_length(properties.len() as u32) + properties.len()) as u32);
    out.put_slice(fields);
    put_varint(out, properties.len() as u32);
    out.put_slice(properties);
}

/// A string of our own, or one that came in a packet: never over the wire format's 65,535 bytes.
fn put_string(out: &mut BytesMut, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(0);
    out.put_u16(length);
    out.put_slice(&text.as_bytes()[..usize::from(length)]);
}

/// Appends a Variable Byte Integer; the callers stay below 268,435,456.
pub(super) fn put_varint(out: &mut impl BufMut, mut value: u32) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Bytes of a value as Variable Byte Integer.
pub(super) fn varint_length(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}
