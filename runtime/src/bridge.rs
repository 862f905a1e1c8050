//! One running Bridge: listeners, broker, rules, Sinks and Sources, put together from a plan.
//!
//! [`Bridge::apply`] takes on another plan while everything runs. The new one is prepared beside the old one first
//! (rules compiled, ports bound, users read); when anything of it fails, nothing has changed. Then only what differs is
//! touched, by name: connected clients, buffers and consumer groups of unchanged parts do not notice.

mod listeners;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isthmus_plan::{Diff, Plan, document};
use parking_lot::{Mutex, RwLock};
use tokio_util::task::TaskTracker;

use self::listeners::Listeners;
use crate::ingress::Ingress;
use crate::mqtt::counters::{Dropped, Ending, Refusal};
use crate::mqtt::{BindError, Broker, Settings, Subscriptions, Users};
use crate::rule::table::RuleTable;
use crate::sink::Sink;
use crate::source::mapping::Mapper;
use crate::source::{Source, Tuning};
use crate::status::{self, Observe, Snapshot};

/// A changed Source may take this long to settle what it has before the new one takes over; the rest comes again.
const SOURCE_HANDOVER: Duration = Duration::from_secs(10);

/// What the machine, not the plan, decides.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address that listeners bind.
    pub bind: IpAddr,
    /// Another address for the first listener.
    pub first_listener: Option<SocketAddr>,
    /// What to say about local mode's Kafka.
    pub kafka: Option<status::LocalKafka>,
    /// The users' Secret of local mode, by user name; without, the plan says in which folder they are.
    pub users: Option<GivenUsers>,
}

/// Users that do not come from a folder: local mode takes them from its manifests and never writes them to disk.
pub type GivenUsers = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Why a plan cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The users' Secret cannot be read.
    #[error(transparent)]
    Users(#[from] crate::mqtt::users::UsersError),
    /// A Sink, Source or Rule of the plan does not compile: the plan was rendered by another version.
    #[error("{0}")]
    Compile(String),
}

/// What was not finished when the Bridge stopped.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Publications whose clients got no acknowledgement: they will send them again.
    pub unacknowledged: u64,
    /// Sinks with records that Kafka did not get, acknowledged or not.
    pub records: Vec<(String, u64)>,
    /// Sources with records that were not settled: they come again.
    pub unsettled: Vec<(String, usize)>,
}

/// A running Bridge.
#[derive(Debug)]
pub struct Bridge {
    options: Options,
    broker: Arc<Broker>,
    ingress: Arc<Ingress>,
    running: RwLock<Running>,
    /// One plan at a time.
    applying: tokio::sync::Mutex<()>,
    /// Drains of what was removed.
    retiring: TaskTracker,
}

/// What runs now.
#[derive(Debug)]
struct Running {
    plan: Plan,
    rejected: Option<status::RejectedPlan>,
    listeners: Listeners,
    sinks: HashMap<String, Arc<Sink>>,
    sources: HashMap<String, Source>,
}

impl Bridge {
    /// Starts everything in the plan.
    pub async fn start(plan: Plan, options: Options) -> Result<Arc<Self>, ApplyError> {
        let subscriptions = Arc::new(Subscriptions::new());
        let ingress = Arc::new(Ingress::new(Arc::clone(&subscriptions)));
        let broker = Broker::start(settings(&plan, &options)?, subscriptions, Arc::clone(&ingress) as Arc<_>);
        let nothing = Plan {
            revision: String::new(),
            bridge: document::Bridge { listeners: Vec::new(), ..plan.bridge.clone() },
            sinks: Vec::new(),
            sources: Vec::new(),
            rules: Vec::new(),
        };
        let bridge = Arc::new(Self {
            options,
            broker,
            ingress,
            running: RwLock::new(Running {
                plan: nothing,
                rejected: None,
                listeners: Listeners::default(),
                sinks: HashMap::new(),
                sources: HashMap::new(),
            }),
            applying: tokio::sync::Mutex::new(()),
            retiring: TaskTracker::new(),
        });
        bridge.apply(plan).await?;
        Ok(bridge)
    }

    /// The plan in force.
    pub fn plan(&self) -> Plan {
        self.running.read().plan.clone()
    }

    /// Remembers, for whoever asks for the status, that a newer configuration could not be put in force.
    pub fn reject(&self, revision: String, message: String) {
        self.running.write().rejected = Some(status::RejectedPlan { revision, message });
    }

    /// The newest configuration is the one in force after all.
    pub fn clear_rejection(&self) {
        self.running.write().rejected = None;
    }

    /// Puts another plan in force. On an error the old one still is, untouched.
    pub async fn apply(&self, plan: Plan) -> Result<Diff, ApplyError> {
        let _one_at_a_time = self.applying.lock().await;
        let diff = Diff::between(&self.running.read().plan, &plan);
        let prepared = self.prepare(&plan, &diff)?;
        self.commit(plan, &diff, prepared).await;
        Ok(diff)
    }

