//! The resources of a test, as the text of a manifest file.
//!
//! A resource is rendered as JSON, which is YAML as well; tests about the text itself (positions,
//! typing errors) write theirs by hand.

use std::fmt::{self, Display};

use serde_json::{Value, json};

/// One resource; [`Display`] gives a document.
#[derive(Debug, Clone)]
pub struct Resource {
    kind: &'static str,
    name: String,
    spec: Value,
}

impl Resource {
    fn new(kind: &'static str, name: &str, spec: Value) -> Self {
        Self { kind, name: name.to_owned(), spec }
    }

    /// Gives it another name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its kind, as paths of the API server write it.
    pub fn plural(&self) -> String {
        format!("{}s", self.kind.to_lowercase())
    }

    /// The object.
    pub fn object(&self) -> Value {
        json!({
            "apiVersion": "isthmus.dev/v1alpha1",
            "kind": self.kind,
            "metadata": {"name": self.name},
            "spec": self.spec,
        })
    }

    /// Sets a field of the spec by its dotted path (`buffer.perPartitionLimit`).
    #[must_use]
    pub fn with(mut self, path: &str, value: impl Into<Value>) -> Self {
        let place = path.split('.').fold(&mut self.spec, |place, field| &mut place[field]);
        *place = value.into();
        self
    }

    /// Appends to a list of the spec.
    #[must_use]
    pub fn and(mut self, list: &str, entry: Value) -> Self {
        if let Some(entries) = self.spec[list].as_array_mut() {
            entries.push(entry);
        } else {
            self.spec[list] = Value::Array(vec![entry]);
        }
        self
    }

    /// Adds an action of a Rule: a record to this Sink.
    #[must_use]
    pub fn to_sink(self, sink: &str) -> Self {
        self.and("actions", json!({"name": sink, "sinkRef": {"name": sink}}))
    }

    /// Adds an action of a Rule: a publication.
    #[must_use]
    pub fn to_topic(self, topic: &str, payload: &str) -> Self {
        let republish = json!({"topic": topic, "payload": payload, "qos": 1});
        self.and("actions", json!({"name": "republish", "republish": republish}))
    }
}

impl Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#}", self.object())
    }
}

/// The Bridge `fleet`, open to everyone.
pub fn bridge() -> Resource {
    Resource::new("Bridge", "fleet", json!({"authentication": {"anonymous": "Allow"}}))
}

/// The file with this Bridge, open only to users with these names and passwords.
pub fn closed(bridge: Resource, users: &[(&str, &str)]) -> String {
    let bridge =
        bridge.with("authentication.anonymous", "Deny").with("authentication.usersSecretRef", json!({"name": "users"}));
    format!("{bridge}\n---\n{}", self::users(users))
}

fn users(users: &[(&str, &str)]) -> String {
    let users: Vec<_> = users.iter().map(|(name, password)| (*name, format!("plain:{password}"))).collect();
    let data: Vec<_> = users.iter().map(|(name, password)| (*name, password.as_str())).collect();
    secret("users", &data)
}

/// A Secret with these keys and values.
pub fn secret(name: &str, data: &[(&str, &str)]) -> String {
    let data: serde_json::Map<_, _> = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
    format!("{secret:#}")
}

/// The Connector `kafka`. The local mode replaces the servers by those of `--kafka`.
pub fn connector() -> Resource {
    let kafka = json!({"bootstrapServers": ["kafka:9092"]});
    Resource::new("Connector", "kafka", json!({"bridgeRef": {"name": "fleet"}, "kafka": kafka}))
}

/// A Sink to a Kafka topic.
pub fn sink(name: &str, topic: &str) -> Resource {
    Resource::new("Sink", name, json!({"connectorRef": {"name": "kafka"}, "topic": topic}))
}

/// A Source without any topic; add `topicMapping` entries with [`Resource::and`].
pub fn source(name: &str) -> Resource {
    Resource::new("Source", name, json!({"connectorRef": {"name": "kafka"}}))
}

/// A Rule without any action.
pub fn rule(name: &str, sql: &str) -> Resource {
    Resource::new("Rule", name, json!({"bridgeRef": {"name": "fleet"}, "sql": sql}))
}

/// The file: the Bridge, the Connector and these resources.
pub fn file(resources: &[Resource]) -> String {
    documents(&[&[bridge(), connector()], resources].concat())
}

/// The same file, with these Secrets.
pub fn with_secrets(file: &str, secrets: &[crate::secrets::Secret<'_>]) -> String {
    secrets.iter().fold(file.to_owned(), |file, (name, data)| format!("{file}\n---\n{}", secret(name, data)))
}

/// The file with exactly these resources.
pub fn documents(resources: &[Resource]) -> String {
    resources.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n---\n")
}
