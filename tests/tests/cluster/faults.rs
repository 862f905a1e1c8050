//! An API server with faults: requests refused, watches broken off, history gone. The operator comes through with no
//! edit lost, and says nothing wrong meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::kubernetes::faults::{Refusal, Request, Seen};
use isthmus_tests::kubernetes::kubelet::Kubelet;
use isthmus_tests::kubernetes::{ControlPlane, Faults};
use isthmus_tests::manifest::rule;
use isthmus_tests::operator::{self, Operator};

use crate::fleet::{self, Fleet};
use crate::shared::{self, Once, PATIENCE, RUNTIME_IMAGE};

/// A control plane whose operator sees it through [`Faults`].
struct Cluster {
    control_plane: ControlPlane,
    _kubelet: Kubelet,
    faults: Faults,
    operator: Operator,
}

impl Cluster {
    fn start() -> Result<Self> {
        let control_plane = shared::start()?;
        operator::install(&control_plane)?;
        let kubelet = Kubelet::start(&control_plane, shared::images()?)?;
        let faults = Faults::start(&operator::credentials(&control_plane, "operator-0")?)?;
        let mut operator = Operator::start_behind(&control_plane, &faults, "operator-0", RUNTIME_IMAGE)?;
        operator.wait_until_ready()?;
        Ok(Self { control_plane, _kubelet: kubelet, faults, operator })
    }
}

/// One for the tests that leave it as it was.
fn cluster() -> Result<&'static Cluster> {
    static CLUSTER: Once<Cluster> = Once::new();
    shared::once(&CLUSTER, Cluster::start)
}

/// What conditions of a fleet that works may say while a Rule changes.
const HARMLESS: [&str; 9] = [
    "Accepted",
    "AcceptedWithWarnings",
    "Resolved",
    "Programmed",
    "Programming",
    "Available",
    "Connected",
    "MemorySufficient",
    "Ready",
];

fn reasons(fleet: &Fleet<'_>) -> Result<BTreeSet<String>> {
    let mut reasons = BTreeSet::new();
    for plural in ["bridges", "connectors", "sinks", "rules"] {
        for object in fleet.namespace.objects(plural)? {
            let conditions = object["status"]["conditions"].as_array().context("no conditions")?;
            reasons.extend(conditions.iter().filter_map(|condition| condition["reason"].as_str().map(str::to_owned)));
        }
    }
    Ok(reasons)
}

/// When the same request came again after it was refused.
fn again(refused: &Seen, later: &[Seen]) -> Option<Duration> {
    let same = |seen: &&Seen| seen.request.path == refused.request.path && seen.at > refused.at;
    later.iter().find(same).map(|seen| seen.at - refused.at)
}

#[test]
fn refused_writes_are_made_again_and_nothing_wrong_is_said() -> Result<()> {
    let Cluster { control_plane, faults, .. } = cluster()?;
    let fleet = Fleet::on(control_plane, "refused")?;
    fleet.namespace.apply(&fleet.resources(1))?;
    fleet.wait_until_ready()?;
    let pod = fleet.pods(1)?;
    let refusals = [
        Refusal { code: 409, reason: "Conflict", retry_after: None },
        Refusal { code: 429, reason: "TooManyRequests", retry_after: Some(1) },
        Refusal { code: 500, reason: "InternalError", retry_after: None },
        Refusal { code: 503, reason: "ServiceUnavailable", retry_after: None },
    ];
    for (version, refusal) in (2..).zip(refusals) {
        let ours = format!("/namespaces/{}/", fleet.namespace.name());
        let is_ours = move |request: &Request| request.method == "PATCH" && request.path.contains(&ours);
        let before = faults.refused().len();
        faults.refuse(3, refusal.clone(), is_ours);
        fleet.namespace.apply(&[fleet::stamp(version)])?;
        let mut said = BTreeSet::new();
        eventually(&format!("version {version} is in force in spite of {}", refusal.code), PATIENCE, || {
            said.append(&mut reasons(&fleet)?);
            let rule = fleet.namespace.object("rules", "stamp")?;
            let conditions = rule["status"]["conditions"].as_array().context("no conditions")?;
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready").context("no Ready")?;
            let newest = ready["observedGeneration"] == rule["metadata"]["generation"];
            ensure!(newest && ready["status"] == "True", "{ready}");
            Ok(())
        })?;
        pod[0].publish("x")?;
        assert_eq!(fleet.newest_record()?.json()?["version"], version);
        let wrong: Vec<_> = said.iter().filter(|reason| !HARMLESS.contains(&reason.as_str())).collect();
        assert!(wrong.is_empty(), "during {}: {wrong:?}", refusal.code);
        let refused = faults.refused().split_off(before);
        assert_eq!(refused.len(), 3, "{refused:?}");
        if let Some(seconds) = refusal.retry_after {
            let later: Vec<Seen> = refused.iter().cloned().chain(faults.passed()).collect();
            for refused in &refused {
                let pause = again(refused, &later).with_context(|| format!("never again: {refused:?}"))?;
                assert!(pause >= Duration::from_secs(seconds.into()), "asked again after {pause:?}");
            }
        }
    }
    assert_eq!(fleet.pods(1)?, pod, "the same pod, not restarted");
    Ok(())
}

