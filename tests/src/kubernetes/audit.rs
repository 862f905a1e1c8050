//! The API server's audit log: what service accounts asked for.
//!
//! The policy leaves out everybody else, so the log is short and a test can read all of it. The API
//! server writes an entry before it answers: what a client has been told is in the log.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::Result;

/// The log of one control plane.
pub struct Audit {
    log: PathBuf,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// API group, empty for the core one.
    pub group: String,
    /// Plural name, with the subresource behind a slash (`bridges/status`).
    pub resource: String,
    /// Empty for what is not namespaced, and for lists over all namespaces.
    pub namespace: String,
    /// Empty for lists, and for creations whose name the server chooses.
    pub name: String,
    /// HTTP status code.
    pub code: u16,
}

impl Entry {
    fn parse(line: &str) -> Result<Option<Self>> {
        let event: Value = serde_json::from_str(line).with_context(|| format!("not an audit event: {line}"))?;
        let object = &event["objectRef"];
        // A watch counts when it has begun, anything else when it is over.
        let stage = if event["verb"] == "watch" { "ResponseStarted" } else { "ResponseComplete" };
        // Requests for something else than objects (discovery, `/readyz`) have no object.
        if object.is_null() || event["stage"] != stage {
            return Ok(None);
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let subresource = object["subresource"].as_str().map(|name| format!("/{name}")).unwrap_or_default();
        Ok(Some(Self {
            verb: text(&event["verb"]),
            group: text(&object["apiGroup"]),
            resource: text(&object["resource"]) + &subresource,
            namespace: text(&object["namespace"]),
            name: text(&object["name"]),
            code: u16::try_from(event["responseStatus"]["code"].as_u64().context("no code")?)?,
        }))
    }

    /// Whether it asks for a change.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

impl Audit {
    /// Writes the policy into the folder; [`Audit::arguments`] make the API server follow it.
    pub fn prepare(folder: &Path) -> Result<Self> {
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [
                {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
                {"level": "None"},
            ],
        });
        fs::write(folder.join("audit-policy.json"), policy.to_string())?;
        Ok(Self { log: folder.join("audit.log") })
    }

    /// The API server's arguments.
    pub fn arguments(&self) -> Vec<String> {
        vec![
            format!("--audit-policy-file={}", self.log.with_file_name("audit-policy.json").display()),
            format!("--audit-log-path={}", self.log.display()),
            "--audit-log-maxsize=0".to_owned(),
            "--audit-log-mode=blocking".to_owned(),
        ]
    }

    /// What this service account asked for so far, in the order of the answers.
    pub fn entries(&self, namespace: &str, account: &str) -> Result<Vec<Entry>> {
        let user = format!(r#""username":"system:serviceaccount:{namespace}:{account}""#);
        let text = fs::read_to_string(&self.log).with_context(|| format!("cannot read {}", self.log.display()))?;
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter(|line| line.contains(&user)).filter_map(|line| Entry::parse(line).transpose()).collect()
    }

    /// The permissions which that needed, as `VERB GROUP/RESOURCE`.
    pub fn permissions(&self, namespace: &str, account: &str) -> Result<BTreeSet<String>> {
        let mut permissions = BTreeSet::new();
        for entry in self.entries(namespace, account)? {
            permissions.insert(format!("{} {}/{}", entry.verb, entry.group, entry.resource));
            // A server-side apply that makes the object needs the right to create it as well.
            if entry.verb == "patch" && entry.code == 201 {
                permissions.insert(format!("create {}/{}", entry.group, entry.resource));
            }
        }
        Ok(permissions)
    }
}
