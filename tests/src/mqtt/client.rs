//! The socket of the plain MQTT client.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::packet::{self, Packet, Publish, Version};
use crate::Result;

/// How long an answer may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(15);

/// A connection that sends what it is told and shows what comes back.
pub struct Client {
    stream: TcpStream,
    version: Version,
    received: Vec<u8>,
    next_id: u16,
}

impl Client {
    /// Opens the socket and sends nothing.
    pub fn open(broker: SocketAddr, version: Version) -> Result<Self> {
        let stream = TcpStream::connect(broker).context("cannot connect to the broker")?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, version, received: Vec::new(), next_id: 1 })
    }

    /// Connects with a clean session and checks that the broker accepts.
    pub fn connect(broker: SocketAddr, version: Version, client_id: &str) -> Result<Self> {
        let mut client = Self::open(broker, version)?;
        client.send(&packet::connect(version, client_id))?;
        match client.receive()? {
            Packet::ConnAck { code: 0, .. } => Ok(client),
            other => bail!("{client_id} is not let in: {other:?}"),
        }
    }

    /// The version of this connection.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("the broker does not take the bytes")
    }

    /// The next packet, or [`Packet::Closed`].
    pub fn receive(&mut self) -> Result<Packet> {
        self.receive_within(PATIENCE)?.context("the broker does not answer")
    }

    /// The next packet, if one comes within the time.
    pub fn receive_within(&mut self, time: Duration) -> Result<Option<Packet>> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(packet) = Packet::take(self.version, &mut self.received)? {
                return Ok(Some(packet));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(Some(Packet::Closed)),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(None),
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                        return Ok(Some(Packet::Closed));
                    }
                    _ => return Err(error.into()),
                },
            }
        }
    }

    /// Sends a QoS 1 PUBLISH and returns its packet identifier.
    pub fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<u16> {
        let id = self.take_id();
        self.send(&packet::publish(self.version, topic.as_bytes(), 1, id, payload))?;
        Ok(id)
    }

    /// Sends a QoS 1 PUBLISH and returns the reason code of its PUBACK.
    pub fn publish_and_wait(&mut self, topic: &str, payload: &[u8]) -> Result<u8> {
        let id = self.publish(topic, payload)?;
        match self.receive()? {
            Packet::PubAck { id: acknowledged, reason } if acknowledged == id => Ok(reason),
            other => bail!("instead of the PUBACK of {id} came {other:?}"),
        }
    }

    /// Subscribes at QoS 1 and checks that the broker grants it.
    pub fn subscribe(&mut self, filter: &str) -> Result<()> {
        let id = self.take_id();
        self.send(&packet::subscribe(self.version, id, filter.as_bytes(), 1))?;
        let answer = self.receive()?;
        ensure!(answer == Packet::SubAck { id, codes: vec![1] }, "{filter}: {answer:?}");
        Ok(())
    }

    /// The next message; acknowledges it when it asks for that.
    pub fn message(&mut self) -> Result<Publish> {
        match self.receive()? {
            Packet::Publish(publish) => {
                if publish.qos == 1 {
                    self.send(&packet::puback(publish.id))?;
                }
                Ok(publish)
            }
            other => bail!("instead of a message came {other:?}"),
        }
    }

    /// Checks that the broker still serves this connection.
    pub fn ping(&mut self) -> Result<()> {
        self.send(&packet::pingreq())?;
        let answer = self.receive()?;
        ensure!(answer == Packet::PingResp, "instead of a PINGRESP came {answer:?}");
        Ok(())
    }

    fn take_id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        id
    }
}
