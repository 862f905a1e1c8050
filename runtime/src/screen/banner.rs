//! What the screen says first: what runs where, what flows where, what to type next.

use std::fmt::Write as _;
use std::net::SocketAddr;

use isthmus_plan::Plan;
use isthmus_plan::document::{ActionKind, Rule};
use isthmus_rules::{From, Template, TemplateKind};

use super::{flow, sample};
use crate::kafka::embedded;
use crate::status::Snapshot;

/// How this process is reached, for the commands on the screen.
#[derive(Debug, Clone)]
pub struct Here {
    /// Bound admin address.
    pub admin: SocketAddr,
    /// The program as it was called, so that the commands work where it was started.
    pub program: String,
}

/// The admin address that `isthmus record` tries by itself.
const DEFAULT_ADMIN: &str = "127.0.0.1:9600";

/// The whole text. The lines `mqtt listener "NAME" on ADDRESS` and `admin on http://ADDRESS` are for scripts too.
pub fn banner(snapshot: &Snapshot, plan: &Plan, here: &Here) -> String {
    let mut text = format!("isthmus {} on this machine\n\n", env!("CARGO_PKG_VERSION"));
    for listener in &snapshot.listeners {
        line(&mut text, format_args!("{listener}"));
    }
    line(&mut text, format_args!("admin on http://{}", here.admin));
    if let Some(kafka) = &snapshot.kafka {
        let servers = &kafka.bootstrap_servers;
        if kafka.embedded {
            line(&mut text, format_args!("kafka on {servers}, embedded: {}", embedded::LIMIT));
        } else {
            line(&mut text, format_args!("kafka on {servers}"));
        }
    }
    text.push('\n');
    text.push_str(&links(snapshot, plan, here));
    text
}

/// The part that a reload changes: what flows where, and what to type next.
pub fn links(snapshot: &Snapshot, plan: &Plan, here: &Here) -> String {
    let mut text = format!("what flows where (revision {})\n", plan.revision);
    let lines = flow::flow(plan);
    for way in &lines {
        line(&mut text, format_args!("  {way}"));
    }
    if lines.is_empty() {
        text.push_str("  nothing yet: add a Rule, or a Source with an mqttTopic\n");
    }
    let commands = commands(snapshot, plan, here);
    if !commands.is_empty() {
        text.push_str("\nwhat to type next, in other terminals\n");
        for command in commands {
            line(&mut text, format_args!("  {command}"));
        }
    }
    text.push('\n');
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{line}");
}

/// One round through the manifests in force: watch Kafka, publish to it, subscribe, write from Kafka.
fn commands(snapshot: &Snapshot, plan: &Plan, here: &Here) -> Vec<String> {
    let mut commands = Vec::new();
    let admin = here.admin.to_string();
    let admin = if admin == DEFAULT_ADMIN { String::new() } else { format!(" --admin {admin}") };
    let record = format!("{} record{admin}", quoted(&here.program));
    let Some(listener) = snapshot.listeners.first() else { return commands };
    let Some((host, port)) = listener.address.rsplit_once(':') else { return commands };
    let tls = if listener.tls { " --cafile CA-FILE" } else { "" };
    let user = if plan.bridge.authentication.anonymous { "" } else { " -u USER -P PASSWORD" };
    let broker = format!("-h {host} -p {port}{tls}{user}");
    if let Some((rule, topic, payload)) = to_publish(plan) {
        for action in &rule.actions {
            if let ActionKind::Sink(name) = &action.kind
                && let Some(sink) = plan.sink(name).filter(|sink| !sink.dynamic_topic)
            {
                commands.push(format!("{record} read {}", sink.topic));
            }
        }
        commands.push(format!("mosquitto_pub {broker} -q 1 -t {} -m {}", quoted(&topic), quoted(&payload)));
    }
    let mut mapped = plan.sources.iter().flat_map(|source| &source.topic_mapping);
    if let Some((mapping, topic)) = mapped.find_map(|mapping| Some((mapping, mapping.mqtt_topic.as_ref()?))) {
        commands.push(format!("mosquitto_sub {broker} -v -t {}", quoted(&subscription(topic))));
        commands.push(format!("{record} write {} --key 1 hello", mapping.kafka_topic));
    }
    commands.dedup();
    commands
}

/// The first rule that a device can set off, with a message that does.
fn to_publish(plan: &Plan) -> Option<(&Rule, String, String)> {
    let rules = || plan.rules.iter().flat_map(|rule| flow::from(rule).into_iter().map(move |from| (rule, from)));
    let filters = || {
        rules().filter_map(|(rule, from)| match from {
            From::Filter(filter) => Some((rule, sample::topic(&filter))),
            From::Source(_) | From::Event(_) => None,
        })
    };
    filters()
        .find_map(|(rule, topic)| sample::payload(rule, &topic).map(|payload| (rule, topic, payload)))
        // None could be guessed: the reader knows their rule better.
        .or_else(|| filters().next().map(|(rule, topic)| (rule, topic, r#"{"hello": "world"}"#.to_owned())))
}

/// A filter for what the template makes: a level with a variable is any level.
fn subscription(template: &str) -> String {
    let constant = Template::compile(template, TemplateKind::Topic).is_ok_and(|template| template.constant().is_some());
    if constant {
        return template.to_owned();
    }
    // A variable may hold slashes and makes more levels than are seen here: the rest is left open.
    let fixed: Vec<_> = template.split('/').take_while(|level| !level.contains("${")).collect();
    if fixed.is_empty() { "#".to_owned() } else { format!("{}/#", fixed.join("/")) }
}

/// As a POSIX shell takes it.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
