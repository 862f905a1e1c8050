//! Devices that publish through all of it.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::condition::eventually;
use isthmus_tests::load::{Load, Running};
use isthmus_tests::mosquitto::Version::V5;
use serde_json::Value;

use crate::fleet::{EDITED, Fleet, LOAD_TOPIC, PATIENCE};

const NAME: &str = "device";
const DEVICES: u32 = 12;
const PER_SECOND: u32 = 20;

/// A load that goes on until it is verified.
pub(crate) struct Devices(Running);

/// Starts them.
pub(crate) fn start(fleet: &Fleet<'_>) -> Result<Devices> {
    fleet.prepare_load()?;
    let load = Load {
        name: NAME,
        broker: fleet.service(1883)?,
        version: V5,
        devices: DEVICES,
        // An hour of them.
        messages: PER_SECOND * 3600,
        rate: PER_SECOND,
    };
    let devices = Devices(load.start());
    devices.flow()?;
    Ok(devices)
}

impl Devices {
    /// Waits until messages of now are acknowledged.
    pub(crate) fn flow(&self) -> Result<()> {
        let enough = self.0.acknowledged() + u64::from(DEVICES * PER_SECOND);
        eventually("messages are acknowledged", PATIENCE, || {
            let now = self.0.acknowledged();
            if now >= enough { Ok(()) } else { Err(format!("{now} of {enough}; {:?}", self.0.disconnects())) }
        })
    }

    /// Runs a step during which no device may lose its connection.
    pub(crate) fn undisturbed<T>(&self, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = self.0.disconnects().len();
        let result = step()?;
        self.flow()?;
        let lost = &self.0.disconnects()[before..];
        ensure!(lost.is_empty(), "devices were dropped: {lost:?}");
        Ok(result)
    }

    /// Ends the load; then each message that was acknowledged must be in Kafka, told by its device and number.
    pub(crate) fn verify(self, fleet: &Fleet<'_>) -> Result<String> {
        let Self(running) = self;
        let drops = running.disconnects();
        let acknowledged = running.stop()?;
        let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let mut newest = 0;
        let records = fleet.kafka.read_all(LOAD_TOPIC)?;
        for record in &records {
            let record = record.json()?;
            newest = newest.max(record["version"].as_u64().context("no version")?);
            let message: Value = serde_json::from_str(record["payload"].as_str().context("no payload")?)?;
            let device = message["device"].as_str().with_context(|| format!("no device: {record:?}"))?;
            numbers.entry(device.to_owned()).or_default().push(message["message"].as_u64().context("no number")?);
        }
        ensure!(newest == u64::from(EDITED), "no record is of the edited Rule");
        ensure!(numbers.len() == DEVICES as usize, "records of {} devices", numbers.len());
        let mut distinct = 0;
        for (device, numbers) in &mut numbers {
            numbers.sort_unstable();
            numbers.dedup();
            let gap = (0..).zip(numbers.iter()).find(|(expected, number)| expected != *number);
            ensure!(gap.is_none(), "{device}: message {gap:?} was acknowledged and is not in Kafka");
            distinct += numbers.len() as u64;
        }
        ensure!(distinct == acknowledged.messages, "{distinct} of {} messages are in Kafka", acknowledged.messages);
        let again = records.len() as u64 - distinct;
        Ok(format!("{distinct} messages, {again} of them more than once; {} connections ended", drops.len()))
    }
}
