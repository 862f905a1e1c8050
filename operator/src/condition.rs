//! Conditions: their types, the reasons we give, and how a list of them changes. Pure.
//!
//! Reasons are documented in `docs/operations.md`; a test holds that page against [`REASONS`].

use isthmus_plan::finding;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What conditions are about.
pub mod kind {
    /// Valid by itself.
    pub const ACCEPTED: &str = "Accepted";
    /// Everything it refers to exists and may be used.
    pub const RESOLVED_REFS: &str = "ResolvedRefs";
    /// Every ready pod runs it.
    pub const PROGRAMMED: &str = "Programmed";
    /// Its link to Kafka is up on every ready pod.
    pub const CONNECTED: &str = "Connected";
    /// Devices can connect.
    pub const AVAILABLE: &str = "Available";
    /// A pod has nearly all of its memory, and drops or refuses.
    pub const MEMORY_PRESSURE: &str = "MemoryPressure";
    /// The summary.
    pub const READY: &str = "Ready";
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)*) => {
        /// Why a condition is as it is, besides the reasons of [`isthmus_plan::finding::reason`] and those that pods
        /// give for their links.
        pub mod reason {
            $($(#[doc = $doc])+ pub const $name: &str = $text;)*
        }

        /// All reasons of ours, with what they mean.
        pub const REASONS: &[(&str, &str)] = &[$(($text, concat!($($doc),+))),*];
    };
}

reasons! {
    /// The resource is valid by itself.
    ACCEPTED = "Accepted";
    /// The resource is valid, and probably not what was meant.
    ACCEPTED_WITH_WARNINGS = "AcceptedWithWarnings";
    /// The Bridge is valid; its Sinks may buffer more than the memory limit of its pods leaves them.
    BUFFERS_EXCEED_MEMORY = "BuffersExceedMemory";
    /// The stored object cannot be read by this version of the operator.
    UNREADABLE = "Unreadable";
    /// Everything the resource refers to exists.
    RESOLVED = "Resolved";
    /// Not looked at yet, because the resource is not accepted.
    NOT_ACCEPTED = "NotAccepted";
    /// Not in the pods, because a reference leads nowhere.
    REFS_NOT_RESOLVED = "RefsNotResolved";
    /// Every ready pod runs it.
    PROGRAMMED = "Programmed";
    /// The newest generation is wrong, or refers to what is gone: the pods go on with the last good version.
    LAST_GOOD_VERSION = "LastGoodVersion";
    /// Some pods run an older revision still, or are being replaced by some that mount a new Secret.
    PROGRAMMING = "Programming";
    /// Some pods have not taken the revision for a minute.
    PROGRAMMING_STUCK = "ProgrammingStuck";
    /// A pod refuses the revision and goes on with the one before.
    PLAN_REJECTED = "PlanRejected";
    /// The plan is larger than what a `ConfigMap` holds.
    PLAN_TOO_LARGE = "PlanTooLarge";
    /// A pod does not answer the operator.
    POD_NOT_ANSWERING = "PodNotAnswering";
    /// There is no ready pod to say anything about it.
    NO_READY_PODS = "NoReadyPods";
    /// The Rule is not enabled: it is checked and sees no message.
    DISABLED = "Disabled";
    /// The Bridge that it belongs to is not accepted, so that nothing of it reaches the pods.
    BRIDGE_NOT_ACCEPTED = "BridgeNotAccepted";
    /// Devices can connect.
    AVAILABLE = "Available";
    /// Pods start, or are replaced.
    ROLLING_OUT = "RollingOut";
    /// Pods do not become ready; the message names one and what keeps it.
    ROLLOUT_STUCK = "RolloutStuck";
    /// The Bridge asks for no pods.
    SCALED_TO_ZERO = "ScaledToZero";
    /// An object that the Bridge needs has a name that is taken.
    NAME_CONFLICT = "NameConflict";
    /// The API server refuses an object that the Bridge needs.
    APPLY_FAILED = "ApplyFailed";
    /// The Bridge is suspended: the operator leaves its pods alone.
    SUSPENDED = "Suspended";
    /// Every ready pod has memory left.
    MEMORY_SUFFICIENT = "MemorySufficient";
    /// A pod has nearly all of the memory that it may have: its Sinks and subscribers' queues drop or refuse.
    MEMORY_NEAR_LIMIT = "MemoryNearLimit";
    /// The link to Kafka is up on every ready pod.
    CONNECTED = "Connected";
    /// No Sink or Source uses the Connector, so nobody tried.
    UNUSED = "Unused";
    /// All is well.
    READY = "Ready";
    /// The definition in the cluster is older than the operator: fields may be lost.
    CRD_OUTDATED = "CRDOutdated";
    /// Not known yet.
    PENDING = "Pending";
}

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    True,
    /// It does not.
    False,
    /// That cannot be said.
    Unknown,
}

impl Holds {
    /// As conditions write it.
    pub fn text(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What is to be said about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it holds.
    pub holds: Holds,
    /// A documented constant.
    pub reason: String,
    /// A sentence, with the fix when something is wrong.
    pub message: String,
}

impl Verdict {
    /// It holds.
    pub fn yes(reason: &str, message: impl Into<String>) -> Self {
        Self { holds: Holds::True, reason: reason.to_owned(), message: message.into() }
    }

    /// It does not hold.
    pub fn no(reason: &str, message: impl Into<String>) -> Self {
        Self { holds: Holds::False, reason: reason.to_owned(), message: message.into() }
    }

    /// That cannot be said.
    pub fn unknown(reason: &str, message: impl Into<String>) -> Self {
        Self { holds: Holds::Unknown, reason: reason.to_owned(), message: message.into() }
    }

    /// Whether it holds for sure.
    pub fn is_true(&self) -> bool {
        self.holds == Holds::True
    }
}

/// Longest message: what a person reads, far below what the schema allows.
const LONGEST: usize = 4096;

/// The conditions that say `verdicts`. A condition keeps its time while its status stays the same; those of other
/// writers stay as they are.
pub fn update(before: &[Condition], verdicts: &[(&str, &Verdict)], generation: i64, now: Timestamp) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = verdicts
        .iter()
        .map(|(kind, verdict)| {
            let old = before.iter().find(|condition| condition.type_ == *kind);
            let since =
                old.filter(|old| old.status == verdict.holds.text()).map(|old| old.last_transition_time.clone());
            Condition {
                type_: (*kind).to_owned(),
                status: verdict.holds.text().to_owned(),
                reason: verdict.reason.clone(),
                message: shortened(&verdict.message),
                observed_generation: Some(generation),
                last_transition_time: since.unwrap_or_else(|| Time(whole_seconds(now))),
            }
        })
        .collect();
    let ours = |condition: &&Condition| !verdicts.iter().any(|(kind, _)| *kind == condition.type_);
    conditions.extend(before.iter().filter(ours).cloned());
    conditions
}

/// Times of Kubernetes have no fractions; with them, what we wrote would differ from what comes back.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn shortened(message: &str) -> String {
    if message.len() <= LONGEST {
        return message.to_owned();
    }
    let end = (0..=LONGEST - 4).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
    format!("{} …", &message[..end])
}

/// Whether a reason of a finding is about a reference.
pub fn is_about_reference(reason: &str) -> bool {
    matches!(
        reason,
        finding::reason::REF_NOT_FOUND
            | finding::reason::SECRET_NOT_FOUND
            | finding::reason::SECRET_KEY_NOT_FOUND
            | finding::reason::REF_NOT_ACCEPTED
            | finding::reason::REF_OF_OTHER_BRIDGE
    )
}

#[cfg(test)]
mod tests;
