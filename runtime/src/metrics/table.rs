//! Every metric there is.

use super::Kind::{Counter, Gauge};
use super::Number::{Count, Measure};
use super::{Emit, Figures, Kind, Metric};
use crate::status::{Link, LinkState, Mqtt, Rule, Sink, Source};

const SINK: &[&str] = &["sink"];
const SOURCE: &[&str] = &["source"];
const RULE: &[&str] = &["rule"];

macro_rules! of_sinks {
    ($kind:ident $name:literal $unit:literal $field:ident $help:literal) => {
        metric($kind, $name, SINK, $unit, $help, |figures, emit| sinks(figures, emit, |sink| sink.$field))
    };
}
macro_rules! of_sources {
    ($kind:ident $name:literal $unit:literal $field:ident $help:literal) => {
        metric($kind, $name, SOURCE, $unit, $help, |figures, emit| sources(figures, emit, |source| source.$field))
    };
}
macro_rules! of_rules {
    ($kind:ident $name:literal $unit:literal $field:ident $help:literal) => {
        metric($kind, $name, RULE, $unit, $help, |figures, emit| rules(figures, emit, |rule| rule.$field))
    };
}
macro_rules! of_mqtt {
    ($kind:ident $name:literal $unit:literal $read:expr, $help:literal) => {
        metric($kind, $name, &[], $unit, $help, |figures, emit| {
            let read: fn(&Mqtt) -> u64 = $read;
            emit(&[], Count(read(&figures.snapshot.mqtt)));
        })
    };
}

