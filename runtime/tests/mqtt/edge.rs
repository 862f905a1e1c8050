//! The broker under test, with a route whose acknowledgements the test decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use isthmus_runtime::ingress::Route;
use isthmus_runtime::message::Message;
use isthmus_runtime::mqtt::tls::Material;
use isthmus_runtime::mqtt::{Broker, Settings, Subscriptions, listener};
use isthmus_runtime::receipt::{Outcome, Receipt, Tracker};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub(crate) struct Edge {
    pub(crate) address: SocketAddr,
    pub(crate) broker: Arc<Broker>,
    pub(crate) subscriptions: Arc<Subscriptions>,
    pub(crate) routed: Arc<Routed>,
    pub(crate) stop: CancellationToken,
}

/// Delivers to subscribers and, when told to, holds a receipt per message as a slow sink would.
#[derive(Default)]
pub(crate) struct Routed {
    subscriptions: Arc<Subscriptions>,
    pub(crate) messages: Mutex<Vec<Message>>,
    arrived: Notify,
    plan: Mutex<Plan>,
    held: Mutex<Vec<Receipt>>,
}

#[derive(Clone, Copy, Default)]
struct Plan {
    hold: bool,
    settle: Option<Outcome>,
    patience: Option<Duration>,
}

impl Route for Routed {
    fn publish(&self, message: &Message, tracker: Option<&mut Tracker<'_>>) {
        let plan = *self.plan.lock();
        let mut tracker = tracker;
        if let Some(tracker) = tracker.as_deref_mut() {
            if let Some(outcome) = plan.settle {
                tracker.settle(outcome);
            }
            if plan.hold {
                let receipt = match plan.patience {
                    Some(patience) => tracker.impatient_receipt(patience),
                    None => tracker.receipt(),
                };
                self.held.lock().push(receipt);
            }
        }
        self.subscriptions.deliver(message, tracker);
        self.messages.lock().push(message.clone());
        self.arrived.notify_one();
    }
}

impl Routed {
    /// Waits until `count` messages in all were routed.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Message> {
        let arrived = async {
            while self.messages.lock().len() < count {
                self.arrived.notified().await;
            }
        };
        let waited = tokio::time::timeout(crate::client::PATIENCE, arrived).await;
        let messages = self.messages.lock().clone();
        waited.unwrap_or_else(|_| panic!("{} of {count} messages were routed", messages.len()));
        messages
    }

    pub(crate) fn hold(&self) {
        self.plan.lock().hold = true;
    }

    pub(crate) fn hold_for(&self, patience: Duration) {
        *self.plan.lock() = Plan { hold: true, settle: None, patience: Some(patience) };
    }

    pub(crate) fn settle_as(&self, outcome: Outcome) {
        *self.plan.lock() = Plan { settle: Some(outcome), ..Plan::default() };
    }

    /// The receipts held so far, oldest first.
    pub(crate) fn take_held(&self) -> Vec<Receipt> {
        std::mem::take(&mut self.held.lock())
    }
}

pub(crate) fn settings() -> Settings {
    Settings { anonymous: true, ..Settings::default() }
}

impl Edge {
    pub(crate) fn start() -> Self {
        Self::start_with(settings())
    }

    pub(crate) fn start_tls(material: &Material) -> Self {
        Self::open(settings(), Some(material), Subscriptions::new())
    }

    pub(crate) fn start_with(settings: Settings) -> Self {
        Self::open(settings, None, Subscriptions::new())
    }

    /// Silent subscribers are waited for only so long.
    pub(crate) fn start_with_patience(patience: Duration) -> Self {
        Self::open(settings(), None, Subscriptions::with_patience(patience))
    }

    fn open(settings: Settings, tls: Option<&Material>, subscriptions: Subscriptions) -> Self {
        let subscriptions = Arc::new(subscriptions);
        let routed = Arc::new(Routed { subscriptions: Arc::clone(&subscriptions), ..Routed::default() });
        let broker = Broker::start(settings, Arc::clone(&subscriptions), Arc::clone(&routed) as Arc<dyn Route>);
        let listener = listener::bind("mqtt", ([127, 0, 0, 1], 0).into()).unwrap();
        listener.tls().store(tls.map(|material| material.config().unwrap()));
        let address = listener.local_addr();
        let stop = CancellationToken::new();
        tokio::spawn(listener.serve(Arc::clone(&broker), stop.clone()));
        Self { address, broker, subscriptions, routed, stop }
    }

    /// Waits until `condition` holds for what the broker counts.
    pub(crate) async fn until(&self, condition: impl Fn(&isthmus_runtime::mqtt::counters::Snapshot) -> bool) {
        let holds = async {
            while !condition(&self.broker.snapshot()) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(crate::client::PATIENCE, holds).await;
        assert!(waited.is_ok(), "the condition never held: {:?}", self.broker.snapshot());
    }
}
