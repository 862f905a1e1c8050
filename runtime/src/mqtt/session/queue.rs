//! What waits for one client, bounded in number and in bytes.
//!
//! Owns which delivery is dropped when there is no room: QoS 0 before QoS 1, a new QoS 0 before those that wait, the
//! oldest QoS 1 before a new one. Three bounds ask for that: `maxQueuedMessages`, `maxQueuedBytes` and the memory of the
//! process. A packet that several clients wait for is there once and counts in the queue of each: the sum is never too
//! small, whichever of them reads first. A packet larger than `maxQueuedBytes` is taken when it waits alone, or a client
//! that reads as fast as it can would never see it; against the memory of the process nothing is taken.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Delivery;
use crate::memory::{Class, Share};
use crate::message::QoS;
use crate::mqtt::codec::Frame;
use crate::mqtt::counters::{Counters, Dropped};
use crate::mqtt::settings::Settings;

/// A queue's memory is given back when it runs empty and once held more than this.
const KEPT_CAPACITY: usize = 64;
/// What waits within this asks nobody: a client that keeps up never touches the budget that all clients share.
const FREE: usize = 4 * 1024;
/// What a delivery costs beside its packet: its place in the queue, the head of the packet and its two counters.
const BESIDE: usize = size_of::<Delivery>() + size_of::<Frame>() + 2 * size_of::<usize>();

/// The deliveries of one client, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    deliveries: VecDeque<Delivery>,
    /// Of these, QoS 0.
    at_most_once: usize,
    /// Of all of these, by [`weight`].
    bytes: usize,
    /// Made when it is needed first: few clients let more wait than [`FREE`].
    share: Option<Box<Share>>,
}

/// Deliveries that made room for another. They say what became of them when they are dropped, so let the lock go before.
#[derive(Debug, Default)]
pub(super) struct Evicted {
    /// Most often there is one, and nothing is allocated for it.
    first: Option<Delivery>,
    more: Vec<Delivery>,
}

/// Bytes that a delivery of this packet counts for.
fn weight(frame: &Frame) -> usize {
    frame.size() + BESIDE
}

impl Evicted {
    fn push(&mut self, delivery: Delivery) {
        if self.first.is_none() {
            self.first = Some(delivery);
        } else {
            self.more.push(delivery);
        }
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Whether it has, or had to ask for, memory of the process.
    pub(super) fn borrows(&self) -> bool {
        self.share.is_some()
    }

    /// Makes room for a delivery of `frame`, at the cost of others if it must; all that is dropped is counted.
    /// Returns whether there is room now.
    pub(super) fn make_room(
        &mut self,
        frame: &Frame,
        settings: &Settings,
        evicted: &mut Evicted,
        counters: &Counters,
    ) -> bool {
        let weight = weight(frame);
        let most = settings.max_queued_messages.max(1);
        let full = self.deliveries.len() >= most || self.bytes + weight > settings.max_queued_bytes;
        if full && !self.is_empty() {
            if frame.qos() == QoS::AtMostOnce {
                counters.dropped(Dropped::QueueFull, 1);
                return false;
            }
            let count = self.evict(most - 1, settings.max_queued_bytes.saturating_sub(weight), evicted);
            counters.dropped(Dropped::QueueFull, count);
        }
        let wanted = self.bytes + weight;
        if wanted <= FREE {
            return true;
        }
        let share = self.share.get_or_insert_with(|| Box::new(Share::new(&settings.memory, Class::Queue)));
        let granted = usize::try_from(share.cover(wanted as u64)).unwrap_or(usize::MAX).max(FREE);
        if wanted <= granted {
            return true;
        }
        // What would not fit alone does not drive out the others.
        if frame.qos() == QoS::AtMostOnce || weight > granted {
            counters.dropped(Dropped::Memory, 1);
            return false;
        }
        let count = self.evict(usize::MAX, granted - weight, evicted);
        counters.dropped(Dropped::Memory, count);
        true
    }

    /// Takes deliveries out until at most `messages` of at most `bytes` are left: QoS 0 first, then the oldest.
    fn evict(&mut self, messages: usize, bytes: usize, evicted: &mut Evicted) -> usize {
        let before = self.deliveries.len();
        let over = |queue: &Self| queue.deliveries.len() > messages || queue.bytes > bytes;
        // One look at each however many go: what stays is moved behind the others, and then back to its place.
        let mut looked = 0;
        while looked < before && self.at_most_once > 0 && over(self) {
            looked += 1;
            match self.deliveries.pop_front() {
                Some(delivery) if delivery.frame.qos() == QoS::AtMostOnce => {
                    self.forget(&delivery);
                    evicted.push(delivery);
                }
                Some(delivery) => self.deliveries.push_back(delivery),
                None => break,
            }
        }
        self.deliveries.rotate_left(before - looked);
        while over(self)
            && let Some(delivery) = self.pop()
        {
            evicted.push(delivery);
        }
        before - self.deliveries.len()
    }

    pub(super) fn push(&mut self, delivery: Delivery) {
        self.at_most_once += usize::from(delivery.frame.qos() == QoS::AtMostOnce);
        self.bytes += weight(&delivery.frame);
        self.deliveries.push_back(delivery);
    }

    /// The oldest.
    pub(super) fn front(&self) -> Option<&Arc<Frame>> {
        self.deliveries.front().map(|delivery| &delivery.frame)
    }

    /// Takes the oldest.
    pub(super) fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        self.forget(&delivery);
        Some(delivery)
    }

    /// A delivery is not in the queue any more.
    fn forget(&mut self, delivery: &Delivery) {
        self.at_most_once -= usize::from(delivery.frame.qos() == QoS::AtMostOnce);
        self.bytes -= weight(&delivery.frame);
    }

    /// Gives back what a burst needed. A small share stays, for the next message.
    pub(super) fn ran_empty(&mut self) {
        if self.deliveries.capacity() > KEPT_CAPACITY {
            self.deliveries = VecDeque::new();
        }
        if let Some(share) = &self.share {
            share.shrink(0);
        }
    }

    /// Gives back what the deliveries that wait do not need, now and then: more than [`Queue::ran_empty`] does. Returns
    /// whether it still has memory of the process.
    pub(super) fn give_back(&mut self) -> bool {
        if self.bytes <= FREE {
            self.share = None;
        } else if let Some(share) = &self.share {
            share.shrink(self.bytes as u64);
        }
        self.borrows()
    }

    /// Takes all.
    pub(super) fn take(&mut self) -> VecDeque<Delivery> {
        std::mem::take(self).deliveries
    }
}

#[cfg(test)]
mod tests;
