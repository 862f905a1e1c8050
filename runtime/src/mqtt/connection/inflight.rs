//! QoS 1 deliveries that the client has not acknowledged.
//!
//! Owns packet identifiers of the server's side. They are given out in sequence, so that the deliveries
//! form a ring: the client acknowledges in the order of receipt (MQTT-4.6.0-2), and one that does not
//! merely uses up its own window.

use std::collections::VecDeque;

use crate::mqtt::session::DeliveryReceipt;

/// The ring's memory is given back when it runs empty and once held more than this.
const KEPT_CAPACITY: usize = 64;

/// Sent and not acknowledged, oldest first.
#[derive(Debug)]
pub(super) struct Inflight {
    /// Packet identifier of `slots[0]`, 1 to 65,535.
    first: u16,
    slots: VecDeque<Slot>,
    /// How many may be in the ring.
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
        Self { first: 1, slots: VecDeque::new(), limit: limit.max(1) }
    }

    /// How many more may be sent now.
    pub(super) fn quota(&self) -> usize {
        usize::from(self.limit).saturating_sub(self.slots.len())
    }

    /// Whether nothing waits for the client.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Remembers a delivery that is being sent, within the quota, and returns its packet identifier.
    pub(super) fn push(&mut self, receipt: DeliveryReceipt) -> u16 {
        let packet_id = identifier(self.first, self.slots.len());
        self.slots.push_back(Slot::Waiting(receipt));
        packet_id
    }

    /// The client acknowledged `packet_id`: its receipt, unless nothing with that identifier was waiting.
    pub(super) fn acknowledge(&mut self, packet_id: u16) -> Option<DeliveryReceipt> {
        let index = distance(self.first, packet_id);
        let slot = self.slots.get_mut(index)?;
        let Slot::Waiting(receipt) = std::mem::replace(slot, Slot::Done) else { return None };
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
    fn identifiers_wrap_without_zero_and_late_acknowledgements_free_in_order() {
        let mut inflight = Inflight::new(3);
        for round in 0..70_000u32 {
            let ids: Vec<_> = (0..3).map(|_| inflight.push(DeliveryReceipt::default())).collect();
            assert!(!ids.contains(&0), "round {round}");
            assert_eq!(inflight.quota(), 0);
            assert!(inflight.acknowledge(ids[1]).is_some());
            assert!(inflight.acknowledge(ids[1]).is_none(), "acknowledged twice");
            assert_eq!(inflight.quota(), 0, "the oldest still waits");
            assert!(inflight.acknowledge(ids[0]).is_some());
            assert_eq!(inflight.quota(), 2);
            assert!(inflight.acknowledge(ids[2]).is_some());
            assert_eq!(inflight.quota(), 3);
        }
        assert!(inflight.acknowledge(7).is_none());
        assert!(inflight.acknowledge(0).is_none());
    }
}
