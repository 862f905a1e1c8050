//! What the MQTT edge counts. Names and labels of the exported metrics are chosen by `metrics`.
//!
//! Plain relaxed atomics: hot paths add once per batch, readers take a [`Snapshot`].

use std::sync::atomic::{AtomicU64, Ordering};

use crate::receipt::Outcome;

/// One number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them, in the order of the arrays of [`Snapshot`].
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The label value in metrics.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }
    };
}

labels! {
    /// Why a connection was not accepted.
    Refusal {
        /// The first packet was not a CONNECT that this server understands.
        Malformed = "malformed",
        /// A protocol version other than 3.1.1 and 5.0.
        Version = "version",
        /// No credentials and anonymous clients are not allowed, or wrong ones.
        Unauthorized = "unauthorized",
        /// A session, will or authentication that is not offered.
        Unsupported = "unsupported",
        /// More clients than `maxConnections`, too many sockets without CONNECT, or too many credentials to check.
        Limit = "limit",
        /// No TLS: a client that does not speak it, or one side does not accept the other's certificate.
        Tls = "tls",
        /// No CONNECT in time, or the peer went before.
        Incomplete = "incomplete",
    }
}

labels! {
    /// Why a session ended.
    Ending {
        /// The client sent DISCONNECT.
        Disconnect = "disconnect",
        /// The client's side of the connection closed or failed.
        ConnectionLost = "connection_lost",
        /// Nothing was heard for one and a half times the keep alive.
        KeepAlive = "keep_alive",
        /// The client id connected again.
        TakenOver = "taken_over",
        /// Bytes that are no MQTT packet.
        Malformed = "malformed",
        /// A packet that may not be sent, here or at all.
        Violation = "violation",
        /// A publication of a 3.1.1 client could not be acknowledged.
        Unacknowledged = "unacknowledged",
        /// The server stops.
        Shutdown = "shutdown",
    }
}

labels! {
    /// Why a publication was refused without being routed.
    Refused {
        /// A `$` topic or too many levels.
        Topic = "topic",
        /// Not the UTF-8 text that its Payload Format Indicator promises.
        PayloadFormat = "payload_format",
    }
}

labels! {
    /// Why a subscription was refused.
    RefusedSubscription {
        /// Shared subscriptions are not offered.
        Shared = "shared",
        /// The filter is not valid, or has too many levels.
        Filter = "filter",
        /// The client has as many as `maxSubscriptions`.
        Limit = "limit",
    }
}

labels! {
    /// Why a delivery did not reach its subscriber.
    Dropped {
        /// The client's queue was full, in number or in bytes.
        QueueFull = "queue_full",
        /// The process has no memory left for the client's queue.
        Memory = "memory",
        /// The message expired in the queue.
        Expired = "expired",
        /// Larger than the client's Maximum Packet Size, or than MQTT can say.
        TooLarge = "too_large",
        /// The client refused it in PUBACK.
        Refused = "refused",
        /// The session ended before it was sent or acknowledged.
        SessionEnded = "session_ended",
    }
}

/// The label value of an outcome in metrics.
pub fn outcome_label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unmatched => "unmatched",
        Outcome::Safe => "safe",
        Outcome::Rejected => "rejected",
        Outcome::Misconfigured => "misconfigured",
        Outcome::QuotaExceeded => "quota_exceeded",
        Outcome::Unavailable => "unavailable",
    }
}

/// The counters of one broker.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) accepted: Counter,
    pub(super) connections_refused: [Counter; Refusal::ALL.len()],
    pub(super) sessions_ended: [Counter; Ending::ALL.len()],
    pub(super) publishes: [Counter; 2],
    pub(super) publishes_refused: [Counter; Refused::ALL.len()],
    pub(super) acknowledged: [Counter; Outcome::COUNT],
    pub(super) subscriptions_refused: [Counter; RefusedSubscription::ALL.len()],
    pub(super) deliveries: [Counter; 2],
    pub(super) deliveries_dropped: [Counter; Dropped::ALL.len()],
    pub(super) bytes_received: Counter,
    pub(super) bytes_sent: Counter,
}

/// All counters at about one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Clients connected now.
    pub connections: u64,
    /// Filters subscribed now, each client's counted.
    pub subscriptions: u64,
    /// CONNECTs accepted.
    pub accepted: u64,
    /// Connections not accepted, by [`Refusal`].
    pub connections_refused: [u64; Refusal::ALL.len()],
    /// Sessions ended, by [`Ending`].
    pub sessions_ended: [u64; Ending::ALL.len()],
    /// PUBLISH packets received, by QoS.
    pub publishes: [u64; 2],
    /// Of these, refused without being routed, by [`Refused`].
    pub publishes_refused: [u64; Refused::ALL.len()],
    /// QoS 1 publications that were routed and settled, by [`Outcome`] in its order; see [`outcome_label`].
    pub acknowledged: [u64; Outcome::COUNT],
    /// Subscriptions refused, by [`RefusedSubscription`].
    pub subscriptions_refused: [u64; RefusedSubscription::ALL.len()],
    /// PUBLISH packets sent, by QoS.
    pub deliveries: [u64; 2],
    /// Deliveries that did not reach their subscriber, by [`Dropped`].
    pub deliveries_dropped: [u64; Dropped::ALL.len()],
    /// Bytes read from clients.
    pub bytes_received: u64,
    /// Bytes written to clients.
    pub bytes_sent: u64,
}

impl Counters {
    pub(super) fn refused_connection(&self, refusal: Refusal) {
        self.connections_refused[refusal as usize].add(1);
    }

    pub(super) fn ended(&self, ending: Ending) {
        self.sessions_ended[ending as usize].add(1);
    }

    pub(super) fn dropped(&self, reason: Dropped, count: usize) {
        self.deliveries_dropped[reason as usize].add(count as u64);
    }

    /// Reads all counters; the gauges are the broker's to fill in.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            connections: 0,
            subscriptions: 0,
            accepted: self.accepted.get(),
            connections_refused: self.connections_refused.each_ref().map(Counter::get),
            sessions_ended: self.sessions_ended.each_ref().map(Counter::get),
            publishes: self.publishes.each_ref().map(Counter::get),
            publishes_refused: self.publishes_refused.each_ref().map(Counter::get),
            acknowledged: self.acknowledged.each_ref().map(Counter::get),
            subscriptions_refused: self.subscriptions_refused.each_ref().map(Counter::get),
            deliveries: self.deliveries.each_ref().map(Counter::get),
            deliveries_dropped: self.deliveries_dropped.each_ref().map(Counter::get),
            bytes_received: self.bytes_received.get(),
            bytes_sent: self.bytes_sent.get(),
        }
    }
}
