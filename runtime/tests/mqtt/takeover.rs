//! A client identifier that connects again: the old session is over before the new one begins.

use bytes::BufMut;
use isthmus_runtime::mqtt::codec::Version::{V5, V311};
use isthmus_runtime::mqtt::counters::Ending;

use crate::client::{Client, Hello, publish};
use crate::edge::Edge;

#[tokio::test]
async fn the_will_of_the_old_connection_comes_before_the_birth_message_of_the_new_one() {
    let edge = Edge::start();
    let mut count = 0;
    for version in [V5, V311] {
        let hello = Hello { client_id: "car", will: Some((0, &[], "state", b"gone")), ..Hello::default() };
        let (mut old, _) = Client::connect_with(&edge, version, &hello).await;
        old.subscribe("state", 0).await;
        let mut new = Client::open(&edge, version).await;
        let mut first = Hello { client_id: "car", ..Hello::default() }.packet(version);
        first.put_slice(&publish(version, "state", 0, b"born"));
        new.send(&first).await;
        assert_eq!(new.packet().await[0], 0x20);
        assert_eq!(edge.broker.snapshot().subscriptions, 0, "the old subscriptions are over");
        count += 2;
        let routed = edge.routed.wait_for(count).await;
        let payloads: Vec<_> = routed[count - 2..].iter().map(|message| &message.payload[..]).collect();
        assert_eq!(payloads, [&b"gone"[..], b"born"]);
        new.send(&[0xE0, 0]).await;
        new.expect_closed().await;
        edge.until(|counted| counted.connections == 0).await;
    }
}

#[tokio::test]
async fn an_old_connection_that_does_not_read_holds_up_nobody() {
    let edge = Edge::start();
    let hello = Hello { client_id: "car", will: Some((0, &[], "gone", b"bye")), ..Hello::default() };
    let (mut old, _) = Client::connect_with(&edge, V5, &hello).await;
    old.subscribe("t", 0).await;
    let mut publisher = Client::connect(&edge, V5, "publisher").await;
    let payload = vec![b'x'; 64 * 1024];
    for _ in 0..240 {
        publisher.send(&publish(V5, "t", 0, &payload)).await;
    }
    publisher.ping().await;
    let started = std::time::Instant::now();
    let mut new = Client::connect(&edge, V5, "car").await;
    new.ping().await;
    assert!(started.elapsed() < std::time::Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(edge.routed.messages.lock().last().map(|message| message.topic.to_string()), Some("gone".into()));
}

#[tokio::test]
async fn a_storm_of_one_client_identifier_leaves_one_session() {
    const STORM: usize = 200;
    let edge = Edge::start();
    let hello = Hello { client_id: "car", will: Some((0, &[], "gone", b"bye")), ..Hello::default() };
    let mut clients = Vec::new();
    for _ in 0..STORM {
        let mut client = Client::open(&edge, V5).await;
        client.send(&hello.packet(V5)).await;
        clients.push(client);
    }
    edge.until(|counted| counted.sessions_ended[Ending::TakenOver as usize] as usize == STORM - 1).await;
    edge.routed.wait_for(STORM - 1).await;
    let mut alive = 0;
    for client in &mut clients {
        assert_eq!(client.packet().await[0], 0x20);
        client.send(&[0xC0, 0]).await;
        alive += usize::from(client.packet().await[0] == 0xD0);
    }
    assert_eq!((alive, edge.broker.snapshot().connections), (1, 1));
}
