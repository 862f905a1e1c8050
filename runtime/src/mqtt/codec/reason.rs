//! Reason codes of MQTT 5.0 and how a connection's violation of the protocol is carried.
//!
//! Owns the numbers and their 3.1.1 counterparts. Who is told, and with which packet, is the connection's business.

use std::fmt;

/// A reason code of MQTT 5.0 (OASIS MQTT 5.0 §2.4, table 2-6): the ones this broker sends or acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReasonCode {
    /// Success, normal disconnection, granted QoS 0.
    Success = 0x00,
    /// Granted QoS 1.
    GrantedQos1 = 0x01,
    /// The publication was accepted, nobody is subscribed.
    NoMatchingSubscribers = 0x10,
    /// There was nothing to unsubscribe from.
    NoSubscriptionExisted = 0x11,
    /// None of the others says it better.
    UnspecifiedError = 0x80,
    /// The bytes are not an MQTT packet.
    MalformedPacket = 0x81,
    /// A well-formed packet that may not be sent, here or now.
    ProtocolError = 0x82,
    /// Valid, and this server cannot do it.
    ImplementationSpecificError = 0x83,
    /// The server speaks MQTT 3.1.1 and 5.0 only.
    UnsupportedProtocolVersion = 0x84,
    /// The server does not accept this client identifier.
    ClientIdentifierNotValid = 0x85,
    /// Wrong user name or password.
    BadUserNameOrPassword = 0x86,
    /// Not allowed without credentials.
    NotAuthorized = 0x87,
    /// The MQTT service is not available.
    ServerUnavailable = 0x88,
    /// The server has too much to do now.
    ServerBusy = 0x89,
    /// The server stops.
    ServerShuttingDown = 0x8B,
    /// Enhanced authentication with this method is not offered.
    BadAuthenticationMethod = 0x8C,
    /// Nothing was received for one and a half times the keep alive.
    KeepAliveTimeout = 0x8D,
    /// Another connection uses the same client identifier.
    SessionTakenOver = 0x8E,
    /// The topic filter is not accepted.
    TopicFilterInvalid = 0x8F,
    /// The topic name is not accepted.
    TopicNameInvalid = 0x90,
    /// More unacknowledged publications than Receive Maximum allows.
    ReceiveMaximumExceeded = 0x93,
    /// Topic aliases were not offered.
    TopicAliasInvalid = 0x94,
    /// Larger than Maximum Packet Size.
    PacketTooLarge = 0x95,
    /// A limit of the server is reached.
    QuotaExceeded = 0x97,
    /// The payload is not what its Payload Format Indicator says.
    PayloadFormatInvalid = 0x99,
    /// Retained messages were not offered.
    RetainNotSupported = 0x9A,
    /// The QoS is above Maximum QoS.
    QosNotSupported = 0x9B,
    /// Shared subscriptions were not offered.
    SharedSubscriptionsNotSupported = 0x9E,
    /// Subscription identifiers were not offered.
    SubscriptionIdentifiersNotSupported = 0xA1,
}

impl ReasonCode {
    /// The number on the wire.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The CONNACK return code of MQTT 3.1.1 (§3.2.2.3) that says the same, where there is one;
    /// without one the connection is closed silently (MQTT-3.2.2-6).
    ///
    /// What 3.1.1 has no word for but a person should notice (a retained or QoS 2 will, too many
    /// connections) is refused as "server unavailable".
    pub fn connack_return_code_v311(self) -> Option<u8> {
        match self {
            Self::UnsupportedProtocolVersion => Some(1),
            Self::ClientIdentifierNotValid => Some(2),
            Self::ServerUnavailable
            | Self::ServerBusy
            | Self::ServerShuttingDown
            | Self::QuotaExceeded
            | Self::RetainNotSupported
            | Self::QosNotSupported => Some(3),
            Self::BadUserNameOrPassword => Some(4),
            Self::NotAuthorized => Some(5),
            _ => None,
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:02X}", self.code())
    }
}

/// What a client did that ends its connection, and how MQTT 5.0 calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{detail} (reason code {reason})")]
pub struct Violation {
    /// Goes into DISCONNECT or CONNACK.
    pub reason: ReasonCode,
    /// One sentence for the log and, with 5.0, for the client's Reason String.
    pub detail: &'static str,
}

impl Violation {
    /// A violation with a reason code of its own.
    pub const fn new(reason: ReasonCode, detail: &'static str) -> Self {
        Self { reason, detail }
    }

    /// The bytes are not an MQTT packet (OASIS MQTT 5.0 §4.13).
    pub const fn malformed(detail: &'static str) -> Self {
        Self::new(ReasonCode::MalformedPacket, detail)
    }

    /// The packet may not be sent, here or now (OASIS MQTT 5.0 §4.13).
    pub const fn protocol(detail: &'static str) -> Self {
        Self::new(ReasonCode::ProtocolError, detail)
    }
}
