//! What is wrong with a resource: where, why, and what to do about it.
//!
//! A finding is data. Local mode draws it on the manifest, the operator writes it into a condition.

use std::{fmt, ops::Range};

use isthmus_api::ObjectRef;
use serde::Serialize;

/// Reasons are constants in CamelCase: documented, stable, usable as condition reasons.
pub mod reason {
    /// No Bridge to render, or several and none was named.
    pub const BRIDGE_NOT_CHOSEN: &str = "BridgeNotChosen";
    /// Two resources of one kind share a name.
    pub const DUPLICATE_NAME: &str = "DuplicateName";
    /// A reference points at nothing.
    pub const REF_NOT_FOUND: &str = "RefNotFound";
    /// A Secret that a resource names does not exist.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// A Secret that a resource names does not have the key it needs.
    pub const SECRET_KEY_NOT_FOUND: &str = "SecretKeyNotFound";
    /// A reference points at a resource that has an error of its own.
    pub const REF_NOT_ACCEPTED: &str = "RefNotAccepted";
    /// A reference points at a resource that belongs to another Bridge.
    pub const REF_OF_OTHER_BRIDGE: &str = "RefOfOtherBridge";
    /// The SQL does not compile.
    pub const INVALID_SQL: &str = "InvalidSql";
    /// The SQL compiles and is probably not what was meant.
    pub const SUSPICIOUS_SQL: &str = "SuspiciousSql";
    /// The rule reads broker events, which are not delivered to rules.
    pub const EVENT_NOT_DELIVERED: &str = "EventNotDelivered";
    /// A test of the rule cannot be run: its event is none.
    pub const INVALID_TEST: &str = "InvalidTest";
    /// The rule fails one of its own tests (row X8).
    pub const TEST_FAILED: &str = "TestFailed";
    /// A template does not compile.
    pub const INVALID_TEMPLATE: &str = "InvalidTemplate";
    /// A template reads a variable that can never be there (row X4).
    pub const UNKNOWN_VARIABLE: &str = "UnknownVariable";
    /// Kafka has no such topic names.
    pub const INVALID_KAFKA_TOPIC: &str = "InvalidKafkaTopic";
    /// MQTT does not allow publishing to such a topic.
    pub const INVALID_MQTT_TOPIC: &str = "InvalidMqttTopic";
    /// A Kafka topic is mapped twice.
    pub const DUPLICATE_KAFKA_TOPIC: &str = "DuplicateKafkaTopic";
    /// Records are dispatched by a key that is always empty.
    pub const EMPTY_KEY: &str = "EmptyKey";
    /// An action is not exactly one of the things an action can be.
    pub const INVALID_ACTION: &str = "InvalidAction";
    /// Neither users nor anonymous access: no device can connect.
    pub const NOBODY_CAN_CONNECT: &str = "NobodyCanConnect";
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Severity {
    /// The resource is in the plan all the same.
    Warning,
    /// This version of the resource is not in the plan; the last good one, if it runs, is.
    Error,
}

/// Something wrong with one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The resource to change.
    pub object: ObjectRef,
    /// The field to change, such as `spec.actions[0].sinkRef.name`.
    pub path: String,
    /// One of the constants in [`reason`].
    pub reason: &'static str,
    /// A sentence: what is wrong.
    pub message: String,
    /// What to do, when the message does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Bytes of the field's text (SQL, template) that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Range<usize>>,
}

impl Finding {
    /// An error at `path` of `object`.
    pub fn error(
        object: &ObjectRef,
        path: impl Into<String>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            object: object.clone(),
            path: path.into(),
            reason,
            message: message.into(),
            help: None,
            span: None,
        }
    }

    /// A warning at `path` of `object`.
    pub fn warning(
        object: &ObjectRef,
        path: impl Into<String>,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(object, path, reason, message) }
    }

    /// The same, with what to do.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same, at a place in the field's text.
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }
}

/// One line: severity, resource, field, message, help.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}: {}: {}", self.object, self.path, self.message)?;
        match &self.help {
            Some(help) => write!(f, ": {help}"),
            None => Ok(()),
        }
    }
}
