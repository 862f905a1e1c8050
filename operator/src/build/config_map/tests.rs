use serde_json::json;

use super::*;
use crate::fixtures;

fn plan(rules: usize) -> Plan {
    let rule = |number: usize| {
        let sql = format!(
            r#"SELECT payload.speed AS speed, payload.position AS position, clientid, timestamp FROM "site-{number}/vehicles/+/telemetry" WHERE payload.speed > {number} AND payload.limit < 100 AND payload.driver != 'nobody'"#
        );
        fixtures::rule(&format!("rule-{number}"), &sql)
    };
    fixtures::plan(&fixtures::bridge(&json!({})), (0..rules).map(rule).collect())
}

#[test]
fn a_plan_that_fits_is_readable() {
    let plan = plan(3);
    let map = build(&plan).unwrap();
    assert_eq!(map.binary_data, None);
    assert_eq!(serde_json::from_str::<Plan>(&map.data.as_ref().unwrap()[names::PLAN]).unwrap(), plan);
    assert_eq!(read(&map).unwrap(), plan);
}

#[test]
fn five_thousand_rules_fit_compressed() {
    let plan = plan(5_000);
    let map = build(&plan).unwrap();
    assert!(map.data.is_none());
    assert!(map.binary_data.as_ref().unwrap()[names::PLAN].0.starts_with(&[0x1f, 0x8b]));
    assert!(read(&map).unwrap() == plan);
    assert!(serde_json::to_string(&plan).unwrap().len() > LIMIT);
}

#[test]
fn the_same_plan_is_the_same_bytes() {
    let bytes = || build_within(&plan(20), 100_000).unwrap();
    assert_eq!(bytes(), bytes());
    let compressed = || build_within(&plan(20), 2_000).unwrap().binary_data.unwrap();
    assert_eq!(compressed(), compressed());
}

#[test]
fn a_plan_that_does_not_fit_says_what_to_do() {
    let error = build_within(&plan(20), 100).unwrap_err().to_string();
    assert!(error.contains("a ConfigMap holds 100: move some Rules to another Bridge"), "{error}");
}

#[test]
fn what_is_no_plan_is_refused_with_its_reason() {
    let with = |text: &str| ConfigMap {
        data: Some(BTreeMap::from([(names::PLAN.to_owned(), text.to_owned())])),
        ..ConfigMap::default()
    };
    assert!(matches!(read(&ConfigMap::default()), Err(ReadError::Missing)));
    assert!(matches!(read(&with("{")), Err(ReadError::Json(_))));
    let torn = BTreeMap::from([(names::PLAN.to_owned(), ByteString(vec![0x1f, 0x8b, 8]))]);
    assert!(matches!(read(&ConfigMap { binary_data: Some(torn), ..ConfigMap::default() }), Err(ReadError::Unpack(_))));
}
