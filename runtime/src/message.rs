//! One MQTT application message on its way through the data path, and who published it.
//!
//! Owns the type that crosses every stage. How a message is encoded on the wire belongs to
//! `mqtt`, what becomes of it to `ingress`.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use bytestring::ByteString;

/// Quality of service of a publication (OASIS MQTT 5.0 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum QoS {
    /// Delivered at most once; nobody is told.
    #[default]
    AtMostOnce = 0,
    /// Delivered at least once; acknowledged with PUBACK.
    AtLeastOnce = 1,
}

impl QoS {
    /// The number on the wire, 0 or 1.
    pub fn level(self) -> u8 {
        self as u8
    }
}

/// Identifies a message: 128 bits, ordered by time.
///
/// From the top: 48 bits of milliseconds since the epoch, then 80 bits in which each publisher counts from a start of its
/// own. Starts are random with 79 bits, so that publishers of any number of pods do not meet within a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u128);

impl MessageId {
    /// Its text form: 32 hexadecimal digits. Rules that select everything ask for it with each message.
    pub fn text(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut text = Vec::with_capacity(32);
        for byte in self.0.to_be_bytes() {
            text.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

/// Gives out the [`MessageId`]s of one publisher without touching shared state.
#[derive(Debug)]
pub struct MessageIds {
    origin: u128,
    next: AtomicU32,
}

impl Default for MessageIds {
    fn default() -> Self {
        Self::new()
    }
}

impl MessageIds {
    /// The ids of one more publisher of this process.
    pub fn new() -> Self {
        static PUBLISHERS: AtomicU32 = AtomicU32::new(0);
        static PROCESS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self::of(&PROCESS, PUBLISHERS.fetch_add(1, Ordering::Relaxed))
    }

    /// The process is known by the keys of its hasher, which come from the operating system.
    fn of(process: &RandomState, publisher: u32) -> Self {
        let half = |half: u8| u128::from(process.hash_one((publisher, half)));
        Self { origin: (half(0) << 64 | half(1)) >> 49, next: AtomicU32::new(1) }
    }

    /// The id of a message received at `now` (milliseconds since the epoch).
    pub fn next(&self, now: i64) -> MessageId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        MessageId(((now as u128) << 80) | (self.origin + u128::from(number)))
    }
}

/// Who published a message, as rules see it. One per connection, shared by all its messages.
#[derive(Debug)]
pub struct Publisher {
    /// MQTT client identifier; the name of the Source or Rule for messages that the process itself publishes.
    pub client_id: ByteString,
    /// MQTT user name, when the client gave one.
    pub username: Option<ByteString>,
    /// The other end of the connection, absent for messages of the process itself.
    pub peer: Option<Peer>,
}

/// The other end of a connection.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    /// Made when a rule first asks, and then the same for all messages.
    texts: OnceLock<Box<PeerTexts>>,
}

#[derive(Debug)]
struct PeerTexts {
    host: ByteString,
    name: ByteString,
}

impl Peer {
    /// The IP address as text.
    pub fn host(&self) -> &ByteString {
        &self.texts().host
    }

    /// IP address and port as text.
    pub fn name(&self) -> &ByteString {
        &self.texts().name
    }

    fn texts(&self) -> &PeerTexts {
        self.texts.get_or_init(|| {
            let host = self.address.ip().to_string().into();
            Box::new(PeerTexts { host, name: self.address.to_string().into() })
        })
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self { address, texts: OnceLock::new() }
    }
}

/// The properties of an MQTT 5.0 PUBLISH that travel with the message (OASIS MQTT 5.0 §3.3.2.3).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PublishProperties {
    /// 0 = unspecified bytes, 1 = UTF-8 text.
    pub payload_format: Option<u8>,
    /// Seconds after `received_at` when the message is no longer wanted.
    pub message_expiry: Option<u32>,
    /// MIME type of the payload.
    pub content_type: Option<ByteString>,
    /// Topic for an answer.
    pub response_topic: Option<ByteString>,
    /// Bytes that an answer carries back.
    pub correlation_data: Option<Bytes>,
    /// Name and value pairs, order kept, names may repeat.
    pub user_properties: Vec<(ByteString, ByteString)>,
}

/// One application message.
#[derive(Debug, Clone)]
pub struct Message {
    /// Identity, unique over processes.
    pub id: MessageId,
    /// Topic name: valid UTF-8, no wildcard, no NUL.
    pub topic: ByteString,
    /// Application payload, any bytes.
    pub payload: Bytes,
    /// Quality of service it was published with.
    pub qos: QoS,
    /// DUP flag of the PUBLISH that brought it.
    pub dup: bool,
    /// RETAIN flag of the PUBLISH that brought it.
    pub retain: bool,
    /// Who published it.
    pub publisher: Arc<Publisher>,
    /// MQTT 5.0 properties, absent when there are none.
    pub properties: Option<Arc<PublishProperties>>,
    /// When it arrived, milliseconds since the epoch.
    pub received_at: i64,
}

/// Milliseconds since the Unix epoch.
pub fn now_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_different_publishers_never_meet_and_follow_time() {
        let (one, other) = (MessageIds::new(), MessageIds::new());
        let ids = [one.next(5), one.next(5), other.next(5), other.next(5)];
        assert!(ids.iter().enumerate().all(|(index, id)| !ids[..index].contains(id)), "{ids:?}");
        assert!(one.next(6) > other.next(5));
        let id = one.next(7);
        assert_eq!(id.to_string(), format!("{:032X}", id.0));
    }

    #[test]
    fn ids_of_different_processes_do_not_meet() {
        // The same publisher of each, in the same millisecond.
        let processes = 10_000;
        let ids: std::collections::HashSet<_> =
            (0..processes).map(|_| MessageIds::of(&RandomState::new(), 0).next(5)).collect();
        assert_eq!(ids.len(), processes);
        let low = ids.iter().fold(0, |bits, id| bits | id.0 & ((1 << 80) - 1));
        assert!(low.count_ones() >= 79, "all bits are in use: {low:x}");
    }
}
