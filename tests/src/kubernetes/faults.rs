//! A proxy in front of the API server that plays the faults of one: it answers chosen requests itself, breaks off what
//! is under way, and takes nothing for a while.
//!
//! Behind it stands `kubectl proxy` with the credentials of the client, so that this end speaks plain HTTP and the API
//! server sees the rights of the client. Each connection carries one request.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::control_plane::program;
use crate::Result;
use crate::process::Process;

/// How long the proxy behind may take to start.
const START: Duration = Duration::from_secs(30);
/// How long a client may take to say what it wants.
const REQUEST: Duration = Duration::from_secs(30);

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `PATCH`, …
    pub method: String,
    /// Path and query.
    pub path: String,
}

impl Request {
    /// Whether it is a watch.
    pub fn is_watch(&self) -> bool {
        self.path.contains("watch=true")
    }
}

/// What the proxy answers in place of the API server.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// HTTP status code.
    pub code: u16,
    /// The reason of the `Status` in the body.
    pub reason: &'static str,
    /// Seconds of `Retry-After`, where the API server gives them.
    pub retry_after: Option<u32>,
}

/// A request that came by.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request.
    pub request: Request,
    /// When.
    pub at: Instant,
}

/// The proxy. Dropping it breaks off everything.
pub struct Faults {
    address: SocketAddr,
    shared: Arc<Shared>,
    _behind: Process,
}

type Meant = Box<dyn Fn(&Request) -> bool + Send>;

struct Shared {
    behind: String,
    stopping: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    refusals: Vec<(Meant, Refusal, usize)>,
    refused: Vec<Seen>,
    passed: Vec<Seen>,
    closed: Option<Meant>,
    running: Vec<Exchange>,
}

/// A request under way, with both of its connections.
struct Exchange {
    request: Request,
    client: TcpStream,
    server: TcpStream,
}

impl Faults {
    /// Starts a proxy that asks with these credentials.
    pub fn start(kubeconfig: &Path) -> Result<Self> {
        let mut command = Command::new(program("kubectl")?);
        command.arg("--kubeconfig").arg(kubeconfig).args(["proxy", "--port=0"]);
        let process = Process::start("kubectl proxy", &mut command)?;
        let behind = process
            .line("its address", START, |line| Some(line.strip_prefix("Starting to serve on ")?.trim().to_owned()))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { behind, stopping: AtomicBool::new(false), state: Mutex::default() });
        let accepting = Arc::clone(&shared);
        thread::Builder::new().name("faults".to_owned()).spawn(move || accept(&accepting, &listener))?;
        Ok(Self { address, shared, _behind: process })
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests that are meant, so many of them, are refused.
    pub fn refuse(&self, times: usize, refusal: Refusal, meant: impl Fn(&Request) -> bool + Send + 'static) {
        self.shared.state().refusals.push((Box::new(meant), refusal, times));
    }

    /// What was refused so far.
    pub fn refused(&self) -> Vec<Seen> {
        self.shared.state().refused.clone()
    }

    /// What was passed on so far.
    pub fn passed(&self) -> Vec<Seen> {
        self.shared.state().passed.clone()
    }

    /// Breaks off the requests that are meant and takes no new one like them until [`Faults::open`]. Returns how many
    /// were broken off.
    pub fn close(&self, meant: impl Fn(&Request) -> bool + Send + 'static) -> usize {
        let mut state = self.shared.state();
        let cut =
            state.running.iter().filter(|exchange| meant(&exchange.request)).inspect(|exchange| exchange.cut()).count();
        state.closed = Some(Box::new(meant));
        cut
    }

    /// Takes everything again.
    pub fn open(&self) {
        self.shared.state().closed = None;
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.close(|_| true);
        // Wakes the thread that accepts, so that it sees the end.
        drop(TcpStream::connect(self.address));
    }
}

impl Exchange {
    fn cut(&self) {
        // Both may be gone already.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refusal(&mut self, request: &Request) -> Option<Refusal> {
        let place = self.refusals.iter_mut().find(|(meant, _, times)| *times > 0 && meant(request))?;
        place.2 -= 1;
        let refusal = place.1.clone();
        self.refused.push(Seen { request: request.clone(), at: Instant::now() });
        Some(refusal)
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for client in listener.incoming().flatten() {
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(shared);
        // A client that goes away in the middle is its own affair.
        thread::spawn(move || drop(serve(&shared, client)));
    }
}

fn serve(shared: &Shared, mut client: TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(REQUEST))?;
    let (request, head, body) = read(&client)?;
    let server = {
        let mut state = shared.state();
        if state.closed.as_ref().is_some_and(|closed| closed(&request)) {
            return client.shutdown(Shutdown::Both);
        }
        if let Some(refusal) = state.refusal(&request) {
            drop(state);
            return client.write_all(answer(&refusal).as_bytes());
        }
        state.passed.push(Seen { request: request.clone(), at: Instant::now() });
        let server = TcpStream::connect(&shared.behind)?;
        state.running.push(Exchange { request, client: client.try_clone()?, server: server.try_clone()? });
        server
    };
    let port = client.peer_addr()?.port();
    let done = pass(server, &mut client, &head, &body);
    shared.state().running.retain(|exchange| exchange.client.peer_addr().is_ok_and(|peer| peer.port() != port));
    client.shutdown(Shutdown::Both)?;
    done
}

fn pass(mut server: TcpStream, client: &mut TcpStream, head: &str, body: &[u8]) -> io::Result<()> {
    server.write_all(head.as_bytes())?;
    server.write_all(body)?;
    io::copy(&mut server, client).map(drop)
}

/// The request, its head as it is passed on, and its body.
fn read(client: &TcpStream) -> io::Result<(Request, String, Vec<u8>)> {
    let mut reader = BufReader::new(client);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Err(io::Error::other(format!("not a request: {first:?}")));
    };
    let (mut head, mut length) = (first, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "connection" => continue,
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            "transfer-encoding" => return Err(io::Error::other("only bodies of known length are passed on")),
            _ => {}
        }
        head.push_str(&line);
    }
    // One request for each connection: the end of the answer is the end of the connection.
    head.push_str("Connection: close\r\n\r\n");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((Request { method, path }, head, body))
}

fn answer(refusal: &Refusal) -> String {
    let Refusal { code, reason, .. } = refusal;
    let body = serde_json::json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason,
        "message": format!("refused by the test: {reason}"), "metadata": {},
    })
    .to_string();
    let retry = refusal.retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 {code} {reason}\r\nContent-Type: application/json\r\n{retry}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
