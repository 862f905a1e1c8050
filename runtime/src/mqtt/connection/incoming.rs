//! What a client's packets do.
//!
//! Owns the order of things on the publishing side: packets are routed as they are read, QoS 1
//! publications enter the window of unacknowledged ones, and reading goes on without waiting for them
//! until the window is full.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use bytestring::ByteString;

use super::closing::Cause;
use super::identifiers::Identifiers;
use super::{Connection, buffers};
use crate::message::{Message, QoS, now_millis};
use crate::mqtt::codec::{
    self, Packet, Progress, Publish, ReasonCode, Subscribe, SubscriptionOptions, Unsubscribe, Version, Violation,
};
use crate::mqtt::counters::{Dropped, Refused, RefusedSubscription};
use crate::mqtt::subscriptions::{self, FilterError, levels};
use crate::receipt::{Outcome, Window};
use crate::work::{self, Stretch};

/// An unfinished packet is a sign of life for each so many bytes of it that arrive: a slow line may take its time, and a
/// client that sends a byte now and then may not.
const PIECE: usize = 4 * 1024;

/// The state of a client that has published with QoS 1.
pub(super) struct Publishing {
    pub(super) window: Window<Unacknowledged>,
    /// Packet identifiers in the window.
    pub(super) identifiers: Identifiers,
    /// The most that the window has held.
    pub(super) peak: usize,
}

/// What is needed to acknowledge one publication.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unacknowledged {
    pub(super) packet_id: u16,
    /// Set when it was refused without being routed.
    pub(super) refused: Option<ReasonCode>,
}

/// What one buffer of packets brought. The clocks are read once for all of them.
struct Batch {
    /// Milliseconds since the epoch.
    received_at: i64,
    now: Instant,
    publishes: [u64; 2],
    /// Whole packets of any kind.
    packets: usize,
}

impl Publishing {
    fn new() -> Self {
        Self { window: Window::for_publisher(), identifiers: Identifiers::default(), peak: 0 }
    }
}

impl Connection {
    /// Whether the next packet of the client may be taken. A 3.1.1 client does not know the limit and is made to wait;
    /// a 5.0 client that exceeds it breaks the protocol (MQTT-3.3.4-9).
    pub(super) fn may_process(&self) -> bool {
        !self.draining && (self.member.session.version == Version::V5 || self.room() > 0)
    }

    /// QoS 1 publications that may be added to the window.
    fn room(&self) -> usize {
        let waiting = self.publishing.as_ref().map_or(0, |publishing| publishing.window.len());
        usize::from(self.settings.receive_maximum.max(1)).saturating_sub(waiting)
    }

    /// Handles the packets in `buffer`, as many as are whole and may be taken; what is left becomes the tail. When they make
    /// too much work for one step, the rest is the next step's.
    pub(super) fn process(&mut self, mut buffer: BytesMut, now: Instant) -> Result<(), Cause> {
        self.backlog = false;
        let mut batch = Batch { received_at: now_millis(), now, publishes: [0; 2], packets: 0 };
        let result = self.process_batch(&mut buffer, &mut batch);
        for (counter, count) in self.member.broker.counters().publishes.iter().zip(batch.publishes) {
            counter.add(count);
        }
        let needed = result?;
        buffers::keep_tail(buffer, &mut self.tail, needed);
        if batch.packets > 0 || self.tail.len() >= self.credited + PIECE {
            self.credited = self.tail.len();
            self.member.session.heard(self.member.broker.clock(now));
        }
        self.settle()
    }

    fn process_batch(&mut self, buffer: &mut BytesMut, batch: &mut Batch) -> Result<usize, Cause> {
        let max_size = self.settings.max_packet_size as usize;
        let work = Stretch::begin();
        loop {
            if work.done() > work::STEP {
                self.backlog = true;
                return Ok(0);
            }
            if !self.may_process() {
                // Publications that were settled at once leave room.
                self.settle()?;
                if !self.may_process() {
                    return Ok(0);
                }
            }
            match codec::take_packet(buffer, max_size)? {
                Progress::Needs(total) => return Ok(total),
                Progress::Packet(packet) => {
                    batch.packets += 1;
                    self.handle(packet.decode(self.member.session.version)?, batch)?;
                }
            }
        }
    }

