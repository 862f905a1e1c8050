//! What flows where: one line for each way through the plan.

use isthmus_plan::Plan;
use isthmus_plan::document::{ActionKind, Rule};
use isthmus_rules::From;

const ARROW: &str = " ─▶ ";

/// One line for each way from where messages come in to where they go, in the order of the plan.
pub fn flow(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for rule in &plan.rules {
        for from in from(rule) {
            let start = match from {
                From::Filter(filter) => filter,
                From::Source(name) => source(plan, &name),
                From::Event(kind) => kind.topic().to_owned(),
            };
            if rule.actions.is_empty() {
                lines.push([start, format!("rule {}", rule.name), "nowhere: it has no actions".to_owned()].join(ARROW));
                continue;
            }
            for action in &rule.actions {
                let mut stations = vec![start.clone(), format!("rule {}", rule.name)];
                match &action.kind {
                    ActionKind::Sink(name) => {
                        stations.push(format!("sink {name}"));
                        stations.extend(plan.sink(name).map(|sink| format!("Kafka topic {}", sink.topic)));
                    }
                    ActionKind::Missing(name) => stations.push(format!("nowhere: there is no sink {name} any more")),
                    ActionKind::Republish(republish) => stations.push(format!("MQTT topic {}", republish.topic)),
                    ActionKind::Console => stations.push("log".to_owned()),
                }
                lines.push(stations.join(ARROW));
            }
        }
    }
    for source in &plan.sources {
        for mapping in &source.topic_mapping {
            if let Some(topic) = &mapping.mqtt_topic {
                let from = format!("Kafka topic {}", mapping.kafka_topic);
                lines.push([from, format!("source {}", source.name), format!("MQTT topic {topic}")].join(ARROW));
            }
        }
    }
    lines
}

/// Where a rule takes its messages from; nothing for SQL that does not compile, which no plan holds.
pub(super) fn from(rule: &Rule) -> Vec<From> {
    isthmus_rules::Rule::compile(&rule.sql)
        .map_or_else(|_| Vec::new(), |compiled| compiled.rule.from().iter().map(|entry| entry.from.clone()).collect())
}

fn source(plan: &Plan, name: &str) -> String {
    let topics = plan.source(name).map_or_else(String::new, |source| {
        source.topic_mapping.iter().map(|mapping| mapping.kafka_topic.as_str()).collect::<Vec<_>>().join(", ")
    });
    format!("Kafka topic {topics}{ARROW}source {name}")
}
