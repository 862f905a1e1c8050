//! Logs: compact lines on standard error, filtered by `--log` or `RUST_LOG`.
//!
//! Owns where log lines go, those of librdkafka (target `librdkafka`) and of other libraries included. Standard output
//! is for what a user asked for.

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::screen::line;

/// What is logged to a file or collector when nothing else is asked for.
const COLLECTED: &str = "info,librdkafka=warn";

/// What is logged to a terminal: somebody reads the screen, which says the rest. Console actions are always shown, and
/// why a device was refused or cut off: its own client seldom says.
const WATCHED: &str = "warn,isthmus::console=info,isthmus_runtime::mqtt::connection=info";

/// Why logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error(
        "the log filter {filter:?} is not understood: {source}; write error, warn, info, debug or trace, or directives \
         such as `info,isthmus_runtime::source=debug`"
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
pub fn start(filter: Option<&str>) -> Result<(), TelemetryError> {
    let terminal = io::stderr().is_terminal();
    let filter = filter.filter(|filter| !filter.trim().is_empty());
    let filter = filter.unwrap_or(if terminal { WATCHED } else { COLLECTED });
    tracing_subscriber::fmt()
        .compact()
        .with_env_filter(parse(filter)?)
        // https://no-color.org: set and not empty.
        .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
        .with_writer(AboveTheScreen)
        // A line that cannot be written would be told where it cannot be written either, and that is a panic.
        .log_internal_errors(false)
        .finish()
        .try_init()
        .map_err(TelemetryError::Twice)
}

fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })
}

/// Standard error; a line that comes while the status line of local mode stands there goes above it.
struct AboveTheScreen;

impl<'w> MakeWriter<'w> for AboveTheScreen {
    type Writer = Lines;

    fn make_writer(&'w self) -> Lines {
        Lines
    }
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stderr().lock();
        out.write_all(line::make_room().as_bytes())?;
        out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_none_says_how_to_write_one() {
        let error = parse("isthmus_runtime=loud").unwrap_err().to_string();
        assert!(error.starts_with("the log filter \"isthmus_runtime=loud\" is not understood"), "{error}");
        assert!(error.contains("write error, warn, info, debug or trace"), "{error}");
    }

    #[test]
    fn the_defaults_are_filters() {
        for filter in [COLLECTED, WATCHED] {
            assert!(parse(filter).is_ok(), "{filter}");
        }
    }
}
