//! The committed reference pages are the ones that the tables give. `ISTHMUS_BLESS=1` rewrites them.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::path::Path;

use isthmus_rules::reference;

fn committed(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("ISTHMUS_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} is not up to date: run the test again with ISTHMUS_BLESS=1", path.display());
}

#[test]
fn the_page_of_functions_is_up_to_date() {
    committed("functions.md", &reference::functions());
}

#[test]
fn the_page_of_events_is_up_to_date() {
    committed("events.md", &reference::events());
}

#[test]
fn the_page_of_operators_is_up_to_date() {
    committed("operators.md", &reference::operators());
}

#[test]
fn the_page_of_limits_is_up_to_date() {
    committed("limits.md", &reference::limits());
}
