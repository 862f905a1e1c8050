//! What a message costs without any IO, stage by stage, for a counter of instructions: `scripts/instructions.sh`.
//!
//! `instructions STAGE COUNT` passes COUNT messages through one stage. The difference between two counts is free of what
//! the start costs, and does not depend on what else the machine does.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot start says why by panicking")]

use std::hint::black_box;
use std::sync::Arc;

use bytes::BytesMut;
use bytestring::ByteString;
use isthmus_rules::{
    Environment, Event, FixedHost, Limits, MissingPolicy, Output, Rule, RuleId, Template, TemplateKind,
};
use isthmus_runtime::buffer::{PartitionLog, Record, Report};
use isthmus_runtime::message::{Message, MessageIds, Publisher};
use isthmus_runtime::mqtt::codec::{self, Packet, Progress, Publish, ReasonCode, Version};
use isthmus_runtime::receipt::Resolutions;
use isthmus_runtime::rule::columns::MessageColumns;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A vehicle's telemetry of 256 bytes, as a device publishes it at QoS 1.
fn packet() -> Vec<u8> {
    let mut payload = String::from(
        r#"{"temp":21.5,"speed":87,"heading":271.25,"engine":{"rpm":2450,"oil":91.2,"on":true},"doors":[false,true],"note":""#,
    );
    while payload.len() < 254 {
        payload.push('x');
    }
    payload.push_str(r#""}"#);
    let topic = b"v1/7/telemetry";
    let length = 2 + topic.len() + 2 + payload.len();
    let mut packet = vec![0x32, (length % 128) as u8 | 0x80, (length / 128) as u8, 0, topic.len() as u8];
    packet.extend_from_slice(topic);
    packet.extend([0, 7]);
    packet.extend_from_slice(payload.as_bytes());
    packet
}

fn decode(packet: &[u8]) -> Publish {
    let mut buffer = BytesMut::from(packet);
    let Progress::Packet(raw) = codec::take_packet(&mut buffer, 1 << 20).unwrap() else {
        panic!("an incomplete packet")
    };
    match raw.decode(Version::V311).unwrap() {
        Packet::Publish(publish) => publish,
        other => panic!("{other:?}"),
    }
}

fn message() -> Message {
    let Publish { dup, qos, retain, topic, properties, payload, .. } = decode(&packet());
    let client_id = ByteString::from_static("d00007");
    let publisher = Arc::new(Publisher { client_id, username: None, peer: None });
    Message { id: MessageIds::new().next(0), topic, payload, qos, dup, retain, publisher, properties, received_at: 1 }
}

/// What a rule makes of a message.
struct Selection {
    rule: Rule,
    host: FixedHost,
    limits: Limits,
    id: RuleId,
}

impl Selection {
    fn new(sql: &str) -> Self {
        let rule = Rule::compile(sql).unwrap().rule;
        Self { rule, host: FixedHost::default(), limits: Limits::default(), id: RuleId::from("rule") }
    }

    /// Runs the rule, and `each` over its outputs.
    fn run(&self, message: &Message, mut each: impl FnMut(Output<'_>)) {
        let columns = MessageColumns(black_box(message));
        let event = Event::new(&columns);
        let rows = self.rule.evaluate(&event, &mut Environment::new(&self.host, &self.limits, &self.id)).unwrap();
        rows.iter().for_each(&mut each);
    }
}

/// What a Sink makes of an output, and the PUBACK.
struct Writing {
    key: Template,
    value: Template,
}

impl Writing {
    fn new(value: &str) -> Self {
        let compile = |text: &str| Template::compile(text, TemplateKind::Action).unwrap();
        Self { key: compile("${.clientid}"), value: compile(value) }
    }

    fn run(&self, output: Output<'_>, scratch: &mut [Vec<u8>; 2], log: &mut PartitionLog, out: &mut BytesMut) {
        scratch.iter_mut().for_each(Vec::clear);
        let [key, value] = scratch;
        let _ = self.key.render(output, MissingPolicy::Empty, key).unwrap();
        let _ = self.value.render(output, MissingPolicy::Empty, value).unwrap();
        log.append(Record { key: Some(key), value: Some(value), timestamp: 1, spread: None }, None, 0, u64::MAX);
        if let Some((position, record)) = black_box(&mut *log).next_to_send(u64::MAX) {
            black_box(record);
            log.mark_sent();
            log.report(position, Report::Delivered, &mut Resolutions::default());
        }
        out.clear();
        codec::puback(out, Version::V311, 7, ReasonCode::Success);
    }
}

const ALL: &str = r#"SELECT * FROM "v1/#""#;
const JSON: &str = r#"SELECT payload.temp AS t, clientid FROM "v1/#" WHERE payload.temp > 0"#;

fn select(sql: &str, count: u32) {
    let (selection, message) = (Selection::new(sql), message());
    for _ in 0..count {
        selection.run(&message, |output| {
            black_box(output);
        });
    }
}

/// Rule, record through the buffer, and PUBACK. `SELECT *` makes a column when it is rendered, so the rule cannot be left out.
fn encode(sql: &str, value: &str, count: u32) {
    let (selection, message) = (Selection::new(sql), message());
    let (writing, mut scratch, mut out) = (Writing::new(value), [Vec::new(), Vec::new()], BytesMut::new());
    let mut log = PartitionLog::default();
    for _ in 0..count {
        selection.run(&message, |output| writing.run(output, &mut scratch, &mut log, &mut out));
        black_box(&out);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [stage, count] = &arguments[..] else { panic!("usage: instructions STAGE COUNT") };
    let count: u32 = count.parse().unwrap();
    match stage.as_str() {
        "decode" => {
            let packet = packet();
            for _ in 0..count {
                black_box(decode(black_box(&packet)));
            }
        }
        "select-json" => select(JSON, count),
        "encode-payload" => encode(ALL, "${.payload}", count),
        "encode-event" => encode(ALL, "${.}", count),
        "encode-json" => encode(JSON, "${.}", count),
        other => panic!("there is no stage {other}"),
    }
}
