//! What goes over the loader's sockets: publications encoded once, answers taken apart by their length.
//!
//! A publication's bytes differ from the one before in its packet identifier and in the digits of its number, so the
//! rest is never written twice. The number makes every payload unique; `verify.py` finds it in Kafka.

use anyhow::bail;
use isthmus_tests::Result;
use isthmus_tests::mqtt::Version;
use isthmus_tests::mqtt::packet::{field, frame};

pub(crate) const CONNACK: u8 = 2;
pub(crate) const PUBLISH: u8 = 3;
pub(crate) const PUBACK: u8 = 4;
pub(crate) const PUBREC: u8 = 5;
pub(crate) const PUBREL: u8 = 6;
pub(crate) const PUBCOMP: u8 = 7;
pub(crate) const SUBACK: u8 = 9;
pub(crate) const PINGREQ: u8 = 12;
pub(crate) const PINGRESP: u8 = 13;

/// Digits of a message's number.
const DIGITS: usize = 8;

/// The one place where an unsent message's number goes.
const NUMBER_HEAD: &str = r#"{"temp":1"#;

/// What the messages of a device have in common.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    id_at: Option<usize>,
    number_at: usize,
}

/// How publications look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) version: Version,
    pub(crate) qos: u8,
    /// Bytes of the payload.
    pub(crate) payload: usize,
    pub(crate) user_properties: bool,
}

impl Template {
    /// The publications of this device to this topic.
    pub(crate) fn new(form: Form, topic: &str, device: u32) -> Self {
        let mut body = field(topic.as_bytes());
        let id_at = (form.qos > 0).then_some(body.len());
        if form.qos > 0 {
            body.extend([0, 0]);
        }
        if form.version == Version::V5 {
            let mut properties = Vec::new();
            if form.user_properties {
                for (name, value) in
                    [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("site", "berlin-7")]
                {
                    properties.push(0x26);
                    properties.extend(field(name.as_bytes()));
                    properties.extend(field(value.as_bytes()));
                }
            }
            // Fewer than 128 bytes, hence one byte of length.
            body.push(properties.len() as u8);
            body.extend(properties);
        }
        let payload_at = body.len();
        body.extend(payload(device, form.payload));
        let whole = body.len();
        let bytes = frame(0x30 | (form.qos << 1), &body);
        let header = bytes.len() - whole;
        // One digit to tell numbers apart from anything else, five of the device, then the message's own.
        let number_at = header + payload_at + NUMBER_HEAD.len() + 5;
        Self { bytes, id_at: id_at.map(|at| header + at), number_at }
    }

    /// Appends the publication with this packet identifier and number.
    pub(crate) fn append(&self, out: &mut Vec<u8>, id: u16, number: u32) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        if let Some(at) = self.id_at {
            out[start + at..start + at + 2].copy_from_slice(&id.to_be_bytes());
        }
        let mut left = number;
        for digit in out[start + self.number_at..start + self.number_at + DIGITS].iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
    }
}

/// A vehicle's telemetry in JSON, filled up to `size`; its `temp` is 1, the device and the message as one number.
fn payload(device: u32, size: usize) -> Vec<u8> {
    let mut text = format!(
        r#"{NUMBER_HEAD}{device:05}{:0DIGITS$},"speed":87,"heading":271.25,"engine":{{"rpm":2450,"oil":91.2,"on":true}},"doors":[false,false,true],"position":"52.5163,13.3777","note":""#,
        0
    );
    let filled = size.saturating_sub(2);
    while text.len() < filled {
        text.push('x');
    }
    text.push_str(r#""}"#);
    text.into_bytes()
}

/// Calls `each` with type, flags and body of every whole packet in `bytes`; returns how many bytes they took.
pub(crate) fn packets(bytes: &[u8], mut each: impl FnMut(u8, u8, &[u8]) -> Result<()>) -> Result<usize> {
    let mut taken = 0;
    loop {
        let rest = &bytes[taken..];
        let mut length = 0;
        let mut header = 1;
        loop {
            let Some(byte) = rest.get(header) else { return Ok(taken) };
            if header > 4 {
                bail!("a remaining length of more than four bytes");
            }
            length |= usize::from(byte & 0x7F) << (7 * (header - 1));
            header += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let Some(body) = rest.get(header..header + length) else { return Ok(taken) };
        each(rest[0] >> 4, rest[0] & 0x0F, body)?;
        taken += header + length;
    }
}

/// The packet identifier that an acknowledgement begins with, and its reason code.
pub(crate) fn acknowledgement(body: &[u8]) -> Result<(u16, u8)> {
    match body {
        [high, low, rest @ ..] => Ok((u16::from_be_bytes([*high, *low]), rest.first().copied().unwrap_or(0))),
        _ => bail!("an acknowledgement without packet identifier"),
    }
}

#[cfg(test)]
mod tests {
    use isthmus_tests::mqtt::Packet;

    use super::*;

    #[test]
    fn a_template_makes_whole_packets_with_their_own_number() -> Result<()> {
        for (version, qos) in [(Version::V311, 1), (Version::V5, 1), (Version::V5, 0), (Version::V311, 2)] {
            let form = Form { version, qos, payload: 256, user_properties: true };
            let template = Template::new(form, "v1/7/telemetry", 7);
            let mut bytes = Vec::new();
            template.append(&mut bytes, 41, 12);
            template.append(&mut bytes, 42, 99_999_999);
            for (id, number) in [(41, "00000012"), (42, "99999999")] {
                let Some(Packet::Publish(publish)) = Packet::take(version, &mut bytes)? else { bail!("no PUBLISH") };
                assert_eq!((publish.qos, publish.id), (qos, if qos > 0 { id } else { 0 }));
                assert_eq!(publish.payload.len(), 256);
                let json: serde_json::Value = serde_json::from_slice(&publish.payload)?;
                assert_eq!(json["temp"].to_string(), format!("100007{number}"));
            }
            assert!(bytes.is_empty());
        }
        Ok(())
    }

    #[test]
    fn packets_are_taken_as_far_as_they_are_whole() -> Result<()> {
        let bytes = [0x40, 2, 0, 7, 0xD0, 0, 0x40, 2, 0];
        let mut seen = Vec::new();
        let taken = packets(&bytes, |kind, _, body| {
            seen.push((kind, body.to_vec()));
            Ok(())
        })?;
        assert_eq!((taken, seen), (6, vec![(PUBACK, vec![0, 7]), (PINGRESP, vec![])]));
        Ok(())
    }
}
