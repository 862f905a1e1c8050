//! `isthmus rule`: SQL tried on sample events before it is live (row R5), and the reference of the functions.
//!
//! Owns the command line, reading of files, and what goes to which stream with which exit status. What a rule does with
//! an event is the rule engine's; nothing here starts a data path.

mod cases;
mod functions;
mod sample;
mod template_case;

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Subcommand};

use crate::manifest::File;
use crate::rule::host::ProcessHost;
use crate::run::complain;

/// Exit status of a sample event that FROM or WHERE leaves out.
const NO_MATCH: u8 = 3;

/// `isthmus rule`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with rules that are not live.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run SQL over a sample event, or a table of cases.
    ///
    /// Exit status: 0 when there was an output, or when every case passed; 1 for an error or a failed case; 3 when the
    /// event does not match.
    Test(Test),
    /// Print the reference of the functions that SQL may call.
    Functions(Functions),
}

/// `isthmus rule test`
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("rule").required(true).args(["sql", "sql_file", "cases"])))]
pub struct Test {
    /// The rule.
    #[arg(long, value_name = "SQL", requires = "event", allow_hyphen_values = true)]
    pub sql: Option<String>,
    /// The rule, from a file.
    #[arg(long, value_name = "FILE", requires = "event")]
    pub sql_file: Option<PathBuf>,
    /// The sample event: a JSON object of columns, `-` for standard input. Columns it does not name get sample values.
    #[arg(long, value_name = "FILE", conflicts_with = "cases")]
    pub event: Option<PathBuf>,
    /// A table of cases, one JSON object per line, `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub cases: Option<PathBuf>,
}

/// `isthmus rule functions`
#[derive(Debug, clap::Args)]
pub struct Functions {
    /// One function instead of all.
    pub name: Option<String>,
}

/// Why nothing could be tried.
#[derive(Debug, thiserror::Error)]
pub enum RuleTestError {
    /// A file cannot be read, or is not UTF-8.
    #[error("cannot read {file}")]
    Read {
        /// As the user named it.
        file: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A table without a line: a misplaced file must not pass for a good one.
    #[error("{file} has no cases: write one JSON object per line, such as {example}", example = cases::EXAMPLE)]
    NoCases {
        /// As the user named it.
        file: String,
    },
    /// There is no such function.
    #[error("there is no function `{name}`; {hint}")]
    UnknownFunction {
        /// The name that was asked for.
        name: String,
        /// What to do.
        hint: String,
    },
    /// The terminal or the disk takes no more.
    #[error("cannot write the result")]
    Write(#[source] io::Error),
}

/// What a command has to say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    /// The result, for standard output.
    out: String,
    /// What there is to say about it, for standard error.
    err: String,
    /// The exit status.
    status: u8,
}

/// Does what the command line asks for. Results go to standard output, findings to standard error.
pub fn run(args: &Args) -> Result<ExitCode, RuleTestError> {
    let report = match &args.command {
        Command::Test(test) => test.run()?,
        Command::Functions(functions) => functions::reference(functions.name.as_deref())?,
    };
    if !report.err.is_empty() {
        complain(report.err.trim_end());
    }
    if !report.out.is_empty() {
        write(report.out.trim_end())?;
    }
    Ok(ExitCode::from(report.status))
}

fn write(text: &str) -> Result<(), RuleTestError> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // The reader of the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(RuleTestError::Write),
    }
}

impl Test {
    fn run(&self) -> Result<Report, RuleTestError> {
        if let Some(path) = &self.cases {
            return cases::run(&read(path)?);
        }
        let sql = match &self.sql_file {
            Some(path) => read(path)?,
            None => File { name: "sql".to_owned(), text: self.sql.clone().unwrap_or_default() },
        };
        let event = read(self.event.as_deref().unwrap_or(Path::new("-")))?;
        Ok(sample::run(sql, event, &ProcessHost::default(), io::stderr().is_terminal()))
    }
}

/// Reads a whole file; `-` is standard input.
fn read(path: &Path) -> Result<File, RuleTestError> {
    let from_stdin = path == Path::new("-");
    let name = if from_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let text = if from_stdin {
        let mut text = String::new();
        io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    match text {
        Ok(text) => Ok(File { name, text }),
        Err(source) => Err(RuleTestError::Read { file: name, source }),
    }
}
