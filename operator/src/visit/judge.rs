//! From one visit's facts to the verdicts of each resource. Pure.

use std::collections::{BTreeMap, HashMap};

use isthmus_api::Rule;
use isthmus_plan::{
    Plan,
    document::{self, ActionKind},
};
use jiff::Timestamp;

use crate::{
    condition::{Holds, Verdict, kind, reason},
    history::{Part, Revisions},
    index::BridgeKey,
    status::{
        Blocked,
        diagnose::Diagnosis,
        memory,
        pods::{Answer, connected, programmed},
        rollout::Rollout,
        summary,
    },
};

/// What one visit found out.
#[derive(Debug)]
pub(super) struct Judgement<'a> {
    pub(super) key: &'a BridgeKey,
    /// What the last revisions held.
    pub(super) revisions: Revisions,
    /// Where the pods stand; `None` without a Bridge.
    pub(super) rollout: Option<Rollout>,
    /// What keeps changes from the pods.
    pub(super) blocked: Option<Blocked>,
    /// What ready pods say.
    pub(super) answers: &'a [Answer],
    /// What the pods should run.
    pub(super) plan: Option<&'a Plan>,
    /// Bytes that a pod may use at most, if that is limited.
    pub(super) memory: Option<u64>,
    /// Definitions that are older than ours.
    pub(super) outdated: BTreeMap<String, String>,
    pub(super) now: Timestamp,
}

