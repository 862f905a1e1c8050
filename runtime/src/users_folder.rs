//! The users of a Bridge's Secret as files, as a projected volume has them in a pod: local mode writes what the
//! manifests' Secret says into a private folder that ends with the process.

use std::io;
use std::os::unix::fs::PermissionsExt as _;

use isthmus_plan::{Options, Plan};

use crate::manifest::Secret;

/// A private folder.
#[derive(Debug)]
pub(crate) struct UsersFolder(tempfile::TempDir);

impl UsersFolder {
    /// Makes the folder, for this user's eyes only.
    pub(crate) fn create() -> io::Result<Self> {
        let private = std::fs::Permissions::from_mode(0o700);
        Ok(Self(tempfile::Builder::new().prefix("isthmus-users-").permissions(private).tempdir()?))
    }

    /// How to render a plan whose users are in this folder.
    pub(crate) fn options(&self) -> Options {
        Options { bridge: None, users_path: self.0.path().display().to_string() }
    }

    /// Writes the users that the plan asks for; those from before are removed.
    pub(crate) fn fill(&self, plan: &Plan, secrets: &[Secret]) -> io::Result<()> {
        for entry in std::fs::read_dir(self.0.path())? {
            std::fs::remove_file(entry?.path())?;
        }
        let Some(users) = &plan.bridge.authentication.users else { return Ok(()) };
        let wanted = |secret: &&Secret| secret.namespace == plan.bridge.namespace && secret.name == users.secret;
        for (name, value) in secrets.iter().filter(wanted).flat_map(|secret| &secret.data) {
            std::fs::write(self.0.path().join(name), value)?;
        }
        Ok(())
    }
}
