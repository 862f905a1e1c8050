//! The admin port: what an operator of the process, a probe or a scraper asks over HTTP.
//!
//! Owns paths and answers. What they say is a [`Snapshot`](crate::status::Snapshot) of the data path. No
//! authentication: in local mode it listens on loopback, in a pod on the pod's network only. It answers on a thread of
//! its own: work of the data path, whoever causes it, makes no probe fail.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 while the process can answer at all |
//! | `/readyz` | 200 when devices can connect, 503 with the reason otherwise |
//! | `/metrics` | the metrics of `docs/metrics.md` |
//! | `/v1/status` | the snapshot as JSON |

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::status::Observe;

/// How long open connections may take to end.
const FAREWELL: Duration = Duration::from_secs(1);

const NOT_FOUND: &str = "nothing here; there are:\n\
    /livez      whether the process lives\n\
    /readyz     whether devices can connect, and why not\n\
    /metrics    figures for Prometheus\n\
    /v1/status  configuration revision, links and figures as JSON\n";

/// Why the admin port does not answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is taken.
    #[error(
        "the admin address {address} is in use: end the process that listens there, or choose another with `--admin HOST:PORT`"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be bound for another reason.
    #[error("the admin address {address} cannot be used: choose another with `--admin HOST:PORT`")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// There is no thread for it.
    #[error("cannot start the thread of the admin port")]
    Start(#[source] io::Error),
    /// The listener failed while serving.
    #[error("the admin port stopped answering")]
    Serve(#[source] io::Error),
}

/// A bound admin port that does not answer yet.
#[derive(Debug)]
pub struct Admin {
    listener: std::net::TcpListener,
    address: SocketAddr,
}

/// An admin port that answers, on a thread of its own, until it is ended or dropped.
#[derive(Debug)]
pub struct Serving {
    stop: CancellationToken,
    ended: oneshot::Receiver<Result<(), AdminError>>,
}

impl Admin {
    /// Binds; port 0 chooses a free one. Apart from [`Admin::start`], so that a port that is taken is
    /// found before anything is started.
    pub fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => AdminError::InUse { address },
            _ => AdminError::Bind { address, source },
        };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address and port that is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers from now on.
    pub fn start(self, observed: Arc<dyn Observe>) -> Result<Serving, AdminError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AdminError::Start)?;
        let listener = {
            let _context = runtime.enter();
            TcpListener::from_std(self.listener).map_err(AdminError::Start)?
        };
        let stop = CancellationToken::new();
        let stopping = stop.clone().cancelled_owned();
        let (told, ended) = oneshot::channel();
        let serve = move || {
            let served = runtime
                .block_on(axum::serve(listener, router(observed)).with_graceful_shutdown(stopping).into_future())
                .map_err(AdminError::Serve);
            // Nobody may be waiting for the end.
            let _ = told.send(served);
        };
        std::thread::Builder::new().name("admin".to_owned()).spawn(serve).map_err(AdminError::Start)?;
        Ok(Serving { stop, ended })
    }
}

