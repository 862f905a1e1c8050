//! One running Bridge: listeners, broker, rules, Sinks and Sources, put together from a plan.
//!
//! [`Bridge::apply`] takes on another plan while everything runs. The new one is prepared beside the old one first
//! (rules compiled, ports bound, Secrets read); when anything of it fails, nothing has changed. Then only what differs is
//! touched, by name: connected clients, buffers and consumer groups of unchanged parts do not notice. A Sink with another uid
//! is another Sink: it has a buffer of its own, and what the one before has drains beside it.
//!
//! A plan that needs a Secret which this process was started without is refused whole: what it would take for the new part
//! it could never send. Only a process that starts takes a plan as it is.
//!
//! A changed Secret is taken on in the same way: what uses it is made anew, everything else goes on. One that cannot be
//! used is reported, and what was read before stays in use.

mod listeners;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use isthmus_plan::document::Keys;
use isthmus_plan::{Diff, Plan, document};
use parking_lot::RwLock;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use self::listeners::Listeners;
use crate::ingress::Ingress;
use crate::kafka::client::Trouble;
use crate::kafka::security::{Secured, Security};
use crate::memory::{self, Budget};
use crate::mqtt::counters::{Dropped, Ending, Refusal, RefusedSubscription};
use crate::mqtt::{BindError, Broker, Settings, Subscriptions, Users};
use crate::rule::table::RuleTable;
use crate::secrets::{SecretError, Secrets, Values};
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
    /// Where the values of Secrets come from.
    pub secrets: Secrets,
    /// What buffers and queues may have.
    pub memory: Arc<Budget>,
}

/// Why a plan cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A Secret is not there, or holds what cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The plan needs what the volumes of this process do not have. Records for it could be acknowledged and never sent.
    #[error(
        "this process was started without {}, which the plan needs: it goes on with the plan before, whole, and a pod that starts now will have it",
        .0.join(" and ")
    )]
    NotMounted(Vec<String>),
    /// A Sink, Source or Rule of the plan does not compile: the plan was rendered by another version.
    #[error("{0}")]
    Compile(String),
}

/// What became of a plan and its Secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// They were in force already.
    Nothing,
    /// They are in force now, except for the newest values of some Secrets: what is wrong with each.
    InForce(Vec<String>),
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
    /// Records that removed Sinks could not deliver.
    lost_with_sinks: Arc<AtomicU64>,
    _watching_memory: AbortOnDropHandle<()>,
}

/// What runs now.
#[derive(Debug)]
struct Running {
    plan: Plan,
    rejected: Option<status::RejectedPlan>,
    /// What of Secrets the plans so far asked for.
    asked: BTreeMap<String, Keys>,
    /// Values of Secrets that are in use.
    values: Values,
    /// Values as they were last found.
    found: Values,
    /// Secrets that were found and are not in use: what is wrong with them.
    unusable: Vec<String>,
    /// User, password and TLS by Connector.
    links: Links,
    listeners: Listeners,
    sinks: HashMap<String, Arc<Sink>>,
    sources: HashMap<String, Source>,
}

impl Running {
    /// Whether no plan is in force yet.
    fn is_starting(&self) -> bool {
        self.plan.revision.is_empty()
    }

    /// Figures of a Source, also of one that waits for its Secret.
    fn source(&self, source: &document::Source) -> Option<status::Source> {
        let waits = || {
            let error = self.links.get(&source.connector)?.as_ref().err()?;
            Some(status::Source {
                name: source.name.clone(),
                link: Trouble::secret(error).into(),
                ..Default::default()
            })
        };
        self.sources.get(&source.name).map(Source::figures).or_else(waits)
    }

    /// What of the newest configuration is not in force, and why.
    fn rejection(&self) -> Option<status::RejectedPlan> {
        let secrets = (!self.unusable.is_empty())
            .then(|| status::RejectedPlan::new(self.plan.revision.clone(), self.unusable.join("; ")));
        self.rejected.clone().or(secrets)
    }
}

