//! Values of Secrets: where they come from, and how they are handed to what needs them.
//!
//! A pod finds them in a folder (`SECRET/KEY`, a projected volume), local mode has them from its manifests and never
//! writes them to disk. Whoever needs values reads all of them at once ([`Secrets::read`]), so that a certificate and its
//! key are of one version. No value reaches a log, an error or the status: [`Values`] prints names only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use isthmus_plan::document::{Keys, SecretKey};
use parking_lot::Mutex;

/// A value larger than Kubernetes lets a whole Secret be is no value of a Secret.
const LARGEST: u64 = 1 << 20;

/// While a volume is being swapped, reading starts over; it is swapped once in a while, so a few times are enough.
const ATTEMPTS: usize = 5;

/// Values by key.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Where the Secrets of a process are.
#[derive(Clone)]
pub enum Secrets {
    /// A folder with one folder per Secret and one file per key in it.
    Folder(PathBuf),
    /// Given by name, and replaced by whoever gave them.
    Given(Arc<Mutex<BTreeMap<String, Data>>>),
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => f.debug_tuple("Folder").field(folder).finish(),
            Self::Given(_) => f.write_str("Given"),
        }
    }
}

/// Why a value cannot be used. Tells names, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Secret {secret}{}: {problem}", key.as_ref().map(|key| format!(", key {key}")).unwrap_or_default())]
pub struct SecretError {
    /// Name of the Secret.
    pub secret: String,
    /// The key, when it is about one.
    pub key: Option<String>,
    /// What is wrong and what to do.
    pub problem: String,
}

impl SecretError {
    /// Something is wrong with one value.
    pub fn new(place: &SecretKey, problem: impl Into<String>) -> Self {
        Self { secret: place.secret.clone(), key: Some(place.key.clone()), problem: problem.into() }
    }
}

impl Secrets {
    /// The values of what `wanted` names, as they are now. What is not there is missing in the answer.
    pub fn read(&self, wanted: &BTreeMap<String, Keys>) -> Values {
        let read = |name: &String, keys: &Keys| match self {
            Self::Folder(folder) => read_folder(&folder.join(name), keys),
            Self::Given(given) => given.lock().get(name).map(|data| {
                let is_wanted = |key: &String| match keys {
                    Keys::All => true,
                    Keys::These(keys) => keys.contains(key),
                };
                data.iter().filter(|(key, _)| is_wanted(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
            }),
        };
        let all = || Values(wanted.iter().filter_map(|(name, keys)| Some((name.clone(), read(name, keys)?))).collect());
        let Self::Folder(folder) = self else { return all() };
        let mut values = all();
        let mut version = Version::of(folder, wanted);
        for _ in 0..ATTEMPTS {
            let again = all();
            let after = Version::of(folder, wanted);
            if again == values && after == version {
                break;
            }
            (values, version) = (again, after);
        }
        values
    }

    /// What of `wanted` this process was started without: Secrets that are not mounted, and keys that are not there and
    /// that the volume need not have. What the plans so far `asked` for is not among it. The volumes of a pod are fixed
    /// when it starts, so only a new one can have more. A Secret that is mounted and empty may still come.
    pub fn lacking(&self, wanted: &BTreeMap<String, Keys>, asked: &BTreeMap<String, Keys>) -> Vec<String> {
        let Self::Folder(folder) = self else { return Vec::new() };
        let mut lacking = Vec::new();
        for (secret, keys) in wanted {
            let (place, asked) = (folder.join(secret), asked.get(secret));
            if asked.is_none() && !place.is_dir() {
                lacking.push(format!("the Secret `{secret}`"));
                continue;
            }
            let Keys::These(keys) = keys else { continue };
            let is_new = |key: &&String| match asked {
                Some(Keys::All) => false,
                Some(Keys::These(asked)) => !asked.contains(*key),
                None => true,
            };
            let absent = keys.iter().filter(is_new).filter(|key| !place.join(key).exists());
            lacking.extend(absent.map(|key| format!("the key `{key}` of the Secret `{secret}`")));
        }
        lacking
    }

    /// The folders in which something happens when one of these Secrets changes.
    pub fn folders(&self, wanted: &BTreeMap<String, Keys>) -> BTreeSet<PathBuf> {
        match self {
            Self::Folder(folder) => wanted
                .keys()
                .map(|name| folder.join(name))
                .chain([folder.clone()])
                .filter(|path| path.is_dir())
                .collect(),
            Self::Given(_) => BTreeSet::new(),
        }
    }
}

/// Which version of the volumes is mounted: the targets of their `..data` links.
#[derive(PartialEq, Eq)]
struct Version(Vec<Option<PathBuf>>);

impl Version {
    fn of(folder: &Path, wanted: &BTreeMap<String, Keys>) -> Self {
        let folders = wanted.keys().map(|name| folder.join(name)).chain([folder.to_owned()]);
        Self(folders.map(|folder| std::fs::read_link(folder.join("..data")).ok()).collect())
    }
}

/// `None` when there is no such folder.
fn read_folder(folder: &Path, keys: &Keys) -> Option<Data> {
    let value = |key: &str| -> Option<Vec<u8>> {
        let path = folder.join(key);
        // Follows links: in a projected volume every file is one.
        let size = path.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        if size > LARGEST {
            tracing::warn!(path = %path.display(), size, "too large for a value of a Secret: left out");
            return None;
        }
        std::fs::read(&path).inspect_err(|error| tracing::warn!(path = %path.display(), %error, "cannot be read")).ok()
    };
    let mut data = Data::new();
    match keys {
        Keys::These(keys) => {
            if !folder.is_dir() {
                return None;
            }
            data.extend(keys.iter().filter_map(|key| Some((key.clone(), value(key)?))));
        }
        Keys::All => {
            for entry in std::fs::read_dir(folder).ok()?.flatten() {
                let Ok(key) = entry.file_name().into_string() else { continue };
                // Names that start with two dots are the volume's own.
                if !key.starts_with("..") {
                    data.extend(value(&key).map(|value| (key, value)));
                }
            }
        }
    }
    Some(data)
}

/// Values that were read together.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, Data>);

/// Names only: values never reach a log.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, data)| (name, data.keys().collect::<Vec<_>>()))).finish()
    }
}

