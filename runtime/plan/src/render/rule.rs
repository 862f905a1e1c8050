//! Rules of a plan: SQL compiled, FROM and actions resolved, templates held against what the SELECT gives (row X4), the
//! rule's own tests run ([`own_tests`]).

mod own_tests;

use std::collections::{BTreeMap, BTreeSet};

use isthmus_api::{
    ObjectRef, Rule, Sink,
    rule::{ActionKind, Republish},
};
use isthmus_rules::{
    From, FromEntry, Severity as SqlSeverity,
    template::{Template, TemplateKind, Variable},
};
use kube::core::ObjectMeta;

use super::{
    Scope,
    keep::{self, Made},
    link::{self, Link},
    template,
};
use crate::{Finding, RuleCache, Severity, document, finding::reason, resources::reference, rules::Checked};

/// What the plan has for rules to refer to.
pub(super) struct Accepted<'a> {
    pub(super) sinks: BTreeMap<&'a str, &'a document::Sink>,
    pub(super) sources: BTreeSet<&'a str>,
}

/// Rules that are right and enabled, and what is kept of the others.
pub(super) fn render_all(
    rules: Vec<&Rule>,
    accepted: &Accepted<'_>,
    scope: &mut Scope<'_>,
    cache: &mut RuleCache,
) -> Vec<document::Rule> {
    let there = |sink: &str| accepted.sinks.contains_key(sink);
    let mut rendered = Vec::new();
    for rule in rules {
        match render(rule, accepted, scope, cache) {
            Made::Right(rule) => rendered.push(rule),
            Made::Wrong => {
                let ObjectMeta { name, uid, .. } = &rule.metadata;
                let mut kept: Option<document::Rule> = scope.keep(name.as_deref().unwrap_or_default(), uid.as_deref());
                if let Some(kept) = &mut kept {
                    keep::retarget(kept, there);
                }
                rendered.extend(kept);
            }
            Made::NotHere => {}
        }
    }
    let mut unreadable = scope.keep_unreadable(&rendered);
    for kept in &mut unreadable {
        keep::retarget(kept, there);
    }
    scope.put_back(unreadable, &mut rendered);
    rendered
}

fn render(rule: &Rule, accepted: &Accepted<'_>, scope: &mut Scope<'_>, cache: &mut RuleCache) -> Made<document::Rule> {
    let object = reference(rule);
    // A rule whose Bridge is missing is checked all the same: it learns everything that is wrong with it at once.
    let link = link::to_bridge(&object, &rule.spec.bridge_ref.name, scope);
    if let Link::Elsewhere = link {
        return Made::NotHere;
    }
    let mut checked = cache.take(rule, || compile(&object, rule));
    let mut findings = checked.findings.clone();
    if let Some(compiled) = &checked.compiled {
        check_from(&object, compiled, accepted, scope, &mut findings);
    }
    let mut gone = Vec::new();
    let actions = actions(&object, rule, checked.compiled.as_ref(), accepted, scope, [&mut findings, &mut gone]);
    // What is wrong with the SQL is reported; that its tests fail then says nothing new.
    let sql_is_right =
        !findings.iter().any(|finding| finding.severity == Severity::Error && finding.path == "spec.sql");
    if let Some(compiled) = checked.compiled.as_ref().filter(|_| sql_is_right) {
        let failed = checked.tests.get_or_insert_with(|| own_tests::run(&object, &rule.spec.tests, compiled));
        findings.extend(failed.iter().cloned());
    }
    cache.keep(rule, checked);
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    scope.findings.extend(findings);
    // A Sink that is gone is an error of the rule, and no reason to stop what else it does.
    scope.findings.extend(gone);
    if !rule.spec.enabled {
        Made::NotHere
    } else if refused || !matches!(link, Link::Here) {
        Made::Wrong
    } else {
        Made::Right(document::Rule {
            name: object.name,
            uid: rule.metadata.uid.clone(),
            generation: rule.metadata.generation,
            sql: rule.spec.sql.clone(),
            actions,
        })
    }
}

fn compile(object: &ObjectRef, rule: &Rule) -> Checked {
    let (compiled, diagnostics) = match isthmus_rules::Rule::compile(&rule.spec.sql) {
        Ok(compiled) => (Some(compiled.rule), compiled.warnings),
        Err(diagnostics) => (None, diagnostics),
    };
    let finding = |diagnostic: isthmus_rules::Diagnostic| {
        let finding = match diagnostic.severity {
            SqlSeverity::Error => Finding::error(object, "spec.sql", reason::INVALID_SQL, diagnostic.message),
            SqlSeverity::Warning => Finding::warning(object, "spec.sql", reason::SUSPICIOUS_SQL, diagnostic.message),
        };
        Finding { help: diagnostic.help, ..finding.at(diagnostic.span) }
    };
    Checked { compiled, findings: diagnostics.into_iter().map(finding).collect(), tests: None }
}

fn check_from(
    object: &ObjectRef,
    compiled: &isthmus_rules::Rule,
    accepted: &Accepted<'_>,
    scope: &Scope<'_>,
    findings: &mut Vec<Finding>,
) {
    for FromEntry { from, span } in compiled.from() {
        match from {
            From::Filter(_) => {}
            From::Source(name) if accepted.sources.contains(name.as_str()) => {}
            From::Source(name) => {
                let finding = link::unusable(
                    object,
                    "spec.sql",
                    "Source",
                    name,
                    &scope.sources,
                    |source| &source.spec.connector_ref.name,
                    scope,
                );
                findings.push(finding.at(span.clone()));
            }
            From::Event(_) => findings.push(
                Finding::error(
                    object,
                    "spec.sql",
                    reason::EVENT_NOT_DELIVERED,
                    "broker events (`$events/…`) are not delivered to rules yet",
                )
                .with_help("select from an MQTT topic filter or from a Source: `$sources/kafka_consumer:NAME`")
                .at(span.clone()),
            ),
        }
    }
}

