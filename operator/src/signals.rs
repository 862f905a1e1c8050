//! The signals that end the operator in order: SIGTERM, Ctrl-C, and SIGHUP of a terminal that closes.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// From their making on, the signals are ours.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    outlives_the_terminal: bool,
}

impl Signals {
    /// Call it early: a signal that comes before ends the process at once.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            // Before the signal is ours.
            outlives_the_terminal: hangup_is_ignored(),
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them.
    pub async fn stop(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv(), if !self.outlives_the_terminal => {}
        }
    }
}

/// Whether the process was started by `nohup`, which has it ignore SIGHUP: the lowest bit of `SigIgn` (`proc_pid_status(5)`).
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}
