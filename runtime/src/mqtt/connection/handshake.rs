//! From the accepted socket to CONNACK.
//!
//! Owns which CONNECT is accepted: protocol, credentials, limits, and what is not offered.
//! Nothing of a refused connection stays.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use bytestring::ByteString;
use rustls::ServerConfig;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::stream::Stream;
use super::{Connection, admission, closing};
use crate::message::{Message, Publisher};
use crate::mqtt::broker::Broker;
use crate::mqtt::codec::{self, Announcement, Connect, Progress, ReasonCode, Version, Violation};
use crate::mqtt::counters::Refusal;
use crate::mqtt::session::Session;
use crate::mqtt::settings::Settings;

/// From accept to a whole CONNECT, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For checking credentials: after that the client has given up, and checking them would be work for nobody.
const ADMISSION_TIMEOUT: Duration = Duration::from_secs(10);
/// For the older session of a client identifier to end, which takes it one turn of its task.
const TAKE_OVER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why no session begins.
struct Refused {
    refusal: Refusal,
    /// How to say it: the version of the answer and the largest packet the client takes.
    answer: Option<(Version, Option<u32>)>,
    violation: Violation,
    client_id: ByteString,
}

/// What came before a session can begin.
enum Arrival {
    Connect(Stream, BytesMut, Box<Connect>),
    /// Bytes that are no CONNECT.
    Refused(Stream, Refused),
    /// The peer closed first.
    Gone,
    /// No TLS with this peer.
    NoTls(io::Error),
}

/// Makes the connection secret when `tls` says so, reads CONNECT and answers it; `None` when there is no session, the
/// peer having been told why.
pub(super) async fn shake_hands(
    socket: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    peer: SocketAddr,
    broker: &Arc<Broker>,
) -> Option<Connection> {
    let settings = broker.settings();
    let arriving = arrive(socket, tls, settings.max_packet_size as usize);
    // One deadline for both: a peer that stalls in the middle of TLS has no more time than one that says nothing.
    let arrived = broker.draining.run_until_cancelled(tokio::time::timeout(CONNECT_TIMEOUT, arriving)).await;
    let (stream, tail, connect) = match arrived {
        Some(Ok(Arrival::Connect(stream, tail, connect))) => (stream, tail, connect),
        Some(Ok(Arrival::Refused(stream, refused))) => {
            refuse(stream, peer, broker, refused).await;
            return None;
        }
        Some(Ok(Arrival::NoTls(error))) => {
            broker.counters().refused_connection(Refusal::Tls);
            tracing::info!(%peer, %error, "connection closed: no TLS with this client");
            return None;
        }
        Some(Ok(Arrival::Gone) | Err(_)) | None => {
            broker.counters().refused_connection(Refusal::Incomplete);
            tracing::debug!(%peer, "connection closed: no CONNECT");
            return None;
        }
    };
    match admit(*connect, peer, broker, &settings).await {
        Ok(admission) => Some(Connection::new(stream, Arc::clone(broker), settings, admission, tail)),
        Err(refused) => {
            refuse(stream, peer, broker, refused).await;
            None
        }
    }
}

async fn arrive(socket: TcpStream, tls: Option<Arc<ServerConfig>>, max_size: usize) -> Arrival {
    let mut stream = match tls {
        None => Stream::Plain(socket),
        Some(config) => match TlsAcceptor::from(config).accept(socket).await {
            Ok(stream) => Stream::tls(stream),
            Err(error) => return Arrival::NoTls(error),
        },
    };
    let mut tail = BytesMut::new();
    match read_connect(&mut stream, &mut tail, max_size).await {
        Ok(Some(connect)) => Arrival::Connect(stream, tail, Box::new(connect)),
        Ok(None) => Arrival::Gone,
        Err(refused) => Arrival::Refused(stream, refused),
    }
}

async fn refuse(stream: Stream, peer: SocketAddr, broker: &Broker, refused: Refused) {
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
async fn read_connect(stream: &mut Stream, tail: &mut BytesMut, max_size: usize) -> Result<Option<Connect>, Refused> {
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
    settings: &Arc<Settings>,
) -> Result<Admission, Refused> {
    let answer = Some((connect.version, connect.maximum_packet_size));
    let client_id = connect.client_id.clone();
    let refused = |refusal, violation| Refused { refusal, answer, violation, client_id: client_id.clone() };

    admission::check_offer(&connect, settings).map_err(|violation| refused(Refusal::Unsupported, violation))?;
    let authenticated = tokio::time::timeout(ADMISSION_TIMEOUT, admission::authenticate(&connect, settings)).await;
    authenticated.unwrap_or(Err(admission::TOO_BUSY)).map_err(|violation| {
        refused(if violation == admission::TOO_BUSY { Refusal::Limit } else { Refusal::Unauthorized }, violation)
    })?;

    let number = broker.next_session_number();
    let assigned = connect.client_id.is_empty();
    let publisher = Arc::new(Publisher {
        // Copies: a slice would keep the whole read buffer for as long as the client is connected.
        client_id: if assigned { admission::assign_client_id(number) } else { admission::copy(&connect.client_id) },
        username: connect.username.as_ref().map(admission::copy),
        peer: Some(peer.into()),
    });
    // Counts for 3.1.1 too, which cannot be told.
    let limited_keep_alive = (connect.keep_alive == 0 || connect.keep_alive > settings.max_keep_alive)
        .then_some(settings.max_keep_alive.max(1));
    let session_wanted = connect.session_expiry > 0;
    let announcement = Announcement {
        receive_maximum: settings.receive_maximum.max(1),
        maximum_packet_size: settings.max_packet_size,
        no_session_kept: session_wanted,
        assigned_client_id: assigned.then_some(&*publisher.client_id),
        server_keep_alive: limited_keep_alive,
    };
    let mut connack = BytesMut::new();
    codec::connack(&mut connack, connect.version, &announcement);
    // Every property of it is one that the client has to know. All other answers without a list are smaller.
    if connect.maximum_packet_size.is_some_and(|maximum| connack.len() > maximum as usize) {
        let violation =
            Violation::new(ReasonCode::PacketTooLarge, "CONNACK is larger than the client's Maximum Packet Size");
        return Err(refused(Refusal::Unsupported, violation));
    }
    let session = Arc::new(Session::new(
        number,
        connect.version,
        Arc::clone(&publisher),
        limited_keep_alive.unwrap_or(connect.keep_alive),
        Arc::clone(settings),
        broker.clock(Instant::now()),
    ));
    match broker.registry.insert(Arc::clone(&session), settings.max_connections) {
        Ok(older) => {
            if let Some(older) = older {
                take_over(&older, &session).await;
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
    Ok(Admission {
        will: connect.will.take().map(|will| Box::new(admission::will_message(will, &publisher))),
        session,
        inflight_limit: inflight_limit.min(queued),
        maximum_packet_size: connect.maximum_packet_size,
        session_wanted,
        connack,
    })
}

/// Ends the older session of a client identifier and waits until its will is published and its subscriptions are over, so
/// that nothing of it comes after what the newcomer says. Its socket is not waited for.
async fn take_over(older: &Session, newer: &Session) {
    // The newcomer's silence is not its own meanwhile.
    newer.set_listening(false, || 0);
    let Some(left) = older.take_over() else { return };
    if tokio::time::timeout(TAKE_OVER_TIMEOUT, left).await.is_err() {
        let client_id = &*newer.publisher.client_id;
        tracing::warn!(
            client_id,
            "the older connection of this client did not end in time: the new one begins beside it"
        );
    }
}
