//! The client of the API server, with a layer that counts its requests.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Method, Request, Response, header};
use kube::{Client, Config, client::ClientBuilder};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::metrics::Metrics;

/// How long a connection may be silent before it counts as dead. A quiet watch hears a bookmark every minute.
const SILENCE: Duration = Duration::from_secs(180);

/// A client for `config` that counts what it asks.
pub fn build(mut config: Config, metrics: Metrics) -> kube::Result<Client> {
    config.read_timeout.get_or_insert(SILENCE);
    Ok(ClientBuilder::try_from(config)?.with_layer(&Counting { metrics }).build())
}

#[derive(Debug, Clone)]
struct Counting {
    metrics: Metrics,
}

#[derive(Debug, Clone)]
struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.metrics.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    S::Error: Send,
    R: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (verb, resource) = describe(&request);
        let span = tracing::info_span!(
            "request",
            otel.name = format!("{verb} {resource}"),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            http.response.status_code = tracing::field::Empty,
            url.path = request.uri().path(),
        );
        let metrics = self.metrics.clone();
        let answer = self.inner.call(request);
        let answer = async move {
            let answer = answer.await;
            let code = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            let span = tracing::Span::current();
            span.record("http.response.status_code", code.map(i64::from));
            if code.is_none_or(|code| code >= 400) {
                span.record("otel.status_code", "ERROR");
            }
            metrics.called(verb, resource, code.map_or_else(|| "none".to_owned(), |code| code.to_string()));
            answer
        };
        Box::pin(answer.instrument(span))
    }
}

/// Verb and resource of a request, as RBAC names them.
fn describe<B>(request: &Request<B>) -> (&'static str, String) {
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    // /api/v1/… or /apis/GROUP/VERSION/…, then maybe namespaces/NAME, then RESOURCE[/NAME[/SUBRESOURCE]].
    let mut parts = path.trim_matches('/').split('/').peekable();
    let skipped = if parts.next() == Some("api") { 1 } else { 2 };
    let mut rest: Vec<&str> = parts.skip(skipped).collect();
    if rest.len() > 2 && rest[0] == "namespaces" {
        rest.drain(..2);
    }
    let resource = match rest.as_slice() {
        [resource, _, subresource, ..] => format!("{resource}/{subresource}"),
        [resource, ..] => (*resource).to_owned(),
        [] => "-".to_owned(),
    };
    let content = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let verb = match *request.method() {
        Method::GET if query.contains("watch=true") => "watch",
        Method::GET if rest.len() > 1 => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH if content.starts_with("application/apply-patch") => "apply",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    };
    (verb, resource)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(method: Method, uri: &str) -> (&'static str, String) {
        describe(&Request::builder().method(method).uri(uri).body(()).unwrap())
    }

    #[test]
    fn requests_are_named_as_in_roles() {
        for (method, uri, verb, resource) in [
            (Method::GET, "/api/v1/pods?watch=true&x=y", "watch", "pods"),
            (Method::GET, "/apis/isthmus.dev/v1alpha1/namespaces/a/rules?limit=5", "list", "rules"),
            (Method::GET, "/apis/apps/v1/namespaces/a/deployments/fleet", "get", "deployments"),
            (Method::PATCH, "/apis/isthmus.dev/v1alpha1/namespaces/a/rules/b/status", "patch", "rules/status"),
            (Method::DELETE, "/api/v1/namespaces/a/services/fleet", "delete", "services"),
        ] {
            assert_eq!(described(method, uri), (verb, resource.to_owned()), "{uri}");
        }
    }
}
