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
    /// None where whoever started the process wants it to outlive the terminal.
    hangup: Option<Signal>,
}

impl Stop {
    /// From here on the signals are ours.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// Waits for one of them.
    pub async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            Some(()) = hangup(self.hangup.as_mut()) => {}
        }
    }
}

async fn hangup(signal: Option<&mut Signal>) -> Option<()> {
    signal?.recv().await
}

/// Whether the process was started by `nohup`, which has it ignore SIGHUP. Linux says so; elsewhere nobody does.
fn hangup_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hangup(&status))
}

/// `SigIgn` is a mask in which the lowest bit is signal 1, SIGHUP (`proc_pid_status(5)`).
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_asks_for_is_seen() {
        let status = |mask: &str| format!("Name:\tisthmus\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t1\n");
        assert!(ignores_hangup(&status("0000000000001001")));
        assert!(!ignores_hangup(&status("0000000000001000")));
        assert!(!ignores_hangup("Name:\tisthmus\n"));
    }
}
