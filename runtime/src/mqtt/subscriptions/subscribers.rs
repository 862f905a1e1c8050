//! The subscribers of one filter.
//!
//! Owns that a session is there once, and that it comes and goes in the same time among few and among a hundred thousand.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::message::QoS;
use crate::mqtt::session::Session;

/// So many are searched one by one.
const LISTED: usize = 16;

/// A session's subscription to a filter.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) session: Arc<Session>,
    pub(super) qos: QoS,
    pub(super) no_local: bool,
}

/// All sessions that are subscribed to one filter. Most filters have one: it is where the filter is.
#[derive(Debug)]
pub(super) enum Subscribers {
    One(Subscription),
    Many(Box<Many>),
}

#[derive(Debug, Default)]
pub(super) struct Many {
    /// In no order.
    list: Vec<Subscription>,
    /// Where each is in the list, by the number of its session; only for a list that is too long to be searched.
    places: Option<HashMap<u32, u32, RandomState>>,
}

impl Subscribers {
    pub(super) fn as_slice(&self) -> &[Subscription] {
        match self {
            Self::One(subscription) => std::slice::from_ref(subscription),
            Self::Many(many) => &many.list,
        }
    }

    /// Adds a subscription in place of the one of the same session. Returns whether there was none.
    pub(super) fn insert(&mut self, subscription: Subscription) -> bool {
        match self {
            Self::One(known) if known.session.number == subscription.session.number => {
                *known = subscription;
                false
            }
            Self::One(_) => {
                let many = Self::Many(Box::new(Many { list: vec![subscription], places: None }));
                if let (Self::One(first), Self::Many(many)) = (std::mem::replace(self, many), self) {
                    many.list.push(first);
                }
                true
            }
            Self::Many(many) => many.insert(subscription),
        }
    }

    /// Removes the subscription of a session. Returns whether there was one. The last stays; see [`Subscribers::is_only`].
    pub(super) fn remove(&mut self, session: &Session) -> bool {
        let Self::Many(many) = self else { return false };
        let removed = many.remove(session.number);
        if many.list.len() == 1
            && let Some(last) = many.list.pop()
        {
            *self = Self::One(last);
        }
        removed
    }

    /// Whether this session is subscribed and nobody else.
    pub(super) fn is_only(&self, session: &Session) -> bool {
        matches!(self, Self::One(known) if known.session.number == session.number)
    }
}

impl Many {
    fn insert(&mut self, subscription: Subscription) -> bool {
        let number = subscription.session.number;
        if let Some(place) = self.place(number) {
            self.list[place] = subscription;
            return false;
        }
        if let Some(places) = &mut self.places {
            places.insert(number, self.list.len() as u32);
        }
        self.list.push(subscription);
        if self.places.is_none() && self.list.len() > LISTED {
            self.places = Some(self.list.iter().map(|known| known.session.number).zip(0..).collect());
        }
        true
    }

    fn remove(&mut self, number: u32) -> bool {
        let Some(place) = self.place(number) else { return false };
        self.list.swap_remove(place);
        if let Some(places) = &mut self.places {
            places.remove(&number);
            if let Some(moved) = self.list.get(place) {
                places.insert(moved.session.number, place as u32);
            }
        }
        // Half as many as when the places were written down: a filter at the edge does not do so again and again.
        if self.list.len() <= LISTED / 2 {
            self.places = None;
        }
        // Gives memory back in steps that pay for the copy.
        if self.list.len() >= LISTED && self.list.len() * 4 <= self.list.capacity() {
            self.list.shrink_to(self.list.len() * 2);
            if let Some(places) = &mut self.places {
                places.shrink_to(self.list.len() * 2);
            }
        }
        true
    }

    fn place(&self, number: u32) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&number).map(|&place| place as usize),
            None => self.list.iter().position(|known| known.session.number == number),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::message::Publisher;
    use crate::mqtt::codec::Version;

    fn session(number: u32) -> Arc<Session> {
        let publisher = Publisher { client_id: "a".into(), username: None, peer: None };
        Arc::new(Session::new(number, Version::V5, Arc::new(publisher), 0, Arc::default(), 0))
    }

    fn numbers(subscribers: &Subscribers) -> BTreeSet<u32> {
        let list = subscribers.as_slice();
        let numbers: BTreeSet<_> = list.iter().map(|known| known.session.number).collect();
        assert_eq!(numbers.len(), list.len(), "each once");
        numbers
    }

    #[test]
    fn sessions_come_and_go_in_any_order_and_are_there_once() {
        let sessions: Vec<_> = (0..40).map(session).collect();
        let subscription =
            |number: usize, qos| Subscription { session: Arc::clone(&sessions[number]), qos, no_local: false };
        let mut subscribers = Subscribers::One(subscription(0, QoS::AtMostOnce));
        let mut expected = BTreeSet::from([0]);
        let mut random = fastrand::Rng::with_seed(7);
        // Grows, then shrinks, over the length from which places are written down.
        for (likely, rounds) in [(0.8, 300), (0.2, 300), (0.9, 100)] {
            for _ in 0..rounds {
                let number = random.usize(..sessions.len());
                if random.f64() < likely {
                    let new = subscribers.insert(subscription(number, QoS::AtLeastOnce));
                    assert_eq!(new, expected.insert(number as u32));
                    let mut of_it = subscribers.as_slice().iter().filter(|known| known.session.number == number as u32);
                    assert_eq!(of_it.next().map(|known| known.qos), Some(QoS::AtLeastOnce), "the newest counts");
                } else if subscribers.is_only(&sessions[number]) {
                    assert_eq!(expected, BTreeSet::from([number as u32]));
                } else {
                    assert_eq!(subscribers.remove(&sessions[number]), expected.remove(&(number as u32)));
                }
                assert_eq!(numbers(&subscribers), expected);
            }
        }
    }
}
