//! Where and with what a report was made.

use std::fmt::{self, Display};
use std::fs;
use std::process::Command;

use isthmus_tests::{Result, environment, isthmus};
use serde::Serialize;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Machine {
    date: String,
    cpu: String,
    cores: usize,
    memory_bytes: u64,
    kernel: String,
    /// Processes that wanted a core in the minute before the run: others' work, which makes single figures worthless.
    load_average: String,
    isthmus: String,
    commit: String,
    kafka: String,
    librdkafka: String,
}

impl Machine {
    pub(crate) fn look() -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu_info = read("/proc/cpuinfo");
        let cpu = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let memory = read("/proc/meminfo");
        let memory = memory
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        let pom = fs::read_to_string(environment::file("kafka/pom.xml"))?;
        let kafka = pom.split_once("<artifactId>kafka_2.13</artifactId>").and_then(|(_, rest)| {
            let (_, rest) = rest.split_once("<version>")?;
            rest.split_once("</version>")
        });
        Ok(Self {
            date: jiff::Zoned::now().strftime("%Y-%m-%d %H:%M").to_string(),
            cpu: cpu.map(|(_, name)| name.to_owned()).unwrap_or_default(),
            cores: std::thread::available_parallelism()?.get(),
            memory_bytes: memory.unwrap_or_default() * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_average: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            isthmus: first_line(Command::new(isthmus::binary()?).arg("--version")),
            commit: first_line(
                Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(environment::checkout("")),
            ),
            kafka: kafka.map(|(version, _)| version.to_owned()).unwrap_or_default(),
            librdkafka: rdkafka::util::get_rdkafka_version().1,
        })
    }
}

fn first_line(command: &mut Command) -> String {
    let text = command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

impl Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, cpu, cores, kernel, load_average, isthmus, commit, kafka, librdkafka, .. } = self;
        let memory = self.memory_bytes / (1 << 30);
        write!(
            formatter,
            "{date}: {cores} cores of {cpu}, {memory} GiB, Linux {kernel}, load average {load_average} before the run; \
             {isthmus} ({commit}), Apache Kafka {kafka}, librdkafka {librdkafka}."
        )
    }
}