#[test]
fn edits_that_no_watch_could_tell_of_are_not_lost() -> Result<()> {
    let Cluster { control_plane, faults, .. } = cluster()?;
    let fleet = Fleet::on(control_plane, "cut")?;
    fleet.namespace.apply(&fleet.resources(1))?;
    fleet.wait_until_ready()?;
    let pod = fleet.pods(1)?;
    for version in 2..=4 {
        let cut = faults.close(Request::is_watch);
        ensure!(cut > 0, "no watch was under way");
        fleet.namespace.apply(&[fleet::stamp(version), rule(&format!("new-{version}"), r#"SELECT * FROM "x""#)])?;
        if version > 2 {
            fleet.namespace.kubectl().run(&["delete", "rule", &format!("new-{}", version - 1), "--timeout=60s"])?;
        }
        faults.open();
        fleet.wait("rules", &format!("new-{version}"), "Ready", "True")?;
        fleet.wait_until_ready()?;
        pod[0].publish("x")?;
        assert_eq!(fleet.newest_record()?.json()?["version"], version);
    }
    let plan = fleet.namespace.other("v1", "configmaps/fleet-plan")?["data"]["plan.json"].to_string();
    assert!(plan.contains("new-4") && !plan.contains("new-2") && !plan.contains("new-3"), "{plan}");
    Ok(())
}

#[test]
fn history_that_etcd_has_forgotten_is_listed_anew() -> Result<()> {
    let mut cluster = Cluster::start()?;
    let (name, topic) = {
        let fleet = Fleet::on(&cluster.control_plane, "compacted")?;
        fleet.namespace.apply(&fleet.resources(1))?;
        fleet.namespace.apply(&[rule("gone", r#"SELECT * FROM "x""#)])?;
        fleet.wait_until_ready()?;
        fleet.wait("rules", "gone", "Ready", "True")?;
        cluster.faults.close(Request::is_watch);
        fleet.namespace.apply(&[fleet::stamp(2), rule("new", r#"SELECT * FROM "x""#)])?;
        fleet.namespace.kubectl().run(&["delete", "rule", "gone", "--timeout=60s"])?;
        (fleet.namespace.name().to_owned(), fleet.topic.clone())
    };
    // An API server that was just started remembers no more than etcd does.
    cluster.control_plane.compact()?;
    cluster.control_plane.stop_api_server()?;
    cluster.control_plane.start_api_server()?;
    cluster.faults.open();
    let fleet = Fleet::attach(&cluster.control_plane, &name, &topic)?;
    fleet.wait("rules", "new", "Ready", "True")?;
    fleet.wait_until_ready()?;
    fleet.pods(1)?[0].publish("x")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 2);
    let plan = fleet.namespace.other("v1", "configmaps/fleet-plan")?["data"]["plan.json"].to_string();
    assert!(!plan.contains("gone"), "{plan}");
    let output = cluster.operator.process().output();
    assert!(output.contains("too old resource version"), "no watch met the gap:\n{output}");
    Ok(())
}
