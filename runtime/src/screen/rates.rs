//! The line of live rates: in, matched, acknowledged by Kafka, failed, lag.

use std::fmt;
use std::time::Instant;

use crate::status::Snapshot;

/// Sums over all clients, rules, Sinks and Sources at one instant.
#[derive(Debug, Clone)]
pub struct Totals {
    at: Instant,
    /// PUBLISH packets from devices and records from Kafka.
    received: u64,
    /// Messages for which a rule had an output.
    matched: u64,
    /// Records that Kafka acknowledged.
    acknowledged: u64,
    /// Records that failed or were dropped, on either side.
    failed: u64,
    /// Records in Kafka that Sources have not received.
    lag: u64,
    clients: u64,
}

impl Totals {
    /// The sums in `snapshot`, taken at `at`.
    pub fn of(snapshot: &Snapshot, at: Instant) -> Self {
        let sinks = &snapshot.sinks;
        let sources = &snapshot.sources;
        Self {
            at,
            received: snapshot.mqtt.received.iter().sum::<u64>()
                + sources.iter().map(|source| source.received).sum::<u64>(),
            matched: snapshot.rules.iter().map(|rule| rule.passed).sum(),
            acknowledged: sinks.iter().map(|sink| sink.success).sum(),
            failed: sinks.iter().map(|sink| sink.failed + sink.dropped).sum::<u64>()
                + sources.iter().map(|source| source.failed).sum::<u64>(),
            lag: sources.iter().filter_map(|source| source.lag).sum(),
            clients: snapshot.mqtt.connections,
        }
    }

    /// Whether anything happened in between.
    pub fn moved_since(&self, before: &Self) -> bool {
        let figures = |totals: &Self| {
            [totals.received, totals.matched, totals.acknowledged, totals.failed, totals.lag, totals.clients]
        };
        figures(self) != figures(before)
    }
}

/// What [`Totals`] became in between.
#[derive(Debug)]
pub struct Rates {
    received: f64,
    matched: f64,
    acknowledged: f64,
    failed: u64,
    lag: u64,
    clients: u64,
}

impl Rates {
    /// Per second, from `before` to `now`. Failures and lag are sums: one failure must not vanish after a second.
    pub fn between(before: &Totals, now: &Totals) -> Self {
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(0.001);
        // Figures of what a reload removed are gone from the sums.
        let rate = |before: u64, now: u64| now.saturating_sub(before) as f64 / seconds;
        Self {
            received: rate(before.received, now.received),
            matched: rate(before.matched, now.matched),
            acknowledged: rate(before.acknowledged, now.acknowledged),
            failed: now.failed,
            lag: now.lag,
            clients: now.clients,
        }
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "in {}/s  matched {}/s  acknowledged by Kafka {}/s  failed {}  lag {}  clients {}",
            grouped(self.received.round() as u64),
            grouped(self.matched.round() as u64),
            grouped(self.acknowledged.round() as u64),
            grouped(self.failed),
            grouped(self.lag),
            grouped(self.clients)
        )
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::status::{Mqtt, Rule, Sink, Source};

    fn snapshot(count: u64) -> Snapshot {
        Snapshot {
            mqtt: Mqtt { connections: 3, received: [count, count], ..Mqtt::default() },
            rules: vec![Rule { passed: count, ..Rule::default() }],
            sinks: vec![Sink { success: count / 2, failed: 1, dropped: 2, ..Sink::default() }],
            sources: vec![Source { lag: Some(7), failed: 1, ..Source::default() }],
            ..Snapshot::default()
        }
    }

    #[test]
    fn rates_are_per_second_and_failures_stay_on_the_screen() {
        let start = Instant::now();
        let before = Totals::of(&snapshot(0), start);
        let now = Totals::of(&snapshot(2_469_134), start + Duration::from_secs(2));
        assert_eq!(
            Rates::between(&before, &now).to_string(),
            "in 2,469,134/s  matched 1,234,567/s  acknowledged by Kafka 617,284/s  failed 4  lag 7  clients 3"
        );
        assert!(now.moved_since(&before));
        assert!(!now.moved_since(&now.clone()));
    }

    #[test]
    fn a_removed_sink_is_no_negative_rate() {
        let start = Instant::now();
        let before = Totals::of(&snapshot(100), start);
        let now = Totals::of(&Snapshot::default(), start + Duration::from_secs(1));
        assert!(Rates::between(&before, &now).to_string().starts_with("in 0/s  matched 0/s"));
    }
}
