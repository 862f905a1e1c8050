//! From the accepted socket to CONNACK.
//!
//! Owns which CONNECT is accepted: protocol, credentials, limits, and what is not offered.
//! Nothing of a refused connection stays.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::{Connection, closing};
use crate::message::{Message, MessageIds, Publisher, QoS, now_millis};
use crate::mqtt::broker::Broker;
use crate::mqtt::codec::{self, Announcement, Connect, Progress, ReasonCode, Version, Violation, Will};
use crate::mqtt::counters::Refusal;
use crate::mqtt::session::{End, Session};
use crate::mqtt::settings::Settings;
use crate::mqtt::subscriptions::levels;

/// From accept to a whole CONNECT.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For checking credentials: after that the client has given up, and checking them would be work for nobody.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(10);

const TOO_BUSY: Violation = Violation::new(
    ReasonCode::ServerBusy,
    "too many clients connect at the same time to check all credentials: try again later",
);

/// Why no session begins.
struct Refused {
    refusal: Refusal,
    /// How to say it: the version of the answer and the largest packet the client takes.
    answer: Option<(Version, Option<u32>)>,
    violation: Violation,
    client_id: ByteString,
}

/// Reads CONNECT and answers it; `None` when there is no session, the peer having been told why.
pub(super) async fn shake_hands(mut stream: TcpStream, peer: SocketAddr, broker: &Arc<Broker>) -> Option<Connection> {
    let settings = broker.settings();
    let mut tail = BytesMut::new();
    let received = read_connect(&mut stream, &mut tail, settings.max_packet_size as usize);
    let received = broker.draining.run_until_cancelled(tokio::time::timeout(CONNECT_TIMEOUT, received)).await;
    let result = match received {
        Some(Ok(Ok(Some(connect)))) => admit(connect, peer, broker, &settings).await,
        Some(Ok(Err(refused))) => Err(refused),
        Some(Ok(Ok(None)) | Err(_)) | None => {
            broker.counters().refused_connection(Refusal::Incomplete);
            tracing::debug!(%peer, "connection closed: no CONNECT");
            return None;
        }
    };
    match result {
        Ok(admission) => Some(Connection::new(stream, Arc::clone(broker), settings, admission, tail)),
        Err(refused) => {
            refuse(stream, peer, broker, refused).await;
            None
        }
    }
}

async fn refuse(stream: TcpStream, peer: SocketAddr, broker: &Broker, refused: Refused) {
    let Refused { refusal, answer, violation, client_id } = refused;
    broker.counters().refused_connection(refusal);
    tracing::info!(client_id = &*client_id, %peer, reason = %violation.reason, "connection refused: {}", violation.detail);
    let mut out = BytesMut::new();
    if let Some((version, limit)) = answer {
        codec::connack_refused(&mut out, version, &violation, limit);
    }
    closing::farewell(stream, &out).await;
}

/// `None` when the peer closed first.
async fn read_connect(
    stream: &mut TcpStream,
    tail: &mut BytesMut,
    max_size: usize,
) -> Result<Option<Connect>, Refused> {
    let malformed = |violation: Violation, version: Option<Version>| Refused {
        refusal: match violation.reason {
            ReasonCode::UnsupportedProtocolVersion => Refusal::Version,
            _ => Refusal::Malformed,
        },
        answer: version.map(|version| (version, None)),
        violation,
        client_id: ByteString::new(),
    };
    loop {
        match codec::take_packet(tail, max_size).map_err(|violation| malformed(violation, None))? {
            Progress::Packet(packet) => {
                return packet.into_connect().map(Some).map_err(|not| malformed(not.violation, not.version));
            }
            Progress::Needs(total) => {
                // Grows with what arrives, never ahead on the word of a header.
                tail.reserve((total - tail.len()).clamp(64, 1024));
                if !matches!(stream.read_buf(tail).await, Ok(count) if count > 0) {
                    return Ok(None);
                }
            }
        }
    }
}

/// What a session begins with.
pub(super) struct Admission {
    pub(super) session: Arc<Session>,
    pub(super) will: Option<Box<Message>>,
    /// QoS 1 deliveries that the client takes at a time.
    pub(super) inflight_limit: u16,
    /// Bytes of the largest packet that the client takes.
    pub(super) maximum_packet_size: Option<u32>,
    /// The client asked for a session that outlives the connection.
    pub(super) session_wanted: bool,
    /// The answer, encoded.
    pub(super) connack: BytesMut,
}

