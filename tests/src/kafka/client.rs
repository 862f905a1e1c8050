//! Independent Kafka clients: kcat for most tests, confluent-kafka where Python already runs, and
//! Apache Kafka's own Java console consumer.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::Kafka;
use crate::process::Process;
use crate::{Result, environment};

/// How long a client may take to start, connect and end on a busy machine.
const CLIENT: Duration = Duration::from_secs(30);

/// A record as the independent client shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Partition number.
    pub partition: i64,
    /// Offset within the partition.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key as text; `None` is Kafka's null.
    pub key: Option<String>,
    /// The value as text; `None` is Kafka's null.
    pub value: Option<String>,
    /// Headers by name.
    pub headers: BTreeMap<String, String>,
}

impl Record {
    fn from_kcat(line: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(line).with_context(|| format!("kcat: {line}"))?;
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let number = |name: &str| json[name].as_i64().with_context(|| format!("no {name}: {line}"));
        let headers: Vec<&str> = json["headers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        Ok(Self {
            partition: number("partition")?,
            offset: number("offset")?,
            timestamp: number("ts")?,
            key: text("key"),
            value: text("payload"),
            headers: headers.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect(),
        })
    }

    /// The value read as JSON.
    pub fn json(&self) -> Result<Value> {
        let text = self.value.as_deref().context("the record has no value")?;
        serde_json::from_str(text).with_context(|| format!("the record's value is not JSON: {text}"))
    }
}

impl Kafka {
    /// Reads a topic from its beginning until there are `count` records; an error when fewer come
    /// `within` the time.
    pub fn read(&self, topic: &str, count: usize, within: Duration) -> Result<Vec<Record>> {
        let mut kcat = self.kcat(&["-C", "-q", "-u", "-J", "-o", "beginning", "-t", topic]);
        kcat.args(["-c", &count.to_string()]);
        let mut process = Process::start("kcat", &mut kcat)?;
        let deadline = Instant::now() + within;
        let ended = process.wait(deadline.saturating_duration_since(Instant::now()));
        let lines = process.stdout_lines();
        if ended.is_err() || lines.len() < count {
            let text = process.output();
            bail!("{topic} has {} of {count} records after {within:?}:\n{text}", lines.len());
        }
        lines.iter().map(|line| Record::from_kcat(line)).collect()
    }

    /// Reads everything a topic holds now.
    pub fn read_all(&self, topic: &str) -> Result<Vec<Record>> {
        let mut kcat = self.kcat(&["-C", "-q", "-e", "-J", "-o", "beginning", "-t", topic]);
        let lines = Process::run("kcat", 4 * CLIENT, &mut kcat)?;
        lines.iter().map(|line| Record::from_kcat(line)).collect()
    }

    /// Writes a record and returns when Kafka has acknowledged it.
    pub fn write(&self, topic: &str, key: &str, value: &str, headers: &[(&str, &str)]) -> Result<()> {
        // kcat takes a file as the value as it stands; standard input would be split into lines.
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), value)?;
        let mut kcat = self.kcat(&["-P", "-t", topic, "-k", key]);
        for (name, value) in headers {
            kcat.arg("-H").arg(format!("{name}={value}"));
        }
        kcat.arg(file.path());
        Process::run("kcat", CLIENT, &mut kcat)?;
        Ok(())
    }

    /// The offsets a consumer group has committed, by topic and partition.
    pub fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<i64, i64>> {
        let mut script = crate::python::script("committed.py")?;
        script.args([&self.bootstrap, group, topic]);
        let lines = Process::run("committed.py", CLIENT, &mut script)?;
        lines
            .iter()
            .map(|line| {
                let (partition, offset) = line.split_once(' ').context("not a pair")?;
                Ok((partition.parse()?, offset.parse()?))
            })
            .collect()
    }

    /// Makes `offset` the group's place in partition 0, as an administrator does while nobody is in the group.
    pub fn commit(&self, group: &str, topic: &str, offset: i64) -> Result<()> {
        let mut script = crate::python::script("commit.py")?;
        script.args([&self.bootstrap, group, topic, &offset.to_string()]);
        Process::run("commit.py", CLIENT, &mut script)?;
        Ok(())
    }

    /// Reads `count` records with Apache Kafka's console consumer; each line is what its default
    /// formatter prints for `properties` (`print.key=true` and the like).
    pub fn console_consumer(&self, topic: &str, count: usize, properties: &[&str]) -> Result<Vec<String>> {
        let mut java = tool("org.apache.kafka.tools.consumer.ConsoleConsumer")?;
        java.args(["--bootstrap-server", &self.bootstrap, "--topic", topic, "--from-beginning"]).args([
            "--max-messages",
            &count.to_string(),
            "--timeout-ms",
            "30000",
        ]);
        for property in properties {
            java.args(["--formatter-property", property]);
        }
        let lines = Process::run("console consumer", 2 * CLIENT, &mut java)?;
        ensure!(lines.len() == count, "the console consumer printed {lines:?}");
        Ok(lines)
    }

    /// Writes a record per key, with the key as the value, by Apache Kafka's console producer.
    pub fn console_producer(&self, topic: &str, keys: &[String]) -> Result<()> {
        let mut java = tool("org.apache.kafka.tools.ConsoleProducer")?;
        java.args(["--bootstrap-server", &self.bootstrap, "--topic", topic]);
        java.args(["--reader-property", "parse.key=true"]);
        let lines: Vec<String> = keys.iter().map(|key| format!("{key}\t{key}\n")).collect();
        Process::run_with_input("console producer", 2 * CLIENT, &mut java, &lines.concat())?;
        Ok(())
    }

    fn kcat(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kcat");
        // A null key or value is told apart from an empty one only in JSON, which -J prints. Without -E a broker that
        // is busy coming back makes kcat give up before the time that the caller allows.
        command.args(["-E", "-b", &self.bootstrap]).args(arguments);
        command
    }
}

/// One of Apache Kafka's command-line tools.
fn tool(class: &str) -> Result<Command> {
    let tools = environment::KAFKA_TOOLS.place()?;
    let classpath = fs::read_to_string(tools.join("classpath"))?;
    let mut java = Command::new("java");
    java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8"]);
    java.args(["-cp", classpath.trim(), class]);
    Ok(java)
}
