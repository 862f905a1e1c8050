//! The event as functions: the columns under other names, and tests of lists of topics.

use super::args::failed;
use super::{Args, Call, Computed, Function, FunctionError, function};
use crate::event::Column;
use crate::topic;
use crate::value::Value;
use crate::value::path::{self, Step};
use crate::value::{Map, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("msgid" ("") 0..=0, Reads, "The column `id`.", "is_str(msgid())" => "true", |call, _| column(call, Column::Id)),
    function!("qos" ("") 0..=0, Reads, "The column `qos`.", "qos()" => "1", |call, _| column(call, Column::Qos)),
    function!("flags" ("") 0..=0, Reads, "The column `flags`.", "is_map(flags())" => "true", |call, _| column(call, Column::Flags)),
    function!("flag" ("name") 1..=1, Reads, "One of the MQTT flags; undefined when it is not there.",
        "flag('retain')" => "false", |call, args| inside(&column(call, Column::Flags)?, Args(args).text(0)?)),
    function!("topic" ("[level]") 0..=1, Reads, "The column `topic`, or one of its levels, 1 being the first; undefined when there is no such level.",
        "topic(2)" => "\"a\"", topic_level),
    function!("clientid" ("") 0..=0, Reads, "The column `clientid`.", "is_str(clientid())" => "true", |call, _| column(call, Column::ClientId)),
    function!("username" ("") 0..=0, Reads, "The column `username`.", "is_str(username())" => "true", |call, _| column(call, Column::Username)),
    function!("clientip" ("") 0..=0, Reads, "The column `peerhost`.", "clientip()" => "\"192.168.0.10\"", |call, _| column(call, Column::PeerHost)),
    function!("peerhost" ("") 0..=0, Reads, "The column `peerhost`.", "peerhost()" => "\"192.168.0.10\"", |call, _| column(call, Column::PeerHost)),
    function!("payload" ("[path]") 0..=1, Reads, "The column `payload`, or what is at a dotted path of it. Error when it is not JSON then.",
        "payload('msg')" => "\"hello\"", payload),
    function!("contains_topic" ("filters, topic [, qos]") 2..=3, Pure, "Whether a list of texts or of maps with `topic` (and `qos`) has this very topic (and QoS).",
        "contains_topic([map_put('topic', 't/1', map_new())], 't/1')" => "true", |_, args| listed(Args(args), |filter, topic| filter == topic)),
    function!("contains_topic_match" ("filters, topic [, qos]") 2..=3, Pure, "Whether some topic filter of such a list matches the topic (and has the QoS).",
        "contains_topic_match(['t/+'], 't/1')" => "true", |_, args| listed(Args(args), topic::matches)),
];

#[expect(clippy::unnecessary_wraps, reason = "has the shape of a function's body")]
fn column(call: &Call<'_, '_>, column: Column) -> Computed {
    Ok(call.event.column(column))
}

#[expect(clippy::unnecessary_wraps, reason = "has the shape of a function's body")]
fn inside(value: &Value, key: &Text) -> Computed {
    Ok(path::get(value, &Step::Key(key.clone())))
}

fn topic_level(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let topic = call.event.column(Column::Topic);
    if args.is_empty() {
        return Ok(topic);
    }
    let Some(skip) = Args(args).count(0)?.checked_sub(1) else { return Args(args).wrong(0, "an integer from 1") };
    Ok(Value::from(topic.as_text().and_then(|topic| topic.split('/').nth(skip))))
}

fn payload(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    if args.is_empty() {
        return column(call, Column::Payload);
    }
    let decoded = match call.event.document() {
        Some(Ok(document)) => document.all(),
        Some(Err(error)) => return failed(format!("the payload is not JSON: {error}")),
        None => call.event.payload().clone(),
    };
    let path = Args(args).text(0)?;
    Ok(path.split('.').fold(decoded, |value, key| path::get(&value, &Step::Key(Text::from(key)))))
}

fn listed(args: Args<'_>, test: fn(&str, &str) -> bool) -> Computed {
    let topic = args.text(1)?;
    let qos = args.given(2);
    for filter in args.list(0)? {
        let (name, its_qos) = entry(args, filter)?;
        if name.is_some_and(|name| test(name, topic)) && qos.is_none_or(|qos| its_qos == Some(qos)) {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

type Entry<'v> = (Option<&'v str>, Option<&'v Value>);

fn entry<'v>(args: Args<'_>, filter: &'v Value) -> Result<Entry<'v>, FunctionError> {
    let field = |map: &'v Map, key: &str| map.get(key);
    match filter {
        Value::Text(text) => Ok((Some(text), None)),
        Value::Map(map) => Ok((field(map, "topic").and_then(Value::as_text), field(map, "qos"))),
        _ => args.wrong(0, "a list of topics or of maps with `topic`"),
    }
}
