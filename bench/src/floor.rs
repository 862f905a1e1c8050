//! The floor: the smallest honest bridge from MQTT to Kafka, the measure of what two sockets and librdkafka cost here.
//!
//! PUBLISH in, idempotent producer with `acks=all`, PUBACK when Kafka has acknowledged. No sessions, users, rules or
//! buffers. It never waits for acknowledgements before it reads on, and it wakes a connection once for many of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use isthmus_tests::Result;
use parking_lot::{Mutex, RwLock};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::wire::{self, PINGREQ, PUBLISH, PUBREL};

/// Options of the floor.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kafka's HOST:PORT.
    #[arg(long)]
    kafka: String,
    /// The topic that everything goes to.
    #[arg(long)]
    topic: String,
    /// `linger.ms` of the producer.
    #[arg(long, default_value_t = 5)]
    linger: u32,
}

/// What a connection and the producer's thread share.
#[derive(Default)]
struct Mailbox {
    /// Packet identifiers that Kafka has acknowledged.
    acknowledged: Mutex<Vec<u16>>,
    wake: Notify,
}

/// Every connection so far, by its number.
#[derive(Default, Clone)]
struct Mailboxes(Arc<RwLock<Vec<Arc<Mailbox>>>>);

impl ClientContext for Mailboxes {}

impl ProducerContext for Mailboxes {
    /// The connection's number and the packet identifier; without one for QoS 0.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, token: usize) {
        let id = token as u16;
        // Without its PUBACK a device knows that the message is not safe.
        if result.is_err() || id == 0 {
            return;
        }
        let mailbox = Arc::clone(&self.0.read()[token >> 16]);
        let mut acknowledged = mailbox.acknowledged.lock();
        acknowledged.push(id);
        if acknowledged.len() == 1 {
            drop(acknowledged);
            mailbox.wake.notify_one();
        }
    }
}

/// Serves until it is killed.
pub(crate) async fn run(args: Args) -> Result<()> {
    let mailboxes = Mailboxes::default();
    let producer: ThreadedProducer<Mailboxes> = ClientConfig::new()
        .set("bootstrap.servers", &args.kafka)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", args.linger.to_string())
        .set("batch.size", "917504")
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.messages", "0")
        .set("message.timeout.ms", "0")
        .set("socket.nagle.disable", "true")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "500")
        .create_with_context(mailboxes.clone())?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::announce(listener.local_addr()?);
    let topic: Arc<str> = args.topic.into();
    loop {
        let (stream, peer) = listener.accept().await?;
        let mailbox = Arc::new(Mailbox::default());
        let number = {
            let mut all = mailboxes.0.write();
            all.push(Arc::clone(&mailbox));
            all.len() - 1
        };
        let connection = Connection {
            number,
            mailbox,
            topic: Arc::clone(&topic),
            producer: producer.clone(),
            key: Vec::new(),
            five: false,
        };
        tokio::spawn(async move { crate::complain(peer, connection.serve(stream).await) });
    }
}

struct Connection {
    number: usize,
    mailbox: Arc<Mailbox>,
    topic: Arc<str>,
    producer: ThreadedProducer<Mailboxes>,
    /// The client identifier.
    key: Vec<u8>,
    /// MQTT 5.0.
    five: bool,
}

impl Connection {
    async fn serve(mut self, mut stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let (mut inbox, mut out) = (Vec::new(), Vec::new());
        let mut qos = 1;
        let mailbox = Arc::clone(&self.mailbox);
        loop {
            inbox.reserve(64 * 1024);
            tokio::select! {
                read = stream.read_buf(&mut inbox) => if read? == 0 { return Ok(()) },
                () = mailbox.wake.notified() => {}
            }
            let taken = wire::packets(&inbox, |kind, flags, body| self.packet(kind, flags, body, &mut qos, &mut out))?;
            inbox.drain(..taken);
            let first = if qos == 2 { 0x50 } else { 0x40 };
            for id in self.mailbox.acknowledged.lock().drain(..) {
                let [high, low] = id.to_be_bytes();
                out.extend([first, 2, high, low]);
            }
            if !out.is_empty() {
                stream.write_all(&out).await?;
                out.clear();
            }
        }
    }

    fn packet(&mut self, kind: u8, flags: u8, body: &[u8], qos: &mut u8, out: &mut Vec<u8>) -> Result<()> {
        match kind {
            1 => {
                self.five = *body.get(6).context("a short CONNECT")? == 5;
                let mut rest = &body[10..];
                if self.five {
                    rest = &rest[1 + usize::from(rest[0])..];
                }
                self.key = field(&mut rest)?.to_vec();
                out.extend(if self.five { &[0x20, 3, 0, 0, 0][..] } else { &[0x20, 2, 0, 0] });
            }
            PUBLISH => {
                let mut rest = body;
                field(&mut rest)?;
                let mut id = 0;
                if flags & 6 != 0 {
                    *qos = (flags >> 1) & 3;
                    (id, _) = wire::acknowledgement(rest)?;
                    rest = &rest[2..];
                }
                if self.five {
                    // Properties of fewer than 128 bytes are all that the loader sends.
                    rest = &rest[1 + usize::from(rest[0])..];
                }
                let opaque = (self.number << 16) | usize::from(id);
                let mut record = BaseRecord::with_opaque_to(&self.topic, opaque).key(&self.key).payload(rest);
                // The producer's queue is bounded by bytes: while it is full, nothing more is read.
                while let Err((error, returned)) = self.producer.send(record) {
                    if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                        return Err(error.into());
                    }
                    std::thread::sleep(Duration::from_millis(1));
                    record = returned;
                }
            }
            PUBREL => {
                let (id, _) = wire::acknowledgement(body)?;
                let [high, low] = id.to_be_bytes();
                out.extend([0x70, 2, high, low]);
            }
            PINGREQ => out.extend([0xD0, 0]),
            14 => {}
            other => bail!("packet type {other}"),
        }
        Ok(())
    }
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8]> {
    let (length, _) = wire::acknowledgement(rest)?;
    let (taken, left) = rest[2..].split_at_checked(length.into()).context("a short field")?;
    *rest = left;
    Ok(taken)
}

/// The null server answers every publication at once and does nothing else: against it the loader's own cost shows.
pub(crate) async fn nothing() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::announce(listener.local_addr()?);
    loop {
        let (stream, peer): (TcpStream, SocketAddr) = listener.accept().await?;
        tokio::spawn(async move { crate::complain(peer, answer(stream).await) });
    }
}

async fn answer(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut inbox, mut out) = (Vec::new(), Vec::new());
    let mut five = false;
    loop {
        inbox.reserve(64 * 1024);
        if stream.read_buf(&mut inbox).await? == 0 {
            return Ok(());
        }
        let taken = wire::packets(&inbox, |kind, flags, body| {
            match kind {
                1 => {
                    five = body.get(6) == Some(&5);
                    out.extend(if five { &[0x20, 3, 0, 0, 0][..] } else { &[0x20, 2, 0, 0] });
                }
                PUBLISH if flags & 6 != 0 => {
                    let (length, _) = wire::acknowledgement(body)?;
                    let at = 2 + usize::from(length);
                    let first = if flags & 4 == 0 { 0x40 } else { 0x50 };
                    out.extend([first, 2, body[at], body[at + 1]]);
                }
                PUBREL => out.extend([0x70, 2, body[0], body[1]]),
                PINGREQ => out.extend([0xD0, 0]),
                _ => {}
            }
            Ok(())
        })?;
        inbox.drain(..taken);
        if !out.is_empty() {
            stream.write_all(&out).await?;
            out.clear();
        }
    }
}
