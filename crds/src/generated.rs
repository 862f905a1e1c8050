//! Everything that is generated from the types: paths below the root of the repository, and contents.

use crate::{chart, reference_page, yaml};

/// The files, the same bytes for the same types.
pub fn files() -> Result<Vec<(String, String)>, yaml::YamlError> {
    let mut files = Vec::new();
    for (name, text) in yaml::files()? {
        files.push((format!("charts/isthmus-crds/templates/{name}"), chart::template(&text)?));
        files.push((format!("crds/yaml/{name}"), text));
    }
    files.push(("docs/api.md".to_owned(), reference_page::page()));
    Ok(files)
}
