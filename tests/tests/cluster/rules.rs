//! Rules that change, and Rules that are wrong.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use isthmus_tests::Result;
use isthmus_tests::manifest::rule;
use isthmus_tests::mosquitto::Version::V5;
use isthmus_tests::mqtt::Client;

use crate::fleet::{self, Fleet};

/// The promise, kept by the unoptimized build beside other tests too.
const PROGRAMMED: Duration = Duration::from_secs(2);

#[test]
fn edited_rule_is_programmed_on_every_pod_without_a_restart() -> Result<()> {
    let fleet = Fleet::ready("edit", 3)?;
    let before = fleet.pods(3)?;
    let mut devices = Vec::new();
    for pod in &before {
        devices.push(Client::connect(pod.mqtt(), V5, &format!("device-{}", pod.name))?);
    }
    let mut times = Vec::new();
    for version in 2..=8 {
        let applied = Instant::now();
        fleet.namespace.apply(&[fleet::stamp(version)])?;
        fleet.wait("rules", "stamp", "Programmed", "True")?;
        times.push(applied.elapsed());
        // Programmed means every pod: each device stays connected, and sees the new rule at once.
        for device in &mut devices {
            assert_eq!(device.publish_and_wait("load/1", b"x")?, 0);
            assert_eq!(fleet.newest_record()?.json()?["version"], version);
        }
    }
    assert_eq!(fleet.pods(3)?, before, "the same pods, none restarted");
    times.sort();
    let median = times[times.len() / 2];
    println!("kubectl apply to Programmed on 3 pods: median {median:?}, all {times:?}");
    assert!(median < PROGRAMMED, "{times:?}");
    Ok(())
}

#[test]
fn bad_sql_is_shown_with_line_column_and_caret_and_hurts_no_other_rule() -> Result<()> {
    let fleet = Fleet::ready("bad-sql", 1)?;
    let bad = rule("bad", "SELECT payload.speed AS speed\nFROM \"load/#\"\nWHERE payload.speed >> 120").to_sink("load");
    fleet.namespace.apply(&[bad])?;
    let accepted = fleet.wait("rules", "bad", "Accepted", "False")?;
    let message = accepted["message"].as_str().context("no message")?;
    insta::assert_snapshot!(format!("{}: {message}", accepted["reason"].as_str().unwrap_or_default()));
    fleet.wait("rules", "bad", "Ready", "False")?;
    let listed = fleet.namespace.kubectl().run(&["get", "rule", "bad", "-o", "wide"])?;
    assert!(listed.contains(accepted["reason"].as_str().unwrap_or_default()), "{listed}");

    // The good one goes on, and goes on changing.
    fleet.namespace.apply(&[fleet::stamp(2)])?;
    fleet.wait("rules", "stamp", "Ready", "True")?;
    fleet.pods(1)?[0].publish("x")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 2);

    let good = rule("bad", "SELECT payload.speed AS speed\nFROM \"load/#\"\nWHERE payload.speed > 120").to_sink("load");
    fleet.namespace.apply(&[good])?;
    fleet.wait("rules", "bad", "Ready", "True")?;
    Ok(())
}