impl Values {
    /// Everything in a Secret.
    pub fn all(&self, secret: &str) -> Result<&Data, SecretError> {
        self.0.get(secret).ok_or_else(|| SecretError {
            secret: secret.to_owned(),
            key: None,
            problem: "is not there: create it, and see that the pod mounts it".to_owned(),
        })
    }

    /// One value.
    pub fn bytes(&self, place: &SecretKey) -> Result<&[u8], SecretError> {
        let data = self.all(&place.secret)?;
        let value =
            data.get(&place.key).ok_or_else(|| SecretError::new(place, "is not there: add it to the Secret"))?;
        Ok(value)
    }

    /// One value that is text. A line end after it is not part of it: files and `echo` leave one.
    pub fn text(&self, place: &SecretKey) -> Result<&str, SecretError> {
        let text = std::str::from_utf8(self.bytes(place)?).map_err(|_| SecretError::new(place, "is not UTF-8 text"))?;
        if text.contains('\0') {
            return Err(SecretError::new(place, "holds a NUL character, which no such text may have"));
        }
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() { Err(SecretError::new(place, "is empty")) } else { Ok(text) }
    }

    /// Names of the Secrets of which something differs.
    pub fn changed_since(&self, before: &Self) -> BTreeSet<String> {
        let names: BTreeSet<&String> = self.0.keys().chain(before.0.keys()).collect();
        names.into_iter().filter(|name| self.0.get(*name) != before.0.get(*name)).cloned().collect()
    }

    /// Takes one Secret as it was `before`; `false` when that changes nothing.
    pub fn go_back(&mut self, secret: &str, before: &Self) -> bool {
        let Some(old) = before.0.get(secret) else { return false };
        if self.0.get(secret) == Some(old) {
            return false;
        }
        self.0.insert(secret.to_owned(), old.clone());
        true
    }
}

#[cfg(test)]
mod tests;
