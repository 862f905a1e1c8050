//! Ctrl-C, SIGTERM, and SIGHUP of a terminal that closes: the first asks for an orderly end, the second for an immediate
//! one.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::bridge::Leftovers;

/// The signals that end the process.
#[derive(Debug)]
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    /// From here on the signals are ours.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them.
    pub async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

impl Leftovers {
    /// What to tell a person, a line each; empty when everything was finished.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.unacknowledged > 0 {
            lines.push(format!(
                "{} publications were not acknowledged: their devices will send them again",
                self.unacknowledged
            ));
        }
        for (sink, records) in &self.records {
            lines.push(format!("Sink {sink}: {records} records in the buffer did not reach Kafka and are gone"));
        }
        for (source, records) in &self.unsettled {
            lines.push(format!("Source {source}: {records} records were not delivered; Kafka will give them again"));
        }
        lines
    }
}
