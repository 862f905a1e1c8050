//! Ends what a test run would leave behind.
//!
//! A dropped [`Process`](crate::process::Process) ends its program, but statics are never dropped
//! and an interrupted or crashed run drops nothing. So one small shell holds the list of programs
//! and folders of this run and reads from a pipe that only the test binary holds: when the pipe
//! closes, for whatever reason, it kills and removes what is still on the list.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context as _, anyhow};

use crate::Result;

const SCRIPT: &str = r#"
trap '' INT TERM HUP
pids=' '
while read -r verb what; do
    case $verb in
    watch) pids="$pids$what " ;;
    forget) pids="${pids%% "$what" *} ${pids#* "$what" }" ;;
    remove) set -- "$@" "$what" ;;
    esac
done
for pid in $pids; do kill -KILL "$pid"; done
[ $# -eq 0 ] || rm -rf -- "$@"
"#;

/// Kill this program at the end of the run, unless it is forgotten before.
pub fn watch(pid: u32) -> Result<()> {
    tell(&format!("watch {pid}"))
}

/// The program has been waited for: its number may belong to another one soon.
pub fn forget(pid: u32) -> Result<()> {
    tell(&format!("forget {pid}"))
}

/// Remove this folder at the end of the run.
pub fn remove(folder: &Path) -> Result<()> {
    tell(&format!("remove {}", folder.display()))
}

fn tell(line: &str) -> Result<()> {
    static GUARD: OnceLock<std::result::Result<Mutex<ChildStdin>, String>> = OnceLock::new();
    let guard = GUARD
        .get_or_init(|| start().map_err(|error| format!("cannot start the guard: {error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("{error}"))?;
    let mut pipe = guard.lock().map_err(|_| anyhow!("the guard's pipe is poisoned"))?;
    writeln!(pipe, "{line}").context("the guard is gone")
}

fn start() -> Result<Mutex<ChildStdin>> {
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT, "isthmus-test-guard"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C reaches the foreground group; the guard must outlive the run by a moment.
        .process_group(0)
        .spawn()?;
    Ok(Mutex::new(shell.stdin.take().context("no pipe")?))
}
