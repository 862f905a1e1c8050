use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::*;
use crate::index::child::ChildKind;

const OWNER: &str = "uid-of-fleet";

fn desired() -> Desired {
    let body = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "fleet-plan",
            "namespace": "plant",
            "labels": {"app.kubernetes.io/instance": "fleet"},
            "annotations": {"isthmus.dev/applied": "d1"},
        },
        "data": {"plan.json": "{}"},
    });
    Desired { kind: ChildKind::ConfigMap, name: "fleet-plan".to_owned(), body, digest: "d1".to_owned() }
}

/// The object as the API server would have it after it was applied, with one change.
fn live(change: impl FnOnce(&mut Value)) -> Child {
    let mut object = desired().body;
    object["metadata"]["uid"] = json!("u1");
    object["metadata"]["resourceVersion"] = json!("7");
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": isthmus_api::API_VERSION, "kind": "Bridge", "name": "fleet", "uid": OWNER, "controller": true,
    }]);
    change(&mut object);
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    Child::read(ChildKind::ConfigMap, object)
}

fn decided(live: &Child, written: Option<&Written>) -> Decision {
    decide(&desired(), Some(live), OWNER, written)
}

#[test]
fn what_is_missing_is_made() {
    assert_eq!(decide(&desired(), None, OWNER, None), Decision::Apply);
}

#[test]
fn what_is_as_it_should_be_is_left_alone_also_after_a_restart() {
    let same = live(|_| {});
    let Decision::Keep(written) = decided(&same, None) else { panic!("it is written again") };
    assert_eq!(decided(&same, Some(&written)), Decision::Keep(written.clone()));
}

#[test]
fn what_others_add_is_left_alone() {
    let added = live(|object| object["metadata"]["annotations"]["argocd"] = json!("tracked"));
    assert!(matches!(decided(&added, None), Decision::Keep(_)));
}

#[test]
fn what_others_change_is_restored() {
    let Decision::Keep(written) = decided(&live(|_| {}), None) else { panic!("it is written again") };
    for change in [
        |object: &mut Value| object["data"]["plan.json"] = json!("{\"edited\":true}"),
        |object: &mut Value| object["data"] = json!({}),
        |object: &mut Value| object["metadata"]["labels"]["app.kubernetes.io/instance"] = json!("other"),
        |object: &mut Value| object["metadata"]["annotations"] = json!({}),
    ] {
        let edited = live(|object| {
            object["metadata"]["resourceVersion"] = json!("8");
            change(object);
        });
        assert_eq!(decided(&edited, Some(&written)), Decision::Apply, "{:?}", edited.data);
    }
}

#[test]
fn what_is_not_ours_is_never_touched() {
    let foreign = live(|object| object["metadata"]["ownerReferences"] = json!([]));
    assert_eq!(decided(&foreign, None), Decision::Foreign);
    let leftover = live(|object| object["metadata"]["ownerReferences"][0]["uid"] = json!("uid-of-the-one-before"));
    assert_eq!(decided(&leftover, None), Decision::Leftover);
}
