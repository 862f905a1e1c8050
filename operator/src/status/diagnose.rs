//! Findings about one resource → `Accepted` and `ResolvedRefs`, with messages as a person reads them.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use isthmus_plan::{Finding, Severity};

use crate::condition::{Holds, Verdict, is_about_reference, reason};

/// What the findings of one resource amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Whether it is valid by itself.
    pub accepted: Verdict,
    /// Whether what it refers to is there.
    pub resolved: Verdict,
    /// What the pods go on with instead.
    pub last_good: Option<LastGood>,
}

/// A version of a resource that goes on in the pods because the newest one is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastGood {
    /// Its generation; `None` when the plan does not say.
    pub running: Option<i64>,
    /// The newest generation.
    pub newest: i64,
}

impl LastGood {
    /// Said at the end of what is wrong.
    fn goes_on(self) -> String {
        match self.running {
            Some(generation) => format!("Generation {generation} goes on in the pods."),
            None => "The version before goes on in the pods.".to_owned(),
        }
    }

    /// What the pods run, and why it is not the newest version.
    fn runs(self, why: &str) -> String {
        let newest = self.newest;
        match self.running {
            Some(running) if running == newest => {
                format!("The pods run generation {running} with what it referred to before, because: {why}")
            }
            Some(running) => format!("The pods run generation {running}; generation {newest} does not, because: {why}"),
            None => format!("The pods run the version before; generation {newest} does not, because: {why}"),
        }
    }
}

impl Diagnosis {
    /// The resource cannot be read at all.
    pub fn unreadable(why: &str) -> Self {
        let message = format!(
            "This version of the operator cannot read the stored object: {why}. Apply it again in a form that it knows, or upgrade the operator and its definitions together."
        );
        Self { accepted: Verdict::no(reason::UNREADABLE, message), resolved: unchecked(), last_good: None }
    }

    /// Whether it can be part of a plan.
    pub fn is_good(&self) -> bool {
        self.accepted.is_true() && self.resolved.is_true()
    }

    /// What `findings`, all of them about one resource, amount to. `text_of` gives the text of a field, for positions.
    pub fn of<'t>(findings: &[&Finding], text_of: impl Fn(&str) -> Option<&'t str>) -> Self {
        let about = |reference: bool, severity: Severity| {
            findings
                .iter()
                .copied()
                .filter(|finding| finding.severity == severity && is_about_reference(finding.reason) == reference)
                .collect::<Vec<_>>()
        };
        let say = |findings: &[&Finding]| {
            findings.iter().map(|finding| message(finding, text_of(&finding.path))).collect::<Vec<_>>().join("\n")
        };
        let errors = about(false, Severity::Error);
        let warnings = about(false, Severity::Warning);
        let accepted = match (errors.first(), warnings.first()) {
            (Some(first), _) => Verdict::no(first.reason, say(&errors)),
            (None, Some(_)) => Verdict::yes(reason::ACCEPTED_WITH_WARNINGS, say(&warnings)),
            (None, None) => Verdict::yes(reason::ACCEPTED, "The resource is valid."),
        };
        let broken = about(true, Severity::Error);
        let resolved = match broken.first() {
            Some(first) => Verdict::no(first.reason, say(&broken)),
            None if !accepted.is_true() => unchecked(),
            None => Verdict::yes(reason::RESOLVED, "Everything it refers to is there."),
        };
        Self { accepted, resolved, last_good: None }
    }

    /// The same for a resource whose last good version goes on in the pods.
    #[must_use]
    pub fn going_on(mut self, last_good: LastGood) -> Self {
        let wrong = if self.accepted.holds == Holds::False { &mut self.accepted } else { &mut self.resolved };
        if wrong.holds == Holds::False {
            // A message of several lines is a picture: what follows it begins a line.
            let gap = if wrong.message.contains('\n') { '\n' } else { ' ' };
            wrong.message = format!("{}{gap}{}", wrong.message, last_good.goes_on());
        }
        self.last_good = Some(last_good);
        self
    }

    /// `Programmed` of a resource whose last good version goes on in the pods.
    pub fn programmed(&self) -> Option<Verdict> {
        let last_good = self.last_good?;
        let wrong = if self.accepted.holds == Holds::False { &self.accepted } else { &self.resolved };
        // The rest of it, with the line and a caret, stands where it is said first.
        let why = wrong.message.lines().next().unwrap_or_default();
        let why = why.strip_suffix(&last_good.goes_on()).unwrap_or(why).trim_end();
        let why = if why.ends_with(['.', '?', '!']) { why.to_owned() } else { format!("{why}.") };
        Some(Verdict::no(reason::LAST_GOOD_VERSION, last_good.runs(&why)))
    }
}

fn unchecked() -> Verdict {
    Verdict::unknown(reason::NOT_ACCEPTED, "References are checked once the resource is accepted.")
}

/// One finding as text. With a place in a text of several lines (SQL), the line and a caret under it.
fn message(finding: &Finding, text: Option<&str>) -> String {
    let located = finding.span.as_ref().zip(text).filter(|(_, text)| !text.is_empty());
    let Some((span, text)) = located else {
        let path = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
        let help = finding.help.as_ref().map(|help| format!(": {help}")).unwrap_or_default();
        let said = format!("{path}{}{help}", finding.message);
        return if said.ends_with(['.', '?', '!']) { said } else { format!("{said}.") };
    };
    let start = span.start.min(text.len());
    let inside = text.get(start..span.end.min(text.len())).unwrap_or_default();
    let first_line = start..start + inside.lines().next().unwrap_or_default().trim_end().len();
    let snippet =
        Snippet::source(text).path(finding.path.as_str()).annotation(AnnotationKind::Primary.span(first_line));
    let mut group = Group::with_title(Level::ERROR.no_name().primary_title(finding.message.as_str())).element(snippet);
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let (line, column) = place(text, start);
    format!("Line {line}, column {column}: {}", Renderer::plain().render(&[group]).trim_start())
}

/// Line and column, both from 1; columns count characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests;
