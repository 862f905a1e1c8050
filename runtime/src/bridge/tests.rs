//! Which Sinks of a new plan are those that run.

use std::net::Ipv4Addr;

use serde_json::json;

use super::*;

/// A plan with a Sink of this uid, whose Kafka is never there.
fn plan(revision: &str, uid: Option<&str>, topic: &str) -> Plan {
    let kafka = isthmus_api::connector::Kafka::new(vec!["127.0.0.1:1".to_owned()]);
    let mut sink = isthmus_api::Sink::new("load", isthmus_api::SinkSpec::new("kafka", topic));
    sink.metadata.uid = uid.map(str::to_owned);
    let named = |name: &str| isthmus_api::LocalReference { name: name.to_owned() };
    let mut bridge = isthmus_api::BridgeSpec::default();
    bridge.authentication.anonymous = isthmus_api::bridge::Access::Allow;
    bridge.drain = serde_json::from_value(json!({"gracePeriod": "1ms"})).unwrap();
    let rule = json!({
        "metadata": {"name": "load"},
        "spec": {
            "bridgeRef": {"name": "fleet"}, "sql": "SELECT * FROM \"load/#\"",
            "actions": [{"name": "to-kafka", "sinkRef": {"name": "load"}}],
        },
        "apiVersion": isthmus_api::API_VERSION, "kind": "Rule",
    });
    let resources = isthmus_plan::Resources {
        bridges: vec![isthmus_api::Bridge::new("fleet", bridge)],
        connectors: vec![isthmus_api::Connector::new(
            "kafka",
            isthmus_api::ConnectorSpec { bridge_ref: named("fleet"), kafka },
        )],
        sinks: vec![sink],
        rules: vec![serde_json::from_value(rule).unwrap()],
        ..isthmus_plan::Resources::default()
    };
    let mut plan = isthmus_plan::render(&resources, &isthmus_plan::Options::default(), None).plan.unwrap();
    plan.revision = revision.to_owned();
    plan
}

fn options() -> Options {
    Options {
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        first_listener: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        kafka: None,
        secrets: Secrets::Given(Arc::default()),
        memory: memory::budget(None),
    }
}

fn publish(bridge: &Bridge) {
    use crate::ingress::Route as _;
    use crate::message::{Message, MessageIds, Publisher, QoS};
    let message = Message {
        id: MessageIds::new().next(1),
        topic: "load/1".into(),
        payload: "{}".into(),
        qos: QoS::AtMostOnce,
        dup: false,
        retain: false,
        publisher: Arc::new(Publisher { client_id: "car".into(), username: None, peer: None }),
        properties: None,
        received_at: 1,
    };
    bridge.ingress.publish(&message, None);
}

fn queuing(bridge: &Bridge) -> u64 {
    bridge.snapshot().sinks.iter().map(|sink| sink.queuing).sum()
}

#[tokio::test]
async fn a_sink_keeps_its_buffer_for_as_long_as_it_is_the_same_resource() {
    let bridge = Bridge::start(plan("1", Some("one"), "a"), options()).await.unwrap();
    publish(&bridge);
    assert_eq!(queuing(&bridge), 1);
    bridge.apply(plan("2", Some("one"), "b")).await.unwrap();
    assert_eq!(queuing(&bridge), 1, "another topic");
    bridge.apply(plan("3", None, "b")).await.unwrap();
    assert_eq!(queuing(&bridge), 1, "a plan without uids");
    bridge.apply(plan("4", Some("one"), "b")).await.unwrap();
    assert_eq!(queuing(&bridge), 1);

    bridge.apply(plan("5", Some("two"), "b")).await.unwrap();
    assert_eq!(queuing(&bridge), 0, "deleted and made again under its name");
    publish(&bridge);
    assert_eq!(queuing(&bridge), 1);
    // What the one before had could not be sent in time, and that stays to be seen.
    let deadline = Instant::now() + Duration::from_secs(30);
    while bridge.snapshot().removed_sink_records_lost < 1 {
        assert!(Instant::now() < deadline, "the loss is not counted");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    bridge.stop(Instant::now()).await;
}

#[tokio::test]
async fn another_generation_is_noted_and_touches_nothing() {
    let bridge = Bridge::start(plan("1", Some("one"), "a"), options()).await.unwrap();
    let mut next = plan("1", Some("one"), "a");
    next.sinks[0].generation = Some(9);
    assert_eq!(bridge.apply(next).await.unwrap(), Applied::Nothing);
    assert_eq!(bridge.plan().sinks[0].generation, Some(9));
    bridge.stop(Instant::now()).await;
}
