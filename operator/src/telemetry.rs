//! Logs on standard error, and traces for whoever collects them.

mod traces;

use std::io::{self, IsTerminal as _};

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry,
    filter::{FilterExt as _, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::args::{Args, LogFormat};

/// What is logged when nothing else is asked for.
const DEFAULT: &str = "info,kube_client=warn,kube_runtime=warn";

/// Why logs or traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error(
        "the log filter {filter:?} is not understood: {source}; write error, warn, info, debug or trace, or directives such as `info,isthmus_operator::visit=debug`"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Traces cannot be sent there.
    #[error(
        "traces cannot be sent to {endpoint:?}: {why}; write the base URL of an OTLP/HTTP receiver such as http://collector:4318"
    )]
    Endpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// It was set up before.
    #[error("logging is set up already: {0}")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// What has to be ended with the process.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sends the spans that have not been sent. Blocks; call it outside of the runtime, which must still be there.
    pub fn end(self) {
        if let Some(Err(error)) = self.traces.map(|traces| traces.shutdown()) {
            tracing::warn!("the last traces were not sent: {error}");
        }
    }
}

/// Sets up logs and traces for the process. Call it in the runtime that sends the traces.
pub fn start(args: &Args) -> Result<Telemetry, TelemetryError> {
    let filter = args.log.as_deref().filter(|filter| !filter.trim().is_empty()).unwrap_or(DEFAULT);
    let filter =
        EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
    // A line that cannot be written would be told where it cannot be written either, and that is a panic.
    let logs = fmt::layer::<Registry>()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .log_internal_errors(false);
    let logs = match args.log_format {
        LogFormat::Text => logs.compact().boxed(),
        LogFormat::Json => logs.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    // A line says by itself what it is about: spans are for traces only.
    let logs = logs.with_filter(filter.and(filter_fn(|metadata| !metadata.is_span())));
    let endpoint = args.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty());
    let traces = endpoint.map(traces::provider).transpose()?;
    let layer = traces.as_ref().map(|traces| traces::layer(traces).with_filter(filter_fn(is_ours)));
    tracing_subscriber::registry().with(logs).with(layer).try_init().map_err(TelemetryError::Twice)?;
    Ok(Telemetry { traces })
}

/// What belongs into a trace: the operator's spans, not those of the libraries below it.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
}
