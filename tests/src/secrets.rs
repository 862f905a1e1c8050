//! A folder of Secrets as the kubelet mounts it: a projected volume whose content is swapped by a link.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::Result;

/// A Secret: its name, and the keys with their values.
pub type Secret<'a> = (&'a str, &'a [(&'a str, &'a str)]);

/// A volume; the folder goes with it.
pub struct Volume {
    folder: TempDir,
    version: AtomicU32,
}

impl Volume {
    /// A volume with these Secrets.
    pub fn with(secrets: &[Secret<'_>]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("isthmus-secrets-").tempdir()?;
        let volume = Self { folder, version: AtomicU32::new(0) };
        volume.swap(secrets)?;
        Ok(volume)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces everything in one step, as the kubelet does when a Secret changed.
    pub fn swap(&self, secrets: &[Secret<'_>]) -> Result<()> {
        let number = self.version.fetch_add(1, Ordering::Relaxed);
        let version = format!("..version-{number}");
        fs::create_dir(self.path().join(&version))?;
        for (name, data) in secrets {
            let folder = self.path().join(&version).join(name);
            fs::create_dir_all(&folder)?;
            for (key, value) in *data {
                fs::write(folder.join(key), value)?;
            }
        }
        symlink(&version, self.path().join("..data_tmp"))?;
        fs::rename(self.path().join("..data_tmp"), self.path().join("..data"))?;
        for (name, _) in secrets {
            let link = self.path().join(name);
            if link.symlink_metadata().is_err() {
                symlink(Path::new("..data").join(name), link)?;
            }
        }
        if let Some(old) = number.checked_sub(1) {
            fs::remove_dir_all(self.path().join(format!("..version-{old}")))?;
        }
        Ok(())
    }
}
