//! Everything that is generated from the types: paths below the root of the repository, and contents.

use crate::{reference_page, yaml};

/// The files, the same bytes for the same types.
pub fn files() -> Result<Vec<(String, String)>, yaml::YamlError> {
    let mut files: Vec<(String, String)> =
        yaml::files()?.into_iter().map(|(name, text)| (format!("crds/yaml/{name}"), text)).collect();
    files.push(("docs/api.md".to_owned(), reference_page::page()));
    Ok(files)
}
