//! The volumes of a pod as folders, written as the real kubelet writes them.
//!
//! The files of a `ConfigMap` or `Secret` are links into `..data`, itself a link to a folder with one
//! generation of content. A new generation is written beside the old one and takes its place by
//! renaming that one link, so a reader sees all of the old files or all of the new ones.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{ConfigMap, KeyToPath, Secret, Volume as Spec, VolumeProjection};
use serde::de::DeserializeOwned;

use crate::Result;
use crate::kubernetes::Api;

/// File contents by path within the volume.
type Files = BTreeMap<String, Vec<u8>>;

/// One volume of a pod.
pub struct Volume {
    /// Its name in the pod's spec.
    pub name: String,
    /// The folder with its files.
    pub folder: PathBuf,
    source: Source,
    written: Option<Files>,
    generation: u32,
}

enum Source {
    Empty,
    Projected(Vec<VolumeProjection>),
}

impl Volume {
    /// Makes the folder, empty so far; an error for a kind of volume that nothing here writes.
    pub fn create(spec: &Spec, parent: &Path) -> Result<Self> {
        let source = if spec.empty_dir.is_some() {
            Source::Empty
        } else if let Some(projected) = &spec.projected {
            Source::Projected(projected.sources.clone().unwrap_or_default())
        } else {
            bail!("volume {}: only `projected` and `emptyDir` are written here", spec.name);
        };
        let folder = parent.join(&spec.name);
        fs::create_dir_all(&folder)?;
        Ok(Self { name: spec.name.clone(), folder, source, written: None, generation: 0 })
    }

    /// Brings the files up to date with what the API server has now.
    pub fn refresh(&mut self, api: &Api, namespace: &str) -> Result<()> {
        let Source::Projected(sources) = &self.source else { return Ok(()) };
        let mut files = Files::new();
        for source in sources {
            project(api, namespace, source, &mut files).with_context(|| format!("volume {}", self.name))?;
        }
        if self.written.as_ref() != Some(&files) {
            self.generation += 1;
            write(&self.folder, &format!("..{}", self.generation), &files)?;
            self.written = Some(files);
        }
        Ok(())
    }
}

fn project(api: &Api, namespace: &str, source: &VolumeProjection, files: &mut Files) -> Result<()> {
    if let Some(projection) = &source.config_map {
        let optional = projection.optional.unwrap_or_default();
        let found: Option<ConfigMap> = read(api, namespace, "configmaps", &projection.name, optional)?;
        let map = found.unwrap_or_default();
        let texts = map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
        let bytes = map.binary_data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0));
        return pick(texts.chain(bytes).collect(), projection.items.as_deref(), optional, files);
    }
    if let Some(projection) = &source.secret {
        let optional = projection.optional.unwrap_or_default();
        let found: Option<Secret> = read(api, namespace, "secrets", &projection.name, optional)?;
        let data = found.and_then(|secret| secret.data).unwrap_or_default();
        let data = data.into_iter().map(|(key, bytes)| (key, bytes.0)).collect();
        return pick(data, projection.items.as_deref(), optional, files);
    }
    bail!("only configMap and secret are projected here");
}

fn read<T: DeserializeOwned>(api: &Api, namespace: &str, kind: &str, name: &str, optional: bool) -> Result<Option<T>> {
    let answer = api.get(&format!("/api/v1/namespaces/{namespace}/{kind}/{name}"))?;
    if answer.code == 404 && optional {
        return Ok(None);
    }
    answer.object().map(Some)
}

/// The keys that `items` name, under the paths that it gives them; without `items` all keys.
fn pick(mut data: Files, items: Option<&[KeyToPath]>, optional: bool, files: &mut Files) -> Result<()> {
    let Some(items) = items else {
        files.append(&mut data);
        return Ok(());
    };
    for item in items {
        match data.get(&item.key) {
            Some(content) => drop(files.insert(item.path.clone(), content.clone())),
            None if optional => {}
            None => bail!("there is no key {}", item.key),
        }
    }
    Ok(())
}

/// Writes a generation and makes it the current one.
fn write(folder: &Path, generation: &str, files: &Files) -> Result<()> {
    let new = folder.join(generation);
    for (path, content) in files {
        let file = new.join(path);
        fs::create_dir_all(file.parent().context("no folder")?)?;
        fs::write(file, content)?;
    }
    fs::create_dir_all(&new)?;
    let old = fs::read_link(folder.join("..data"));
    symlink(generation, folder.join("..data_tmp"))?;
    fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    for path in files.keys() {
        let top = path.split('/').next().unwrap_or(path);
        match symlink(Path::new("..data").join(top), folder.join(top)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
    }
    // What this generation no longer has.
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_symlink() && !path.exists() {
            fs::remove_file(path)?;
        }
    }
    if let Ok(old) = old {
        fs::remove_dir_all(folder.join(old))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        pairs.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn new_generation_replaces_all_files_of_the_old_one() -> Result<()> {
        let folder = tempfile::tempdir()?;
        write(folder.path(), "..1", &files(&[("plan.json", "one"), ("users/car", "secret")]))?;
        assert_eq!(fs::read_to_string(folder.path().join("plan.json"))?, "one");
        assert_eq!(fs::read_to_string(folder.path().join("users/car"))?, "secret");
        write(folder.path(), "..2", &files(&[("plan.json", "two")]))?;
        assert_eq!(fs::read_to_string(folder.path().join("plan.json"))?, "two");
        assert!(!folder.path().join("users").exists());
        let mut names = Vec::new();
        for entry in fs::read_dir(folder.path())? {
            names.push(entry?.file_name());
        }
        names.sort();
        assert_eq!(names, ["..2", "..data", "plan.json"]);
        Ok(())
    }
}
