//! The manifests that a user starts from, on a real API server.

use std::fs;

use anyhow::Context as _;
use isthmus_tests::kubernetes::Namespace;
use isthmus_tests::{Result, environment};

use crate::shared;

#[test]
fn every_example_applies_unchanged_and_twice() -> Result<()> {
    let control_plane = shared::bare()?;
    let mut examples = 0;
    for entry in fs::read_dir(environment::checkout("examples"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        examples += 1;
        let file = path.to_str().context("an unusual path")?;
        let namespace = Namespace::create(control_plane, "example")?;
        let kubectl = namespace.kubectl();
        // Strict: a field that the schema does not know is an error, not a warning.
        let first = kubectl.run(&["apply", "--validate=strict", "-f", file])?;
        assert!(first.lines().all(|line| line.ends_with(" created")), "{file}: {first}");
        let diff = kubectl.attempt(&["diff", "-f", file], "")?;
        assert_eq!(diff.code, Some(0), "{file}: {}", diff.output);
        let second = kubectl.run(&["apply", "-f", file])?;
        assert!(second.lines().all(|line| line.ends_with(" unchanged")), "{file}: {second}");
    }
    assert!(examples > 0, "no examples");
    Ok(())
}
