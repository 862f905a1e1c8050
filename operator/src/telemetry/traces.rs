//! Traces, when somebody collects them: OTLP over HTTP (the OpenTelemetry protocol, with protobuf bodies).
//!
//! A visit of a Bridge is a trace, each request to the API server one of its spans. Sampling, headers and resource
//! attributes are set by OpenTelemetry's own variables (`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`,
//! `OTEL_RESOURCE_ATTRIBUTES`).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, hyper::HyperClient};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SdkTracer, SdkTracerProvider},
};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use super::TelemetryError;
use crate::names;

/// How long the receiver may take for a batch.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends requests on the runtime: the exporter works on a thread of its own, which has none.
#[derive(Debug)]
struct OnRuntime {
    client: Arc<dyn HttpClient>,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = Arc::clone(&self.client);
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}

/// Takes spans and sends them to `endpoint` in batches.
pub(super) fn provider(endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let refused = |why: String| TelemetryError::Endpoint { endpoint: endpoint.to_owned(), why };
    let base: Uri = endpoint.parse().map_err(|error: http::uri::InvalidUri| refused(error.to_string()))?;
    let client: Arc<dyn HttpClient> = match base.scheme_str() {
        Some("http") => Arc::new(HyperClient::with_default_connector(PATIENCE, None)),
        Some("https") => {
            let connector = HttpsConnectorBuilder::new().with_native_roots();
            let connector = connector.map_err(|error| refused(format!("no public certificates are found: {error}")))?;
            Arc::new(HyperClient::new(connector.https_only().enable_http1().build(), PATIENCE, None))
        }
        _ => return Err(refused("it begins neither with http:// nor with https://".to_owned())),
    };
    let client = OnRuntime { client, runtime: Handle::current() };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| refused(error.to_string()))?;
    // The variables of OpenTelemetry may say more, and may name the service otherwise.
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(names::MANAGER);
    }
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())
}

/// Makes tracing's spans OpenTelemetry's.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer().with_tracer(provider.tracer(names::MANAGER)).with_location(false).with_threads(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_is_none_is_named_with_what_to_write() {
        for (endpoint, why) in [("collector:4318", "it begins neither"), ("http://a b", "invalid uri character")] {
            let error = provider(endpoint).unwrap_err().to_string();
            assert!(
                error.contains(why) && error.contains(endpoint) && error.contains("http://collector:4318"),
                "{error}"
            );
        }
        assert!(provider("http://collector:4318/").is_ok());
    }
}
