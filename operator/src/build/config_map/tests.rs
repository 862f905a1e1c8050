use std::io::Read as _;

use flate2::read::GzDecoder;
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
    assert_eq!(serde_json::from_str::<Plan>(&map.data.unwrap()[names::PLAN]).unwrap(), plan);
    assert_eq!(map.binary_data, None);
}

#[test]
fn five_thousand_rules_fit_compressed() {
    let plan = plan(5_000);
    let map = build(&plan).unwrap();
    assert!(map.data.is_none());
    let compressed = &map.binary_data.unwrap()[names::PLAN].0;
    let mut text = String::new();
    GzDecoder::new(compressed.as_slice()).read_to_string(&mut text).unwrap();
    assert!(serde_json::from_str::<Plan>(&text).unwrap() == plan);
    assert!(text.len() > LIMIT);
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
