//! What a process has used, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use isthmus_tests::Result;

/// The kernel reports CPU time to user space in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of a process so far, user and system: the scheduler's account of its threads, exact to the nanosecond, and
/// that of the process, which remembers threads that have ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cpu {
    threads: Vec<(u32, Duration)>,
    ticks: Duration,
}

impl Cpu {
    /// Of this process, by its id.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let stat = fs::read_to_string(&path).with_context(|| path.clone())?;
        // PID (NAME) STATE …, where NAME may hold anything; utime and stime are the 14th and 15th field.
        let (_, rest) = stat.rsplit_once(") ").context(path)?;
        let mut fields = rest.split(' ').skip(11);
        let mut ticks = || -> Result<u32> { Ok(fields.next().context("a short stat")?.parse()?) };
        let ticks = TICK * (ticks()? + ticks()?);
        let mut threads = Vec::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            let entry = entry?;
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            let on_cpu = text.split(' ').next().and_then(|text| text.parse().ok()).context("schedstat")?;
            let thread = entry.file_name().to_string_lossy().parse()?;
            threads.push((thread, Duration::from_nanos(on_cpu)));
        }
        Ok(Self { threads, ticks })
    }

    /// What was used between `before` and this.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let earlier = |thread: u32| before.threads.iter().find(|(other, _)| *other == thread).map(|(_, time)| *time);
        let used = self.threads.iter().map(|(thread, time)| time.saturating_sub(earlier(*thread).unwrap_or_default()));
        // Ticks are cut off at both ends; what they have beyond that was used by threads that are gone.
        let at_least = self.ticks.saturating_sub(before.ticks).saturating_sub(2 * TICK);
        used.sum::<Duration>().max(at_least)
    }
}

/// CPU time of several processes.
#[derive(Debug, Clone)]
pub(crate) struct CpuSum(Vec<Cpu>);

impl CpuSum {
    pub(crate) fn of(pids: &[u32]) -> Result<Self> {
        Ok(Self(pids.iter().map(|pid| Cpu::of(*pid)).collect::<Result<_>>()?))
    }

    pub(crate) fn since(&self, before: &Self) -> Duration {
        self.0.iter().zip(&before.0).map(|(now, before)| now.since(before)).sum()
    }
}

/// A size of memory in `/proc/PID/status`, bytes.
fn memory(pid: u32, field: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kib: u64 = line.with_context(|| format!("no {field} in {path}"))?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// The most memory that each process has had resident, added up.
pub(crate) fn peak_memory(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|pid| memory(*pid, "VmHWM")).sum()
}

/// Memory that processes have resident now.
pub(crate) fn resident_memory(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|pid| memory(*pid, "VmRSS")).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_of_a_thread_counts_while_it_lives_and_after() -> Result<()> {
        let burn = || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(100) {
                std::hint::black_box(0);
            }
        };
        let pid = std::process::id();
        let before = Cpu::of(pid)?;
        burn();
        let between = Cpu::of(pid)?;
        // Other tests of the same process may add to it, and a busy machine takes from it.
        let least = Duration::from_millis(10);
        assert!(between.since(&before) >= least, "{:?}", between.since(&before));
        std::thread::scope(|scope| scope.spawn(burn).join()).ok().context("the thread panicked")?;
        let after = Cpu::of(pid)?.since(&between);
        assert!(after >= least, "{after:?} of a thread that has ended");
        assert!(peak_memory(&[pid])? >= resident_memory(&[pid])? / 2);
        Ok(())
    }
}
