//! What a client is sent: acknowledgements of its publications, and deliveries.

use std::cell::Cell;

use super::closing::Cause;
use super::incoming::Unacknowledged;
use super::{Connection, OUT_LIMIT, Outbox, identifiers};
use crate::message::{QoS, now_millis};
use crate::mqtt::codec::{self, ReasonCode, Version};
use crate::mqtt::counters::Dropped;
use crate::mqtt::session::Delivery;
use crate::receipt::Outcome;

/// Deliveries fetched under one lock of the outbox.
pub(super) const FETCH: usize = 32;
/// Fetches of one step; then the other tasks of the thread, and what the client sent, have their turn.
pub(super) const ROUNDS: usize = 64;
/// A window that once held more gives its memory back when it is empty, and with it the bits of its identifiers.
const KEPT_WINDOW: usize = identifiers::LISTED;

thread_local! {
    static FETCHED: Cell<Vec<Delivery>> = Cell::default();
}

impl Connection {
    /// Answers the publications at the front of the window whose outcome is known, in order (MQTT-4.6.0-2).
    pub(super) fn settle(&mut self) -> Result<(), Cause> {
        let Some(publishing) = &mut self.publishing else { return Ok(()) };
        publishing.window.collect();
        let version = self.member.session.version;
        let mut outcomes = [0u64; Outcome::COUNT];
        let mut failed = false;
        while let Some((Unacknowledged { packet_id, refused }, outcome)) = publishing.window.pop_settled() {
            publishing.identifiers.remove(packet_id);
            // Counted already when it was refused without being routed.
            outcomes[outcome as usize] += u64::from(refused.is_none());
            let Some(reason) = acknowledgement(version, refused, outcome) else {
                failed = true;
                break;
            };
            codec::puback(&mut self.out, version, packet_id, reason);
        }
        for (counter, count) in self.member.broker.counters().acknowledged.iter().zip(outcomes) {
            counter.add(count);
        }
        if publishing.window.is_empty() && publishing.peak > KEPT_WINDOW {
            self.publishing = None;
        }
        if failed { Err(Cause::Unacknowledged) } else { Ok(()) }
    }

    /// Sends what waits in the outbox, as far as the client's window and its reading allow.
    pub(super) fn send_deliveries(&mut self) -> Result<(), Cause> {
        for _ in 0..ROUNDS {
            if self.outbox == Outbox::Empty {
                return Ok(());
            }
            if self.out.len() >= OUT_LIMIT {
                self.flush()?;
                if !self.out.is_empty() {
                    // Goes on when the peer takes bytes again.
                    return Ok(());
                }
            }
            let mut fetched = FETCHED.take();
            let quota = self.member.inflight.quota();
            let room = OUT_LIMIT.saturating_sub(self.out.len());
            let empty = self.member.session.take_deliveries(&mut fetched, FETCH, quota, room);
            self.outbox = if empty { Outbox::Empty } else { Outbox::Filled };
            let nothing = fetched.is_empty();
            self.write(&mut fetched);
            FETCHED.set(fetched);
            if nothing {
                // Goes on when the client acknowledges, or when the outbox is filled.
                return Ok(());
            }
        }
        if self.outbox == Outbox::Filled {
            self.outbox = Outbox::TurnOver;
        }
        Ok(())
    }

    fn write(&mut self, deliveries: &mut Vec<Delivery>) {
        let now = now_millis();
        let counters = self.member.broker.counters();
        let mut sent = [0u64; 2];
        let mut left_out = false;
        for Delivery { frame, receipt } in deliveries.drain(..) {
            if frame.expired(now) {
                counters.dropped(Dropped::Expired, 1);
                left_out = true;
                continue;
            }
            // The client must not see a larger packet; for the protocol it counts as delivered (MQTT-3.1.2-25).
            if self.maximum_packet_size.is_some_and(|maximum| frame.size() > maximum as usize) {
                counters.dropped(Dropped::TooLarge, 1);
                left_out = true;
                continue;
            }
            let packet_id = match frame.qos() {
                QoS::AtMostOnce => 0,
                QoS::AtLeastOnce => self.member.inflight.push(receipt),
            };
            frame.write(&mut self.out, packet_id, now);
            sent[usize::from(frame.qos().level())] += 1;
        }
        if left_out && self.member.inflight.is_empty() {
            // What was waited for is not coming, through no fault of the client.
            self.member.session.owes_nothing();
        }
        for (counter, count) in counters.deliveries.iter().zip(sent) {
            counter.add(count);
        }
    }
}

/// The reason code of the PUBACK; `None` = none is sent and the connection is closed, so that the client sends again.
///
/// 3.1.1 has no reason codes: what fails until somebody acts is acknowledged, because a re-send would only repeat it.
fn acknowledgement(version: Version, refused: Option<ReasonCode>, outcome: Outcome) -> Option<ReasonCode> {
    let reason = match outcome {
        Outcome::Unmatched => ReasonCode::NoMatchingSubscribers,
        Outcome::Safe => ReasonCode::Success,
        Outcome::Rejected => refused.unwrap_or(ReasonCode::UnspecifiedError),
        Outcome::Misconfigured => ReasonCode::ImplementationSpecificError,
        Outcome::QuotaExceeded | Outcome::Unavailable if version == Version::V311 => return None,
        Outcome::QuotaExceeded => ReasonCode::QuotaExceeded,
        Outcome::Unavailable => ReasonCode::UnspecifiedError,
    };
    Some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_become_reason_codes_in_5_and_acknowledgement_or_closure_in_3() {
        use Outcome::{Misconfigured, QuotaExceeded, Rejected, Safe, Unavailable, Unmatched};
        let all = [Unmatched, Safe, Rejected, Misconfigured, QuotaExceeded, Unavailable];
        let v5 = |outcome| acknowledgement(Version::V5, None, outcome).unwrap().code();
        assert_eq!(all.map(v5), [0x10, 0x00, 0x80, 0x83, 0x97, 0x80]);
        let v311 = |outcome| acknowledgement(Version::V311, None, outcome).is_some();
        assert_eq!(all.map(v311), [true, true, true, true, false, false]);
        let refused = Some(ReasonCode::PayloadFormatInvalid);
        assert_eq!(acknowledgement(Version::V5, refused, Rejected).unwrap().code(), 0x99);
    }
}
