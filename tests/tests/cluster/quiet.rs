//! An operator with nothing to do does nothing, and with much to do little.

use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::{eventually, throughout};
use isthmus_tests::kubernetes::audit::Entry;
use isthmus_tests::kubernetes::{ControlPlane, Namespace};
use isthmus_tests::manifest::{self, Resource, rule, sink};
use isthmus_tests::operator::{self, Operator};
use serde_json::Value;

use crate::shared;

const BRIDGES: usize = 50;
const RULES: usize = 500;
/// How long a cold start may take for all of them, on a machine that runs other tests as well.
const CONVERGED: Duration = Duration::from_secs(180);
/// How long nothing may be written. Shorter than any period of the operator would prove nothing.
const QUIET: Duration = Duration::from_secs(20);

/// Bridges without pods, so that the machine is not what is measured; rules spread over them.
fn resources() -> Vec<Resource> {
    let mut resources = Vec::new();
    for bridge in 0..BRIDGES {
        let (bridge_name, kafka, topic) =
            (format!("fleet-{bridge}"), format!("kafka-{bridge}"), format!("load-{bridge}"));
        resources.push(manifest::bridge().named(&bridge_name).with("replicas", 0));
        resources.push(manifest::connector().named(&kafka).with("bridgeRef.name", bridge_name.as_str()));
        resources.push(sink(&topic, "load").with("connectorRef.name", kafka.as_str()));
        for number in 0..RULES / BRIDGES {
            let sql = format!(r#"SELECT payload, {number} AS number FROM "load/#""#);
            let name = format!("rule-{bridge}-{number}");
            resources.push(rule(&name, &sql).with("bridgeRef.name", bridge_name.as_str()).to_sink(&topic));
        }
    }
    resources
}

/// How many objects of a kind the operator has not finished with.
fn unfinished(namespace: &Namespace<'_>, plural: &str) -> Result<usize> {
    let items = namespace.objects(plural)?;
    let finished = |item: &&Value| item["status"]["observedGeneration"] == item["metadata"]["generation"];
    Ok(items.len() - items.iter().filter(finished).count())
}

fn wait_until_observed(namespace: &Namespace<'_>) -> Result<()> {
    eventually("every object has been looked at", CONVERGED, || {
        for plural in ["bridges", "connectors", "sinks", "rules"] {
            let unfinished = unfinished(namespace, plural)?;
            ensure!(unfinished == 0, "{unfinished} {plural} are not finished");
        }
        Ok(())
    })
}

/// Waits until the operator has written nothing for a while.
fn wait_until_quiet(control_plane: &ControlPlane) -> Result<usize> {
    let (mut count, mut since) = (0, Instant::now());
    eventually("the operator has come to rest", CONVERGED, || {
        let now = operator::writes(control_plane)?.len();
        if now != count {
            (count, since) = (now, Instant::now());
        }
        if since.elapsed() > Duration::from_secs(5) { Ok(now) } else { Err(anyhow!("{now} writes")) }
    })
}

fn newest(writes: &[Entry], count: usize) -> String {
    writes[count..].iter().map(|write| format!("{write:?}")).collect::<Vec<_>>().join("\n")
}

#[test]
fn operator_with_nothing_to_do_writes_nothing() -> Result<()> {
    let control_plane = ControlPlane::start()?;
    shared::install(&control_plane)?;
    operator::install(&control_plane)?;
    let namespace = Namespace::create(&control_plane, "quiet")?;
    namespace.apply(&resources())?;

    let started = Instant::now();
    let mut operator = Operator::start(&control_plane, "operator-0", shared::RUNTIME_IMAGE)?;
    wait_until_observed(&namespace)?;
    println!("{BRIDGES} Bridges and {RULES} Rules: every one observed {:?} after a cold start", started.elapsed());
    let memory = operator.process().resident_memory()?;
    println!("operator: {} MB private", memory.private >> 20);
    let settled = wait_until_quiet(&control_plane)?;
    throughout("nothing is written", QUIET, || {
        let writes = operator::writes(&control_plane)?;
        ensure!(writes.len() == settled, "written for nothing:\n{}", newest(&writes, settled));
        Ok(true)
    })?;

    // A start is a visit to every object. Nothing has changed, so ten of them write nothing.
    for round in 0..10 {
        operator.process_mut().kill()?;
        operator = Operator::start(&control_plane, "operator-0", shared::RUNTIME_IMAGE)?;
        operator.wait_until_visited(BRIDGES)?;
        let writes = operator::writes(&control_plane)?;
        ensure!(writes.len() == settled, "restart {round} wrote:\n{}", newest(&writes, settled));
    }

    // And one changed rule is one plan and one status, not five hundred.
    let changed = rule("rule-7-3", r#"SELECT payload, 99 AS number FROM "load/#""#).with("bridgeRef.name", "fleet-7");
    namespace.apply(&[changed.to_sink("load-7")])?;
    wait_until_observed(&namespace)?;
    wait_until_quiet(&control_plane)?;
    let writes = operator::writes(&control_plane)?;
    ensure!(writes.len() > settled && writes.len() <= settled + 10, "{}", newest(&writes, settled));
    Ok(())
}
