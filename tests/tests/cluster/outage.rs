//! The operator's own troubles: a replica that dies, an API server that is away, no operator at all.
//!
//! These tests hurt what others share, so each has a control plane of its own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::{eventually, throughout};
use isthmus_tests::kubernetes::ControlPlane;
use isthmus_tests::kubernetes::kubelet::Kubelet;
use isthmus_tests::operator::{self, NAMESPACE, Operator};

use crate::fleet::{self, Fleet};
use crate::shared::{self, PATIENCE, RUNTIME_IMAGE};

/// How long the API server is away.
const AWAY: Duration = Duration::from_secs(60);

/// A control plane with the definitions and the operator's rights.
fn control_plane() -> Result<ControlPlane> {
    let control_plane = ControlPlane::start()?;
    shared::install(&control_plane)?;
    operator::install(&control_plane)?;
    Ok(control_plane)
}

/// Who holds the lease.
fn leader(control_plane: &ControlPlane) -> Result<String> {
    let path = format!("/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases");
    let leases: serde_json::Value = control_plane.api().get(&path)?.object()?;
    let holder = leases["items"][0]["spec"]["holderIdentity"].as_str().map(str::to_owned);
    holder.filter(|holder| !holder.is_empty()).with_context(|| format!("nobody leads: {leases}"))
}

#[test]
fn second_replica_takes_over_when_the_leader_is_killed() -> Result<()> {
    let control_plane = control_plane()?;
    let _kubelet = Kubelet::start(&control_plane, shared::images()?)?;
    let mut operators = vec![
        Operator::start(&control_plane, "operator-0", RUNTIME_IMAGE)?,
        Operator::start(&control_plane, "operator-1", RUNTIME_IMAGE)?,
    ];
    let fleet = Fleet::on(&control_plane, "leader")?;
    fleet.namespace.apply(&fleet.resources(1))?;
    fleet.wait_until_ready()?;
    let first = leader(&control_plane)?;
    let index = usize::from(first.contains("operator-1"));
    ensure!(first.contains(&format!("operator-{index}")), "an unknown leader: {first}");
    let mut dead = operators.remove(index);
    dead.process_mut().kill()?;
    eventually("the other one leads", PATIENCE, || {
        let now = leader(&control_plane)?;
        if now == first { Err(anyhow!("{now}")) } else { Ok(()) }
    })?;
    let before = fleet.pods(1)?;
    fleet.namespace.apply(&[fleet::stamp(2)])?;
    fleet.wait_until_ready()?;
    before[0].publish("x")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 2);
    assert_eq!(fleet.pods(1)?, before);
    Ok(())
}

#[test]
fn leader_that_is_told_to_stop_hands_over_at_once() -> Result<()> {
    let control_plane = control_plane()?;
    let mut first = Operator::start(&control_plane, "operator-0", RUNTIME_IMAGE)?;
    eventually("the first one leads", PATIENCE, || {
        let now = leader(&control_plane)?;
        if now.contains("operator-0") { Ok(()) } else { Err(anyhow!("{now}")) }
    })?;
    let _second = Operator::start(&control_plane, "operator-1", RUNTIME_IMAGE)?;
    first.process().signal(isthmus_tests::process::Signal::TERM)?;
    let status = first.process_mut().wait(Duration::from_secs(30))?;
    assert!(status.success(), "{status}");
    // A lease that is not given up is taken after its 15 s at the earliest.
    eventually("the second one leads", Duration::from_secs(10), || {
        let now = leader(&control_plane)?;
        if now.contains("operator-1") { Ok(()) } else { Err(anyhow!("{now}")) }
    })
}

#[test]
fn data_flows_while_the_api_server_is_away_and_changes_follow_its_return() -> Result<()> {
    let mut control_plane = control_plane()?;
    let _kubelet = Kubelet::start(&control_plane, shared::images()?)?;
    let mut operator = Operator::start(&control_plane, "operator-0", RUNTIME_IMAGE)?;
    let (name, topic) = {
        let fleet = Fleet::on(&control_plane, "away")?;
        fleet.namespace.apply(&fleet.resources(1))?;
        fleet.wait_until_ready()?;
        (fleet.namespace.name().to_owned(), fleet.topic.clone())
    };
    let before = Fleet::attach(&control_plane, &name, &topic)?.pods(1)?;
    control_plane.stop_api_server()?;
    let mut published = 0;
    throughout("data flows", AWAY, || {
        before[0].publish("meanwhile")?;
        published += 1;
        operator.process_mut().is_running()
    })
    .with_context(|| format!("the operator:\n{}", operator.process().output()))?;
    control_plane.start_api_server()?;
    let fleet = Fleet::attach(&control_plane, &name, &topic)?;
    assert_eq!(fleet.kafka.read_all(&fleet.topic)?.len(), published);
    let returned = Instant::now();
    fleet.namespace.apply(&[fleet::stamp(2)])?;
    fleet.wait_until_ready()?;
    println!(
        "{published} messages while the API server was away for {AWAY:?}; an edit took {:?} then",
        returned.elapsed()
    );
    before[0].publish("after")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 2);
    assert_eq!(fleet.pods(1)?, before, "the same pod, not restarted");
    Ok(())
}

#[test]
fn namespace_goes_without_an_operator() -> Result<()> {
    let control_plane = control_plane()?;
    let _kubelet = Kubelet::start(&control_plane, shared::images()?)?;
    let mut operator = Operator::start(&control_plane, "operator-0", RUNTIME_IMAGE)?;
    let fleet = Fleet::on(&control_plane, "no-operator")?;
    fleet.namespace.apply(&fleet.resources(1))?;
    fleet.wait_until_ready()?;
    operator.process_mut().kill()?;
    let name = fleet.namespace.name();
    fleet.namespace.kubectl().run(&["delete", "namespace", name, "--timeout=110s"])?;
    Ok(())
}
