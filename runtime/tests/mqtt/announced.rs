//! What the server offers is announced to 5.0 clients, and what it does not offer is refused to 3.1.1 clients.

use isthmus_runtime::mqtt::codec::Version::{self, V5, V311};
use isthmus_runtime::mqtt::{Settings, Users};

use crate::client::{CONNACK_V311, Client, Hello, subscribe, unsubscribe};
use crate::edge::{Edge, settings};

#[tokio::test]
async fn connack_announces_what_is_offered() {
    let edge = Edge::start_with(Settings {
        receive_maximum: 7,
        max_packet_size: 0x0001_0203,
        max_keep_alive: 60,
        ..settings()
    });
    let offered = [
        &[0x21, 0, 7][..],   // Receive Maximum
        &[0x24, 1],          // Maximum QoS 1
        &[0x25, 0],          // no retained messages
        &[0x27, 0, 1, 2, 3], // Maximum Packet Size
        &[0x28, 1],          // wildcards
        &[0x29, 0],          // no subscription identifiers
        &[0x2A, 0],          // no shared subscriptions
    ]
    .concat();
    let hello = Hello { client_id: "a", keep_alive: 30, ..Hello::default() };
    let (_client, connack) = Client::connect_with(&edge, V5, &hello).await;
    assert_eq!(connack, [&[0x20, 3 + offered.len() as u8, 0, 0, offered.len() as u8], &offered[..]].concat());

    // A keep alive above the limit, or none, is replaced; a session is not kept; a missing client id is assigned.
    for keep_alive in [0, 61] {
        let hello =
            Hello { client_id: "", keep_alive, properties: &[0x11, 0, 0, 0, 9], persistent: true, ..Hello::default() };
        let (_client, connack) = Client::connect_with(&edge, V5, &hello).await;
        let properties = &connack[5..];
        assert_eq!(properties[..5], [0x11, 0, 0, 0, 0], "session expiry 0");
        assert_eq!(properties[properties.len() - 3..], [0x13, 0, 60], "server keep alive");
        let text = String::from_utf8_lossy(properties);
        assert!(text.contains("isthmus-"), "{text:?}");
    }
}

#[tokio::test]
async fn sessions_that_cannot_be_kept_are_refused_to_3_1_1_clients() {
    let edge = Edge::start();
    for client_id in ["a", ""] {
        let hello = Hello { client_id, persistent: true, ..Hello::default() };
        let (mut client, connack) = Client::connect_with(&edge, V311, &hello).await;
        assert_eq!(connack, [0x20, 2, 0, 2]);
        client.expect_closed().await;
    }
    let (_client, connack) = Client::connect_with(&edge, V311, &Hello::default()).await;
    assert_eq!(connack, CONNACK_V311, "a clean session needs no client id");
}

#[tokio::test]
async fn wills_that_cannot_be_kept_are_refused() {
    let edge = Edge::start();
    for (flags, topic, v5, v311) in [
        (0x20, "will", 0x9A, Some(3)),
        (0x10, "will", 0x9B, Some(3)),
        (0, "$SYS/will", 0x90, None),
        (0, "w/#", 0x90, None),
    ] {
        let hello = Hello { client_id: "a", will: Some((flags, &[], topic, b"gone")), ..Hello::default() };
        let (mut client, connack) = Client::connect_with(&edge, V5, &hello).await;
        assert_eq!(connack[3], v5);
        client.expect_closed().await;
        let mut client = Client::open(&edge, V311).await;
        client.send(&hello.packet(V311)).await;
        assert_eq!(client.next().await.map(|connack| connack[3]), v311);
    }
    let hello = Hello { will: Some((0, &[0x01, 1], "will", &[0xff])), ..Hello::default() };
    assert_eq!(Client::connect_with(&edge, V5, &hello).await.1[3], 0x99);
}

