//! One measurement of one program: start it, load it, read what it used, count what arrived.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use isthmus_tests::{Result, manifest};

use crate::cluster::Cluster;
use crate::load::{self, Idle, Load, Plan, Subscribers};
use crate::measure::{Cpu, CpuSum, peak_memory, resident_memory};
use crate::peer::Peer;
use crate::server::{Server, Under};
use crate::shape::{FAN_OUT, Publish, RECOVERY, Rule};
use crate::verify::{Verdict, verify};

/// Load before the measurement begins.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long Kafka stays away in the recovery shape: long enough for a client's pauses to have grown.
const OUTAGE: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(60);

/// Who is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    Product,
    Floor,
    Peer(&'a Peer),
}

/// What one round found.
pub(crate) struct Round {
    /// Messages that the figures are about; deliveries where one message becomes many.
    pub(crate) messages: u64,
    /// How long they took.
    pub(crate) time: Duration,
    /// CPU time of the measured process, of Kafka and of the loader.
    pub(crate) cpu: Duration,
    pub(crate) kafka_cpu: Duration,
    pub(crate) loader_cpu: Duration,
    /// Microseconds.
    pub(crate) latency: Histogram<u64>,
    pub(crate) peak_memory: u64,
    /// Bytes of an idle connection.
    pub(crate) idle_memory: Option<f64>,
    /// Seconds from Kafka's return to the first acknowledgement.
    pub(crate) recovery: Option<f64>,
    pub(crate) verdict: Verdict,
}

/// CPU time of everybody who takes part.
struct Clocks {
    server: CpuSum,
    kafka: Option<Cpu>,
    loader: Cpu,
    time: Instant,
}

impl Clocks {
    fn read(server: &Server, cluster: Option<&Cluster>) -> Result<Self> {
        let kafka = match cluster {
            Some(cluster) => Some(Cpu::of(cluster.broker.pid()?)?),
            None => None,
        };
        Ok(Self {
            server: CpuSum::of(&server.pids)?,
            kafka,
            loader: Cpu::of(std::process::id())?,
            time: Instant::now(),
        })
    }

    /// A round with what was used between `before` and this.
    fn since(&self, before: &Self, messages: u64, time: Duration, server: &Server) -> Result<Round> {
        let kafka_cpu = self.kafka.as_ref().zip(before.kafka.as_ref()).map(|(now, before)| now.since(before));
        Ok(Round {
            messages,
            time,
            cpu: self.server.since(&before.server),
            kafka_cpu: kafka_cpu.unwrap_or_default(),
            loader_cpu: self.loader.since(&before.loader),
            latency: load::latencies()?,
            peak_memory: peak_memory(&server.pids)?,
            idle_memory: None,
            recovery: None,
            verdict: Verdict::default(),
        })
    }
}

pub(crate) fn plan(server: &Server, publish: &Publish) -> Plan {
    Plan {
        broker: server.address,
        tls: server.tls.clone(),
        form: publish.form,
        devices: publish.devices,
        window: publish.window,
        rate: publish.rate,
        limit: publish.limit,
        topics: match publish.rule {
            Rule::Filters(count) => count,
            _ => u32::MAX,
        },
    }
}

/// Devices publish to a fresh server on a fresh topic for this long.
pub(crate) fn publish(cluster: &Cluster, subject: Subject<'_>, publish: &Publish, length: Duration) -> Result<Round> {
    let topic = cluster.topic("bench")?;
    let server = bridge(cluster, subject, &topic, publish)?;
    let plan = plan(&server, publish);
    let before_idle = resident_memory(&server.pids)?;
    let idle = if publish.idle > 0 { Some(Idle::connect(&plan, publish.idle)?) } else { None };
    let idle_memory = match &idle {
        Some(_) => Some((resident_memory(&server.pids)?.saturating_sub(before_idle)) as f64 / f64::from(publish.idle)),
        None => None,
    };
    let mut load = Load::connect(plan)?;
    let (before, after, messages, time, outcome);
    if publish.form.qos == 0 {
        // Nothing is acknowledged: all of a fixed number, until Kafka has them or gets no more.
        let total = u64::from(publish.devices) * u64::from(publish.limit);
        before = Clocks::read(&server, Some(cluster))?;
        load.start()?;
        wait_until_sent(&load, total)?;
        outcome = load.finish()?;
        cluster.wait_for_records(&topic, total)?;
        messages = cluster.records(&topic)?;
        after = Clocks::read(&server, Some(cluster))?;
        time = after.time - before.time;
    } else {
        load.start()?;
        thread::sleep(WARM_UP);
        load.measure();
        before = Clocks::read(&server, Some(cluster))?;
        let acknowledged = load.acknowledged();
        thread::sleep(length);
        let rated = load.acknowledged() - acknowledged;
        let lasted = before.time.elapsed();
        outcome = load.finish()?;
        let early = publish.asynchronous || matches!(subject, Subject::Peer(peer) if peer.kafka);
        if early {
            cluster.wait_for_records(&topic, outcome.sent())?;
        }
        after = Clocks::read(&server, Some(cluster))?;
        messages = outcome.acknowledged() - acknowledged;
        ensure!(rated > 0, "no message was acknowledged: {:?}", outcome.troubles);
        // What is acknowledged after the last was sent does not come at full load.
        time = lasted.mul_f64(messages as f64 / rated as f64);
    }
    load::check(&outcome)?;
    drop(idle);
    let round = after.since(&before, messages, time, &server)?;
    drop(server);
    let verdict = match subject {
        Subject::Peer(peer) if !peer.kafka => Verdict::without_kafka(&outcome),
        _ => verify(&cluster.broker.bootstrap(), &topic, &outcome)?,
    };
    cluster.delete(&topic)?;
    Ok(Round { latency: outcome.latency, idle_memory, verdict, ..round })
}

