//! Editing the Bridge of a running local mode: its listeners and its users.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{anyhow, bail};
use isthmus_tests::condition::eventually;
use isthmus_tests::isthmus::{Isthmus, Start};
use isthmus_tests::manifest::{self, Resource};
use isthmus_tests::mosquitto::Version::V5;
use isthmus_tests::mqtt::{Client, Packet, packet};
use isthmus_tests::{Result, port};
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

/// The reason codes that tell a device that its user name or password is not right.
const REFUSED: [u8; 2] = [0x86, 0x87];

/// With a second listener; the first one is on the port that the local mode was started with.
fn with_second(bridge: Resource, port: u16) -> Resource {
    bridge.with("listeners", json!([{"name": "mqtt", "port": 1883}, {"name": "second", "port": port}]))
}

fn closed(bridge: Resource, password: &str) -> String {
    manifest::closed(bridge, &[("car-7", password)])
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A connection of the user `car-7`, and the broker's answer to it.
fn connect(address: SocketAddr, password: &str) -> Result<(Client, u8)> {
    let mut client = Client::open(address, V5)?;
    // Without a client id, so that no connection takes over another.
    client.send(&packet::connect_as(V5, "", 60, Some(("car-7", password))))?;
    match client.receive()? {
        Packet::ConnAck { code, .. } => Ok((client, code)),
        other => bail!("instead of a CONNACK came {other:?}"),
    }
}

fn answer(address: SocketAddr, password: &str) -> Result<u8> {
    Ok(connect(address, password)?.1)
}

fn wait_until_let_in(address: SocketAddr, password: &str) -> Result<()> {
    eventually("the new password is let in", SOON, || match answer(address, password)? {
        0 => Ok(()),
        code => Err(anyhow!("reason code {code:#x}")),
    })
}

fn listener_names(isthmus: &Isthmus) -> Result<Vec<String>> {
    let status = isthmus.status()?;
    let listeners = status["listeners"].as_array().ok_or_else(|| anyhow!("no listeners: {status}"))?;
    Ok(listeners.iter().filter_map(|listener| listener["name"].as_str().map(str::to_owned)).collect())
}

#[test]
fn added_listener_accepts_clients() -> Result<()> {
    let second = port::free()?;
    let isthmus = Start::embedded().manifests(&manifest::documents(&[manifest::bridge()]))?;
    let mut device = Client::connect(isthmus.mqtt(), V5, "first")?;
    isthmus.reload(&manifest::documents(&[with_second(manifest::bridge(), second)]))?;
    Client::connect(loopback(second), V5, "second")?.ping()?;
    assert_eq!(listener_names(&isthmus)?, ["mqtt", "second"]);
    device.ping()?;
    Client::connect(isthmus.mqtt(), V5, "third")?.ping()?;
    Ok(())
}

#[test]
fn moved_listener_leaves_its_port_and_keeps_its_clients() -> Result<()> {
    let (old, new) = (port::free()?, port::free()?);
    let isthmus = Start::embedded().manifests(&manifest::documents(&[with_second(manifest::bridge(), old)]))?;
    let mut device = Client::connect(loopback(old), V5, "device")?;
    device.subscribe("a/#")?;
    isthmus.reload(&manifest::documents(&[with_second(manifest::bridge(), new)]))?;
    eventually("nobody listens on the old port", SOON, || match TcpStream::connect(loopback(old)) {
        Ok(_) => Err("it is accepted"),
        Err(_) => Ok(()),
    })?;
    let mut other = Client::connect(loopback(new), V5, "other")?;
    assert_eq!(other.publish_and_wait("a/b", b"hello")?, 0);
    assert_eq!(device.message()?.payload, b"hello", "the connected device is served as before");
    Ok(())
}

#[test]
fn changed_secret_lets_the_new_password_in_and_the_old_one_no_more() -> Result<()> {
    let isthmus = Start::embedded().manifests(&closed(manifest::bridge(), "old"))?;
    let (mut device, code) = connect(isthmus.mqtt(), "old")?;
    assert_eq!(code, 0);
    assert!(REFUSED.contains(&answer(isthmus.mqtt(), "new")?));
    isthmus.edit(closed(manifest::bridge(), "new"))?;
    wait_until_let_in(isthmus.mqtt(), "new")?;
    assert!(REFUSED.contains(&answer(isthmus.mqtt(), "old")?));
    device.ping()?;
    Ok(())
}

/// An edit that asks for a port that is in use, and for a new password; it is refused with a message.
fn ask_for_taken_port(isthmus: &Isthmus, password: &str) -> Result<()> {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = taken.local_addr()?.port();
    isthmus.edit(closed(with_second(manifest::bridge(), port), password))?;
    let message = eventually("the edit is refused", SOON, || {
        let status = isthmus.status()?;
        status["rejected"]["message"].as_str().map(str::to_owned).ok_or_else(|| anyhow!("{status}"))
    })?;
    assert!(message.contains(&port.to_string()), "{message}");
    Ok(())
}

#[test]
fn port_in_use_refuses_the_whole_edit_until_it_is_corrected() -> Result<()> {
    let isthmus = Start::embedded().manifests(&closed(manifest::bridge(), "old"))?;
    let (mut device, code) = connect(isthmus.mqtt(), "old")?;
    assert_eq!(code, 0);
    let revision = isthmus.revision()?;
    ask_for_taken_port(&isthmus, "new")?;
    assert_eq!(isthmus.revision()?, revision);
    assert_eq!(listener_names(&isthmus)?, ["mqtt"]);
    assert!(REFUSED.contains(&answer(isthmus.mqtt(), "new")?), "nothing of the edit is in force");
    assert_eq!(answer(isthmus.mqtt(), "old")?, 0);

    let free = port::free()?;
    isthmus.reload(&closed(with_second(manifest::bridge(), free), "new"))?;
    assert_eq!(isthmus.status()?["rejected"], json!(null));
    for address in [isthmus.mqtt(), loopback(free)] {
        assert_eq!(answer(address, "new")?, 0);
        assert!(REFUSED.contains(&answer(address, "old")?));
    }
    device.ping()?;
    Ok(())
}

#[test]
fn users_of_a_refused_edit_come_in_force_when_the_port_is_taken_out_of_it() -> Result<()> {
    let isthmus = Start::embedded().manifests(&closed(manifest::bridge(), "old"))?;
    let revision = isthmus.revision()?;
    ask_for_taken_port(&isthmus, "new")?;
    assert_eq!(answer(isthmus.mqtt(), "old")?, 0);
    isthmus.edit(closed(manifest::bridge(), "new"))?;
    wait_until_let_in(isthmus.mqtt(), "new")?;
    assert!(REFUSED.contains(&answer(isthmus.mqtt(), "old")?));
    let status = isthmus.status()?;
    assert!(status["rejected"].is_null() && status["revision"] == revision.as_str(), "{status}");
    Ok(())
}

#[test]
fn none_of_many_edits_is_overlooked() -> Result<()> {
    let with = |limit: u32| manifest::documents(&[manifest::bridge().with("mqtt.maxConnections", limit)]);
    let isthmus = Start::embedded().manifests(&with(100))?;
    // For some seconds one right after the other, so that they meet whatever else happens now and then.
    for limit in 101..140 {
        isthmus.reload(&with(limit))?;
    }
    Ok(())
}
