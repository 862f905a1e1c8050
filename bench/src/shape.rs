//! The shapes of load that are measured, and what is hoped for each.

use isthmus_tests::mqtt::Version;

use crate::wire::Form;

/// One line of the report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// `S11-1000` is one of the shapes that `SHAPE=S11` selects.
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) load: Load,
    pub(crate) goal: Option<Goal>,
}

/// What goes through the bridge.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// Devices publish, Kafka gets it.
    Publish(Publish),
    /// One device publishes to this many subscribers.
    FanOut(u32),
    /// Kafka's records go to this many subscribers.
    Source(u32),
    /// Kafka is killed and started again while devices publish.
    Recovery,
}

/// How devices publish.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Publish {
    pub(crate) devices: u32,
    pub(crate) window: u32,
    /// Messages per second; as fast as they are acknowledged without.
    pub(crate) rate: Option<u32>,
    /// Messages of a device at most.
    pub(crate) limit: u32,
    /// Connections that send nothing.
    pub(crate) idle: u32,
    pub(crate) form: Form,
    pub(crate) tls: bool,
    pub(crate) rule: Rule,
    /// PUBACK when the record is in the memory buffer, not when Kafka has it.
    pub(crate) asynchronous: bool,
    /// Milliseconds that a batch may wait to fill, here and in the floor.
    pub(crate) linger: u32,
    /// Whether the floor carries the same messages.
    pub(crate) floor: bool,
}

/// What the bridge makes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// `SELECT *`, and the Sink writes the payload: the record that the floor writes.
    Payload,
    /// `SELECT *`, and the Sink writes its default: the whole event as JSON.
    Event,
    /// Two fields of the payload and a condition.
    Json,
    /// This many rules on distinct filters, of which a message meets one.
    Filters(u32),
}

/// What is hoped for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// CPU per message, at most this many times the floor's.
    Floor(f64),
    /// CPU per message, at most this many times that of another shape.
    Shape(&'static str, f64),
    /// The 99th percentile of latency, at most this many milliseconds above the floor's.
    Latency(f64),
    /// Seconds from Kafka's return to the first acknowledgement, at most.
    Recovery(f64),
    /// Resident bytes of an idle connection, at most.
    IdleBytes(f64),
}

const FORM: Form = Form { version: Version::V311, qos: 1, payload: 256, user_properties: false };

const PUBLISH: Publish = Publish {
    devices: 50,
    window: 16,
    rate: None,
    limit: 50_000_000,
    idle: 0,
    form: FORM,
    tls: false,
    rule: Rule::Payload,
    asynchronous: false,
    linger: 5,
    floor: true,
};

