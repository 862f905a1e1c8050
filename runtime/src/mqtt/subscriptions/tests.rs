use super::*;
use crate::message::{MessageIds, Publisher};
use crate::mqtt::codec::Version;
use crate::mqtt::settings::Settings;

fn publisher(client_id: &str) -> Arc<Publisher> {
    Arc::new(Publisher { client_id: client_id.into(), username: None, peer: None })
}

fn session(number: u32, queued: usize) -> Arc<Session> {
    let settings = Settings { max_queued_messages: queued, ..Settings::default() };
    Arc::new(Session::new(number, Version::V311, publisher("a"), 0, Arc::new(settings), 0))
}

fn message(topic: &str) -> Message {
    Message {
        id: MessageIds::new().next(0),
        topic: topic.into(),
        payload: "x".into(),
        qos: QoS::AtLeastOnce,
        dup: false,
        retain: false,
        publisher: publisher("source"),
        properties: None,
        received_at: 0,
    }
}

fn options(qos: QoS) -> SubscriptionOptions {
    SubscriptionOptions { qos, no_local: false }
}

/// What waits for a session, by QoS.
fn queued(session: &Session) -> [usize; 2] {
    let mut deliveries = Vec::new();
    session.take_deliveries(&mut deliveries, usize::MAX, usize::MAX, usize::MAX);
    [QoS::AtMostOnce, QoS::AtLeastOnce]
        .map(|qos| deliveries.iter().filter(|delivery| delivery.frame.qos() == qos).count())
}

#[test]
fn subscribers_of_one_filter_come_and_go_in_linear_time() {
    let time = |count: u32| {
        let subscriptions = Subscriptions::new();
        let sessions: Vec<_> = (0..count).map(|number| session(number, 1)).collect();
        let started = Instant::now();
        for session in &sessions {
            subscriptions.subscribe(session, "fleet/#", options(QoS::AtMostOnce));
        }
        assert_eq!(subscriptions.len(), sessions.len());
        for session in &sessions {
            subscriptions.remove_session(session, ["fleet/#"]);
        }
        let took = started.elapsed();
        assert!(subscriptions.is_empty());
        took
    };
    // The best of three: other processes can only add to it.
    let best = |count| (0..3).map(|_| time(count)).min().unwrap();
    let (few, many) = (best(10_000), best(100_000));
    // Ten times as many take ten times as long; looking at each of them would take a hundred times as long.
    assert!(many < few * 40, "{few:?} for 10,000 and {many:?} for 100,000");
}

#[test]
fn each_session_is_served_once_however_many_there_are_and_filters_they_have() {
    let filters = ["t/+", "t/#", "t/x", "#", "+/x", "+/+", "+/#"];
    for count in [1, 2, 31, 32, 33, 64, 65, 1000] {
        let subscriptions = Subscriptions::new();
        let sessions: Vec<_> = (0..count).map(|number| session(number, 10)).collect();
        for (round, filter) in filters.iter().enumerate() {
            for session in &sessions {
                // One of its filters grants QoS 1 to each second session.
                let one = session.number % 2 == 0 && session.number as usize % filters.len() == round;
                let qos = if one { QoS::AtLeastOnce } else { QoS::AtMostOnce };
                subscriptions.subscribe(session, filter, options(qos));
            }
        }
        assert_eq!(subscriptions.deliver(&message("t/x"), None), sessions.len());
        for session in &sessions {
            let expected = if session.number % 2 == 0 { [0, 1] } else { [1, 0] };
            assert_eq!(queued(session), expected, "session {} of {count}", session.number);
        }
    }
}

#[test]
fn a_crowd_is_served_without_the_lock_of_the_filters() {
    let subscriptions = Arc::new(Subscriptions::new());
    let sessions: Vec<_> = (0..1000).map(|number| session(number, 1)).collect();
    for session in &sessions {
        subscriptions.subscribe(session, "t", options(QoS::AtMostOnce));
    }
    // The publisher gets stuck at one of the sessions, as far as anybody else can tell.
    let stuck = sessions[500].hold_outbox();
    let publishing = std::thread::spawn({
        let subscriptions = Arc::clone(&subscriptions);
        move || subscriptions.deliver(&message("t"), None)
    });
    while queued(&sessions[0]) == [0, 0] {
        std::thread::yield_now();
    }
    // Would wait for ever if the publisher held the lock.
    subscriptions.subscribe(&session(5000, 1), "u", options(QoS::AtMostOnce));
    drop(stuck);
    assert_eq!(publishing.join().unwrap(), sessions.len());
}
