//! `Ready`: the first condition that does not hold, or that all of them do.

use crate::condition::{Holds, Verdict, reason};

/// The summary of conditions, given in the order in which they depend on each other. What does not hold counts before
/// what is not known.
pub fn summary(verdicts: &[&Verdict], message: &str) -> Verdict {
    let first = |holds: Holds| verdicts.iter().copied().find(|verdict| verdict.holds == holds);
    match first(Holds::False).or_else(|| first(Holds::Unknown)) {
        Some(blocking) => blocking.clone(),
        // A reason that says more than "all is well" is kept: a disabled Rule, for one.
        None => match verdicts.iter().find(|verdict| verdict.reason == reason::DISABLED) {
            Some(said) => (*said).clone(),
            None => Verdict::yes(reason::READY, message),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_counts_before_what_is_unknown() {
        let yes = Verdict::yes("A", "");
        let unknown = Verdict::unknown("B", "");
        let no = Verdict::no("C", "");
        assert_eq!(summary(&[&yes, &unknown, &no], "fine"), no);
        assert_eq!(summary(&[&yes, &unknown], "fine"), unknown);
        assert_eq!(summary(&[&yes], "fine"), Verdict::yes(reason::READY, "fine"));
    }
}
