//! The rules in force: found by topic or Source, run one after the other over one decoded event.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use isthmus_plan::document;
use isthmus_rules::trie::FilterTrie;
use isthmus_rules::{Columns, Environment, Event, From, Limits, Rule, RuleId, Text};
use parking_lot::Mutex;

use super::action::{Action, ActionError};
use super::host::ProcessHost;
use crate::message::Message;
use crate::receipt::{Outcome, Tracker};
use crate::sink::{Origin, Sink};
use crate::status;
use crate::throttle::Throttle;

/// A message may pass through this many republishing rules.
pub const MAX_REPUBLISH: usize = 16;

/// Figures of a rule; they outlive a change of the rule's text.
#[derive(Debug, Default)]
pub struct Figures {
    passed: AtomicU64,
    exceptions: AtomicU64,
    no_result: AtomicU64,
    actions_success: AtomicU64,
    actions_failed: AtomicU64,
    last_error: Mutex<Option<String>>,
    throttle: Throttle,
}

/// A rule in force.
#[derive(Debug)]
pub struct ActiveRule {
    name: Text,
    id: RuleId,
    document: document::Rule,
    rule: Rule,
    actions: Vec<Action>,
    figures: Arc<Figures>,
}

/// The rules on a message's way so far, innermost first: a rule does not see what it published itself.
#[derive(Debug, Clone, Copy)]
pub struct Path<'p> {
    rule: &'p str,
    before: Option<&'p Path<'p>>,
    length: usize,
}

impl Path<'_> {
    fn contains(&self, rule: &str) -> bool {
        self.rule == rule || self.before.is_some_and(|before| before.contains(rule))
    }
}

/// Publishes what a rule's republish action made.
pub trait Republish {
    /// Routes a message that the rules on `path` published.
    fn republish(&self, message: &Message, path: &Path<'_>, tracker: Option<&mut Tracker<'_>>);
}

/// All rules in force. Immutable: a reload makes a new one.
#[derive(Debug, Default)]
pub struct RuleTable {
    /// Unlike that of any other table of this process.
    number: u64,
    rules: Vec<Arc<ActiveRule>>,
    by_filter: FilterTrie<u32>,
    by_source: HashMap<String, Vec<u32>>,
    limits: Limits,
}

/// The rules that select a topic: of the last message of a thread. What a device sends at once mostly has one topic.
#[derive(Debug, Default)]
struct Matches {
    /// The number of the table; none has 0.
    table: u64,
    topic: String,
    numbers: Vec<u32>,
}

thread_local! {
    static MATCHES: RefCell<Matches> = RefCell::default();
}

impl RuleTable {
    /// Compiles the rules of a plan. `before` gives the figures of rules that are known already, and the compiled form of
    /// those whose SQL is the same.
    pub fn compile(
        rules: &[document::Rule],
        sinks: impl Fn(&str) -> Option<Arc<Sink>>,
        before: &Self,
    ) -> Result<Self, String> {
        static TABLES: AtomicU64 = AtomicU64::new(1);
        let mut table = Self { number: TABLES.fetch_add(1, Ordering::Relaxed), ..Self::default() };
        let before: HashMap<&str, &ActiveRule> =
            before.rules.iter().map(|rule| (rule.document.name.as_str(), rule.as_ref())).collect();
        for (number, document) in rules.iter().enumerate() {
            let number = number as u32;
            let name = &document.name;
            let known = before.get(name.as_str());
            let rule = match known.filter(|known| known.document.sql == document.sql) {
                Some(known) => known.rule.clone(),
                None => compile(document)?,
            };
            let actions: Result<Vec<_>, String> =
                document.actions.iter().map(|action| Action::compile(name, action, &sinks)).collect();
            for entry in rule.from() {
                match &entry.from {
                    From::Filter(filter) => table.by_filter.insert(filter, number),
                    From::Source(source) => {
                        // Both prefixes may name the same Source: a rule runs once for each record.
                        let numbers = table.by_source.entry(source.clone()).or_default();
                        if numbers.last() != Some(&number) {
                            numbers.push(number);
                        }
                    }
                    From::Event(kind) => {
                        return Err(format!("Rule {name} selects from {}, which is not delivered yet", kind.topic()));
                    }
                }
            }
            table.rules.push(Arc::new(ActiveRule {
                name: Text::from(name.as_str()),
                id: RuleId::from(name.as_str()),
                document: document.clone(),
                rule,
                actions: actions.map_err(|problem| format!("Rule {name}: {problem}"))?,
                figures: known.map(|rule| Arc::clone(&rule.figures)).unwrap_or_default(),
            }));
        }
        Ok(table)
    }

    /// Runs the rules that select MQTT topic `topic` over an event, in the order of the plan.
    pub fn run_for_topic(
        &self,
        topic: &str,
        columns: &dyn Columns,
        host: &ProcessHost,
        context: Context<'_>,
        tracker: Option<&mut Tracker<'_>>,
    ) {
        if self.by_filter.is_empty() {
            return;
        }
        // Taken, not borrowed: a republished message comes through here again.
        let mut matches = MATCHES.take();
        if matches.table != self.number || matches.topic != topic {
            matches.table = self.number;
            matches.topic.clear();
            matches.topic.push_str(topic);
            matches.numbers.clear();
            self.by_filter.for_each_match(topic, |number| matches.numbers.push(*number));
            matches.numbers.sort_unstable();
            matches.numbers.dedup();
        }
        if !matches.numbers.is_empty() {
            self.run(&matches.numbers, columns, host, context, tracker);
        }
        MATCHES.set(matches);
    }

