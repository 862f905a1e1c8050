//! Where a message enters the routing, whoever brings it: first the rules that select its topic, then its subscribers.
//!
//! The MQTT edge publishes what devices send, Sources publish what their mappings make of Kafka's records, and
//! republish actions come back in here. Nothing is handed to another task: a rule is microseconds, and the order of one
//! publisher's messages holds only when one task does all of it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use isthmus_rules::Columns;

use crate::message::Message;
use crate::mqtt::subscriptions::Subscriptions;
use crate::receipt::Tracker;
use crate::rule::columns::MessageColumns;
use crate::rule::host::ProcessHost;
use crate::rule::table::{Context, Path, Republish, RuleTable};
use crate::sink::Origin;

/// Takes messages in; the MQTT edge, Sources and republish actions all call it.
pub trait Route: Send + Sync + 'static {
    /// Routes `message`. With a tracker, every stage that takes responsibility asks it for a receipt;
    /// without one (QoS 0) nobody waits.
    fn publish(&self, message: &Message, tracker: Option<&mut Tracker<'_>>);
}

/// The routing: rules in force and subscriptions.
#[derive(Debug)]
pub struct Ingress {
    rules: ArcSwap<RuleTable>,
    subscriptions: Arc<Subscriptions>,
    host: ProcessHost,
}

impl Ingress {
    /// A routing without rules.
    pub fn new(subscriptions: Arc<Subscriptions>) -> Self {
        Self { rules: ArcSwap::default(), subscriptions, host: ProcessHost::default() }
    }

    /// The rules in force.
    pub fn rules(&self) -> Arc<RuleTable> {
        self.rules.load_full()
    }

    /// Puts other rules in force, in one step: a message meets the old ones or the new ones.
    pub fn set_rules(&self, rules: RuleTable) {
        self.rules.store(Arc::new(rules));
    }

    /// Runs the rules that select from the Source of this name over one of its records.
    pub fn record(&self, source: &str, columns: &dyn Columns, origin: Origin<'_>, tracker: Option<&mut Tracker<'_>>) {
        let context = Context { origin, path: None, republish: self };
        self.rules.load().run_for_source(source, columns, &self.host, context, tracker);
    }

    fn route(&self, message: &Message, path: Option<&Path<'_>>, mut tracker: Option<&mut Tracker<'_>>) {
        let origin = Origin { topic: &message.topic, client_id: &message.publisher.client_id };
        let context = Context { origin, path, republish: self };
        let columns = MessageColumns(message);
        self.rules.load().run_for_topic(&message.topic, &columns, &self.host, context, tracker.as_deref_mut());
        self.subscriptions.deliver(message, tracker);
    }
}

impl Route for Ingress {
    fn publish(&self, message: &Message, tracker: Option<&mut Tracker<'_>>) {
        self.route(message, None, tracker);
    }
}

impl Republish for Ingress {
    fn republish(&self, message: &Message, path: &Path<'_>, tracker: Option<&mut Tracker<'_>>) {
        self.route(message, Some(path), tracker);
    }
}
