//! Accepts MQTT connections on one TCP port, with or without TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::broker::Broker;
use super::connection;
use super::counters::Refusal;

/// Connections that the kernel holds for us while we are busy.
const BACKLOG: i32 = 4096;
/// Sockets beyond the allowed clients: those that have not sent CONNECT yet.
const UNCONNECTED: usize = 1024;
/// After the system had no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The TLS of a listener's next connections; empty: none. Those that are open keep what they began with.
pub type Tls = Arc<ArcSwapOption<ServerConfig>>;

/// A bound port.
#[derive(Debug)]
pub struct Listener {
    name: String,
    socket: TcpListener,
    address: SocketAddr,
    tls: Tls,
}

/// Why a listener cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (listener {name}): {}", advice(cause))]
pub struct BindError {
    /// The listener's name in the Bridge resource.
    pub name: String,
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system says; the text above has it.
    pub cause: io::Error,
}

fn advice(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "address already in use: stop the other program or choose another port with --mqtt".into()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address: choose one of its own, or 0.0.0.0 for all, with --mqtt".into()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied: choose a port above 1023 with --mqtt, or allow this program to use low ports".into()
        }
        _ => error.to_string(),
    }
}

/// Binds `address` for the listener `name`. Nothing is accepted before [`Listener::serve`], but clients may already queue.
pub fn bind(name: &str, address: SocketAddr) -> Result<Listener, BindError> {
    open(address)
        .and_then(|socket| {
            Ok(Listener { name: name.to_owned(), address: socket.local_addr()?, socket, tls: Tls::default() })
        })
        .map_err(|cause| BindError { name: name.to_owned(), address, cause })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

impl Listener {
    /// The address that clients connect to; its port is the real one when port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Where to put the TLS of the next connections, also while it serves.
    pub fn tls(&self) -> Tls {
        Arc::clone(&self.tls)
    }

    /// Accepts connections until `stop`; those that are open go on until [`Broker::drain`].
    pub async fn serve(self, broker: Arc<Broker>, stop: CancellationToken) {
        tracing::info!(listener = self.name, address = %self.address, "listening for MQTT");
        while let Some(accepted) = stop.run_until_cancelled(self.socket.accept()).await {
            match accepted {
                Ok((stream, peer)) => accept(stream, self.tls.load_full(), peer, &broker),
                Err(error) if is_the_peers(&error) => {
                    tracing::debug!(listener = self.name, %error, "a connection was gone before it was accepted");
                }
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, "cannot accept connections: check the limit of open files");
                    if stop.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await.is_none() {
                        break;
                    }
                }
            }
        }
        tracing::debug!(listener = self.name, "stopped listening");
    }
}

fn accept(stream: TcpStream, tls: Option<Arc<ServerConfig>>, peer: SocketAddr, broker: &Arc<Broker>) {
    if broker.tasks.len() >= broker.settings().max_connections.saturating_add(UNCONNECTED) {
        broker.counters().refused_connection(Refusal::Limit);
        tracing::debug!(%peer, "connection dropped: maxConnections is reached");
        return;
    }
    broker.tasks.spawn(connection::run(stream, tls, peer, Arc::clone(broker)));
}

/// Errors of one connection that `accept` reports, not of the listener.
fn is_the_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_told_with_what_to_do() {
        let first = bind("mqtt", ([127, 0, 0, 1], 0).into()).unwrap();
        let error = bind("mqtt", first.local_addr()).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "cannot listen on {} (listener mqtt): address already in use: stop the other program or choose another port with --mqtt",
                first.local_addr()
            )
        );
    }
}