#[tokio::test]
async fn filters_are_answered_one_by_one() {
    let edge = Edge::start();
    let filters = [
        ("a/+/#", 0),
        ("a/b", 1),
        ("a/b", 2),
        ("a#", 0),
        ("$share/group/a", 0),
        ("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", 0),
        ("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", 0),
    ];
    let mut client = Client::connect(&edge, V5, "five").await;
    client.send(&subscribe(V5, 5, &filters)).await;
    client.expect(&[0x90, 10, 0, 5, 0, 0, 1, 1, 0x8F, 0x9E, 0, 0x8F]).await;
    assert_eq!(edge.subscriptions.len(), 3, "a/b replaced itself");
    let mut client = Client::connect(&edge, V311, "three").await;
    client.send(&subscribe(V311, 5, &filters)).await;
    client.expect(&[0x90, 9, 0, 5, 0, 1, 1, 0x80, 0x80, 0, 0x80]).await;
    assert_eq!(edge.broker.snapshot().subscriptions_refused, [2, 4, 0], "shared, filter, limit");
}

#[tokio::test]
async fn a_client_holds_no_more_subscriptions_than_it_may() {
    async fn answers(client: &mut Client, version: Version, filters: &[(&str, u8)]) -> Vec<u8> {
        client.send(&subscribe(version, 1, filters)).await;
        let answer = client.packet().await;
        answer[answer.len() - filters.len()..].to_vec()
    }
    let edge = Edge::start_with(Settings { max_subscriptions: 2, ..settings() });
    for (version, refused) in [(V5, 0x97), (V311, 0x80)] {
        let mut client = Client::connect(&edge, version, "a").await;
        let filters = [("a", 0), ("a", 1), ("b", 1), ("c", 1), ("d/#", 0)];
        assert_eq!(answers(&mut client, version, &filters).await, [0, 1, 1, refused, refused]);
        assert_eq!(edge.subscriptions.len(), 2);
        // In the place of one that it has.
        assert_eq!(answers(&mut client, version, &[("b", 0), ("e", 0)]).await, [0, refused]);
        client.send(&unsubscribe(version, 2, &["a"])).await;
        client.packet().await;
        assert_eq!(answers(&mut client, version, &[("c", 1), ("e", 0)]).await, [1, refused]);
        client.ping().await;
    }
    assert_eq!(edge.broker.snapshot().subscriptions_refused, [0, 0, 8]);
}

#[tokio::test]
async fn credentials_decide_who_connects() {
    let (users, problems) =
        Users::from_entries([("plain", "plain:secret".to_owned()), ("hashed", bcrypt::hash("secret", 4).unwrap())]);
    assert_eq!(problems, []);
    let edge = Edge::start_with(Settings { anonymous: false, users: Some(users.clone()), ..settings() });
    let attempt = async |username, password| {
        let hello = Hello { client_id: "a", username, password, ..Hello::default() };
        let v5 = Client::connect_with(&edge, V5, &hello).await.1[3];
        let v311 = Client::connect_with(&edge, V311, &hello).await.1[3];
        (v5, v311)
    };
    for username in ["plain", "hashed"] {
        assert_eq!(attempt(Some(username), Some("secret")).await, (0, 0));
        assert_eq!(attempt(Some(username), Some("Secret")).await, (0x86, 4));
        assert_eq!(attempt(Some(username), None).await.0, 0x86);
    }
    assert_eq!(attempt(Some("nobody"), Some("secret")).await, (0x86, 4));
    assert_eq!(attempt(None, None).await, (0x87, 5));
    // New settings count for the next connection.
    edge.broker.set_settings(Settings { anonymous: true, users: Some(users), ..settings() });
    assert_eq!(attempt(None, None).await, (0, 0));
    assert_eq!(attempt(Some("nobody"), Some("secret")).await, (0x86, 4));
}

#[tokio::test]
async fn more_clients_than_allowed_are_refused_but_may_take_over() {
    let edge = Edge::start_with(Settings { max_connections: 1, ..settings() });
    let mut first = Client::connect(&edge, V5, "one").await;
    for (version, code) in [(V5, 0x97), (V311, 3)] {
        let hello = Hello { client_id: "two", ..Hello::default() };
        assert_eq!(Client::connect_with(&edge, version, &hello).await.1[3], code);
    }
    let mut again = Client::connect(&edge, V5, "one").await;
    first.expect_disconnect(0x8E).await;
    again.ping().await;
    drop(again);
    edge.until(|counted| counted.connections == 0).await;
    Client::connect(&edge, V5, "two").await;
}