/// Every metric, in the order of `/metrics` and `docs/metrics.md`.
pub const METRICS: &[Metric] = &[
    metric(
        Gauge,
        "isthmus_build_info",
        &["version"],
        "",
        "Always 1; the label is the version of this program",
        |_, emit| {
            emit(&[env!("CARGO_PKG_VERSION")], Count(1));
        },
    ),
    metric(
        Gauge,
        "isthmus_plan_info",
        &["revision"],
        "",
        "Always 1; the label is the revision of the configuration that is in force",
        |figures, emit| {
            emit(&[&figures.snapshot.revision], Count(1));
        },
    ),
    metric(
        Gauge,
        "isthmus_plan_rejected",
        &[],
        "",
        "1 while a newer configuration could not be put in force and the old one keeps running, else 0",
        |figures, emit| {
            emit(&[], Count(figures.snapshot.rejected.is_some().into()));
        },
    ),
    metric(
        Gauge,
        "isthmus_link_up",
        &["kind", "name"],
        "",
        "1 while the link of a Sink or Source to Kafka is up, else 0; `kind` is `sink` or `source`",
        |figures, emit| {
            let up = |link: &Link| Count((link.state == LinkState::Connected).into());
            figures.snapshot.sinks.iter().for_each(|sink| emit(&["sink", &sink.name], up(&sink.link)));
            figures.snapshot.sources.iter().for_each(|source| emit(&["source", &source.name], up(&source.link)));
        },
    ),
    of_mqtt!(Gauge "isthmus_mqtt_connections" "clients" |mqtt| mqtt.connections, "Clients connected now"),
    of_mqtt!(Counter "isthmus_mqtt_connections_accepted" "connections" |mqtt| mqtt.connections_total, "Connections accepted"),
    metric(
        Counter,
        "isthmus_mqtt_connections_refused",
        &["reason"],
        "connections",
        "Connections refused, by reason",
        |figures, emit| {
            by_reason(&figures.snapshot.mqtt.refused, emit);
        },
    ),
    metric(
        Counter,
        "isthmus_mqtt_publish_received",
        &["qos"],
        "messages",
        "PUBLISH packets received, by quality of service",
        |figures, emit| {
            let [at_most_once, at_least_once] = figures.snapshot.mqtt.received;
            emit(&["0"], Count(at_most_once));
            emit(&["1"], Count(at_least_once));
        },
    ),
    of_mqtt!(Counter "isthmus_mqtt_publish_acknowledged" "messages" |mqtt| mqtt.acknowledged, "Publications acknowledged positively"),
    of_mqtt!(Counter "isthmus_mqtt_publish_refused" "messages" |mqtt| mqtt.refused_publications, "Publications answered with a failure, or given up on by closing the connection"),
    of_mqtt!(Counter "isthmus_mqtt_publish_delivered" "messages" |mqtt| mqtt.delivered, "PUBLISH packets sent to subscribers"),
    metric(
        Counter,
        "isthmus_mqtt_delivery_dropped",
        &["reason"],
        "messages",
        "Deliveries to subscribers that were dropped, by reason",
        |figures, emit| {
            by_reason(&figures.snapshot.mqtt.delivery_dropped, emit);
        },
    ),
    of_mqtt!(Gauge "isthmus_mqtt_subscriptions" "subscriptions" |mqtt| mqtt.subscriptions, "Subscriptions held now"),
    metric(
        Counter,
        "isthmus_mqtt_subscriptions_refused",
        &["reason"],
        "subscriptions",
        "Subscriptions refused, by reason",
        |figures, emit| {
            by_reason(&figures.snapshot.mqtt.subscriptions_refused, emit);
        },
    ),
    of_mqtt!(Counter "isthmus_mqtt_malformed" "connections" |mqtt| mqtt.malformed, "Connections closed because of a packet that breaks the protocol"),
    of_mqtt!(Counter "isthmus_mqtt_received_bytes" "bytes" |mqtt| mqtt.bytes[0], "Bytes read from clients"),
    of_mqtt!(Counter "isthmus_mqtt_sent_bytes" "bytes" |mqtt| mqtt.bytes[1], "Bytes written to clients"),
    of_rules!(Counter "isthmus_rule_matched" "messages" matched "Messages that the FROM of the Rule selected"),
    of_rules!(Counter "isthmus_rule_passed" "messages" passed "Messages for which the Rule had an output, so that its actions ran"),
    of_rules!(Counter "isthmus_rule_failed_exception" "messages" failed_exception "Messages for which the SQL raised an exception"),
    of_rules!(Counter "isthmus_rule_failed_no_result" "messages" failed_no_result "Messages for which WHERE was false or FOREACH gave nothing"),
    of_rules!(Counter "isthmus_rule_actions_success" "outputs" actions_success "Outputs that an action took"),
    of_rules!(Counter "isthmus_rule_actions_failed" "outputs" actions_failed "Outputs that an action could not take"),
    of_sinks!(Counter "isthmus_sink_matched" "records" matched "Records handed to the Sink; at every scrape the sum of success, failed, dropped, queuing and inflight"),
    of_sinks!(Counter "isthmus_sink_success" "records" success "Records that Kafka acknowledged"),
    of_sinks!(Counter "isthmus_sink_failed" "records" failed "Records that finally failed"),
    metric(
        Counter,
        "isthmus_sink_dropped",
        &["sink", "reason"],
        "records",
        "Records given up on before Kafka confirmed them, by reason",
        |figures, emit| {
            for sink in &figures.snapshot.sinks {
                sink.dropped_by.iter().for_each(|(reason, count)| emit(&[&sink.name, reason], Count(*count)));
            }
        },
    ),
    of_sinks!(Counter "isthmus_sink_retried" "records" retried "Records sent again; outside the sum that `matched` is"),
    of_sinks!(Gauge "isthmus_sink_queuing" "records" queuing "Records in the buffer that were not sent yet"),
    of_sinks!(Gauge "isthmus_sink_inflight" "records" inflight "Records sent and not acknowledged yet"),
    of_sinks!(Gauge "isthmus_sink_buffered_bytes" "bytes" buffered_bytes "Bytes of the records in the buffer, sent or not"),
    metric(
        Counter,
        "isthmus_removed_sink_records_lost",
        &[],
        "records",
        "Records that Sinks could not deliver in the time they have after they are removed, acknowledged or not",
        |figures, emit| {
            emit(&[], Count(figures.snapshot.removed_sink_records_lost));
        },
    ),
    of_sources!(Counter "isthmus_source_received" "records" received "Records received from Kafka"),
    of_sources!(Counter "isthmus_source_delivered" "records" delivered "Records that were delivered, handed to durable storage, or wanted by nobody"),
    of_sources!(Counter "isthmus_source_failed" "records" failed "Records given up on after a failure; their offset went on"),
    of_sources!(Counter "isthmus_source_rewinds" "partitions" rewinds "Partitions read again from an earlier place, because the topic was created anew or its end was lost"),
    of_sources!(Gauge "isthmus_source_pending" "records" pending "Records received whose delivery is not confirmed yet"),
    metric(
        Gauge,
        "isthmus_source_lag",
        SOURCE,
        "records",
        "Records in Kafka that were not received yet, over the assigned partitions; no sample until known",
        |figures, emit| {
            for source in &figures.snapshot.sources {
                if let Some(lag) = source.lag {
                    emit(&[&source.name], Count(lag));
                }
            }
        },
    ),
    of_sources!(Gauge "isthmus_source_partitions" "partitions" partitions "Partitions assigned to this process"),
    metric(
        Gauge,
        "isthmus_memory_limit_bytes",
        &[],
        "bytes",
        "Memory that the process may have: the container's limit, or the machine's; no sample without one",
        |figures, emit| {
            figures.snapshot.memory.limit.iter().for_each(|limit| emit(&[], Count(*limit)));
        },
    ),
    metric(
        Gauge,
        "isthmus_memory_granted_bytes",
        &[],
        "bytes",
        "Memory granted to buffers of Sinks and queues of sessions",
        |figures, emit| {
            emit(&[], Count(figures.snapshot.memory.granted));
        },
    ),
    metric(
        Gauge,
        "isthmus_memory_under_pressure",
        &[],
        "",
        "1 while memory is nearly used up, so that buffers and queues drop or refuse, else 0",
        |figures, emit| {
            emit(&[], Count(figures.snapshot.memory.under_pressure.into()));
        },
    ),
    metric(
        Counter,
        "isthmus_memory_refusals",
        &[],
        "requests",
        "Requests of buffers and queues for memory that were refused",
        |figures, emit| {
            emit(&[], Count(figures.snapshot.memory.refusals));
        },
    ),
    metric(
        Gauge,
        "process_resident_memory_bytes",
        &[],
        "bytes",
        "Memory of the process that is really there",
        |figures, emit| {
            figures.process.iter().for_each(|process| emit(&[], Count(process.resident_bytes)));
        },
    ),
    metric(
        Counter,
        "process_cpu_seconds",
        &[],
        "seconds",
        "CPU time of the process, user and system",
        |figures, emit| {
            figures.process.iter().for_each(|process| emit(&[], Measure(process.cpu_seconds)));
        },
    ),
    metric(Gauge, "process_open_fds", &[], "files", "Open files and sockets of the process", |figures, emit| {
        figures.process.iter().for_each(|process| emit(&[], Count(process.open_files)));
    }),
];

const fn metric(
    kind: Kind,
    name: &'static str,
    labels: &'static [&'static str],
    unit: &'static str,
    help: &'static str,
    read: fn(&Figures, &mut Emit<'_>),
) -> Metric {
    Metric { name, kind, labels, unit, help, read }
}

fn sinks(figures: &Figures, emit: &mut Emit<'_>, read: fn(&Sink) -> u64) {
    figures.snapshot.sinks.iter().for_each(|sink| emit(&[&sink.name], Count(read(sink))));
}

fn sources(figures: &Figures, emit: &mut Emit<'_>, read: fn(&Source) -> u64) {
    figures.snapshot.sources.iter().for_each(|source| emit(&[&source.name], Count(read(source))));
}

fn rules(figures: &Figures, emit: &mut Emit<'_>, read: fn(&Rule) -> u64) {
    figures.snapshot.rules.iter().for_each(|rule| emit(&[&rule.name], Count(read(rule))));
}

fn by_reason(counts: &[(&'static str, u64)], emit: &mut Emit<'_>) {
    for (reason, count) in counts {
        emit(&[reason], Count(*count));
    }
}
