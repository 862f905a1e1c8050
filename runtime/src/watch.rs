//! Tells when files change: manifests under a user's editor, a plan or Secrets in a projected volume.
//!
//! Editors replace files and Kubernetes swaps a link in the folder, so it is the folders that are watched. What
//! changed is not told: the reader compares contents.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Changes that come within this time are one: a file that is saved in two steps is read once, whole.
const SETTLE: Duration = Duration::from_millis(50);

/// Also without any event the files are looked at this often: some file systems tell nothing.
const FALLBACK: Duration = Duration::from_secs(5);

/// A watch on some files.
#[derive(Debug)]
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    events: mpsc::Receiver<()>,
    /// When to look next, whatever is told.
    due: Instant,
    /// Something was told, and `due` is when it has settled.
    told: bool,
}

impl Watch {
    /// Watches the folders of these files.
    pub(crate) fn start(files: &[PathBuf]) -> notify::Result<Self> {
        let (sender, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Full means that a look is due anyway.
                let _ = sender.try_send(());
            }
        })?;
        let folder = |file: &PathBuf| match file.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        for folder in files.iter().map(folder).collect::<BTreeSet<_>>() {
            watcher.watch(&folder, RecursiveMode::NonRecursive)?;
        }
        Ok(Self { watcher, events, due: Instant::now() + FALLBACK, told: false })
    }

    /// Watches these folders too, anew when they were there before: a link among them may lead elsewhere now.
    pub(crate) fn also(&mut self, folders: &BTreeSet<PathBuf>) {
        for folder in folders {
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                // It is looked at now and then all the same.
                tracing::debug!(folder = %folder.display(), %error, "a folder cannot be watched");
            }
        }
    }

    /// Returns when the files may have changed. Given up on, it loses nothing: the next call goes on from there.
    pub(crate) async fn changed(&mut self) {
        if !self.told && timeout_at(self.due, self.events.recv()).await.is_ok() {
            self.told = true;
            self.due = Instant::now() + SETTLE;
        }
        if self.told {
            sleep_until(self.due).await;
            while self.events.try_recv().is_ok() {}
        }
        self.told = false;
        self.due = Instant::now() + FALLBACK;
    }
}