    fn handle(&mut self, packet: Packet, batch: &mut Batch) -> Result<(), Cause> {
        match packet {
            Packet::Publish(publish) => self.publish(publish, batch)?,
            Packet::PubAck { packet_id, accepted } => self.delivered(packet_id, accepted),
            Packet::Subscribe(subscribe) => {
                self.can_answer(subscribe.filters.len())?;
                self.subscribe(&subscribe);
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.can_answer(unsubscribe.filters.len())?;
                self.unsubscribe(&unsubscribe);
            }
            Packet::PingReq => codec::pingresp(&mut self.out),
            Packet::Disconnect { with_will, session_expiry } => {
                if session_expiry.is_some_and(|seconds| seconds > 0) && !self.session_wanted {
                    return Err(
                        Violation::protocol("DISCONNECT asks for a session that CONNECT did not ask for").into()
                    );
                }
                return Err(Cause::Disconnect { with_will });
            }
        }
        Ok(())
    }

    fn publish(&mut self, publish: Publish, batch: &mut Batch) -> Result<(), Violation> {
        batch.publishes[usize::from(publish.qos.level())] += 1;
        if publish.retain {
            return Err(Violation::new(
                ReasonCode::RetainNotSupported,
                "retained messages are not supported: publish without RETAIN",
            ));
        }
        let refused = self.refuses(&publish);
        let Publish { dup, qos, topic, packet_id, properties, payload, retain } = publish;
        let message = Message {
            id: self.ids.next(batch.received_at),
            topic,
            payload,
            qos,
            dup,
            retain,
            publisher: Arc::clone(&self.member.session.publisher),
            properties,
            received_at: batch.received_at,
        };
        match qos {
            // A refused QoS 0 publication is counted and logged: the protocol has no answer to it.
            QoS::AtMostOnce if refused.is_none() => self.member.broker.route.publish(&message, None),
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => self.track(&message, packet_id, refused, batch.now)?,
        }
        Ok(())
    }

    /// Why this publication, though well-formed, is not taken.
    fn refuses(&self, publish: &Publish) -> Option<ReasonCode> {
        let format = publish.properties.as_ref().and_then(|properties| properties.payload_format);
        let (reason, refused) =
            if publish.topic.starts_with('$') || levels(&publish.topic) > self.settings.max_topic_levels {
                (ReasonCode::TopicNameInvalid, Refused::Topic)
            } else if codec::payload_matches_format(format, &publish.payload) {
                return None;
            } else {
                (ReasonCode::PayloadFormatInvalid, Refused::PayloadFormat)
            };
        self.member.broker.counters().publishes_refused[refused as usize].add(1);
        tracing::debug!(
            client_id = &*self.member.session.publisher.client_id,
            topic = &*publish.topic,
            %reason,
            "publication refused: {}",
            refused.label()
        );
        Some(reason)
    }

    fn track(
        &mut self,
        message: &Message,
        packet_id: u16,
        refused: Option<ReasonCode>,
        now: Instant,
    ) -> Result<(), Violation> {
        if self.room() == 0 {
            // Only 5.0 clients come here: reading stops before.
            return Err(Violation::new(
                ReasonCode::ReceiveMaximumExceeded,
                "more unacknowledged publications than the server's Receive Maximum",
            ));
        }
        let publishing = self.publishing.get_or_insert_with(|| Box::new(Publishing::new()));
        if !publishing.identifiers.insert(packet_id) {
            // 3.1.1 clients may repeat themselves: the first copy is under way and its PUBACK answers both. Without DUP, or
            // in 5.0 (MQTT-4.4.0-1), it would be another message whose PUBACK could not be told apart.
            return if message.dup && self.member.session.version == Version::V311 {
                Ok(())
            } else {
                Err(Violation::protocol("the packet identifier is in use"))
            };
        }
        let route = &self.member.broker.route;
        publishing.window.track(now, Unacknowledged { packet_id, refused }, |tracker| match refused {
            Some(_) => tracker.settle(Outcome::Rejected),
            None => route.publish(message, Some(tracker)),
        });
        publishing.peak = publishing.peak.max(publishing.window.len());
        Ok(())
    }

