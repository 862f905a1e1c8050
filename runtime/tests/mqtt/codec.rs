//! The codec against arbitrary bytes: it never panics, and where the bytes are cut does not matter.

use bytes::{BufMut, BytesMut};
use isthmus_runtime::message::{PublishProperties, QoS};
use isthmus_runtime::mqtt::codec::{
    self, Packet, Progress, Publish, Subscribe, SubscriptionOptions, Unsubscribe, Version, Violation,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::client::{Hello, packet, string};
use crate::edge::Edge;

const MAX_SIZE: usize = 100_000;

/// All packets of a stream that arrives in pieces, and the violation that ends it.
fn decode(pieces: &[&[u8]], version: Version) -> (Vec<Packet>, Option<Violation>) {
    let mut buffer = BytesMut::new();
    let mut packets = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec::take_packet(&mut buffer, MAX_SIZE) {
                Ok(Progress::Needs(total)) => {
                    assert!(total > buffer.len(), "it waits for what it has");
                    break;
                }
                Ok(Progress::Packet(raw)) => match raw.decode(version) {
                    Ok(packet) => packets.push(packet),
                    Err(violation) => return (packets, Some(violation)),
                },
                Err(violation) => return (packets, Some(violation)),
            }
        }
    }
    (packets, None)
}

fn version() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::V311), Just(Version::V5)]
}

fn topic() -> impl Strategy<Value = String> {
    "[a-zé温🚗/ $]{1,12}"
}

fn properties() -> impl Strategy<Value = PublishProperties> {
    (
        proptest::option::of(0..2u8),
        proptest::option::of(any::<u32>()),
        proptest::option::of(topic()),
        proptest::option::of(topic()),
        proptest::option::of(vec(any::<u8>(), 0..9)),
        vec((topic(), topic()), 0..3),
    )
        .prop_map(|(payload_format, message_expiry, content_type, response_topic, correlation, user)| {
            PublishProperties {
                payload_format,
                message_expiry,
                content_type: content_type.map(Into::into),
                response_topic: response_topic.map(Into::into),
                correlation_data: correlation.map(Into::into),
                user_properties: user.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            }
        })
}