impl Bridge {
    /// Starts everything in the plan. A Kafka that cannot be reached for want of a Secret is waited for; what devices
    /// need (certificates, users) must be there.
    pub async fn start(plan: Plan, options: Options) -> Result<Arc<Self>, ApplyError> {
        let values = options.secrets.read(&plan.secrets());
        let subscriptions = Arc::new(Subscriptions::new());
        let ingress = Arc::new(Ingress::new(Arc::clone(&subscriptions)));
        let broker =
            Broker::start(settings(&plan, &values, &options.memory)?, subscriptions, Arc::clone(&ingress) as Arc<_>);
        let nothing = Plan {
            revision: String::new(),
            bridge: document::Bridge { listeners: Vec::new(), ..plan.bridge.clone() },
            sinks: Vec::new(),
            sources: Vec::new(),
            rules: Vec::new(),
        };
        let watching_memory = AbortOnDropHandle::new(tokio::spawn(memory::watch(Arc::clone(&options.memory))));
        let bridge = Arc::new(Self {
            options,
            broker,
            ingress,
            running: RwLock::new(Running {
                plan: nothing,
                rejected: None,
                asked: BTreeMap::new(),
                values: Values::default(),
                found: Values::default(),
                unusable: Vec::new(),
                links: Links::new(),
                listeners: Listeners::default(),
                sinks: HashMap::new(),
                sources: HashMap::new(),
            }),
            applying: tokio::sync::Mutex::new(()),
            retiring: TaskTracker::new(),
            lost_with_sinks: Arc::default(),
            _watching_memory: watching_memory,
        });
        bridge.apply(plan).await?;
        Ok(bridge)
    }

    /// Folders in which something happens when a Secret of the plan changes.
    pub fn secret_folders(&self) -> BTreeSet<PathBuf> {
        self.options.secrets.folders(&self.running.read().plan.secrets())
    }

    /// The plan in force.
    pub fn plan(&self) -> Plan {
        self.running.read().plan.clone()
    }

    /// Remembers, for whoever asks for the status, that a newer configuration could not be put in force.
    pub fn reject(&self, revision: String, message: String) {
        self.running.write().rejected = Some(status::RejectedPlan::new(revision, message));
    }

    /// Remembers why a plan was not put in force. `false` when that is known: the same plan is tried again and again.
    pub fn refuse(&self, revision: String, error: &ApplyError) -> bool {
        let reason = matches!(error, ApplyError::NotMounted(_)).then_some(status::SECRET_NOT_MOUNTED);
        let rejected = Some(status::RejectedPlan { reason, ..status::RejectedPlan::new(revision, error.to_string()) });
        let mut running = self.running.write();
        let is_new = running.rejected != rejected;
        running.rejected = rejected;
        is_new
    }

    /// The newest configuration is the one in force after all.
    pub fn clear_rejection(&self) {
        self.running.write().rejected = None;
    }

    /// Puts a plan in force, with the Secrets as they are now. On an error what was in force still is, untouched.
    pub async fn apply(&self, plan: Plan) -> Result<Applied, ApplyError> {
        let _one_at_a_time = self.applying.lock().await;
        let wanted = plan.secrets();
        let found = self.options.secrets.read(&wanted);
        {
            let mut running = self.running.write();
            // Another generation alone is nothing to do for a pod.
            let is_the_same = plan.revision == running.plan.revision && Diff::between(&running.plan, &plan).is_empty();
            if is_the_same && found == running.found {
                running.plan = plan;
                running.rejected = None;
                return Ok(Applied::Nothing);
            }
            // A process that starts has no other plan, and may wait for what comes.
            if !running.is_starting() {
                let lacking = self.options.secrets.lacking(&wanted, &running.asked);
                if !lacking.is_empty() {
                    return Err(ApplyError::NotMounted(lacking));
                }
            }
        }
        let diff = Diff::between(&self.running.read().plan, &plan);
        let mut values = found.clone();
        let mut unusable = Vec::new();
        let prepared = loop {
            match self.prepare(&plan, &diff, &values) {
                Ok(prepared) => break prepared,
                // One Secret that cannot be used does not hold back the others.
                Err(ApplyError::Secret(error)) if values.go_back(&error.secret, &self.running.read().values) => {
                    tracing::error!("{error}: what was read before stays in use");
                    unusable.push(format!("{error}: what was read before stays in use"));
                }
                Err(error) => return Err(error),
            }
        };
        unusable.extend(prepared.links.values().filter_map(|link| link.as_ref().err()).map(ToString::to_string));
        let changed = values.changed_since(&self.running.read().values);
        if !changed.is_empty() && !self.running.read().is_starting() {
            tracing::info!(secrets = ?changed, "changed Secrets are taken on");
        }
        {
            let mut running = self.running.write();
            running.values = values;
            running.found = found;
            for (secret, keys) in wanted {
                match running.asked.entry(secret) {
                    Entry::Occupied(mut asked) => asked.get_mut().join(keys),
                    Entry::Vacant(place) => drop(place.insert(keys)),
                }
            }
            running.unusable.clone_from(&unusable);
        }
        self.commit(plan, &diff, prepared).await;
        Ok(Applied::InForce(unusable))
    }

