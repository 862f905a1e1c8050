//! Logs on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::{EnvFilter, util::SubscriberInitExt as _};

use crate::args::LogFormat;

/// What is logged when nothing else is asked for.
const DEFAULT: &str = "info,kube_client=warn,kube_runtime=warn";

/// Why logging cannot be set up.
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
    /// It was set up before.
    #[error("logging is set up already: {0}")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Sets up logging for the process.
pub fn start(filter: Option<&str>, format: LogFormat) -> Result<(), TelemetryError> {
    let filter = filter.filter(|filter| !filter.trim().is_empty()).unwrap_or(DEFAULT);
    let parsed =
        EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(parsed).with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.compact().finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
    .map_err(TelemetryError::Twice)
}
