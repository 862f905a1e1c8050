//! Asks pods what they do: `GET /v1/status` on their admin port.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    index::pod::Pod,
    names,
    status::{pods::Answer, report::Report},
};

/// How long a pod may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pods asked at the same time.
const AT_ONCE: usize = 16;
/// Bytes of the longest answer.
const LONGEST: usize = 32 * 1024 * 1024;

/// Why a pod gave no answer.
#[derive(Debug, thiserror::Error)]
enum ObserveError {
    #[error("it has no address")]
    Address,
    #[error("no answer within 2 s")]
    Late,
    #[error("the connection is refused or cut ({0})")]
    Connect(#[from] std::io::Error),
    #[error("its answer is no HTTP ({0})")]
    Http(#[from] hyper::Error),
    #[error("the question cannot be put ({0})")]
    Request(#[from] http::Error),
    #[error("it answers with status {0}")]
    Status(u16),
    #[error("its answer is cut off or too long")]
    Body,
    #[error("its answer is not understood ({0})")]
    Json(#[from] serde_json::Error),
}

/// Asks all ready pods, some at a time. The answers are in the order of the pods.
pub async fn ask(pods: &[Arc<Pod>]) -> Vec<Answer> {
    let ready: Vec<_> = pods.iter().filter(|pod| pod.ready && !pod.leaving).cloned().collect();
    let questions = ready.into_iter().map(|pod| async move {
        let report = timeout(PATIENCE, ask_one(&pod)).await.unwrap_or(Err(ObserveError::Late));
        Answer { pod: pod.name.clone(), report: report.map_err(|error| error.to_string()) }
    });
    stream::iter(questions).buffered(AT_ONCE).collect().await
}

async fn ask_one(pod: &Pod) -> Result<Report, ObserveError> {
    let address = SocketAddr::new(pod.address.ok_or(ObserveError::Address)?, names::ADMIN_PORT);
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request =
        Request::get("/v1/status").header(header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            return Err(ObserveError::Status(response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), LONGEST).collect().await.map_err(|_| ObserveError::Body)?;
        Ok(serde_json::from_slice(&body.to_bytes())?)
    };
    // The connection has to be driven while the answer is awaited, and ends with it.
    let mut answer = std::pin::pin!(answer);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended?;
            answer.await
        }
    }
}
