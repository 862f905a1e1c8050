//! What the operating system says about this process, from `/proc/self`.

use std::fs;

/// Ticks per second in `/proc/self/stat`: `USER_HZ`, which Linux keeps at 100 towards user space on every platform.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory and CPU time of the process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Process {
    /// Memory that is really there, in bytes.
    pub resident_bytes: u64,
    /// CPU time spent since the start, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Open files and sockets.
    pub open_files: u64,
}

/// Memory of the process that is really there, in bytes; `None` where there is no `/proc`.
pub fn resident() -> Option<u64> {
    resident_bytes(&fs::read_to_string("/proc/self/status").ok()?)
}

impl Process {
    /// The figures now; `None` where there is no `/proc`.
    pub fn read() -> Option<Self> {
        Some(Self {
            resident_bytes: resident()?,
            cpu_seconds: cpu_seconds(&fs::read_to_string("/proc/self/stat").ok()?)?,
            // The listing itself has one file open.
            open_files: (fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1),
        })
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_what_linux_writes() {
        assert_eq!(resident_bytes("Name:\tisthmus\nVmRSS:\t   20480 kB\nRssAnon:\t1 kB\n"), Some(20_971_520));
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_figures() {
        let process = Process::read().unwrap();
        assert!(process.resident_bytes > 100_000 && process.open_files > 0, "{process:?}");
    }
}
