//! What an independent Kafka client finds, against what the devices know.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use isthmus_tests::process::Process;
use isthmus_tests::{Result, python};
use serde::{Deserialize, Serialize};

use crate::load::{Outcome, Record};

/// How long the client may take to read a topic.
const PATIENCE: Duration = Duration::from_secs(120);

/// What `verify.py` prints.
#[derive(Debug, Deserialize)]
struct Found {
    records: u64,
    duplicated: u64,
    out_of_order: u64,
    unknown: u64,
    /// Ranges of message numbers by device.
    missing: BTreeMap<usize, Vec<(u32, u32)>>,
}

/// The count of one round, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    /// Messages that the devices sent.
    pub(crate) sent: u64,
    /// Of those, messages that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Records in the topic.
    pub(crate) in_kafka: u64,
    /// Acknowledged and not in the topic.
    pub(crate) lost: u64,
    /// Records beyond the first of a message.
    pub(crate) duplicated: u64,
    /// Records behind a younger one of their device.
    pub(crate) out_of_order: u64,
    /// Records of no message.
    pub(crate) unknown: u64,
    /// Never acknowledged and not in the topic: at QoS 0 the protocol allows it.
    pub(crate) missing: u64,
}

impl std::ops::AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.in_kafka += other.in_kafka;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
        self.unknown += other.unknown;
        self.missing += other.missing;
    }
}

impl Verdict {
    /// Of a broker that writes to no Kafka.
    pub(crate) fn without_kafka(outcome: &Outcome) -> Self {
        Self { sent: outcome.sent(), acknowledged: outcome.acknowledged(), ..Self::default() }
    }
}

/// Reads the topic and judges.
pub(crate) fn verify(kafka: &str, topic: &str, outcome: &Outcome) -> Result<Verdict> {
    let sent: Vec<u32> = outcome.records.iter().map(|record| record.sent).collect();
    let mut command = python::script("verify.py")?;
    command.args([kafka, topic]);
    let lines = Process::run_with_input("verify.py", PATIENCE, &mut command, &serde_json::to_string(&sent)?)?;
    let found: Found = serde_json::from_str(lines.last().context("verify.py printed nothing")?)?;
    Ok(judge(&found, outcome))
}

fn judge(found: &Found, outcome: &Outcome) -> Verdict {
    let (mut lost, mut missing) = (0, 0);
    for (device, ranges) in &found.missing {
        let Some(record) = outcome.records.get(*device) else { continue };
        let numbers = ranges.iter().flat_map(|(from, to)| *from..*to);
        let (acknowledged, other): (Vec<_>, Vec<_>) =
            numbers.partition(|number| Record::is_acknowledged(record, *number));
        lost += acknowledged.len() as u64;
        missing += other.len() as u64;
    }
    Verdict {
        sent: outcome.sent(),
        acknowledged: outcome.acknowledged(),
        in_kafka: found.records,
        lost,
        duplicated: found.duplicated,
        out_of_order: found.out_of_order,
        unknown: found.unknown,
        missing,
    }
}
