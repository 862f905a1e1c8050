//! Rules whose actions cannot do their work.

use std::sync::Arc;
use std::time::Instant;

use isthmus_plan::document::{self, ActionKind};

use crate::ingress::{Ingress, Route as _};
use crate::message::{Message, MessageIds, Publisher, QoS};
use crate::mqtt::Subscriptions;
use crate::receipt::{Outcome, Window};
use crate::rule::table::RuleTable;

fn routing(actions: Vec<ActionKind>) -> Ingress {
    let action = |(number, kind)| document::Action { name: format!("a{number}"), kind };
    let rule = document::Rule {
        name: "r".to_owned(),
        uid: None,
        generation: None,
        sql: r#"SELECT * FROM "t/#""#.to_owned(),
        actions: actions.into_iter().enumerate().map(action).collect(),
    };
    let ingress = Ingress::new(Arc::new(Subscriptions::new()));
    ingress.set_rules(RuleTable::compile(&[rule], |_| None, &RuleTable::default()).unwrap());
    ingress
}

fn outcome(ingress: &Ingress) -> Outcome {
    let message = Message {
        id: MessageIds::new().next(1),
        topic: "t/1".into(),
        payload: "{}".into(),
        qos: QoS::AtLeastOnce,
        dup: false,
        retain: false,
        publisher: Arc::new(Publisher { client_id: "car".into(), username: None, peer: None }),
        properties: None,
        received_at: 1,
    };
    let mut window = Window::for_publisher();
    window.track(Instant::now(), (), |tracker| ingress.publish(&message, Some(tracker)));
    window.collect();
    window.pop_settled().unwrap().1
}

#[test]
fn an_action_whose_sink_is_gone_fails_and_the_others_run() {
    let ingress = routing(vec![ActionKind::Missing("gone".to_owned()), ActionKind::Console]);
    assert_eq!(outcome(&ingress), Outcome::Misconfigured);
    let [rule] = ingress.rules().snapshot().try_into().unwrap();
    assert_eq!((rule.passed, rule.actions_success, rule.actions_failed), (1, 1, 1));
    let why = "action a0: there is no Sink gone any more: add it again, or take the action out of the rule";
    assert_eq!(rule.last_error.as_deref(), Some(why));
}

#[test]
fn a_rule_with_nothing_but_a_missing_sink_is_no_success() {
    assert_eq!(outcome(&routing(vec![ActionKind::Missing("gone".to_owned())])), Outcome::Misconfigured);
    assert_eq!(outcome(&routing(vec![ActionKind::Console])), Outcome::Safe);
}
