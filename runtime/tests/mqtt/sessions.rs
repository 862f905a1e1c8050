//! Sessions: keep alive, takeover, wills, drain, and that nothing stays behind.

use std::time::{Duration, Instant};

use isthmus_runtime::mqtt::Settings;
use isthmus_runtime::mqtt::codec::Version::{V5, V311};
use isthmus_runtime::mqtt::counters::Ending;
use isthmus_runtime::receipt::Outcome;

use crate::client::{Client, Hello, publish};
use crate::edge::{Edge, settings};

#[tokio::test]
async fn silent_clients_are_disconnected_and_others_are_not() {
    let edge = Edge::start();
    let mut patient = Client::connect(&edge, V311, "without keep alive").await;
    for version in [V5, V311] {
        let hello = Hello { client_id: "silent", keep_alive: 1, ..Hello::default() };
        let started = Instant::now();
        let (mut silent, _) = Client::connect_with(&edge, version, &hello).await;
        silent.expect_disconnect(0x8D).await;
        assert!(started.elapsed() >= Duration::from_millis(1500), "{:?}", started.elapsed());
    }
    patient.ping().await;
    assert_eq!(edge.broker.snapshot().sessions_ended[Ending::KeepAlive as usize], 2);
}

#[tokio::test]
async fn a_client_that_is_made_to_wait_is_not_silent() {
    let edge = Edge::start_with(Settings { receive_maximum: 1, ..settings() });
    edge.routed.hold();
    let hello = Hello { client_id: "a", keep_alive: 1, ..Hello::default() };
    let (mut client, _) = Client::connect_with(&edge, V311, &hello).await;
    client.send(&publish(V311, "t", 1, b"x")).await;
    client.send(&publish(V311, "t", 2, b"x")).await;
    edge.routed.wait_for(1).await;
    tokio::time::sleep(Duration::from_millis(2600)).await;
    edge.routed.take_held().remove(0).resolve(Outcome::Safe);
    client.expect(&[0x40, 2, 0, 1]).await;
    edge.routed.wait_for(2).await;
}

#[tokio::test]
async fn a_client_id_that_connects_again_takes_over() {
    let edge = Edge::start();
    for version in [V5, V311] {
        let mut old = Client::connect(&edge, version, "car").await;
        old.subscribe("t", 0).await;
        let mut new = Client::connect(&edge, version, "car").await;
        old.expect_disconnect(0x8E).await;
        new.send(&publish(version, "t", 1, b"x")).await;
        assert_eq!(new.packet().await[0], 0x40, "the old subscription is gone");
        new.ping().await;
        edge.until(|counted| counted.connections == 1 && counted.subscriptions == 0).await;
        drop(new);
        edge.until(|counted| counted.connections == 0).await;
    }
}

#[tokio::test]
async fn nothing_stays_of_a_client_that_went() {
    let edge = Edge::start();
    for ending in 0..3 {
        let mut client = Client::connect(&edge, V5, "a").await;
        client.subscribe("a/+", 1).await;
        client.subscribe("b", 1).await;
        assert_eq!(edge.broker.snapshot().subscriptions, 2);
        match ending {
            0 => client.send(&[0xE0, 0]).await,
            1 => client.send(&[0x00]).await,
            _ => drop(client),
        }
        edge.until(|counted| (counted.connections, counted.subscriptions) == (0, 0)).await;
    }
}

