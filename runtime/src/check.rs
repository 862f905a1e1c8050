//! `isthmus check FILE…`: everything that can be known about manifests without starting anything.
//!
//! Owns the wording of the report. The command line prints it and exits with [`CheckReport::exit_code`].

use std::{fmt::Write as _, path::PathBuf};

use isthmus_plan::Options;

use crate::manifest::{self, Manifests, Problem, Severity};

/// What there is to say about some manifest files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The report for people, ready to print; ends with a line break.
    pub text: String,
    /// Problems that keep the manifests from running.
    pub errors: usize,
    /// Problems that do not.
    pub warnings: usize,
}

impl CheckReport {
    /// 0 when the manifests would run, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.errors > 0)
    }
}

/// Checks `files` together, as local mode would run them. `styled` draws with colours.
pub fn check(files: &[PathBuf], styled: bool) -> CheckReport {
    let manifests = manifest::load(files);
    let rendered = manifests.render(&Options::default(), None);
    report(&manifests, &rendered.problems, styled)
}

fn report(manifests: &Manifests, problems: &[Problem], styled: bool) -> CheckReport {
    let count = |severity: Severity| problems.iter().filter(|problem| problem.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let mut text = manifests.draw(problems, styled);
    for (position, file) in manifests.files.iter().enumerate() {
        let broken =
            problems.iter().any(|problem| problem.file == Some(position) && problem.severity == Severity::Error);
        if !broken && manifests.count(position) > 0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{}: {} ok", file.name, counted(manifests.count(position), "resource"));
        }
    }
    if errors + warnings > 0 {
        let found: Vec<String> = [(errors, "error"), (warnings, "warning")]
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, word)| counted(number, word))
            .collect();
        let _ = writeln!(text, "{}", found.join(", "));
    }
    CheckReport { text, errors, warnings }
}

fn counted(number: usize, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}
