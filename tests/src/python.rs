//! Python scripts with the independent clients (Paho for MQTT, confluent-kafka for Kafka).

use std::process::Command;

use crate::Result;
use crate::environment::{self, PYTHON};

/// A script of `tests/environment/python/`, to be run in the virtual environment.
pub fn script(name: &str) -> Result<Command> {
    let mut command = Command::new(PYTHON.place()?);
    command.arg("-u").arg(environment::file("python").join(name));
    Ok(command)
}