fn bridge(cluster: &Cluster, subject: Subject<'_>, topic: &str, publish: &Publish) -> Result<Server> {
    let kafka = cluster.broker.bootstrap();
    match subject {
        Subject::Product => Server::bridge(Under::NOTHING, &kafka, topic, publish),
        Subject::Floor => Server::floor(&kafka, topic, publish),
        Subject::Peer(peer) => peer.start(&kafka, topic),
    }
}

fn wait_until_sent(load: &Load, total: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while load.sent() < total {
        if Instant::now() > deadline {
            bail!("only {} of {total} messages were taken within {PATIENCE:?}", load.sent());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The loader against the null server: what it costs by itself.
pub(crate) fn null(publish: &Publish, length: Duration) -> Result<Round> {
    let server = Server::null()?;
    let mut load = Load::connect(plan(&server, publish))?;
    let before = Clocks::read(&server, None)?;
    load.start()?;
    let messages = if publish.form.qos == 0 {
        let total = u64::from(publish.devices) * u64::from(publish.limit);
        wait_until_sent(&load, total)?;
        load.finish()?.sent()
    } else {
        thread::sleep(length);
        load.finish()?.acknowledged()
    };
    let after = Clocks::read(&server, None)?;
    after.since(&before, messages, after.time - before.time, &server)
}

/// One device publishes to many subscribers.
pub(crate) fn fan_out(subscribers: u32, length: Duration) -> Result<Round> {
    let server = Server::product(Under::NOTHING, manifest::bridge(), &[], false)?;
    let plan = plan(&server, &FAN_OUT);
    let all = Subscribers::connect(&plan, subscribers, "v1/#")?;
    let mut load = Load::connect(plan)?;
    let before = Clocks::read(&server, None)?;
    load.start()?;
    load.measure();
    thread::sleep(length);
    let outcome = load.finish()?;
    load::check(&outcome)?;
    let expected = outcome.sent() * u64::from(subscribers);
    let time = wait_for_deliveries(&all, expected, before.time);
    let after = Clocks::read(&server, None)?;
    let round = after.since(&before, all.delivered(), time, &server)?;
    Ok(Round { latency: outcome.latency, verdict: deliveries(expected, &all), ..round })
}

/// Kafka's records go to subscribers.
pub(crate) fn source(cluster: &Cluster, subscribers: u32) -> Result<Round> {
    let records = 300_000 / (1 + subscribers / 10);
    let topic = cluster.topic("bench-source")?;
    let server = Server::source(&cluster.broker.bootstrap(), &topic)?;
    let all = Subscribers::connect(&plan(&server, &FAN_OUT), subscribers, "cmd/#")?;
    let before = Clocks::read(&server, Some(cluster))?;
    cluster.produce(&topic, records, &[b'x'; 256])?;
    let expected = u64::from(records) * u64::from(subscribers);
    let time = wait_for_deliveries(&all, expected, before.time);
    let after = Clocks::read(&server, Some(cluster))?;
    let round = after.since(&before, all.delivered(), time, &server)?;
    drop(server);
    cluster.delete(&topic)?;
    Ok(Round { verdict: deliveries(expected, &all), ..round })
}

/// Waits until all deliveries are there or no more come, and returns how long it took since `start`.
fn wait_for_deliveries(all: &Subscribers, expected: u64, start: Instant) -> Duration {
    let (mut seen, mut changed) = (all.delivered(), Instant::now());
    while seen < expected && changed.elapsed() < Duration::from_secs(3) {
        thread::sleep(Duration::from_millis(2));
        let now = all.delivered();
        if now > seen {
            (seen, changed) = (now, Instant::now());
        }
    }
    changed - start
}

/// A delivery at QoS 0 that did not arrive is missing.
fn deliveries(expected: u64, all: &Subscribers) -> Verdict {
    let missing = expected.saturating_sub(all.delivered());
    Verdict { sent: expected, missing, ..Verdict::default() }
}

/// Waits until more than `count` messages are acknowledged.
fn wait_for_progress(load: &Load, count: u64) -> Result<()> {
    let start = Instant::now();
    while load.acknowledged() <= count {
        if start.elapsed() > PATIENCE {
            bail!("nothing was acknowledged within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Kafka is killed while devices publish, and comes back.
pub(crate) fn recovery(subject: Subject<'_>) -> Result<Round> {
    let mut cluster = Cluster::start()?;
    let topic = cluster.topic("bench-recovery")?;
    let server = bridge(&cluster, subject, &topic, &RECOVERY)?;
    let mut load = Load::connect(plan(&server, &RECOVERY))?;
    let before = Clocks::read(&server, None)?;
    load.start()?;
    load.measure();
    wait_for_progress(&load, 0).context("before the outage")?;
    thread::sleep(WARM_UP);
    cluster.broker.crash()?;
    thread::sleep(OUTAGE);
    let acknowledged = load.acknowledged();
    cluster.broker.start_again().context("Kafka does not come back")?;
    let back = Instant::now();
    wait_for_progress(&load, acknowledged).context("after Kafka's return")?;
    let recovery = back.elapsed().as_secs_f64();
    thread::sleep(WARM_UP);
    let outcome = load.finish()?;
    load::check(&outcome)?;
    let after = Clocks::read(&server, None)?;
    let round = after.since(&before, outcome.acknowledged(), after.time - before.time, &server)?;
    drop(server);
    let verdict = verify(&cluster.broker.bootstrap(), &topic, &outcome)?;
    Ok(Round { recovery: Some(recovery), verdict, ..round })
}