    /// Everything about a new plan that can fail, without touching what runs.
    fn prepare(&self, plan: &Plan, diff: &Diff, values: &Values) -> Result<Prepared, ApplyError> {
        let settings = settings(plan, values, &self.options.memory)?;
        let running = self.running.read();
        let links = links(plan, values, &running.links)?;
        let wanted = listeners::wanted(&plan.bridge.listeners, &self.options, values)?;
        let bound = running.listeners.bind_missing(&wanted)?;
        let relinked = |connector: &String| links.get(connector) != running.links.get(connector);
        let mut sinks = HashMap::new();
        let mut changed_sinks = Vec::new();
        for sink in &plan.sinks {
            let link = links.get(&sink.connector).cloned().unwrap_or_else(|| Ok(Security::default()));
            // One that is added is new, even beside another of its name: that one is removed.
            let known = running.sinks.get(&sink.name).filter(|_| !diff.sinks.added.contains(&sink.name));
            let prepared = match known {
                Some(known) => {
                    Sink::check(sink).map_err(|problem| compile("Sink", &sink.name, &problem))?;
                    if diff.sinks.changed.contains(&sink.name) || relinked(&sink.connector) {
                        changed_sinks.push(sink.name.clone());
                    }
                    Arc::clone(known)
                }
                None => Arc::new(
                    Sink::start(sink, link, &self.options.memory)
                        .map_err(|problem| compile("Sink", &sink.name, &problem))?,
                ),
            };
            sinks.insert(sink.name.clone(), prepared);
        }
        let rules = RuleTable::compile(&plan.rules, |name| sinks.get(name).cloned(), &self.ingress.rules())
            .map_err(ApplyError::Compile)?;
        let mut sources = Vec::new();
        for source in &plan.sources {
            let known = diff.sources.unchanged.contains(&source.name);
            if known && !relinked(&source.connector) {
                continue;
            }
            Mapper::compile(source, Arc::clone(&self.ingress) as Arc<_>)
                .map_err(|error| ApplyError::Compile(error.to_string()))?;
            sources.push(source.clone());
        }
        Ok(Prepared { settings, links, sinks, changed_sinks, rules, sources, wanted, bound })
    }

