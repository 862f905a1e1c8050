//! A mistake in a manifest, with its place in the file, and how a terminal shows it.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know: nothing is wrong with it.
    Note,
    /// It runs, probably not as meant.
    Warning,
    /// Nothing is started with it.
    Error,
}

/// A mistake and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Whose it is, such as `Rule speeding`; `None` when no resource could be made out.
    pub resource: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Position in the list of files; `None` when it is about no file in particular.
    pub file: Option<usize>,
    /// Bytes of that file; `None` when it is about the file as a whole.
    pub span: Option<Range<usize>>,
    /// The line holds a secret: only its number is shown.
    pub secret: bool,
}

impl Problem {
    /// An error in `file` at `span`.
    pub fn error(file: usize, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            resource: None,
            message: message.into(),
            help: None,
            file: Some(file),
            span: Some(span),
            secret: false,
        }
    }

    /// The same, with what to do.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A file of manifests. No `Debug`: it may hold Secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its path, as the user wrote it.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// One problem as text: title, file with line and column, the line itself with a caret, and what to do.
pub fn draw(problem: &Problem, files: &[File], styled: bool) -> String {
    let level = match problem.severity {
        Severity::Note => Level::NOTE,
        Severity::Warning => Level::WARNING,
        Severity::Error => Level::ERROR,
    };
    let file = problem.file.and_then(|file| files.get(file));
    let mut title = problem.message.clone();
    if let Some(resource) = &problem.resource {
        title = format!("{resource}: {title}");
    }
    let shown = problem.span.as_ref().filter(|_| !problem.secret);
    if let Some(file) = file.filter(|_| shown.is_none()) {
        let line = problem.span.as_ref().map(|span| format!(":{}", line_of(&file.text, span.start)));
        title = format!("{}{}: {title}", file.name, line.unwrap_or_default());
    }
    let mut group = Group::with_title(level.primary_title(title));
    if let (Some(file), Some(span)) = (file, shown) {
        let snippet = Snippet::source(file.text.as_str())
            .path(file.name.as_str())
            .annotation(AnnotationKind::Primary.span(first_line(&file.text, span)));
        group = group.element(snippet);
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// Number of the line, from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// The part of `span` on its first line: a caret under several lines hides more than it shows.
fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = span.start.min(text.len());
    let inside = text.get(start..span.end.min(text.len())).unwrap_or_default();
    start..start + inside.lines().next().unwrap_or_default().trim_end().len()
}
