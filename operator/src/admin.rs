//! The operator's own port: health and figures.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 while the process can answer at all |
//! | `/readyz` | 200 when everything is listed once, 503 with what is missing otherwise |
//! | `/metrics` | the figures of `docs/operations.md` |

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, run::Progress};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why the port does not answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// It cannot be bound.
    #[error("the admin address {address} cannot be used: choose another with `--admin HOST:PORT`")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// It failed while serving.
    #[error("the admin port stopped answering")]
    Serve(#[source] io::Error),
}

/// What the port tells.
#[derive(Debug, Clone)]
pub struct Told {
    /// How far the start is.
    pub progress: Progress,
    /// The figures.
    pub metrics: Metrics,
}

/// Binds the port.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, AdminError> {
    TcpListener::bind(address).await.map_err(|source| AdminError::Bind { address, source })
}

/// Answers until `stop`.
pub async fn serve(listener: TcpListener, told: Told, stop: CancellationToken) -> Result<(), AdminError> {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(figures))
        .with_state(Arc::new(told));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await.map_err(AdminError::Serve)
}

async fn ready(State(told): State<Arc<Told>>) -> Response {
    match told.progress.missing() {
        None => "ok\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

async fn figures(State(told): State<Arc<Told>>) -> Response {
    match told.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("figures cannot be written: {error}\n")).into_response()
        }
    }
}
