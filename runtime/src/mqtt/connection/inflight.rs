//! QoS 1 deliveries that the client has not acknowledged.
//!
//! Owns packet identifiers of the server's side. They are given out in sequence, so that the deliveries
//! form a ring: the client acknowledges in the order of receipt (MQTT-4.6.0-2). One that does not has its place back with
//! each acknowledgement all the same, as far as the ring reaches behind the oldest delivery.

use std::collections::VecDeque;

use crate::mqtt::session::DeliveryReceipt;

/// The ring's memory is given back when it runs empty and once held more than this.
const KEPT_CAPACITY: usize = 64;

/// The ring reaches so far, or as far as the client's window if that is more: what one client makes it hold is bounded.
const REACH: usize = 4096;

/// Sent and not acknowledged, oldest first.
#[derive(Debug)]
pub(super) struct Inflight {
    /// Packet identifier of `slots[0]`, 1 to 65,535.
    first: u16,
    slots: VecDeque<Slot>,
    /// How many of `slots` wait.
    waiting: u16,
    /// How many may wait.
    limit: u16,
}

#[derive(Debug)]
enum Slot {
    Waiting(DeliveryReceipt),
    /// Acknowledged before an older one.
    Done,
}

impl Inflight {
    /// An empty ring for a client that takes `limit` deliveries at a time.
    pub(super) fn new(limit: u16) -> Self {
        Self { first: 1, slots: VecDeque::new(), waiting: 0, limit: limit.max(1) }
    }

    /// How many more may be sent now.
    pub(super) fn quota(&self) -> usize {
        let limit = usize::from(self.limit);
        let room = limit.max(REACH).saturating_sub(self.slots.len());
        limit.saturating_sub(usize::from(self.waiting)).min(room)
    }

    /// Whether nothing waits for the client.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Remembers a delivery that is being sent, within the quota, and returns its packet identifier.
    pub(super) fn push(&mut self, receipt: DeliveryReceipt) -> u16 {
        let packet_id = identifier(self.first, self.slots.len());
        self.slots.push_back(Slot::Waiting(receipt));
        self.waiting = self.waiting.saturating_add(1);
        packet_id
    }

    /// The client acknowledged `packet_id`: its receipt, unless nothing with that identifier was waiting.
    pub(super) fn acknowledge(&mut self, packet_id: u16) -> Option<DeliveryReceipt> {
        let index = distance(self.first, packet_id);
        let slot = self.slots.get_mut(index)?;
        let Slot::Waiting(receipt) = std::mem::replace(slot, Slot::Done) else { return None };
        self.waiting = self.waiting.saturating_sub(1);
        while let Some(Slot::Done) = self.slots.front() {
            self.slots.pop_front();
            self.first = identifier(self.first, 1);
        }
        if self.slots.is_empty() && self.slots.capacity() > KEPT_CAPACITY {
            self.slots = VecDeque::new();
        }
        Some(receipt)
    }

    /// The receipts of all that is not acknowledged.
    pub(super) fn take(&mut self) -> impl Iterator<Item = DeliveryReceipt> {
        self.waiting = 0;
        std::mem::take(&mut self.slots).into_iter().filter_map(|slot| match slot {
            Slot::Waiting(receipt) => Some(receipt),
            Slot::Done => None,
        })
    }
}

/// The identifier `steps` after `first`, skipping 0.
fn identifier(first: u16, steps: usize) -> u16 {
    ((usize::from(first) - 1 + steps) % usize::from(u16::MAX) + 1) as u16
}

/// Steps from `first` to `packet_id`, skipping 0.
fn distance(first: u16, packet_id: u16) -> usize {
    if packet_id == 0 {
        return usize::MAX;
    }
    (usize::from(packet_id) + usize::from(u16::MAX) - usize::from(first)) % usize::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_wrap_without_zero_and_each_acknowledgement_frees_a_place() {
        let mut inflight = Inflight::new(3);
        for round in 0..70_000u32 {
            let ids: Vec<_> = (0..3).map(|_| inflight.push(DeliveryReceipt::default())).collect();
            assert!(!ids.contains(&0), "round {round}");
            assert_eq!(inflight.quota(), 0);
            assert!(inflight.acknowledge(ids[1]).is_some());
            assert!(inflight.acknowledge(ids[1]).is_none(), "acknowledged twice");
            assert_eq!(inflight.quota(), 1, "though the oldest still waits");
            assert!(inflight.acknowledge(ids[0]).is_some());
            assert_eq!(inflight.quota(), 2);
            assert!(inflight.acknowledge(ids[2]).is_some());
            assert_eq!(inflight.quota(), 3);
        }
        assert!(inflight.acknowledge(7).is_none());
        assert!(inflight.acknowledge(0).is_none());
    }

    #[test]
    fn one_that_is_never_acknowledged_makes_the_ring_no_longer_than_its_reach() {
        let mut inflight = Inflight::new(2);
        let first = inflight.push(DeliveryReceipt::default());
        let mut later = 0;
        while inflight.quota() > 0 {
            let id = inflight.push(DeliveryReceipt::default());
            assert!(inflight.acknowledge(id).is_some());
            later += 1;
        }
        assert_eq!(later, REACH - 1);
        assert!(inflight.acknowledge(first).is_some());
        assert_eq!(inflight.quota(), 2);
    }
}
