//! Routing of one message: to the rules that select its topic, then to its subscribers.

use crate::message::Message;
use crate::receipt::Tracker;

/// Where a message enters the routing; the MQTT edge, Sources and republish actions all call it.
pub trait Route: Send + Sync + 'static {
    /// Routes `message`. With a tracker, every stage that takes responsibility asks it for a receipt;
    /// without one (QoS 0) nobody waits.
    fn publish(&self, message: &Message, tracker: Option<&mut Tracker<'_>>);
}
