//! Subscribers: connections that count what they are sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{bail, ensure};
use isthmus_tests::Result;
use isthmus_tests::mqtt::packet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::device::Connected;
use super::{Plan, connect};
use crate::wire::{self, PUBLISH, SUBACK};

/// Subscribers on one thread; dropped they are gone.
pub(crate) struct Subscribers {
    _runtime: Runtime,
    delivered: Arc<AtomicU64>,
}

impl Subscribers {
    /// Connects this many, each with a subscription to `filter` at QoS 0.
    pub(crate) fn connect(plan: &Plan, count: u32, filter: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let delivered = Arc::new(AtomicU64::new(0));
        for number in 0..count {
            let connected = runtime.block_on(connect(plan, &format!("s{number:05}")))?;
            let Connected::Plain(mut stream) = connected else { bail!("subscribers use no TLS") };
            runtime.block_on(subscribe(&mut stream, plan, filter))?;
            let delivered = Arc::clone(&delivered);
            runtime.spawn(async move {
                // Whoever waits for the deliveries sees that they stop.
                let _ = count_deliveries(stream, &delivered).await;
            });
        }
        Ok(Self { _runtime: runtime, delivered })
    }

    /// Messages that all of them got so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }
}

async fn subscribe(stream: &mut TcpStream, plan: &Plan, filter: &str) -> Result<()> {
    stream.write_all(&packet::subscribe(plan.form.version, 1, filter.as_bytes(), 0)).await?;
    let mut answer = Vec::new();
    let mut granted = None;
    while granted.is_none() {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the broker closes the connection instead of SUBACK");
        wire::packets(&answer, |kind, _, body| {
            ensure!(kind == SUBACK, "packet type {kind} instead of SUBACK");
            granted = body.last().copied();
            Ok(())
        })?;
    }
    ensure!(granted == Some(0), "the subscription is refused: {granted:?}");
    Ok(())
}

async fn count_deliveries(mut stream: TcpStream, delivered: &AtomicU64) -> Result<()> {
    let mut inbox = Vec::new();
    loop {
        if inbox.capacity() - inbox.len() < 4096 {
            inbox.reserve(16 * 1024);
        }
        ensure!(stream.read_buf(&mut inbox).await? > 0, "closed");
        let mut count = 0;
        let taken = wire::packets(&inbox, |kind, _, _| {
            count += u64::from(kind == PUBLISH);
            Ok(())
        })?;
        inbox.drain(..taken);
        delivered.fetch_add(count, Ordering::Relaxed);
    }
}