/// All of them, in the order of the report.
pub(crate) const SHAPES: &[Shape] = &[
    publish("S1", "50 connections × window 16, 256 B, QoS 1", PUBLISH, Some(Goal::Floor(1.5))),
    publish("S1-event", "S1, the whole event as JSON in Kafka", Publish { rule: Rule::Event, ..PUBLISH }, None),
    publish("S2", "500 connections × window 1", Publish { devices: 500, window: 1, ..PUBLISH }, Some(Goal::Floor(1.2))),
    publish("S3", "one device, window 1000", Publish { devices: 1, window: 1000, ..PUBLISH }, Some(Goal::Floor(1.5))),
    publish(
        "S3-at-once",
        "S3, batches do not wait to fill",
        Publish { devices: 1, window: 1000, linger: 0, ..PUBLISH },
        None,
    ),
    publish(
        "S4",
        "10,000 idle connections and 1,000 messages/s",
        Publish { devices: 10, rate: Some(1000), idle: 10_000, ..PUBLISH },
        Some(Goal::IdleBytes(3000.0)),
    ),
    publish("S5", "S1 with 1 KiB", Publish { form: Form { payload: 1024, ..FORM }, ..PUBLISH }, None),
    publish("S6", "S1 over TLS, the floor without", Publish { tls: true, ..PUBLISH }, None),
    publish("S7", "S1 at QoS 0", Publish { limit: 8000, form: Form { qos: 0, ..FORM }, ..PUBLISH }, None),
    publish("S8", "S1 at QoS 2", Publish { form: Form { qos: 2, ..FORM }, ..PUBLISH }, None),
    publish(
        "S9",
        "S1 over MQTT 5 with two user properties",
        Publish { form: Form { version: Version::V5, user_properties: true, ..FORM }, ..PUBLISH },
        None,
    ),
    publish(
        "S10",
        "S1, two fields of the JSON payload selected",
        Publish { rule: Rule::Json, ..PUBLISH },
        Some(Goal::Floor(2.2)),
    ),
    publish("S11-10", "S1 with 10 rules, one matches", Publish { rule: Rule::Filters(10), ..PUBLISH }, None),
    publish(
        "S11-1000",
        "S1 with 1,000 rules, one matches",
        Publish { rule: Rule::Filters(1000), floor: false, ..PUBLISH },
        None,
    ),
    publish(
        "S11-10000",
        "S1 with 10,000 rules, one matches",
        Publish { rule: Rule::Filters(10_000), floor: false, ..PUBLISH },
        Some(Goal::Shape("S11-10", 1.1)),
    ),
    Shape {
        name: "S12",
        what: "one device to 1,000 subscribers, 100 messages/s",
        load: Load::FanOut(1000),
        goal: None,
    },
    Shape { name: "S13-1", what: "Kafka to one subscriber", load: Load::Source(1), goal: None },
    Shape { name: "S13-100", what: "Kafka to 100 subscribers", load: Load::Source(100), goal: None },
    publish("S14", "S1, acknowledged from the memory buffer", Publish { asynchronous: true, ..PUBLISH }, None),
    publish("S15", "latency at 5,000 messages/s", Publish { rate: Some(5000), ..PUBLISH }, Some(Goal::Latency(2.0))),
    publish(
        "S15-at-once",
        "S15, batches do not wait to fill",
        Publish { rate: Some(5000), linger: 0, ..PUBLISH },
        Some(Goal::Latency(2.0)),
    ),
    Shape {
        name: "S16",
        what: "first acknowledgement after Kafka's return",
        load: Load::Recovery,
        goal: Some(Goal::Recovery(1.0)),
    },
];

const fn publish(name: &'static str, what: &'static str, publish: Publish, goal: Option<Goal>) -> Shape {
    Shape { name, what, load: Load::Publish(publish), goal }
}

/// What devices publish in [`Load::Recovery`].
pub(crate) const RECOVERY: Publish = Publish { devices: 20, rate: Some(400), ..PUBLISH };

/// The publisher of [`Load::FanOut`].
pub(crate) const FAN_OUT: Publish = Publish { devices: 1, rate: Some(100), floor: false, ..PUBLISH };

/// The shapes of the same number run interleaved: each group in turn, all of its shapes in every round.
pub(crate) fn groups(wanted: &[String]) -> Result<Vec<Vec<Shape>>, String> {
    let group = |shape: &Shape| shape.name.split('-').next().unwrap_or(shape.name);
    for name in wanted {
        if !SHAPES.iter().any(|shape| shape.name == name || group(shape) == name) {
            let names: Vec<_> = SHAPES.iter().map(|shape| shape.name).collect();
            return Err(format!("there is no shape {name}; there are {}", names.join(", ")));
        }
    }
    let wanted =
        |shape: &&Shape| wanted.is_empty() || wanted.iter().any(|name| shape.name == name || group(shape) == name);
    let mut groups: Vec<Vec<Shape>> = Vec::new();
    for shape in SHAPES.iter().filter(wanted) {
        match groups.last_mut().filter(|last| group(&last[0]) == group(shape)) {
            Some(last) => last.push(*shape),
            None => groups.push(vec![*shape]),
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_selects_all_of_its_shapes_and_they_run_together() {
        let names = |wanted: &[&str]| -> Vec<Vec<&str>> {
            let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
            let groups = groups(&wanted).unwrap_or_default();
            groups.iter().map(|group| group.iter().map(|shape| shape.name).collect()).collect()
        };
        assert_eq!(names(&["S11"]), [["S11-10", "S11-1000", "S11-10000"]]);
        assert_eq!(names(&["S1", "S13-100"]), [vec!["S1", "S1-event"], vec!["S13-100"]]);
        assert_eq!(names(&["S99"]).len(), 0);
        assert_eq!(names(&[]).iter().flatten().count(), SHAPES.len());
    }
}