    /// Everything about a new plan that can fail, without touching what runs.
    fn prepare(&self, plan: &Plan, diff: &Diff) -> Result<Prepared, ApplyError> {
        let settings = settings(plan, &self.options)?;
        let running = self.running.read();
        let wanted = listeners::wanted(&plan.bridge.listeners, &self.options);
        let bound = running.listeners.bind_missing(&wanted)?;
        let mut sinks = HashMap::new();
        for sink in &plan.sinks {
            let prepared = match running.sinks.get(&sink.name) {
                Some(known) => {
                    Sink::check(sink).map_err(|problem| compile("Sink", &sink.name, &problem))?;
                    Arc::clone(known)
                }
                None => Arc::new(Sink::start(sink).map_err(|problem| compile("Sink", &sink.name, &problem))?),
            };
            sinks.insert(sink.name.clone(), prepared);
        }
        let rules = RuleTable::compile(&plan.rules, |name| sinks.get(name).cloned(), &self.ingress.rules())
            .map_err(ApplyError::Compile)?;
        let mut sources = Vec::new();
        for name in diff.sources.changed.iter().chain(&diff.sources.added) {
            let Some(source) = plan.source(name) else { continue };
            Mapper::compile(source, Arc::clone(&self.ingress) as Arc<_>)
                .map_err(|error| ApplyError::Compile(error.to_string()))?;
            sources.push(source.clone());
        }
        Ok(Prepared { settings, sinks, rules, sources, wanted, bound })
    }

    async fn commit(&self, plan: Plan, diff: &Diff, prepared: Prepared) {
        self.broker.set_settings(prepared.settings);
        for name in &diff.sinks.changed {
            if let (Some(sink), Some(plan)) = (prepared.sinks.get(name), plan.sink(name))
                && let Err(problem) = sink.reconfigure(plan)
            {
                tracing::error!(sink = name, "a checked Sink does not compile: {problem}");
            }
        }
        self.ingress.set_rules(prepared.rules);
        let grace: Duration = plan.bridge.drain.grace_period.into();
        let mut ending = Vec::new();
        {
            let mut running = self.running.write();
            for name in diff.sources.changed.iter().chain(&diff.sources.removed) {
                ending.extend(running.sources.remove(name).map(|source| (name.clone(), source)));
            }
            for name in &diff.sinks.removed {
                if let Some(sink) = running.sinks.remove(name) {
                    self.retire(name.clone(), sink, grace);
                }
            }
            running.sinks = prepared.sinks;
            running.listeners.set(&prepared.wanted, prepared.bound, &self.broker);
        }
        let mut figures = HashMap::new();
        let stop_by = Instant::now() + grace.min(SOURCE_HANDOVER);
        for (name, source) in ending {
            figures.insert(name.clone(), source.figures());
            let left = source.stop(stop_by).await;
            if !left.is_clean() {
                tracing::warn!(source = name, unsettled = left.unsettled, "records of the old Source come again");
            }
        }
        let mut plan = plan;
        let mut rejected = None;
        let mut started = HashMap::new();
        let local = self.options.kafka.as_ref().is_some_and(|kafka| kafka.embedded);
        let tuning = if local { Tuning::LOCAL } else { Tuning::POD };
        for source in prepared.sources {
            match Source::start(&source, tuning, Arc::clone(&self.ingress) as Arc<_>) {
                Ok(running) => {
                    if let Some(before) = figures.get(&source.name) {
                        running.go_on_counting(before);
                    }
                    started.insert(source.name.clone(), running);
                }
                Err(error) => {
                    let message = format!("Source {} cannot start: {error}", source.name);
                    tracing::error!("{message}");
                    rejected = Some(status::RejectedPlan { revision: plan.revision.clone(), message });
                    // Not in force, so that the next look at the configuration tries again.
                    plan.sources.retain(|other| other.name != source.name);
                }
            }
        }
        let mut running = self.running.write();
        running.sources.extend(started);
        running.plan = plan;
        running.rejected = rejected;
    }

    /// Lets a removed Sink finish beside what goes on.
    fn retire(&self, name: String, sink: Arc<Sink>, grace: Duration) {
        self.retiring.spawn(async move {
            let left = sink.drain(Instant::now() + grace).await;
            if left > 0 {
                tracing::warn!(sink = name, records = left, "the Sink was removed before Kafka had all its records");
            }
        });
    }

