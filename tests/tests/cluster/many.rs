//! Many Bridges, and many Rules of one Bridge: how fast, how large, and where it ends.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::kubernetes::Namespace;
use isthmus_tests::kubernetes::kubelet::Kubelet;
use isthmus_tests::manifest::{self, Resource, rule, sink};
use isthmus_tests::operator::{self, Operator};
use serde_json::Value;

use crate::fleet::{self, Fleet};
use crate::shared;

const NAMESPACES: usize = 5;
const BRIDGES: usize = 50;
const RULES: usize = 5_000;
/// How long a cold start may take for all of them. Alone on a machine of two cores it is 24 s, most of it the API server's
/// work on 5,000 statuses; here other tests share the cores.
const CONVERGED: Duration = Duration::from_secs(120);
/// What of it may be the operator's own work, unoptimized as it is here.
const WORK: Duration = Duration::from_secs(20);
const MEMORY: u64 = 100 << 20;
/// How long thousands of Rules may take that are created while the operator works, on a machine that runs other tests.
const LARGE: Duration = Duration::from_secs(300);

/// What belongs to one of the Bridges.
fn bridge(number: usize) -> Vec<Resource> {
    let (name, kafka, load) = (format!("fleet-{number}"), format!("kafka-{number}"), format!("load-{number}"));
    let mut resources = vec![
        manifest::bridge().named(&name),
        manifest::connector().named(&kafka).with("bridgeRef.name", name.as_str()),
        sink(&load, "load").with("connectorRef.name", kafka.as_str()),
    ];
    resources.extend((0..RULES / BRIDGES).map(|rule| numbered(&format!("rule-{number}-{rule}"), rule, &name, &load)));
    resources
}

/// A Rule as people write them.
fn numbered(name: &str, number: usize, bridge: &str, sink: &str) -> Resource {
    let sql = format!(
        r#"SELECT payload.speed AS speed, payload.position AS position, clientid, timestamp FROM "site-{number}/vehicles/+/telemetry" WHERE payload.speed > {number} AND payload.driver != 'nobody'"#
    );
    rule(name, &sql).with("bridgeRef.name", bridge).to_sink(sink)
}

/// Whether everything of a namespace is looked at, and each Bridge's `ConfigMap` holds the revision of its status.
fn is_converged(namespace: &Namespace<'_>) -> Result<()> {
    for bridge in namespace.objects("bridges")? {
        ensure_observed("Bridge", &bridge)?;
        let name = bridge["metadata"]["name"].as_str().context("no name")?;
        let map = namespace.other("v1", &format!("configmaps/{name}-plan"))?;
        let plan: Value = serde_json::from_str(map["data"]["plan.json"].as_str().context("no plan")?)?;
        ensure!(plan["revision"] == bridge["status"]["revision"], "{name}: an older plan");
        let rules = plan["rules"].as_array().map(Vec::len);
        ensure!(rules == Some(RULES / BRIDGES), "{name} has {rules:?} Rules");
    }
    for plural in ["connectors", "sinks", "rules"] {
        namespace.objects(plural)?.iter().try_for_each(|object| ensure_observed(plural, object))?;
    }
    Ok(())
}

fn ensure_observed(kind: &str, object: &Value) -> Result<()> {
    let observed = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    ensure!(observed, "{kind} {} is not looked at", object["metadata"]["name"]);
    Ok(())
}

