//! A receiver of traces: OTLP over HTTP, read with the definitions that collectors use.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::Result;

/// How long a client may be silent in the middle of a request.
const SILENCE: Duration = Duration::from_secs(30);

/// The receiver. Dropping it ends it.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    requests: Mutex<Vec<Result<ExportTraceServiceRequest>>>,
}

impl Receiver {
    /// Starts one on a port of its own.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, shared) = (listener.local_addr()?, Arc::<Shared>::default());
        let accepting = Arc::clone(&shared);
        thread::Builder::new().name("otlp".to_owned()).spawn(move || accept(&accepting, &listener))?;
        Ok(Self { address, shared })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans so far, each with the name of the service that sent it; an error when something else was sent.
    pub fn spans(&self) -> Result<Vec<(String, Span)>> {
        let requests = self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = Vec::new();
        for request in requests.iter() {
            let request = request.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
            for resource in &request.resource_spans {
                let attributes = resource.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
                let service = text(attributes, "service.name").context("no service name")?;
                let scopes = resource.scope_spans.iter();
                spans.extend(scopes.flat_map(|scope| &scope.spans).map(|span| (service.to_owned(), span.clone())));
            }
        }
        Ok(spans)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts, so that it sees the end.
        drop(TcpStream::connect(self.address));
    }
}

/// An attribute that is a text.
pub fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match value(attributes, key)? {
        any_value::Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// An attribute that is a number.
pub fn number(attributes: &[KeyValue], key: &str) -> Option<i64> {
    match value(attributes, key)? {
        any_value::Value::IntValue(number) => Some(*number),
        _ => None,
    }
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a any_value::Value> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    let Some(AnyValue { value }) = &attribute.value else { return None };
    value.as_ref()
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for client in listener.incoming().flatten() {
        if shared.stopping.load(Ordering::Relaxed) {
            return;
        }
        let shared = Arc::clone(shared);
        // A client that goes away in the middle is its own affair.
        thread::spawn(move || drop(serve(&shared, &client)));
    }
}

fn serve(shared: &Shared, client: &TcpStream) -> io::Result<()> {
    client.set_read_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new(client);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let lower = head.to_lowercase();
        let header = |name: &str| lower.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length = header("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let request =
            if head.starts_with("POST /v1/traces ") && header("content-type:") == Some("application/x-protobuf") {
                ExportTraceServiceRequest::decode(&*body).map_err(Into::into)
            } else {
                Err(anyhow::anyhow!("not a request for traces: {head}"))
            };
        shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        // An empty message: everything was taken.
        (&*client)
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")?;
    }
}
