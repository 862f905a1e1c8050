//! The steps of the story, with the time of each.

use std::io::{Write as _, stderr};
use std::time::Instant;

use anyhow::Context as _;
use isthmus_tests::Result;

/// Runs steps and writes what each took, at once: past the test runner, which shows a test's output at its end or not at
/// all.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    count: usize,
}

impl Steps {
    /// Runs a step; its name goes before the error when it fails.
    pub(crate) fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = step().with_context(|| format!("step failed: {name}"))?;
        self.count += 1;
        self.note(&format!("{:2}  {:6.2} s  {name}", self.count, start.elapsed().as_secs_f64()))?;
        Ok(result)
    }

    /// Writes a line of the story.
    pub(crate) fn note(&self, line: &str) -> Result<()> {
        Ok(writeln!(stderr(), "e2e  {line}")?)
    }
}
