//! One device: a socket, a window of unacknowledged publications, and its account of them.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use isthmus_tests::Result;
use isthmus_tests::mqtt::packet;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::pace::Schedule;
use super::{Plan, Record, Shared};
use crate::wire::{self, CONNACK, PINGRESP, PUBACK, PUBCOMP, PUBREC, Template};

/// Packet identifiers are 1 to this.
const IDENTIFIERS: u32 = 65_535;
/// Publications that are written at once at most.
const BATCH: u32 = 256;
const INBOX: usize = 16 * 1024;

/// A device that is let in.
pub(crate) enum Connected {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Sends CONNECT and waits until it is accepted.
pub(super) async fn shake_hands(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), hello: &[u8]) -> Result<()> {
    stream.write_all(hello).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    let mut accepted = None;
    while accepted.is_none() {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the broker closes the connection instead of CONNACK");
        wire::packets(&answer, |kind, _, body| {
            ensure!(kind == CONNACK, "packet type {kind} instead of CONNACK");
            accepted = body.get(1).copied();
            Ok(())
        })?;
    }
    ensure!(accepted == Some(0), "CONNACK says {accepted:?}");
    Ok(())
}

pub(super) struct Device {
    number: u32,
    template: Template,
    shared: Arc<Shared>,
    qos: u8,
    window: u32,
    limit: u32,
    schedule: Option<Schedule>,
    out: Vec<u8>,
    written: usize,
    inbox: Vec<u8>,
    filled: usize,
    /// When each message of the window was handed to the socket, microseconds from the origin.
    times: Vec<u64>,
    record: Record,
    /// PINGRESP came: everything before it has been read.
    all_read: bool,
}

impl Device {
    pub(super) fn new(plan: &Plan, number: u32, template: Template, shared: Arc<Shared>) -> Result<Self> {
        let window = if plan.rate.is_some() { IDENTIFIERS - 1 } else { plan.window };
        let slots = if plan.rate.is_some() { 0 } else { window.next_power_of_two() };
        Ok(Self {
            number,
            template,
            qos: plan.form.qos,
            window,
            limit: plan.limit,
            schedule: plan.rate.map(|rate| Schedule::of(number, plan.devices, rate)),
            out: Vec::new(),
            written: 0,
            inbox: vec![0; INBOX],
            filled: 0,
            times: vec![0; slots as usize],
            record: Record::new()?,
            all_read: false,
            shared,
        })
    }

