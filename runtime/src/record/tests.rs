//! The two commands against the embedded broker.

use std::io::Cursor;
use std::sync::Arc;
use std::time::Instant;

use super::*;
use crate::admin::Admin;
use crate::kafka::embedded::Embedded;
use crate::status::{LocalKafka, Observe, Snapshot};

fn write(value: &str) -> Write {
    Write { topic: "commands".to_owned(), key: Some("car-7".to_owned()), header: Vec::new(), value: value.to_owned() }
}

fn read() -> Read {
    Read { topic: "commands".to_owned(), max: None, no_follow: true, values: false, from_end: false }
}

async fn kafka() -> (Embedded, String) {
    let kafka = Embedded::start().await.unwrap();
    kafka.create_topics(["commands", "vehicles"]).await.unwrap();
    let bootstrap_servers = kafka.bootstrap_servers().to_owned();
    (kafka, bootstrap_servers)
}

/// Runs a blocking command and gives what it printed.
async fn printed(
    command: impl FnOnce(&mut Vec<u8>) -> Result<(), RecordError> + Send + 'static,
) -> Result<String, RecordError> {
    tokio::task::spawn_blocking(move || {
        let mut out = Vec::new();
        command(&mut out).map(|()| String::from_utf8(out).unwrap())
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_read_in_order_and_within_a_second() {
    let (_kafka, servers) = kafka().await;
    let at = servers.clone();
    let first = Write { header: vec![("site".to_owned(), "x".to_owned())], ..write("{\"do\":\"stop\"}") };
    let said = printed(move |out| first.run(&at, &mut io::empty(), out)).await.unwrap();
    assert_eq!(said, "written to commands, partition 0, offset 0\n");
    let at = servers.clone();
    let said = printed(move |out| write("-").run(&at, &mut Cursor::new("one\ntwo\r\n"), out)).await.unwrap();
    assert_eq!(said, "2 records written to commands\n");

    let started = Instant::now();
    let at = servers.clone();
    let lines = printed(move |out| Read { max: Some(3), no_follow: false, ..read() }.run(&at, out)).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    let fields: Vec<Vec<&str>> = lines.lines().map(|line| line.split("  ").collect()).collect();
    assert_eq!(fields[0][..2], ["0", "0"]);
    assert!(fields[0][2].starts_with("20") && fields[0][2].ends_with('Z'), "{lines}");
    assert_eq!(fields[0][3..], ["car-7", "{\"do\":\"stop\"}", "site=x"]);
    assert_eq!(fields[1][3..], ["car-7", "one"]);
    assert_eq!(fields[2][1..2], ["2"]);

    let values = printed(move |out| Read { values: true, ..read() }.run(&servers, out)).await.unwrap();
    assert_eq!(values, "{\"do\":\"stop\"}\none\ntwo\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_topic_lists_those_there_are_and_is_not_created() {
    let (_kafka, servers) = kafka().await;
    for _ in 0..2 {
        let at = servers.clone();
        let wrong = Write { topic: "comands".to_owned(), ..write("x") };
        let error = printed(move |out| wrong.run(&at, &mut io::empty(), out)).await.unwrap_err();
        assert_eq!(error.to_string(), "Kafka has no topic \"comands\"; it has: commands, vehicles");
    }
    let error = printed(move |out| Read { topic: "x".to_owned(), ..read() }.run(&servers, out)).await.unwrap_err();
    assert_eq!(error.to_string(), "Kafka has no topic \"x\"; it has: commands, vehicles");
}

struct Local(Option<String>);

impl Observe for Local {
    fn snapshot(&self) -> Snapshot {
        let kafka = self.0.clone().map(|bootstrap_servers| LocalKafka { bootstrap_servers, embedded: true });
        Snapshot { kafka, ..Snapshot::default() }
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

async fn found(kafka: Option<&str>) -> Result<String, RecordError> {
    let admin = Admin::bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = admin.address().to_string();
    let serving = admin.start(Arc::new(Local(kafka.map(str::to_owned)))).unwrap();
    let found = tokio::task::spawn_blocking(move || find::bootstrap_servers(&address)).await.unwrap();
    serving.end().await.unwrap();
    found
}

#[tokio::test]
async fn kafka_is_found_through_the_admin_port() {
    assert_eq!(found(Some("127.0.0.1:9")).await.unwrap(), "127.0.0.1:9");
    let error = found(None).await.unwrap_err().to_string();
    assert!(error.contains("is not `isthmus dev`: it is a pod, or not ready yet"), "{error}");
}

#[test]
fn without_a_local_mode_the_error_says_how_to_start_one() {
    let error = find::bootstrap_servers("http://127.0.0.1:1/").unwrap_err().to_string();
    assert_eq!(
        error,
        "no local mode answers on http://127.0.0.1:1: start `isthmus dev FILE` first, or point --admin at it"
    );
}
