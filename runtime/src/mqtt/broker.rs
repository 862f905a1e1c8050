//! What all connections of one process share: settings, sessions, subscriptions, the way into the data path.
//!
//! Owns the connection tasks, the keep-alive sweep and the drain. Sockets are accepted by `listener`,
//! what happens on one connection is told in `connection`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection;
use super::counters::{Counter, Counters, Snapshot};
use super::registry::Registry;
use super::session::End;
use super::settings::Settings;
use super::subscriptions::Subscriptions;
use crate::ingress::Route;

/// How often silent clients are looked for: the grain of the keep alive.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

/// The MQTT broker of one process.
pub struct Broker {
    settings: ArcSwap<Settings>,
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) route: Arc<dyn Route>,
    pub(super) registry: Registry,
    /// Connection tasks, with and without session.
    pub(super) tasks: TaskTracker,
    sessions_so_far: AtomicU32,
    started: Instant,
    drain_deadline: OnceLock<Instant>,
    /// A drain has begun: who has no session yet gets none.
    pub(super) draining: CancellationToken,
    /// Stops the sweep.
    stop: CancellationToken,
    /// QoS 1 publications whose connection was closed by a drain before they were acknowledged.
    pub(super) left_unacknowledged: Counter,
}

/// What a drain left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Clients that were connected when it began.
    pub clients: usize,
    /// QoS 1 publications that were not acknowledged by the deadline. Their clients know that and will send them again.
    pub unacknowledged: u64,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("sessions", &self.registry.len()).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker without listeners. What clients publish goes to `route`, which hands it to `subscriptions` among others.
    ///
    /// Must be called in a tokio runtime: starts the keep-alive sweep, which ends with [`Broker::drain`] or with the broker.
    pub fn start(settings: Settings, subscriptions: Arc<Subscriptions>, route: Arc<dyn Route>) -> Arc<Self> {
        let broker = Arc::new(Self {
            settings: ArcSwap::from_pointee(settings),
            subscriptions,
            route,
            registry: Registry::new(),
            tasks: TaskTracker::new(),
            sessions_so_far: AtomicU32::new(0),
            started: Instant::now(),
            drain_deadline: OnceLock::new(),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            left_unacknowledged: Counter::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&broker), broker.stop.clone()));
        broker
    }

    /// The settings that the next connection gets.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// New settings for the next connections; those that are open keep theirs.
    pub fn set_settings(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// All counters and gauges.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            connections: self.registry.len() as u64,
            subscriptions: self.subscriptions.len() as u64,
            ..self.counters().snapshot()
        }
    }

    /// Ends all sessions: reads no more, lets publications that are under way be acknowledged until `grace` is over,
    /// says DISCONNECT (0x8B, server shutting down) to 5.0 clients and closes. Stop the listeners first.
    pub async fn drain(&self, grace: Duration) -> Drained {
        let deadline = *self.drain_deadline.get_or_init(|| Instant::now() + grace);
        self.draining.cancel();
        let clients = self.registry.len();
        self.registry.for_each(|session| session.request_end(End::ShuttingDown));
        self.tasks.close();
        // Connections end by themselves at the deadline; saying goodbye has its own bound.
        let last = deadline + connection::FAREWELL;
        if tokio::time::timeout_at(last.into(), self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "connections did not close in time");
        }
        self.stop.cancel();
        Drained { clients, unacknowledged: self.left_unacknowledged.get() }
    }

    /// When the drain that has begun ends.
    pub(super) fn drain_deadline(&self) -> Option<Instant> {
        self.drain_deadline.get().copied()
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.subscriptions.counters
    }

    pub(super) fn next_session_number(&self) -> u32 {
        self.sessions_so_far.fetch_add(1, Ordering::Relaxed)
    }

    /// Milliseconds from the start to `now`, wrapping after 49 days.
    pub(super) fn clock(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.started).as_millis() as u32
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Ends the sessions of clients that were silent for too long, and takes back memory that queues do not need any more: one
/// timer for all of them.
async fn sweep(broker: std::sync::Weak<Broker>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        let Some(broker) = broker.upgrade() else { break };
        let now = broker.clock(Instant::now());
        broker.registry.for_each(|session| {
            session.give_back();
            if session.is_silent(now) {
                session.request_end(End::KeepAlive);
            }
        });
    }
}