#[test]
fn fifty_bridges_with_five_thousand_rules_converge_soon_and_take_little() -> Result<()> {
    // Not to be built while the clock runs.
    operator::binary()?;
    let control_plane = shared::start()?;
    operator::install(&control_plane)?;
    let mut namespaces = Vec::new();
    for number in 0..NAMESPACES {
        let namespace = Namespace::create(&control_plane, "many")?;
        let mine = (0..BRIDGES).filter(|bridge| bridge % NAMESPACES == number);
        namespace.create_all(&mine.flat_map(bridge).collect::<Vec<_>>())?;
        namespaces.push(namespace);
    }
    let started = Instant::now();
    let operator = Operator::start(&control_plane, "operator-0", shared::RUNTIME_IMAGE)?;
    // Looking at thousands of objects again and again would be most of the work.
    eventually("every Rule has a status", CONVERGED, || {
        let written = operator.metric(r#"isthmus_operator_api_calls_total{verb="apply",resource="rules/status""#)?;
        ensure!(written >= RULES as f64, "{written}");
        Ok(())
    })?;
    for namespace in &namespaces {
        eventually("all of the namespace is converged", CONVERGED, || is_converged(namespace))?;
    }
    let took = started.elapsed();
    let (memory, work) = (operator.process().resident_memory()?, operator.process().processor_time()?);
    let statuses = operator.metric(r#"isthmus_operator_api_calls_total{verb="apply",resource="rules/status""#)?;
    println!(
        "{BRIDGES} Bridges, {RULES} Rules, {statuses} statuses of Rules written: converged {took:?} after a cold start, of which the operator worked {work:?}; {} MB private, {} MB of code",
        memory.private >> 20,
        memory.code >> 20
    );
    assert!(took < CONVERGED && work < WORK, "{took:?}, {work:?}");
    assert!(memory.private < MEMORY, "{memory:?}");
    // Pods are missing, so every Bridge is visited again and again. Not one Rule is compiled for it.
    let visits = operator.metric("isthmus_operator_reconciles_total")?;
    eventually("every Bridge is visited again", CONVERGED, || {
        let now = operator.metric("isthmus_operator_reconciles_total")?;
        ensure!(now >= visits + BRIDGES as f64, "{visits} visits, now {now}");
        Ok(())
    })?;
    assert_eq!(operator.metric("isthmus_operator_rules_compiled_total")? as usize, RULES);
    let memory = operator.process().resident_memory()?;
    assert!(memory.private < MEMORY, "{memory:?}");
    Ok(())
}

#[test]
fn one_bridge_runs_five_thousand_rules_and_takes_an_edit_at_once() -> Result<()> {
    let control_plane = shared::start()?;
    operator::install(&control_plane)?;
    let _kubelet = Kubelet::start(&control_plane, shared::images()?)?;
    let operator = Operator::start(&control_plane, "operator-0", shared::RUNTIME_IMAGE)?;
    let fleet = Fleet::on(&control_plane, "five-thousand")?;
    fleet.namespace.apply(&fleet.resources(1))?;
    fleet.wait_until_ready()?;
    let rules: Vec<_> = (1..RULES).map(|rule| numbered(&format!("rule-{rule}"), rule, "fleet", "load")).collect();
    let started = Instant::now();
    fleet.namespace.create_all(&rules)?;
    println!("{RULES} Rules created in {:?}", started.elapsed());
    eventually("the pod runs all of them", LARGE, || {
        let bridge = fleet.namespace.object("bridges", "fleet")?;
        let conditions = bridge["status"]["conditions"].as_array().context("no conditions")?;
        let programmed =
            conditions.iter().find(|condition| condition["type"] == "Programmed").context("no Programmed")?;
        let counted = operator.metric("isthmus_operator_rules_compiled_total")?;
        ensure!(programmed["status"] == "True" && counted >= RULES as f64, "{counted} compiled: {programmed}");
        Ok(())
    })?;
    println!("programmed {:?} after the first of them was created", started.elapsed());
    eventually("every Rule says so", LARGE, || {
        let rules = fleet.namespace.objects("rules")?;
        let is_programmed = |rule: &&Value| {
            let mut conditions = rule["status"]["conditions"].as_array().into_iter().flatten();
            conditions.any(|condition| condition["type"] == "Programmed" && condition["status"] == "True")
        };
        let count = rules.iter().filter(is_programmed).count();
        ensure!(count == RULES, "{count} of {}", rules.len());
        Ok(())
    })?;
    println!("every Rule is Programmed after {:?}", started.elapsed());
    let map = fleet.namespace.other("v1", "configmaps/fleet-plan")?;
    let compressed = map["binaryData"]["plan.json"].as_str().context("the plan is not compressed")?;
    println!("the compressed plan takes {} bytes", compressed.len() / 4 * 3);

    let edited = Instant::now();
    fleet.namespace.apply(&[fleet::stamp(2)])?;
    fleet.wait_until_ready()?;
    println!("one edited Rule of {RULES} is Programmed after {:?}", edited.elapsed());
    fleet.pods(1)?[0].publish("x")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 2);
    let memory = operator.process().resident_memory()?;
    println!("operator: {} MB private", memory.private >> 20);
    assert!(memory.private < MEMORY, "{memory:?}");
    Ok(())
}

/// Text that does not become smaller: 6 bits in each character.
fn noise(seed: u64, length: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        // xorshift64: as random as a compressor can tell.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[(state >> 58) as usize])
    };
    (0..length).map(|_| letter()).collect()
}

#[test]
fn plan_beyond_what_a_config_map_holds_is_refused_and_the_pods_go_on() -> Result<()> {
    let fleet = Fleet::ready("too-large", 1)?;
    let pod = fleet.pods(1)?;
    // 44 kB each, however they are compressed.
    let long =
        |number: u64| rule(&format!("long-{number}"), &format!("-- {}\nSELECT * FROM \"x\"", noise(number, 59_000)));
    fleet.namespace.create_all(&(0..24).map(long).collect::<Vec<_>>())?;
    let ready = fleet.wait_for_reason("bridges", "fleet", "Ready", "False", "PlanTooLarge")?;
    let message = ready["message"].as_str().context("no message")?;
    assert!(message.starts_with("The plan takes 1"), "{message}");
    assert!(message.contains("a ConfigMap holds 1000000: move some Rules to another Bridge"), "{message}");
    fleet.wait_for_reason("rules", "long-0", "Programmed", "False", "PlanTooLarge")?;
    // An edit waits, and the pods go on with what they have.
    fleet.namespace.apply(&[fleet::stamp(2)])?;
    fleet.wait_for_reason("rules", "stamp", "Programmed", "False", "PlanTooLarge")?;
    pod[0].publish("x")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 1);
    // Just within the limit, the API server takes it.
    fleet.namespace.kubectl().run(&["delete", "rule", "long-0", "long-1", "--timeout=60s"])?;
    fleet.wait_until_ready()?;
    pod[0].publish("x")?;
    assert_eq!(fleet.newest_record()?.json()?["version"], 2);
    let map = fleet.namespace.other("v1", "configmaps/fleet-plan")?;
    let size = map["binaryData"]["plan.json"].as_str().context("not compressed")?.len() / 4 * 3;
    assert!((950_000..=1_000_003).contains(&size), "{size}");
    assert_eq!(fleet.pods(1)?, pod, "the same pod, not restarted");
    Ok(())
}