    /// Runs the rules that select from the Source of this name over one of its records.
    pub fn run_for_source(
        &self,
        source: &str,
        columns: &dyn Columns,
        host: &ProcessHost,
        context: Context<'_>,
        tracker: Option<&mut Tracker<'_>>,
    ) {
        if let Some(numbers) = self.by_source.get(source) {
            self.run(numbers, columns, host, context, tracker);
        }
    }

    fn run(
        &self,
        numbers: &[u32],
        columns: &dyn Columns,
        host: &ProcessHost,
        context: Context<'_>,
        mut tracker: Option<&mut Tracker<'_>>,
    ) {
        let event = Event::new(columns);
        for number in numbers {
            let rule = &self.rules[*number as usize];
            if context.path.is_some_and(|path| path.contains(rule.name.as_str())) {
                tracing::debug!(rule = rule.name.as_str(), "a rule does not run over what it published itself");
                continue;
            }
            rule.run(&event, host, &self.limits, context, tracker.as_deref_mut());
        }
    }

    /// Figures of all rules.
    pub fn snapshot(&self) -> Vec<status::Rule> {
        self.rules.iter().map(|rule| rule.snapshot()).collect()
    }
}

fn compile(document: &document::Rule) -> Result<Rule, String> {
    Rule::compile(&document.sql).map(|compiled| compiled.rule).map_err(|findings| {
        let problems: Vec<_> = findings.into_iter().map(|finding| finding.message).collect();
        format!("Rule {} does not compile: {}", document.name, problems.join("; "))
    })
}

/// Where an event comes from and where what rules publish goes.
#[derive(Clone, Copy)]
pub struct Context<'c> {
    /// For partition strategies.
    pub origin: Origin<'c>,
    /// Rules that the event came through.
    pub path: Option<&'c Path<'c>>,
    /// Takes what republish actions make.
    pub republish: &'c dyn Republish,
}

impl ActiveRule {
    fn run<'e>(
        &'e self,
        event: &'e Event<'e>,
        host: &'e ProcessHost,
        limits: &'e Limits,
        context: Context<'_>,
        mut tracker: Option<&mut Tracker<'_>>,
    ) {
        let rows = match self.rule.evaluate(event, &mut Environment::new(host, limits, &self.id)) {
            Ok(rows) => rows,
            Err(error) => {
                self.figures.exceptions.fetch_add(1, Ordering::Relaxed);
                let message = error.to_string();
                if let Some(left_out) = self.figures.throttle.admit("") {
                    tracing::warn!(rule = self.name.as_str(), left_out, "rule failed: {message}");
                }
                *self.figures.last_error.lock() = Some(message);
                return;
            }
        };
        if rows.is_empty() {
            self.figures.no_result.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.figures.passed.fetch_add(1, Ordering::Relaxed);
        if self.actions.is_empty()
            && let Some(tracker) = tracker.as_deref_mut()
        {
            tracker.settle(Outcome::Safe);
        }
        let length = context.path.map_or(0, |path| path.length) + 1;
        let path = Path { rule: self.name.as_str(), before: context.path, length };
        for output in rows.iter() {
            for action in &self.actions {
                let publish = |message: &Message, tracker: Option<&mut Tracker<'_>>| {
                    if length > MAX_REPUBLISH {
                        return Err(ActionError::Circle(MAX_REPUBLISH));
                    }
                    context.republish.republish(message, &path, tracker);
                    Ok(())
                };
                match action.run(self.name.as_str(), output, context.origin, tracker.as_deref_mut(), publish) {
                    Ok(()) => {
                        self.figures.actions_success.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        self.figures.actions_failed.fetch_add(1, Ordering::Relaxed);
                        if let Some(left_out) = self.figures.throttle.admit(&action.name) {
                            let rule = self.name.as_str();
                            tracing::warn!(rule, action = action.name, left_out, "action failed: {error}");
                        }
                        *self.figures.last_error.lock() = Some(format!("action {}: {error}", action.name));
                        if let Some(tracker) = tracker.as_deref_mut() {
                            tracker.settle(error.outcome());
                        }
                    }
                }
            }
        }
    }

    fn snapshot(&self) -> status::Rule {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let figures = &self.figures;
        let (passed, exceptions) = (load(&figures.passed), load(&figures.exceptions));
        let no_result = load(&figures.no_result);
        status::Rule {
            name: self.name.as_str().to_owned(),
            matched: passed + exceptions + no_result,
            passed,
            failed_exception: exceptions,
            failed_no_result: no_result,
            actions_success: load(&figures.actions_success),
            actions_failed: load(&figures.actions_failed),
            last_error: figures.last_error.lock().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_names_a_source_by_both_prefixes_runs_once_for_a_record() {
        let rule = document::Rule {
            name: "twice".into(),
            uid: None,
            generation: None,
            sql: r#"SELECT * FROM "$bridges/kafka_consumer:commands", "$sources/kafka_consumer:commands""#.into(),
            actions: Vec::new(),
        };
        let table = RuleTable::compile(&[rule], |_| None, &RuleTable::default()).unwrap();
        assert_eq!(table.by_source["commands"], [0]);
    }
}
