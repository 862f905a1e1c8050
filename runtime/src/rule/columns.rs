//! An MQTT message as rules see it: the columns of `message.publish`.

use std::sync::{Arc, LazyLock};

use isthmus_rules::{Column, Columns, EventKind, Map, Text, Value};

use crate::message::{Message, Peer, PublishProperties};

/// Name of this process in the `node` column: the host name, which in a pod is the pod's.
pub static NODE: LazyLock<Text> = LazyLock::new(|| {
    let name = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let name = name.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    Text::from(name.map_or_else(|| "localhost".to_owned(), |name| name.trim().to_owned()))
});

/// The `flags` column by RETAIN and DUP. Values that most messages share are made once.
static FLAGS: LazyLock<[[Value; 2]; 2]> = LazyLock::new(|| {
    let flags = |retain, dup| map([("retain", Value::Bool(retain)), ("dup", Value::Bool(dup))]);
    [false, true].map(|retain| [false, true].map(|dup| flags(retain, dup)))
});
static NO_PROPERTIES: LazyLock<Value> = LazyLock::new(|| properties(&PublishProperties::default()));
static NO_ATTRIBUTES: LazyLock<Value> = LazyLock::new(|| Value::map(Map::new()));

/// A message as an event.
#[derive(Debug)]
pub struct MessageColumns<'m>(pub &'m Message);

impl Columns for MessageColumns<'_> {
    fn kind(&self) -> EventKind {
        EventKind::MessagePublish
    }

    fn get(&self, column: Column) -> Value {
        let message = self.0;
        let publisher = &message.publisher;
        match column {
            Column::Event => Value::constant(EventKind::MessagePublish.event_name()),
            Column::Timestamp | Column::PublishReceivedAt => Value::Int(message.received_at.into()),
            Column::Node => Value::Text(NODE.clone()),
            Column::Id => Value::Text(Text::from(message.id.text())),
            Column::ClientId => Value::Text(Text::from(&publisher.client_id)),
            Column::Username => text(publisher.username.as_ref()),
            Column::Payload => Value::shared_binary(&message.payload),
            Column::PeerHost => text(publisher.peer.as_ref().map(Peer::host)),
            Column::PeerName => text(publisher.peer.as_ref().map(Peer::name)),
            Column::Topic => Value::Text(Text::from(&message.topic)),
            Column::Qos => Value::Int(message.qos.level().into()),
            Column::Flags => FLAGS[usize::from(message.retain)][usize::from(message.dup)].clone(),
            Column::PubProps => message.properties.as_deref().map_or_else(|| NO_PROPERTIES.clone(), properties),
            Column::ClientAttrs => NO_ATTRIBUTES.clone(),
            _ => Value::Undefined,
        }
    }

    fn bytes(&self, column: Column) -> Option<&[u8]> {
        let publisher = &self.0.publisher;
        match column {
            Column::ClientId => Some(publisher.client_id.as_bytes()),
            Column::Username => publisher.username.as_ref().map(|name| name.as_bytes().as_ref()),
            Column::Payload => Some(&self.0.payload),
            Column::Topic => Some(self.0.topic.as_bytes()),
            _ => None,
        }
    }
}

fn text(text: Option<&bytestring::ByteString>) -> Value {
    text.map_or(Value::Undefined, |text| Value::Text(Text::from(text)))
}

fn map<const N: usize>(entries: [(&'static str, Value); N]) -> Value {
    Value::map(entries.into_iter().map(|(name, value)| (Text::constant(name), value)).collect())
}

/// The `pub_props` column: properties under their names in the OASIS standard, `User-Property` as a map (of equal
/// names the last) and as pairs.
fn properties(properties: &PublishProperties) -> Value {
    let mut all = Map::new();
    if let Some(format) = properties.payload_format {
        all.insert("Payload-Format-Indicator", Value::Int(format.into()));
    }
    if let Some(expiry) = properties.message_expiry {
        all.insert("Message-Expiry-Interval", Value::Int(expiry.into()));
    }
    if let Some(content_type) = &properties.content_type {
        all.insert("Content-Type", text(Some(content_type)));
    }
    if let Some(response_topic) = &properties.response_topic {
        all.insert("Response-Topic", text(Some(response_topic)));
    }
    if let Some(correlation) = &properties.correlation_data {
        all.insert("Correlation-Data", Value::shared_binary(correlation));
    }
    let (mut users, mut pairs) = (Map::new(), Vec::new());
    for (name, value) in &properties.user_properties {
        users.insert(Text::from(name.clone()), text(Some(value)));
        pairs.push(map([("key", text(Some(name))), ("value", text(Some(value)))]));
    }
    all.insert("User-Property", Value::map(users));
    all.insert("User-Property-Pairs", Value::List(Arc::new(pairs)));
    Value::map(all)
}

#[cfg(test)]
mod tests {
    use isthmus_rules::template::write_text;

    use super::*;
    use crate::message::{MessageIds, Publisher, QoS};

    #[test]
    fn bytes_that_are_lent_are_those_that_the_value_prints() {
        let message = |client_id: &'static str, username: Option<&'static str>, payload: &'static [u8]| Message {
            id: MessageIds::new().next(1),
            topic: "v1/7/telemetry".into(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            dup: false,
            retain: false,
            publisher: Arc::new(Publisher {
                client_id: client_id.into(),
                username: username.map(Into::into),
                peer: None,
            }),
            properties: None,
            received_at: 1,
        };
        let mut lent = Vec::new();
        for message in [message("car-7", Some("u"), b"{}"), message("", None, b""), message("\u{e4}", None, b"\xff\0")]
        {
            let columns = MessageColumns(&message);
            for &column in Column::ALL {
                let Some(bytes) = columns.bytes(column) else { continue };
                let mut printed = Vec::new();
                write_text(&columns.get(column), &mut printed).unwrap();
                assert_eq!(printed, bytes, "{column:?}");
                lent.push(column);
            }
        }
        lent.dedup();
        assert!(lent.contains(&Column::Payload) && lent.contains(&Column::Username), "{lent:?}");
    }
}