/// Conditions of one resource, by type.
pub(super) type Verdicts = Vec<(&'static str, Verdict)>;

impl Judgement<'_> {
    /// Whether a later visit may say something else without anything having changed in the API server.
    pub(super) fn is_unsettled(&self) -> bool {
        let disconnected = self.answers.iter().filter_map(|answer| answer.report.as_ref().ok()).any(|report| {
            let links =
                report.sinks.iter().map(|sink| &sink.link).chain(report.sources.iter().map(|source| &source.link));
            links.into_iter().any(|link| link.state != "Connected")
        });
        !self.running(Part::Whole).is_true() || disconnected || memory::pressure(self.answers).is_true()
    }

    /// Whether the ready pods run a part of the plan as it is now.
    pub(super) fn running(&self, part: Part<'_>) -> Verdict {
        let revision = format!("revision {}", self.revisions.newest());
        let what = if part == Part::Whole { &revision } else { "it" };
        let since = self.revisions.since().unwrap_or(self.now);
        let rollout = self.rollout.as_ref().and_then(|rollout| rollout.pending.as_ref());
        programmed(self.answers, what, |running| self.revisions.is_current(running, part), since, self.now, rollout)
    }

    fn accepted(&self, of: &str, diagnosis: &Diagnosis) -> Verdict {
        match self.outdated.get(of) {
            Some(lacking) if diagnosis.accepted.is_true() => Verdict::yes(
                reason::CRD_OUTDATED,
                format!(
                    "Valid, as far as the cluster kept it: its definition of {of} does not know {lacking}, which is dropped when a resource is stored. Upgrade the chart isthmus-crds."
                ),
            ),
            _ => diagnosis.accepted.clone(),
        }
    }

    /// Says so where buffers are larger than the memory for them, beside whatever else is said.
    fn with_memory(&self, accepted: Verdict) -> Verdict {
        let warning = self.plan.zip(self.memory).and_then(|(plan, limit)| memory::warning(plan, limit));
        match warning.filter(|_| accepted.is_true()) {
            Some(warning) if accepted.reason == reason::ACCEPTED => {
                Verdict::yes(reason::BUFFERS_EXCEED_MEMORY, warning)
            }
            Some(warning) => Verdict { message: format!("{}\n{warning}", accepted.message), ..accepted },
            None => accepted,
        }
    }

    /// Whether the pods run a resource, which may be part of the plan in spite of what is wrong with it (a Secret that
    /// is missing leaves nothing out).
    fn programmed(&self, diagnosis: &Diagnosis, part: Part<'_>, in_plan: bool) -> Verdict {
        let good = in_plan || diagnosis.is_good();
        if !good && !diagnosis.accepted.is_true() {
            return Verdict::no(reason::NOT_ACCEPTED, "The pods do not have it: see the condition Accepted.");
        }
        if !good && !diagnosis.resolved.is_true() {
            return Verdict::no(reason::REFS_NOT_RESOLVED, "The pods do not have it: see the condition ResolvedRefs.");
        }
        if let Some(blocked) = &self.blocked {
            return blocked.verdict(&self.key.name);
        }
        let running = self.running(part);
        diagnosis.programmed().filter(|_| running.is_true()).unwrap_or(running)
    }

    pub(super) fn bridge(&self, diagnosis: &Diagnosis) -> Verdicts {
        let accepted = self.with_memory(self.accepted("Bridge", diagnosis));
        let programmed = self.programmed(diagnosis, Part::Whole, self.plan.is_some());
        let (available, pending) = match &self.rollout {
            Some(rollout) => (rollout.available.clone(), rollout.pending.clone()),
            None => (Verdict::unknown(reason::PENDING, "The pods are not known."), None),
        };
        let suspended = matches!(self.blocked, Some(Blocked::Suspended));
        let ready = if suspended {
            programmed.clone()
        } else {
            // Why pods are missing says more than that none of them runs the revision.
            let mut order = vec![&accepted, &diagnosis.resolved];
            if matches!(self.blocked, Some(Blocked::Failed(_))) {
                order.push(&programmed);
            }
            order.extend(pending.as_ref());
            order.extend([&available, &programmed]);
            summary(&order, &available.message)
        };
        vec![
            (kind::ACCEPTED, accepted),
            (kind::RESOLVED_REFS, diagnosis.resolved.clone()),
            (kind::PROGRAMMED, programmed),
            (kind::AVAILABLE, available),
            (kind::MEMORY_PRESSURE, memory::pressure(self.answers)),
            (kind::READY, ready),
        ]
    }

    pub(super) fn connector(&self, name: &str, used_by: &[&str], diagnosis: &Diagnosis) -> Verdicts {
        let connected = if used_by.is_empty() {
            Verdict::unknown(reason::UNUSED, "No Sink or Source uses it, so no pod has tried to reach Kafka.")
        } else {
            connected(self.answers, |report| {
                let sinks = report.sinks.iter().map(|sink| (sink.name.as_str(), &sink.link));
                let sources = report.sources.iter().map(|source| (source.name.as_str(), &source.link));
                let mine = sinks.chain(sources).filter(|(name, _)| used_by.contains(name));
                mine.map(|(_, link)| link).collect()
            })
        };
        self.link("Connector", Part::Connector(name), self.plan.is_some(), diagnosis, connected)
    }

    pub(super) fn sink(&self, name: &str, diagnosis: &Diagnosis) -> Verdicts {
        let connected = connected(self.answers, |report| {
            report.sinks.iter().filter(|sink| sink.name == name).map(|sink| &sink.link).collect()
        });
        let in_plan = self.plan.is_some_and(|plan| plan.sink(name).is_some());
        self.link("Sink", Part::Sink(name), in_plan, diagnosis, connected)
    }

    pub(super) fn source(&self, name: &str, diagnosis: &Diagnosis) -> Verdicts {
        let connected = connected(self.answers, |report| {
            report.sources.iter().filter(|source| source.name == name).map(|source| &source.link).collect()
        });
        let in_plan = self.plan.is_some_and(|plan| plan.source(name).is_some());
        self.link("Source", Part::Source(name), in_plan, diagnosis, connected)
    }

    fn link(&self, of: &str, part: Part<'_>, in_plan: bool, diagnosis: &Diagnosis, connected: Verdict) -> Verdicts {
        let accepted = self.accepted(of, diagnosis);
        let programmed = self.programmed(diagnosis, part, in_plan);
        // What pods say about a resource that they should not have is about an older one.
        let connected = if (in_plan || diagnosis.is_good()) && self.blocked != Some(Blocked::Missing) {
            connected
        } else {
            Verdict::unknown(programmed.reason.as_str(), programmed.message.clone())
        };
        let ready = summary(&[&accepted, &diagnosis.resolved, &programmed, &connected], &connected.message);
        vec![
            (kind::ACCEPTED, accepted),
            (kind::RESOLVED_REFS, diagnosis.resolved.clone()),
            (kind::PROGRAMMED, programmed),
            (kind::CONNECTED, connected),
            (kind::READY, ready),
        ]
    }

    /// The Rules in the plan, by name.
    pub(super) fn planned_rules(&self) -> HashMap<&str, &document::Rule> {
        self.plan.into_iter().flat_map(|plan| &plan.rules).map(|rule| (rule.name.as_str(), rule)).collect()
    }

    /// What a Rule that runs cannot do, because a Sink is gone.
    fn lacking(rule: &document::Rule) -> String {
        let lacking = rule.actions.iter().filter_map(|action| match &action.kind {
            ActionKind::Missing(sink) => Some(format!(
                " Its action `{}` fails for every message, because the Sink `{sink}` is not there any more.",
                action.name
            )),
            _ => None,
        });
        lacking.collect()
    }

    pub(super) fn rule(
        &self,
        name: &str,
        rule: Option<&Rule>,
        planned: &HashMap<&str, &document::Rule>,
        diagnosis: &Diagnosis,
    ) -> Verdicts {
        let accepted = self.accepted("Rule", diagnosis);
        let in_plan = planned.get(name).copied();
        let mut programmed = self.programmed(diagnosis, Part::Rule(name), in_plan.is_some());
        if let Some(rule) = in_plan.filter(|_| self.blocked.is_none()) {
            programmed.message.push_str(&Self::lacking(rule));
        }
        let disabled = rule.is_some_and(|rule| !rule.spec.enabled);
        if disabled && programmed.holds == Holds::True {
            programmed = Verdict::yes(
                reason::DISABLED,
                "The rule is checked and sees no message. Set spec.enabled to true to let it run.",
            );
        }
        let ready = summary(&[&accepted, &diagnosis.resolved, &programmed], &programmed.message);
        vec![
            (kind::ACCEPTED, accepted),
            (kind::RESOLVED_REFS, diagnosis.resolved.clone()),
            (kind::PROGRAMMED, programmed),
            (kind::READY, ready),
        ]
    }
}

#[cfg(test)]
mod tests;