    async fn commit(&self, plan: Plan, diff: &Diff, prepared: Prepared) {
        self.broker.set_settings(prepared.settings);
        let link =
            |connector: &String| prepared.links.get(connector).cloned().unwrap_or_else(|| Ok(Security::default()));
        for name in &prepared.changed_sinks {
            if let (Some(sink), Some(plan)) = (prepared.sinks.get(name), plan.sink(name))
                && let Err(problem) = sink.reconfigure(plan, link(&plan.connector))
            {
                tracing::error!(sink = name, "a checked Sink does not compile: {problem}");
            }
        }
        self.ingress.set_rules(prepared.rules);
        let grace: Duration = plan.bridge.drain.grace_period.into();
        let mut ending = Vec::new();
        {
            let mut running = self.running.write();
            for name in prepared.sources.iter().map(|source| &source.name).chain(&diff.sources.removed) {
                ending.extend(running.sources.remove(name).map(|source| (name.clone(), source)));
            }
            for name in &diff.sinks.removed {
                if let Some(sink) = running.sinks.remove(name) {
                    self.retire(name.clone(), sink, grace);
                }
            }
            running.sinks = prepared.sinks;
            running.listeners.set(prepared.wanted, prepared.bound, &self.broker);
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
        let embedded = self.options.kafka.as_ref().is_some_and(|kafka| kafka.embedded);
        let tuning = if embedded { Tuning::EMBEDDED } else { Tuning::KAFKA };
        for source in prepared.sources {
            let link = link(&source.connector);
            if link.is_err() {
                // Its status says why; it starts when the Secret is there.
                continue;
            }
            match Source::start(&source, link, tuning, Arc::clone(&self.ingress) as Arc<_>) {
                Ok(running) => {
                    if let Some(before) = figures.get(&source.name) {
                        running.go_on_counting(before);
                    }
                    started.insert(source.name.clone(), running);
                }
                Err(error) => {
                    let message = format!("Source {} cannot start: {error}", source.name);
                    tracing::error!("{message}");
                    rejected = Some(status::RejectedPlan::new(plan.revision.clone(), message));
                    // Not in force, so that the next look at the configuration tries again.
                    plan.sources.retain(|other| other.name != source.name);
                }
            }
        }
        let mut running = self.running.write();
        running.sources.extend(started);
        running.plan = plan;
        running.rejected = rejected;
        running.links = prepared.links;
    }

    /// Lets a removed Sink finish beside what goes on.
    fn retire(&self, name: String, sink: Arc<Sink>, grace: Duration) {
        let lost = Arc::clone(&self.lost_with_sinks);
        self.retiring.spawn(async move {
            let left = sink.drain(Instant::now() + grace).await;
            if left > 0 {
                lost.fetch_add(left, Ordering::Relaxed);
                tracing::error!(
                    sink = name,
                    records = left,
                    "the Sink was removed and its records are lost: Kafka did not take them in time"
                );
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
        for (name, sink) in &sinks {
            sink.hurry();
            if let Some(cause) = sink.is_cut_off() {
                // Said before anything is waited for: a pod that is killed early has no time for its last words.
                let records = sink.snapshot().queuing;
                tracing::error!(sink = name, records, "its records cannot be sent and will be lost: {cause}");
            }
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
    links: Links,
    sinks: HashMap<String, Arc<Sink>>,
    /// Sinks that run and have to be told.
    changed_sinks: Vec<String>,
    rules: RuleTable,
    /// Sources to start, in the place of those that run.
    sources: Vec<document::Source>,
    wanted: Vec<listeners::Wanted>,
    bound: Vec<(SocketAddr, crate::mqtt::Listener)>,
}

fn compile(kind: &str, name: &str, problem: &str) -> ApplyError {
    ApplyError::Compile(format!("{kind} {name}: {problem}"))
}

/// User, password and TLS by Connector.
type Links = HashMap<String, Secured>;

/// The links of a plan. A Connector that could not be used before may stay so; one that could must not become so.
fn links(plan: &Plan, values: &Values, before: &Links) -> Result<Links, SecretError> {
    let sinks = plan.sinks.iter().map(|sink| (&sink.connector, &sink.kafka));
    let sources = plan.sources.iter().map(|source| (&source.connector, &source.kafka));
    let mut links = Links::new();
    for (connector, kafka) in sinks.chain(sources) {
        if links.contains_key(connector) {
            continue;
        }
        let known = before.get(connector);
        let mut link = Security::resolve(kafka, values);
        if let Ok(security) = &link
            && known != Some(&link)
            && let Err(error) = security.check(kafka)
        {
            link = Err(error);
        }
        if let (Err(error), Some(Ok(_))) = (&link, known) {
            return Err(error.clone());
        }
        links.insert(connector.clone(), link);
    }
    Ok(links)
}

/// The MQTT settings of a plan, with the users of its Secret.
fn settings(plan: &Plan, values: &Values, memory: &Arc<Budget>) -> Result<Settings, SecretError> {
    let mqtt = &plan.bridge.mqtt;
    let users = match &plan.bridge.authentication.users {
        None => None,
        Some(users) => {
            let (loaded, problems) = Users::from_entries(values.all(&users.secret)?);
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
        max_queued_bytes: mqtt.max_queued_bytes.bytes() as usize,
        max_subscriptions: mqtt.max_subscriptions as usize,
        memory: Arc::clone(memory),
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
            rejected: running.rejection(),
            listeners: running.listeners.snapshot(),
            kafka: self.options.kafka.clone(),
            memory: self.options.memory.usage(),
            mqtt: mqtt(&self.broker.snapshot()),
            sinks: running.plan.sinks.iter().filter_map(|sink| by_plan(&sink.name)).collect(),
            removed_sink_records_lost: self.lost_with_sinks.load(Ordering::Relaxed),
            sources: running.plan.sources.iter().filter_map(|source| running.source(source)).collect(),
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
        subscriptions_refused: labelled(
            RefusedSubscription::ALL.iter().map(|reason| reason.label()).collect(),
            &counters.subscriptions_refused,
        ),
        malformed: malformed.iter().sum(),
        bytes: [counters.bytes_received, counters.bytes_sent],
    }
}

#[cfg(test)]
mod tests;
