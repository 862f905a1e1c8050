//! A program of the test environment: started, watched, ended.

use std::io::{BufRead as _, BufReader, Read, Seek as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use crate::condition::eventually;
use crate::{Result, guard};

/// Lines of output that a failing test shows.
const SHOWN_LINES: usize = 200;

static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on an ended program's output is not shown: for whoever is no test and prints a report of its own.
pub fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// A running program and what it has printed so far; dropping it kills it.
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
    ended: Option<ExitStatus>,
}

#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    text: Vec<String>,
    /// The part of `text` that came from standard output.
    stdout: Vec<String>,
    open_streams: usize,
}

impl Output {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// Starts the program with its standard streams collected; `name` is for messages.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        Self::start_with(name, command, Stdio::null())
    }

    /// Like [`Process::start`], with a text as the program's standard input.
    pub fn start_with_input(name: &str, command: &mut Command, input: &str) -> Result<Self> {
        let mut file = tempfile::tempfile()?;
        file.write_all(input.as_bytes())?;
        file.rewind()?;
        Self::start_with(name, command, file.into())
    }

    fn start_with(name: &str, command: &mut Command, input: Stdio) -> Result<Self> {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}: {command:?}"))?;
        guard::watch(child.id())?;
        let output = Arc::new(Output::default());
        output.lock().open_streams = 2;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        collect(&output, stdout.context("no stdout")?, true);
        collect(&output, stderr.context("no stderr")?, false);
        Ok(Self { name: name.to_owned(), child, output, ended: None })
    }

    /// Runs the program to its end and returns the lines of its standard output; an error when it
    /// fails.
    pub fn run(name: &str, within: Duration, command: &mut Command) -> Result<Vec<String>> {
        Self::start(name, command)?.finish(within, command)
    }

    /// Like [`Process::run`], with a text as the program's standard input.
    pub fn run_with_input(name: &str, within: Duration, command: &mut Command, input: &str) -> Result<Vec<String>> {
        Self::start_with_input(name, command, input)?.finish(within, command)
    }

    fn finish(mut self, within: Duration, command: &Command) -> Result<Vec<String>> {
        let status = self.wait(within)?;
        if !status.success() {
            bail!("{} ended with {status}: {command:?}\n{}", self.name, self.output());
        }
        Ok(self.stdout_lines())
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything printed so far, standard output and standard error in order of arrival.
    pub fn output(&self) -> String {
        self.output.lock().text.join("\n")
    }

    /// The lines printed so far.
    pub fn lines(&self) -> Vec<String> {
        self.output.lock().text.clone()
    }

    /// The lines printed so far on standard output.
    pub fn stdout_lines(&self) -> Vec<String> {
        self.output.lock().stdout.clone()
    }

    /// Waits for a line for which `pick` gives a value, among the old lines too.
    pub fn line<T>(&self, what: &str, within: Duration, mut pick: impl FnMut(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + within;
        let mut lines = self.output.lock();
        let mut seen = 0;
        loop {
            while seen < lines.text.len() {
                if let Some(value) = pick(&lines.text[seen]) {
                    return Ok(value);
                }
                seen += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.open_streams == 0 {
                let name = &self.name;
                let text = lines.text.join("\n");
                bail!("{name} did not print {what} within {within:?}; it printed:\n{text}");
            }
            lines = self.output.changed.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("no such pid")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Whether the program has not ended yet.
    pub fn is_running(&mut self) -> Result<bool> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended.is_none())
    }

    /// Waits for the program's end, and for the rest of its output.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        let name = self.name.clone();
        let status = eventually(&format!("{name} has ended"), within, || match self.is_running() {
            Ok(false) => self.ended.ok_or_else(|| "no status".to_owned()),
            Ok(true) => Err(format!("running; it printed:\n{}", self.output())),
            Err(error) => Err(error.to_string()),
        })?;
        // A grandchild may hold the streams open, so this wait has an end of its own.
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut lines = self.output.lock();
        while lines.open_streams > 0 && Instant::now() < deadline {
            lines = self
                .output
                .changed
                .wait_timeout(lines, Duration::from_millis(50))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        Ok(status)
    }

    /// Ends the program at once, as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        if self.is_running()? {
            self.child.kill()?;
            self.ended = Some(self.child.wait()?);
        }
        Ok(())
    }

    /// An error while a thread is in another state than stopped by a signal.
    pub fn all_threads_stopped(&self) -> Result<()> {
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let stat = std::fs::read_to_string(thread?.path().join("stat"))?;
            // PID (NAME) STATE …, where NAME may hold anything.
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            if state != Some('T') {
                bail!("a thread is not stopped: {stat}");
            }
        }
        Ok(())
    }

    /// How long its threads have been on a processor.
    pub fn processor_time(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().context("an empty schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Resident memory.
    pub fn resident_memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).context(path)?;
        let bytes = |field: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            let kib: u64 = line.context("no such field")?.trim().trim_end_matches(" kB").parse()?;
            Ok(kib * 1024)
        };
        Ok(Memory { private: bytes("RssAnon:")? + bytes("RssShmem:")?, code: bytes("RssFile:")? })
    }
}

/// Resident memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What it allocated.
    pub private: u64,
    /// Pages of its program and libraries, which the kernel may drop and read again.
    pub code: u64,
}

impl Drop for Process {
    #[expect(clippy::print_stdout, reason = "the test runner shows it when the test fails")]
    fn drop(&mut self) {
        let killed = self.kill();
        let forgotten = guard::forget(self.pid());
        if QUIET.load(Ordering::Relaxed) {
            return;
        }
        let lines = self.lines();
        let skipped = lines.len().saturating_sub(SHOWN_LINES);
        println!("--- {} (pid {}), {skipped} lines left out", self.name, self.pid());
        for line in &lines[skipped..] {
            println!("{line}");
        }
        if let Err(error) = killed.and(forgotten) {
            println!("--- could not end {}: {error:#}", self.name);
        }
    }
}

fn collect(output: &Arc<Output>, stream: impl Read + Send + 'static, is_stdout: bool) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(stream.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\n', '\r']).to_owned();
            let mut lines = output.lock();
            if is_stdout {
                lines.stdout.push(text.clone());
            }
            lines.text.push(text);
            drop(lines);
            output.changed.notify_all();
            line.clear();
        }
        output.lock().open_streams -= 1;
        output.changed.notify_all();
    });
}