    fn delivered(&mut self, packet_id: u16, accepted: bool) {
        let acknowledged = self.member.inflight.acknowledge(packet_id);
        if acknowledged.is_some() {
            self.member.session.owes_nothing();
        }
        match acknowledged {
            Some(receipt) if accepted => receipt.delivered(),
            Some(refused) => {
                drop(refused);
                self.member.broker.counters().dropped(Dropped::Refused, 1);
            }
            None => tracing::debug!(
                client_id = &*self.member.session.publisher.client_id,
                packet_id,
                "PUBACK for nothing that was sent"
            ),
        }
    }

    /// An answer with a reason code per filter that is larger than the client takes may not be sent (MQTT-3.1.2-24), and
    /// without an answer the client could not know what holds: the connection ends before anything is done.
    fn can_answer(&self, filters: usize) -> Result<(), Violation> {
        let size = codec::answer_size(filters);
        if self.maximum_packet_size.is_some_and(|maximum| size > maximum as usize) {
            return Err(Violation::new(
                ReasonCode::PacketTooLarge,
                "the answer would be larger than the client's Maximum Packet Size: name fewer filters in one packet",
            ));
        }
        Ok(())
    }

    fn subscribe(&mut self, subscribe: &Subscribe) {
        let member = &mut self.member;
        let mut beyond = 0;
        let grant = |(filter, options): &(ByteString, SubscriptionOptions)| {
            if let Err(error) = subscriptions::check_filter(filter, self.settings.max_topic_levels) {
                let client_id = &*member.session.publisher.client_id;
                tracing::info!(client_id, filter = &**filter, "subscription refused: {error}");
                let (refused, reason) = match error {
                    FilterError::Shared => (RefusedSubscription::Shared, ReasonCode::SharedSubscriptionsNotSupported),
                    FilterError::Invalid(_) | FilterError::TooManyLevels { .. } => {
                        (RefusedSubscription::Filter, ReasonCode::TopicFilterInvalid)
                    }
                };
                member.broker.counters().subscriptions_refused[refused as usize].add(1);
                return reason;
            }
            let new = !member.filters.contains(&**filter);
            if new && member.filters.len() >= self.settings.max_subscriptions {
                beyond += 1;
                return ReasonCode::QuotaExceeded;
            }
            member.broker.subscriptions.subscribe(&member.session, filter, *options);
            if new {
                member.filters.insert(Box::from(&**filter));
            }
            match options.qos {
                QoS::AtMostOnce => ReasonCode::Success,
                QoS::AtLeastOnce => ReasonCode::GrantedQos1,
            }
        };
        let reasons: Vec<_> = subscribe.filters.iter().map(grant).collect();
        if beyond > 0 {
            member.broker.counters().subscriptions_refused[RefusedSubscription::Limit as usize].add(beyond);
            // Once for all: a client that has too many may name very many.
            let client_id = &*member.session.publisher.client_id;
            tracing::info!(
                client_id,
                refused = beyond,
                "subscriptions refused: the client has maxSubscriptions of them"
            );
        }
        codec::suback(&mut self.out, member.session.version, subscribe.packet_id, &reasons);
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) {
        let member = &mut self.member;
        let reasons: Vec<_> = unsubscribe
            .filters
            .iter()
            .map(|filter| {
                if member.filters.remove(&**filter) {
                    member.broker.subscriptions.unsubscribe(&member.session, filter);
                    ReasonCode::Success
                } else {
                    ReasonCode::NoSubscriptionExisted
                }
            })
            .collect();
        codec::unsuback(&mut self.out, member.session.version, unsubscribe.packet_id, &reasons);
    }
}
