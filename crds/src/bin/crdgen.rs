//! Writes what is generated from the types (the definitions in `crds/yaml` and in the chart `isthmus-crds`, the reference
//! in `docs/api.md`): `cargo run -p isthmus-api --bin crdgen`.

use std::{fs, path::Path};

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("this crate has no parent folder")?;
    for (name, text) in isthmus_api::generated::files()? {
        let path = root.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
