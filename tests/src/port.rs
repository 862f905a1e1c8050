//! TCP ports for what has to be told its port beforehand.

use std::net::{Ipv4Addr, TcpListener};

use crate::Result;

/// A loopback port that was free a moment ago.
pub fn free() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