    /// Stops: no new connections, what is in flight is finished until `deadline`, then everything ends.
    pub async fn stop(&self, deadline: Instant) -> Leftovers {
        let _nothing_is_applied = self.applying.lock().await;
        let (sources, sinks) = {
            let mut running = self.running.write();
            running.listeners.close();
            (std::mem::take(&mut running.sources), running.sinks.clone())
        };
        for sink in sinks.values() {
            sink.hurry();
        }
        // Each stage leaves time for the next: what was acknowledged must still reach Kafka.
        let now = Instant::now();
        let grace = deadline.saturating_duration_since(now);
        let mut leftovers = Leftovers::default();
        // Sources first: their records still need subscribers and Sinks.
        let settled_by = now + grace / 4;
        let stopping: Vec<_> =
            sources.into_iter().map(|(name, source)| (name, tokio::spawn(source.stop(settled_by)))).collect();
        for (name, stopped) in stopping {
            let unsettled = stopped.await.map_or(0, |left| left.unsettled);
            if unsettled > 0 {
                leftovers.unsettled.push((name, unsettled));
            }
        }
        // Then devices: what they published is acknowledged as Kafka answers.
        let acknowledged_by = now + grace / 2;
        let drained = self.broker.drain(acknowledged_by.saturating_duration_since(Instant::now())).await;
        leftovers.unacknowledged = drained.unacknowledged;
        let draining: Vec<_> = sinks
            .into_iter()
            .map(|(name, sink)| (name, tokio::spawn(async move { sink.drain(deadline).await })))
            .collect();
        for (name, drained) in draining {
            let left = drained.await.unwrap_or(0);
            if left > 0 {
                leftovers.records.push((name, left));
            }
        }
        self.retiring.close();
        // Removed Sinks have deadlines of their own, from before; they end with the process at the latest.
        let _ = tokio::time::timeout_at(deadline.into(), self.retiring.wait()).await;
        leftovers
    }
}

/// A plan that is ready to be put in force.
struct Prepared {
    settings: Settings,
    sinks: HashMap<String, Arc<Sink>>,
    rules: RuleTable,
    sources: Vec<document::Source>,
    wanted: Vec<(String, SocketAddr)>,
    bound: Vec<(SocketAddr, crate::mqtt::Listener)>,
}

fn compile(kind: &str, name: &str, problem: &str) -> ApplyError {
    ApplyError::Compile(format!("{kind} {name}: {problem}"))
}

/// The MQTT settings of a plan, with the users from where the plan or the options say.
fn settings(plan: &Plan, options: &Options) -> Result<Settings, ApplyError> {
    let mqtt = &plan.bridge.mqtt;
    let users = match &plan.bridge.authentication.users {
        None => None,
        Some(users) => {
            let (loaded, problems) = match &options.users {
                Some(given) => Users::from_entries(given.lock().iter()),
                None => Users::load(Path::new(&users.path))?,
            };
            for problem in problems {
                tracing::warn!(secret = users.secret, "{problem}");
            }
            Some(loaded)
        }
    };
    Ok(Settings {
        max_packet_size: mqtt.max_packet_size.bytes() as u32,
        max_connections: mqtt.max_connections as usize,
        receive_maximum: mqtt.receive_maximum,
        max_queued_messages: mqtt.max_queued_messages as usize,
        max_keep_alive: (mqtt.max_keep_alive.as_millis() / 1000) as u16,
        max_topic_levels: mqtt.max_topic_levels as usize,
        anonymous: plan.bridge.authentication.anonymous,
        users,
    })
}

impl Observe for Bridge {
    fn snapshot(&self) -> Snapshot {
        let running = self.running.read();
        let by_plan = |name: &String| running.sinks.get(name).map(|sink| sink.snapshot());
        Snapshot {
            revision: running.plan.revision.clone(),
            rejected: running.rejected.clone(),
            listeners: running.listeners.snapshot(),
            kafka: self.options.kafka.clone(),
            mqtt: mqtt(&self.broker.snapshot()),
            sinks: running.plan.sinks.iter().filter_map(|sink| by_plan(&sink.name)).collect(),
            sources: running
                .plan
                .sources
                .iter()
                .filter_map(|source| running.sources.get(&source.name).map(Source::figures))
                .collect(),
            rules: self.ingress.rules().snapshot(),
        }
    }

    fn ready(&self) -> Result<(), String> {
        let running = self.running.read();
        if running.listeners.is_empty() {
            return Err("no listener is bound".into());
        }
        Ok(())
    }
}

/// The broker's counters as the status shows them.
fn mqtt(counters: &crate::mqtt::counters::Snapshot) -> status::Mqtt {
    let labelled =
        |labels: Vec<&'static str>, figures: &[u64]| labels.into_iter().zip(figures.iter().copied()).collect();
    let [unmatched, safe, refused @ ..] = counters.acknowledged;
    let malformed = [Ending::Malformed, Ending::Violation].map(|ending| counters.sessions_ended[ending as usize]);
    status::Mqtt {
        connections: counters.connections,
        connections_total: counters.accepted,
        refused: labelled(Refusal::ALL.iter().map(|reason| reason.label()).collect(), &counters.connections_refused),
        received: counters.publishes,
        acknowledged: unmatched + safe,
        refused_publications: refused.iter().sum::<u64>() + counters.publishes_refused.iter().sum::<u64>(),
        delivered: counters.deliveries.iter().sum(),
        delivery_dropped: labelled(
            Dropped::ALL.iter().map(|reason| reason.label()).collect(),
            &counters.deliveries_dropped,
        ),
        subscriptions: counters.subscriptions,
        malformed: malformed.iter().sum(),
        bytes: [counters.bytes_received, counters.bytes_sent],
    }
}
