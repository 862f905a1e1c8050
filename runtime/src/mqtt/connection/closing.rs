//! How a connection ends: what is said to the peer, logged, counted and published.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stream::Stream;
use crate::mqtt::codec::{ReasonCode, Violation};
use crate::mqtt::counters::Ending;
use crate::mqtt::session::End;

/// How long saying goodbye may take.
pub(in crate::mqtt) const FAREWELL: Duration = Duration::from_secs(2);

/// Why a session ends.
#[derive(Debug)]
pub(super) enum Cause {
    /// The client said DISCONNECT.
    Disconnect {
        /// It wants its will published all the same.
        with_will: bool,
    },
    /// The peer closed without DISCONNECT, or the connection failed.
    Lost(Option<io::Error>),
    /// The client broke the protocol, or used what is not offered.
    Violation(Violation),
    /// A publication of a 3.1.1 client failed for now; without PUBACK and with a new connection it sends it again.
    Unacknowledged,
    /// The server ends it.
    End(End),
}

impl From<Violation> for Cause {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Lost(Some(error))
    }
}

impl Cause {
    /// Whether the will is published (MQTT-3.1.2-8).
    pub(super) fn publishes_will(&self) -> bool {
        !matches!(self, Self::Disconnect { with_will: false })
    }

    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::Disconnect { .. } => Ending::Disconnect,
            Self::Lost(_) => Ending::ConnectionLost,
            Self::Violation(violation) if violation.reason == ReasonCode::MalformedPacket => Ending::Malformed,
            Self::Violation(_) => Ending::Violation,
            Self::Unacknowledged => Ending::Unacknowledged,
            Self::End(End::KeepAlive) => Ending::KeepAlive,
            Self::End(End::TakenOver) => Ending::TakenOver,
            Self::End(End::ShuttingDown) => Ending::Shutdown,
        }
    }

    /// What a 5.0 client is told in DISCONNECT; nothing when the client went first.
    pub(super) fn violation(&self) -> Option<Violation> {
        let (reason, detail) = match self {
            Self::Violation(violation) => return Some(*violation),
            Self::Disconnect { .. } | Self::Lost(_) => return None,
            Self::Unacknowledged => (ReasonCode::UnspecifiedError, "a publication could not be acknowledged"),
            Self::End(End::KeepAlive) => {
                (ReasonCode::KeepAliveTimeout, "nothing was received for one and a half times the keep alive")
            }
            Self::End(End::TakenOver) => {
                (ReasonCode::SessionTakenOver, "another connection uses the same client identifier")
            }
            Self::End(End::ShuttingDown) => (ReasonCode::ServerShuttingDown, "the server is shutting down"),
        };
        Some(Violation::new(reason, detail))
    }

    pub(super) fn log(&self, client_id: &str) {
        match self {
            Self::Disconnect { with_will } => tracing::debug!(client_id, with_will, "client disconnected"),
            Self::Lost(None) => tracing::debug!(client_id, "client closed the connection without DISCONNECT"),
            Self::Lost(Some(error)) => tracing::debug!(client_id, %error, "connection lost"),
            Self::Violation(violation) => {
                tracing::info!(client_id, reason = %violation.reason, "connection closed: {}", violation.detail);
            }
            Self::Unacknowledged => tracing::info!(
                client_id,
                "connection closed without PUBACK, so that the client sends again: a publication is not safe yet"
            ),
            Self::End(End::KeepAlive) => tracing::info!(client_id, "connection closed: keep alive timeout"),
            Self::End(End::TakenOver) => {
                tracing::info!(client_id, "connection closed: another connection uses the same client id");
            }
            Self::End(End::ShuttingDown) => tracing::debug!(client_id, "connection closed: shutting down"),
        }
    }
}

/// Sends the last bytes and closes so that the peer gets them.
///
/// Closing a socket with unread bytes resets it, and the reset overtakes what was sent: so the peer is
/// given a moment to read and close its side, and what it still sends is thrown away.
pub(super) async fn farewell(mut stream: Stream, last: &[u8]) {
    let goodbye = async {
        stream.write_all(last).await?;
        stream.shutdown().await?;
        let mut scrap = vec![0; 4096];
        while stream.read(&mut scrap).await? > 0 {}
        io::Result::Ok(())
    };
    if let Ok(Err(error)) = tokio::time::timeout(FAREWELL, goodbye).await {
        tracing::trace!(%error, "the peer was gone before the connection was closed");
    }
}
