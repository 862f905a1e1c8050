//! The parts of the environment by themselves: when these fail, the fault is not Isthmus's.

use std::time::Duration;

use isthmus_tests::Result;
use isthmus_tests::kafka::Kafka;

#[test]
fn kafka_gives_back_what_an_independent_client_wrote() -> Result<()> {
    let kafka = Kafka::shared()?;
    let topic = kafka.topic("harness")?;
    kafka.write(&topic, "car-7", "two\nlines", &[("site", "north")])?;
    let records = kafka.read(&topic, 1, Duration::from_secs(20))?;
    assert_eq!(records[0].key.as_deref(), Some("car-7"));
    assert_eq!(records[0].value.as_deref(), Some("two\nlines"));
    assert_eq!(records[0].headers["site"], "north");
    let lines = kafka.console_consumer(&topic, 1, &["print.key=true", "print.value=false"])?;
    assert_eq!(lines, ["car-7"]);
    Ok(())
}

#[test]
fn kafka_keeps_its_records_over_a_crash() -> Result<()> {
    let mut kafka = Kafka::private()?;
    let topic = kafka.topic("harness")?;
    kafka.write(&topic, "k", "v", &[])?;
    kafka.broker()?.crash()?;
    kafka.broker()?.start_again()?;
    assert_eq!(kafka.read_all(&topic)?.len(), 1);
    Ok(())
}