async fn admit(
    mut connect: Connect,
    peer: SocketAddr,
    broker: &Broker,
    settings: &Settings,
) -> Result<Admission, Refused> {
    let answer = Some((connect.version, connect.maximum_packet_size));
    let client_id = connect.client_id.clone();
    let refused = |refusal, violation| Refused { refusal, answer, violation, client_id: client_id.clone() };

    check_offer(&connect, settings).map_err(|violation| refused(Refusal::Unsupported, violation))?;
    let authenticated = tokio::time::timeout(ADMISSION_TIMEOUT, authenticate(&connect, settings)).await;
    authenticated.unwrap_or(Err(TOO_BUSY)).map_err(|violation| {
        refused(if violation == TOO_BUSY { Refusal::Limit } else { Refusal::Unauthorized }, violation)
    })?;

    let number = broker.next_session_number();
    let assigned = connect.client_id.is_empty();
    let publisher = Arc::new(Publisher {
        // Copies: a slice would keep the whole read buffer for as long as the client is connected.
        client_id: if assigned { assign_client_id(number) } else { copy(&connect.client_id) },
        username: connect.username.as_ref().map(copy),
        peer: Some(peer),
    });
    let server_keep_alive = (connect.version == Version::V5
        && (connect.keep_alive == 0 || connect.keep_alive > settings.max_keep_alive))
        .then_some(settings.max_keep_alive.max(1));
    let session = Arc::new(Session::new(
        number,
        connect.version,
        Arc::clone(&publisher),
        server_keep_alive.unwrap_or(connect.keep_alive),
        settings.max_queued_messages,
        broker.clock(),
    ));
    match broker.registry.insert(Arc::clone(&session), settings.max_connections) {
        Ok(older) => {
            if let Some(older) = older {
                older.request_end(End::TakenOver);
            }
        }
        Err(_full) => {
            let violation = Violation::new(ReasonCode::QuotaExceeded, "the server has as many clients as it may have");
            return Err(refused(Refusal::Limit, violation));
        }
    }
    // After the insertion: a drain that did not see the session is seen here.
    if broker.drain_deadline().is_some() {
        broker.registry.remove(&session);
        let violation = Violation::new(ReasonCode::ServerShuttingDown, "the server is shutting down");
        return Err(refused(Refusal::Limit, violation));
    }
    let queued = u16::try_from(settings.max_queued_messages).unwrap_or(u16::MAX);
    let inflight_limit = match connect.version {
        Version::V311 => settings.receive_maximum,
        Version::V5 => connect.receive_maximum,
    };
    let session_wanted = connect.session_expiry > 0;
    let announcement = Announcement {
        receive_maximum: settings.receive_maximum.max(1),
        maximum_packet_size: settings.max_packet_size,
        no_session_kept: session_wanted,
        assigned_client_id: assigned.then_some(&*publisher.client_id),
        server_keep_alive,
    };
    let mut connack = BytesMut::new();
    codec::connack(&mut connack, connect.version, &announcement);
    Ok(Admission {
        will: connect.will.take().map(|will| Box::new(will_message(will, &publisher))),
        session,
        inflight_limit: inflight_limit.min(queued),
        maximum_packet_size: connect.maximum_packet_size,
        session_wanted,
        connack,
    })
}

/// Refuses what is not offered, rather than doing less than was asked for without a word.
fn check_offer(connect: &Connect, settings: &Settings) -> Result<(), Violation> {
    if connect.enhanced_authentication {
        return Err(Violation::new(
            ReasonCode::BadAuthenticationMethod,
            "enhanced authentication is not supported: use user name and password",
        ));
    }
    // A 5.0 client learns from Session Expiry Interval 0 that its session ends with the connection; 3.1.1 cannot say so.
    if connect.version == Version::V311 && !connect.clean_start {
        return Err(Violation::new(
            ReasonCode::ClientIdentifierNotValid,
            "persistent sessions are not supported: connect with Clean Session",
        ));
    }
    let Some(will) = &connect.will else { return Ok(()) };
    if will.retain {
        return Err(Violation::new(
            ReasonCode::RetainNotSupported,
            "retained messages are not supported: connect without Will Retain",
        ));
    }
    if will.offered_qos().is_none() {
        return Err(Violation::new(
            ReasonCode::QosNotSupported,
            "QoS 2 is not supported: connect with Will QoS 0 or 1",
        ));
    }
    if will.topic.starts_with('$') || levels(&will.topic) > settings.max_topic_levels {
        return Err(Violation::new(
            ReasonCode::TopicNameInvalid,
            "the will's topic is not accepted: it begins with $ or has too many levels",
        ));
    }
    let format = will.properties.as_ref().and_then(|properties| properties.payload_format);
    if !codec::payload_matches_format(format, &will.payload) {
        return Err(Violation::new(
            ReasonCode::PayloadFormatInvalid,
            "the will's payload is not the UTF-8 text that its Payload Format Indicator says",
        ));
    }
    Ok(())
}

async fn authenticate(connect: &Connect, settings: &Settings) -> Result<(), Violation> {
    let Some(username) = &connect.username else {
        return if settings.anonymous {
            Ok(())
        } else {
            Err(Violation::new(
                ReasonCode::NotAuthorized,
                "anonymous clients are not allowed: give user name and password",
            ))
        };
    };
    let known = match &settings.users {
        Some(users) => users.verify(username, connect.password.clone().unwrap_or_default()).await,
        None => settings.anonymous,
    };
    if known { Ok(()) } else { Err(Violation::new(ReasonCode::BadUserNameOrPassword, "wrong user name or password")) }
}

fn assign_client_id(number: u32) -> ByteString {
    format!("isthmus-{:016x}{number:08x}", fastrand::u64(..)).into()
}

fn copy(text: &ByteString) -> ByteString {
    ByteString::from(&**text)
}

/// Its own bytes: it stays as long as the client is connected.
fn will_message(will: Will, publisher: &Arc<Publisher>) -> Message {
    let qos = will.offered_qos().unwrap_or(QoS::AtMostOnce);
    let properties = will.properties.map(|mut properties| {
        properties.content_type = properties.content_type.as_ref().map(copy);
        properties.response_topic = properties.response_topic.as_ref().map(copy);
        properties.correlation_data = properties.correlation_data.as_deref().map(Bytes::copy_from_slice);
        for (name, value) in &mut properties.user_properties {
            (*name, *value) = (copy(name), copy(value));
        }
        Arc::new(properties)
    });
    let now = now_millis();
    Message {
        // Replaced when it is published: only then is it a message.
        id: MessageIds::new(0).next(now),
        topic: copy(&will.topic),
        payload: Bytes::copy_from_slice(&will.payload),
        qos,
        dup: false,
        retain: false,
        publisher: Arc::clone(publisher),
        properties,
        received_at: now,
    }
}