impl Serving {
    /// Finishes the requests that run, and answers no more. A request that never ends does not keep the process.
    pub async fn end(mut self) -> Result<(), AdminError> {
        self.stop.cancel();
        match tokio::time::timeout(FAREWELL, &mut self.ended).await {
            Ok(Ok(served)) => served,
            // Its thread panicked, which was logged, or a request never ends.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn router(observed: Arc<dyn Observe>) -> Router {
    Router::new()
        .route("/livez", routing::get(async || "ok\n"))
        .route("/readyz", routing::get(ready))
        .route("/metrics", routing::get(figures))
        .route("/v1/status", routing::get(async |State(observed): State<Arc<dyn Observe>>| Json(observed.snapshot())))
        .fallback(async || (StatusCode::NOT_FOUND, NOT_FOUND))
        .with_state(observed)
}

async fn ready(State(observed): State<Arc<dyn Observe>>) -> Response {
    match observed.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

async fn figures(State(observed): State<Arc<dyn Observe>>) -> Response {
    match metrics::encode(observed.snapshot()) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics cannot be written: {error}\n")).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Listener, Snapshot};

    fn loopback() -> SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, 0).into()
    }

    struct Fixed(Result<(), String>);

    impl Observe for Fixed {
        fn snapshot(&self) -> Snapshot {
            let listener = Listener { name: "mqtt".to_owned(), address: "127.0.0.1:1883".to_owned(), tls: false };
            Snapshot { revision: "abc".to_owned(), listeners: vec![listener], ..Snapshot::default() }
        }

        fn ready(&self) -> Result<(), String> {
            self.0.clone()
        }
    }

    struct Answer {
        status: u16,
        content_type: String,
        body: String,
    }

    async fn ask(ready: Result<(), String>, path: &str) -> Answer {
        let admin = Admin::bind(loopback()).unwrap();
        let url = format!("http://{}{path}", admin.address());
        let serving = admin.start(Arc::new(Fixed(ready))).unwrap();
        let answer = tokio::task::spawn_blocking(move || get(&url)).await.unwrap();
        serving.end().await.unwrap();
        answer
    }

    fn get(url: &str) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        let mut response = agent.get(url).call().unwrap();
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        Answer { status: response.status().as_u16(), content_type, body: response.body_mut().read_to_string().unwrap() }
    }

    #[test]
    fn it_answers_while_all_workers_are_blocked() {
        const WORKERS: usize = 2;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap();
        let admin = Admin::bind(loopback()).unwrap();
        let url = format!("http://{}", admin.address());
        let serving = runtime.block_on(async { admin.start(Arc::new(Fixed(Ok(())))).unwrap() });
        // Each holds a worker until the other ends of the channels are gone.
        let (blocked, all_blocked) = std::sync::mpsc::channel();
        let mut releases = Vec::new();
        for _ in 0..WORKERS {
            let (release, held) = std::sync::mpsc::channel::<()>();
            releases.push(release);
            let blocked = blocked.clone();
            runtime.spawn(async move {
                blocked.send(()).unwrap();
                let _ = held.recv();
            });
        }
        for _ in 0..WORKERS {
            all_blocked.recv().unwrap();
        }
        for path in ["/livez", "/readyz", "/metrics", "/v1/status"] {
            assert_eq!(get(&format!("{url}{path}")).status, 200, "{path}");
        }
        drop(releases);
        runtime.block_on(serving.end()).unwrap();
    }

    #[tokio::test]
    async fn readiness_says_why_not() {
        assert_eq!(ask(Ok(()), "/readyz").await.status, 200);
        let answer = ask(Err("listener \"mqtt\" is not bound yet".to_owned()), "/readyz").await;
        assert_eq!((answer.status, answer.body.as_str()), (503, "not ready: listener \"mqtt\" is not bound yet\n"));
        assert_eq!(ask(Err("not yet".to_owned()), "/livez").await.status, 200);
    }

    #[tokio::test]
    async fn status_is_the_snapshot_as_json() {
        let answer = ask(Ok(()), "/v1/status").await;
        let status: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(status["revision"], "abc");
        assert_eq!(status["listeners"][0]["address"], "127.0.0.1:1883");
        assert_eq!(answer.content_type, "application/json");
    }

    #[tokio::test]
    async fn metrics_are_openmetrics_text() {
        let answer = ask(Ok(()), "/metrics").await;
        assert_eq!(answer.content_type, metrics::CONTENT_TYPE);
        assert!(answer.body.contains("isthmus_plan_info{revision=\"abc\"} 1\n"), "{}", answer.body);
        assert!(answer.body.ends_with("# EOF\n"));
    }

    #[tokio::test]
    async fn an_unknown_path_lists_the_ones_there_are() {
        let answer = ask(Ok(()), "/status").await;
        assert_eq!(answer.status, 404);
        for path in ["/livez", "/readyz", "/metrics", "/v1/status"] {
            assert!(answer.body.contains(path), "{}", answer.body);
        }
    }

    #[test]
    fn a_taken_port_is_said_before_anything_starts() {
        let first = Admin::bind(loopback()).unwrap();
        let error = Admin::bind(first.address()).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "the admin address {} is in use: end the process that listens there, or choose another with `--admin HOST:PORT`",
                first.address()
            )
        );
    }
}
