//! An IP address for each pod: loopback has sixteen million.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::process;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;

use crate::Result;

/// The last bytes of the addresses in use.
static TAKEN: Mutex<BTreeSet<u8>> = Mutex::new(BTreeSet::new());

/// An address that no other pod has; free again when dropped.
#[derive(Debug)]
pub struct Address(Ipv4Addr);

impl Address {
    /// Takes one. The middle bytes come from the process id, so that test runs beside each other
    /// stay apart.
    pub fn take() -> Result<Self> {
        let [_, _, high, low] = process::id().to_be_bytes();
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let last = (1..255).find(|last| !taken.contains(last)).context("more than 254 pods")?;
        taken.insert(last);
        // Not 127.0: that is where everything else listens.
        Ok(Self(Ipv4Addr::new(127, 64 | (high & 63), low, last)))
    }

    /// The address.
    pub fn ip(&self) -> Ipv4Addr {
        self.0
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0.octets()[3]);
    }
}
