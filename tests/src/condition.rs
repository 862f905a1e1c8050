//! Waiting for a condition instead of for a time.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Result;

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// Calls `probe` until it gives a value.
///
/// `what` names the condition ("the sink is connected"); it appears in the error when the condition
/// did not come true `within` the time, together with the last thing the probe saw.
pub fn eventually<T, W: Display>(
    what: &str,
    within: Duration,
    mut probe: impl FnMut() -> std::result::Result<T, W>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(seen) if Instant::now() >= deadline => {
                bail!("after {within:?} it is still not so that {what}; last seen: {seen:#}")
            }
            Err(_) => thread::sleep(INTERVAL),
        }
    }
}

/// Checks that a condition stays true for a while, for what must *not* happen.
pub fn throughout(what: &str, period: Duration, mut probe: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + period;
    while Instant::now() < end {
        if !probe()? {
            bail!("it ceased to be so that {what}");
        }
        thread::sleep(INTERVAL);
    }
    Ok(())
}