/// What is wrong goes into `findings`; that a Sink which the rule had is not there any more, into `gone`.
fn actions<'a>(
    object: &ObjectRef,
    rule: &Rule,
    compiled: Option<&isthmus_rules::Rule>,
    accepted: &Accepted<'_>,
    scope: &Scope<'a>,
    [findings, gone]: [&mut Vec<Finding>; 2],
) -> Vec<document::Action> {
    let mut names = BTreeSet::new();
    let mut rendered = Vec::new();
    for (position, action) in rule.spec.actions.iter().enumerate() {
        let path = format!("spec.actions[{position}]");
        if !names.insert(&action.name) {
            let message = format!("this rule already has an action called `{}`", action.name);
            findings.push(
                Finding::error(object, format!("{path}.name"), reason::DUPLICATE_NAME, message)
                    .with_help("give it another name"),
            );
        }
        let kind = match action.kind() {
            Some(ActionKind::Sink(name)) => {
                let path = format!("{path}.sinkRef.name");
                if let Some(sink) = accepted.sinks.get(name) {
                    findings.extend(compiled.into_iter().flat_map(|rule| sink_variables(object, &path, rule, sink)));
                    document::ActionKind::Sink(name.to_owned())
                } else {
                    let connector_of = |sink: &'a Sink| sink.spec.connector_ref.name.as_str();
                    let finding = link::unusable(object, path, "Sink", name, &scope.sinks, connector_of, scope);
                    let had = scope.in_force.hands_to(&object.name, rule.metadata.uid.as_deref(), name);
                    if had {
                        gone.push(finding);
                    } else {
                        findings.push(finding);
                    }
                    document::ActionKind::Missing(name.to_owned())
                }
            }
            Some(ActionKind::Republish(republish)) => {
                check_republish(object, &format!("{path}.republish"), republish, compiled, findings);
                document::ActionKind::Republish(republish.clone())
            }
            Some(ActionKind::Console) => document::ActionKind::Console,
            None => {
                let message = "an action is exactly one of sinkRef, republish and console";
                findings.push(Finding::error(object, path, reason::INVALID_ACTION, message));
                continue;
            }
        };
        rendered.push(document::Action { name: action.name.clone(), kind });
    }
    rendered
}

/// Variables of a Sink's templates that this rule's output never has (row X4).
fn sink_variables(object: &ObjectRef, path: &str, rule: &isthmus_rules::Rule, sink: &document::Sink) -> Vec<Finding> {
    // A missing timestamp is the current time, which is what the default asks for: nothing to say about it.
    let timestamp = if sink.timestamp == "${.timestamp}" { "" } else { sink.timestamp.as_str() };
    let templates = [
        ("topic", sink.topic.as_str(), TemplateKind::Topic, "every record fails"),
        ("key", sink.key.as_str(), TemplateKind::Action, "the key is null"),
        ("value", sink.value.as_str(), TemplateKind::Action, "it is empty text"),
        ("timestamp", timestamp, TemplateKind::Action, "the current time is taken"),
    ];
    let mut findings = Vec::new();
    for (field, text, kind, consequence) in templates {
        // The Sink's own check has reported a template that does not compile.
        let Ok(template) = Template::compile(text, kind) else { continue };
        for variable in missing(&template, rule) {
            let message = format!(
                "the SELECT never gives `{}`, which the {field} of the Sink `{}` uses: {consequence}",
                variable.path, sink.name
            );
            findings.push(
                Finding::warning(object, path, reason::UNKNOWN_VARIABLE, message)
                    .with_help(format!("select it, or change the {field} of the Sink")),
            );
        }
    }
    findings
}

fn check_republish(
    object: &ObjectRef,
    path: &str,
    republish: &Republish,
    rule: Option<&isthmus_rules::Rule>,
    findings: &mut Vec<Finding>,
) {
    let topic = format!("{path}.topic");
    let payload = format!("{path}.payload");
    let compiled = [
        (&topic, template::compile(object, &topic, &republish.topic, TemplateKind::Topic, findings)),
        (&payload, template::compile(object, &payload, &republish.payload, TemplateKind::Topic, findings)),
    ];
    if let (_, Some(template)) = &compiled[0] {
        findings.extend(template::mqtt_topic(object, &topic, &republish.topic, template));
    }
    let Some(rule) = rule else { return };
    for (path, template) in compiled.iter().filter_map(|(path, template)| Some((path, template.as_ref()?))) {
        for variable in missing(template, rule) {
            let message =
                format!("the SELECT never gives `{}`: the text `undefined` stands in its place", variable.path);
            findings.push(
                Finding::warning(object, path.as_str(), reason::UNKNOWN_VARIABLE, message)
                    .with_help("select it, or use `${.}` for the whole output")
                    .at(variable.span.clone()),
            );
        }
    }
}

fn missing<'t>(template: &'t Template, rule: &'t isthmus_rules::Rule) -> impl Iterator<Item = &'t Variable> {
    template.variables().filter(|variable| !variable.path.is_empty() && !rule.can_produce(&variable.path))
}
