use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn since(conditions: &[Condition]) -> i64 {
    conditions[0].last_transition_time.0.as_second()
}

#[test]
fn the_time_changes_with_the_status_and_nothing_else() {
    let waiting = Verdict::no(reason::PROGRAMMING, "0 of 1");
    let first = update(&[], &[(kind::READY, &waiting)], 1, at(10));
    assert_eq!(since(&first), 10);
    let closer = Verdict::no(reason::PROGRAMMING, "almost");
    let second = update(&first, &[(kind::READY, &closer)], 2, at(20));
    assert_eq!((since(&second), second[0].observed_generation), (10, Some(2)));
    let done = Verdict::yes(reason::READY, "");
    assert_eq!(since(&update(&second, &[(kind::READY, &done)], 2, at(30))), 30);
}

#[test]
fn nothing_new_is_nothing_changed() {
    let verdict = Verdict::yes(reason::READY, "fine");
    let before = update(&[], &[(kind::READY, &verdict)], 1, at(10));
    assert_eq!(update(&before, &[(kind::READY, &verdict)], 1, at(99)), before);
}

#[test]
fn conditions_of_others_stay() {
    let mut before = update(&[], &[("Theirs", &Verdict::yes("X", ""))], 1, at(10));
    before = update(&before, &[(kind::READY, &Verdict::yes(reason::READY, ""))], 1, at(10));
    assert_eq!(before.iter().map(|condition| condition.type_.as_str()).collect::<Vec<_>>(), ["Ready", "Theirs"]);
}

#[test]
fn long_messages_are_shortened_between_characters() {
    let verdict = Verdict::no("X", "ä".repeat(LONGEST));
    let message = &update(&[], &[("Ready", &verdict)], 1, at(0))[0].message;
    assert!(message.len() <= LONGEST && message.ends_with("ä …"), "{}", message.len());
}

#[test]
fn reasons_fit_the_schema_and_are_told_once() {
    let mut seen = std::collections::BTreeSet::new();
    for (reason, meaning) in REASONS {
        assert!(reason.chars().all(char::is_alphanumeric) && seen.insert(reason), "{reason}");
        assert!(meaning.trim_end().ends_with('.'), "{reason}");
    }
}