fn client_packet() -> impl Strategy<Value = Packet> {
    let publish = (any::<bool>(), any::<bool>(), topic(), 1..=u16::MAX, properties(), vec(any::<u8>(), 0..300))
        .prop_map(|(acknowledged, retain, topic, packet_id, properties, payload)| {
            Packet::Publish(Publish {
                dup: acknowledged && retain,
                qos: if acknowledged { QoS::AtLeastOnce } else { QoS::AtMostOnce },
                retain,
                topic: topic.into(),
                packet_id: if acknowledged { packet_id } else { 0 },
                properties: (properties != PublishProperties::default()).then(|| properties.into()),
                payload: payload.into(),
            })
        });
    let option = (any::<bool>(), any::<bool>()).prop_map(|(acknowledged, no_local)| SubscriptionOptions {
        qos: if acknowledged { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        no_local,
    });
    prop_oneof![
        4 => publish,
        1 => (1..=u16::MAX, vec((topic().prop_map(Into::into), option), 1..4))
            .prop_map(|(packet_id, filters)| Packet::Subscribe(Subscribe { packet_id, filters })),
        1 => (1..=u16::MAX, vec(topic().prop_map(Into::into), 1..4))
            .prop_map(|(packet_id, filters)| Packet::Unsubscribe(Unsubscribe { packet_id, filters })),
        1 => (1..=u16::MAX, any::<bool>()).prop_map(|(packet_id, accepted)| Packet::PubAck { packet_id, accepted }),
        1 => Just(Packet::PingReq),
        1 => (any::<bool>(), proptest::option::of(any::<u32>()))
            .prop_map(|(with_will, session_expiry)| Packet::Disconnect { with_will, session_expiry }),
    ]
}

/// A 5.0 client's encoding, written from the standard and not from the codec.
fn encode(packet_: &Packet) -> Vec<u8> {
    let mut body = Vec::new();
    match packet_ {
        Packet::Publish(publish) => {
            body.extend(string(&publish.topic));
            if publish.qos == QoS::AtLeastOnce {
                body.put_u16(publish.packet_id);
            }
            with_length(&mut body, &encode_properties(publish.properties.as_deref()));
            body.extend_from_slice(&publish.payload);
            let flags = u8::from(publish.dup) << 3 | publish.qos.level() << 1 | u8::from(publish.retain);
            packet(0x30 | flags, &body)
        }
        Packet::Subscribe(subscribe) => {
            body.put_u16(subscribe.packet_id);
            body.push(0);
            for (filter, options) in &subscribe.filters {
                body.extend(string(filter));
                body.push(options.qos.level() | u8::from(options.no_local) << 2);
            }
            packet(0x82, &body)
        }
        Packet::Unsubscribe(unsubscribe) => {
            body.put_u16(unsubscribe.packet_id);
            body.push(0);
            for filter in &unsubscribe.filters {
                body.extend(string(filter));
            }
            packet(0xA2, &body)
        }
        Packet::PubAck { packet_id, accepted } => {
            body.put_u16(*packet_id);
            if !accepted {
                body.push(0x83);
            }
            packet(0x40, &body)
        }
        Packet::PingReq => packet(0xC0, &[]),
        Packet::Disconnect { with_will, session_expiry } => {
            body.push(if *with_will { 0x04 } else { 0 });
            if let Some(seconds) = session_expiry {
                body.extend([5, 0x11]);
                body.put_u32(*seconds);
            }
            packet(0xE0, &body)
        }
    }
}

fn encode_properties(properties: Option<&PublishProperties>) -> Vec<u8> {
    let Some(properties) = properties else { return Vec::new() };
    let mut bytes = Vec::new();
    if let Some(format) = properties.payload_format {
        bytes.extend([0x01, format]);
    }
    if let Some(seconds) = properties.message_expiry {
        bytes.push(0x02);
        bytes.put_u32(seconds);
    }
    for (identifier, text) in [(0x03, &properties.content_type), (0x08, &properties.response_topic)] {
        if let Some(text) = text {
            bytes.push(identifier);
            bytes.extend(string(text));
        }
    }
    if let Some(data) = &properties.correlation_data {
        bytes.push(0x09);
        bytes.put_u16(data.len() as u16);
        bytes.extend_from_slice(data);
    }
    for (name, value) in &properties.user_properties {
        bytes.push(0x26);
        bytes.extend(string(name));
        bytes.extend(string(value));
    }
    bytes
}

fn with_length(body: &mut Vec<u8>, properties: &[u8]) {
    // The first byte of `packet` is cut off: what remains is the length and the bytes.
    body.extend_from_slice(&packet(0, properties)[1..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..600), version in version()) {
        decode(&[&bytes], version);
        let mut buffer = BytesMut::from(&bytes[..]);
        if let Ok(Progress::Packet(raw)) = codec::take_packet(&mut buffer, MAX_SIZE) {
            let _ = raw.into_connect();
        }
    }

    #[test]
    fn damaged_packets_never_panic(
        packets in vec(client_packet(), 1..4),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        version in version(),
    ) {
        let mut bytes: Vec<u8> = packets.iter().flat_map(encode).collect();
        for (place, value) in damage {
            *place.get_mut(&mut bytes) = value;
        }
        decode(&[&bytes], version);
    }

    #[test]
    fn damaged_connects_never_panic(
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        version in version(),
    ) {
        let properties = [0x11, 0, 0, 0, 1, 0x21, 0, 9, 0x26, 0, 1, b'k', 0, 1, b'v'];
        let hello = Hello {
            client_id: "car-7",
            keep_alive: 60,
            properties: &properties,
            will: Some((0x08, &[0x02, 0, 0, 0, 9], "gone/car-7", b"bye")),
            username: Some("driver"),
            password: Some("secret"),
            ..Hello::default()
        };
        let mut bytes = hello.packet(version);
        let intact = damage.is_empty();
        for (place, value) in damage {
            *place.get_mut(&mut bytes) = value;
        }
        let mut buffer = BytesMut::from(&bytes[..]);
        let taken = codec::take_packet(&mut buffer, MAX_SIZE);
        if intact {
            let Ok(Progress::Packet(raw)) = taken else { panic!("{taken:?}") };
            let connect = raw.into_connect().unwrap();
            prop_assert_eq!(&*connect.client_id, "car-7");
            prop_assert_eq!(connect.will.unwrap().payload, "bye");
            prop_assert_eq!(connect.password.unwrap(), "secret");
        } else if let Ok(Progress::Packet(raw)) = taken {
            let _ = raw.into_connect();
        }
    }

    #[test]
    fn packets_are_decoded_as_they_were_meant_however_they_are_cut(
        packets in vec(client_packet(), 1..6),
        cuts in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes: Vec<u8> = packets.iter().flat_map(encode).collect();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        prop_assert_eq!(decode(&pieces, Version::V5), (packets, None));
    }

    #[test]
    fn damaged_streams_end_alike_however_they_are_cut(
        packets in vec(client_packet(), 1..4),
        place in any::<prop::sample::Index>(),
        value in any::<u8>(),
        version in version(),
    ) {
        let mut bytes: Vec<u8> = packets.iter().flat_map(encode).collect();
        *place.get_mut(&mut bytes) = value;
        let single: Vec<_> = bytes.chunks(1).collect();
        prop_assert_eq!(decode(&[&bytes], version), decode(&single, version));
    }
}

#[tokio::test]
async fn a_broker_lives_through_whatever_clients_send() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let edge = Edge::start();
    let mut random = fastrand::Rng::with_seed(20_261_123);
    let mut valid = Hello { client_id: "a", ..Hello::default() }.packet(Version::V5);
    valid.extend(crate::client::subscribe(Version::V5, 1, &[("#", 1), ("a/+", 0)]));
    valid.extend(crate::client::publish(Version::V5, "a/b", 1, b"payload"));
    valid.extend(crate::client::puback(1));
    valid.extend(crate::client::unsubscribe(Version::V5, 2, &["#"]));
    for _ in 0..300 {
        let mut bytes = valid.clone();
        for _ in 0..random.usize(0..4) {
            let place = random.usize(..bytes.len());
            bytes[place] = random.u8(..);
        }
        bytes.truncate(random.usize(1..=bytes.len()));
        let mut stream = tokio::net::TcpStream::connect(edge.address).await.unwrap();
        // The broker may close before all is sent.
        let _ = stream.write_all(&bytes).await;
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(crate::client::PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "left open after {bytes:x?}");
    }
    crate::client::Client::connect(&edge, Version::V5, "next").await.ping().await;
    edge.until(|counted| counted.connections <= 1 && counted.subscriptions == 0).await;
}