#[tokio::test]
async fn wills_are_published_unless_the_client_says_goodbye() {
    let edge = Edge::start();
    let mut watcher = Client::connect(&edge, V5, "watcher").await;
    watcher.subscribe("gone/#", 1).await;
    // Message expiry 60 s, will delay 100 s (moot: the session ends with the connection), payload format 1.
    let properties = &[0x02, 0, 0, 0, 60, 0x18, 0, 0, 0, 100, 0x01, 1];
    let hello = Hello { client_id: "a", will: Some((0x08, properties, "gone/a", b"bye")), ..Hello::default() };
    for (version, last) in [
        (V5, &[][..]), // the connection breaks
        (V311, &[]),
        (V5, &[0x00]),             // a violation
        (V5, &[0xE0, 1, 0x04]),    // DISCONNECT with will
        (V5, &[0xE0, 2, 0x80, 0]), // DISCONNECT for an error
    ] {
        let (mut client, _) = Client::connect_with(&edge, version, &hello).await;
        client.send(last).await;
        drop(client);
        let will = watcher.delivery().await;
        assert_eq!((will.topic.as_str(), &will.payload[..]), ("gone/a", &b"bye"[..]));
        assert_ne!(will.packet_id, 0, "QoS 1");
        if version == V5 {
            assert_eq!(will.properties, [0x01, 1, 0x02, 0, 0, 0, 60]);
        }
    }
    // Silence, then a takeover.
    let (_silent, _) = Client::connect_with(&edge, V5, &Hello { keep_alive: 1, ..hello.clone() }).await;
    watcher.delivery().await;
    let (_old, _) = Client::connect_with(&edge, V5, &hello).await;
    let (mut client, _) = Client::connect_with(&edge, V5, &hello).await;
    watcher.delivery().await;
    // Goodbyes publish nothing.
    client.send(&[0xE0, 0]).await;
    client.expect_closed().await;
    let (mut client, _) = Client::connect_with(&edge, V311, &hello).await;
    client.send(&[0xE0, 0]).await;
    client.expect_closed().await;
    watcher.ping().await;
}

#[tokio::test]
async fn a_session_is_not_asked_for_when_leaving() {
    let edge = Edge::start();
    let expiry = &[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 9];
    let mut client = Client::connect(&edge, V5, "a").await;
    client.send(expiry).await;
    client.expect_disconnect(0x82).await;
    let hello = Hello { client_id: "a", properties: &[0x11, 0, 0, 0, 1], ..Hello::default() };
    let (mut client, _) = Client::connect_with(&edge, V5, &hello).await;
    client.send(expiry).await;
    client.expect_closed().await;
}

#[tokio::test]
async fn a_drain_acknowledges_what_is_under_way_and_says_goodbye() {
    let edge = Edge::start();
    edge.routed.hold();
    let mut idle = Client::connect(&edge, V311, "idle").await;
    let mut publisher = Client::connect(&edge, V5, "publisher").await;
    publisher.send(&publish(V5, "t", 1, b"x")).await;
    edge.routed.wait_for(1).await;
    edge.stop.cancel();
    let broker = edge.broker.clone();
    let drain = tokio::spawn(async move { broker.drain(Duration::from_secs(60)).await });
    idle.expect_closed().await;
    drop(idle);
    edge.routed.take_held().remove(0).resolve(Outcome::Safe);
    publisher.expect(&[0x40, 2, 0, 1]).await;
    publisher.expect_disconnect(0x8B).await;
    drop(publisher);
    let drained = drain.await.unwrap();
    assert_eq!((drained.clients, drained.unacknowledged), (2, 0));
    let refused = tokio::net::TcpStream::connect(edge.address).await;
    assert!(refused.is_err(), "the listener is closed");
}

#[tokio::test]
async fn a_drain_gives_up_at_its_deadline_and_says_what_was_left() {
    let edge = Edge::start();
    edge.routed.hold();
    let mut publisher = Client::connect(&edge, V5, "publisher").await;
    for packet_id in 1..=3 {
        publisher.send(&publish(V5, "t", packet_id, b"x")).await;
    }
    let mut undecided = Client::open(&edge, V5).await;
    edge.routed.wait_for(3).await;
    let broker = edge.broker.clone();
    let drain = tokio::spawn(async move { broker.drain(Duration::from_millis(200)).await });
    publisher.expect_disconnect(0x8B).await;
    drop(publisher);
    // It has not sent CONNECT and does not hold up the drain.
    undecided.expect_closed().await;
    let drained = drain.await.unwrap();
    assert_eq!((drained.clients, drained.unacknowledged), (1, 3));
    let mut late = Client::open(&edge, V5).await;
    late.expect_closed().await;
}