    pub(super) async fn run(mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Record {
        if let Err(error) = self.serve(&mut stream).await {
            self.record.trouble = Some(format!("{error:#}"));
        }
        self.record
    }

    async fn serve(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let wake = &shared.wakes[self.number as usize];
        let mut asked = false;
        loop {
            self.fill();
            let stopping = shared.stopping.load(Ordering::Relaxed);
            let all_sent = (stopping || self.record.sent == self.limit) && self.out.is_empty();
            if all_sent && self.qos == 0 && !asked {
                // The broker answers when it has read everything before.
                self.out.extend([0xC0, 0]);
                asked = true;
            }
            let settled = if self.qos == 0 { self.all_read } else { self.outstanding() == 0 };
            if all_sent && settled && stopping {
                stream.write_all(&packet::disconnect()).await?;
                return Ok(stream.flush().await?);
            }
            if shared.given_up.load(Ordering::Relaxed) {
                bail!("publications were not acknowledged in time");
            }
            tokio::select! {
                result = self.exchange(stream) => result.context("the connection is lost")?,
                () = wake.notified() => {}
            }
            self.take_answers()?;
        }
    }

    fn outstanding(&self) -> u32 {
        self.record.sent - self.record.acknowledged_to
    }

    /// Messages that may be handed to the socket now.
    fn allowed(&self) -> u32 {
        if self.shared.stopping.load(Ordering::Relaxed) {
            return 0;
        }
        let due = self.schedule.map_or(self.limit, |schedule| schedule.due(self.shared.origin.elapsed()));
        let window = if self.qos == 0 { BATCH } else { self.window - self.outstanding() };
        due.min(self.limit).saturating_sub(self.record.sent).min(window)
    }

    fn fill(&mut self) {
        if !self.out.is_empty() {
            return;
        }
        let count = self.allowed().min(BATCH);
        if count == 0 {
            return;
        }
        let now = self.shared.origin.elapsed().as_micros() as u64;
        for number in self.record.sent..self.record.sent + count {
            self.template.append(&mut self.out, identifier(number), number);
            if !self.times.is_empty() {
                let slot = number as usize & (self.times.len() - 1);
                self.times[slot] = now;
            }
        }
        self.record.sent += count;
        self.shared.sent.fetch_add(count.into(), Ordering::Relaxed);
    }

    /// Writes and reads until bytes have come, or everything is written and there is more to send.
    async fn exchange(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
        poll_fn(|context| {
            while self.written < self.out.len() {
                match Pin::new(&mut *stream).poll_write(context, &self.out[self.written..])? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(count) => self.written += count,
                    Poll::Pending => break,
                }
            }
            let _ = Pin::new(&mut *stream).poll_flush(context)?;
            let emptied = !self.out.is_empty() && self.written == self.out.len();
            if emptied {
                self.out.clear();
                self.written = 0;
            }
            let mut read = ReadBuf::new(&mut self.inbox[self.filled..]);
            match Pin::new(&mut *stream).poll_read(context, &mut read)? {
                Poll::Ready(()) if read.filled().is_empty() => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Poll::Ready(()) => {
                    self.filled += read.filled().len();
                    Poll::Ready(Ok(()))
                }
                Poll::Pending if emptied && (self.qos == 0 || self.allowed() > 0) => Poll::Ready(Ok(())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    fn take_answers(&mut self) -> Result<()> {
        if self.filled == 0 {
            return Ok(());
        }
        let inbox = std::mem::take(&mut self.inbox);
        let now = self.shared.origin.elapsed();
        let mut acknowledged = 0;
        let taken = wire::packets(&inbox[..self.filled], |kind, _, body| {
            match kind {
                PUBACK | PUBCOMP => {
                    let (id, reason) = wire::acknowledgement(body)?;
                    self.answered(id, reason, now);
                    acknowledged += u64::from(reason < 0x80);
                }
                PUBREC => {
                    let (id, reason) = wire::acknowledgement(body)?;
                    if reason < 0x80 {
                        let [high, low] = id.to_be_bytes();
                        self.out.extend([0x62, 2, high, low]);
                    } else {
                        self.answered(id, reason, now);
                    }
                }
                PINGRESP => self.all_read = true,
                other => bail!("the broker sends packet type {other}, {:?}", body.first()),
            }
            Ok(())
        });
        self.inbox = inbox;
        let taken = taken?;
        self.inbox.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        self.shared.acknowledged.fetch_add(acknowledged, Ordering::Relaxed);
        Ok(())
    }

    fn answered(&mut self, id: u16, reason: u8, now: Duration) {
        let record = &mut self.record;
        let message = message(id, record.acknowledged_to);
        if reason >= 0x80 {
            record.refused.insert(message);
        }
        if self.shared.measuring.load(Ordering::Relaxed) {
            let sent = match &self.schedule {
                Some(schedule) => schedule.time(message).as_micros() as u64,
                None => self.times[message as usize & (self.times.len() - 1)],
            };
            record.latency.saturating_record((now.as_micros() as u64).saturating_sub(sent));
        }
        if message == record.acknowledged_to {
            record.acknowledged_to += 1;
            while !record.acknowledged_also.is_empty() && record.acknowledged_also.remove(&record.acknowledged_to) {
                record.acknowledged_to += 1;
            }
        } else {
            record.acknowledged_also.insert(message);
        }
    }
}

/// The packet identifier of a message.
fn identifier(message: u32) -> u16 {
    (message % IDENTIFIERS + 1) as u16
}

/// The message of a packet identifier, the first from `oldest` on.
fn message(id: u16, oldest: u32) -> u32 {
    oldest + (u32::from(id) + IDENTIFIERS - u32::from(identifier(oldest))) % IDENTIFIERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_wrap_and_are_found_again() {
        for oldest in [0, 1, 65_533, 65_534, 65_535, 131_069, 131_070, 1_000_000] {
            for ahead in [0, 1, 15, 999, 65_533] {
                assert_eq!(message(identifier(oldest + ahead), oldest), oldest + ahead);
            }
        }
    }
}
