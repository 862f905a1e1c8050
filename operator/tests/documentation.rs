//! The documentation says what the code does.

use std::path::Path;

use anyhow::Context as _;
use isthmus_operator::condition::REASONS;

fn page() -> anyhow::Result<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("this crate has no parent folder")?;
    Ok(std::fs::read_to_string(root.join("docs/operations.md"))?)
}

#[test]
fn every_reason_is_documented_with_its_meaning() -> anyhow::Result<()> {
    let page = page()?;
    for (reason, meaning) in REASONS {
        let row = format!("| `{reason}` | {} |", meaning.trim());
        assert!(page.contains(&row), "docs/operations.md needs the row\n{row}");
    }
    Ok(())
}
