//! The API server enforces every bound of the schema: for each there are values it takes and values
//! it refuses, with a message that says what to do.

mod case;
mod known;

use std::fmt::Write as _;

use anyhow::{Context as _, ensure};
use isthmus_tests::Result;
use isthmus_tests::kubernetes::Api;
use serde_json::Value;

use self::case::{Case, cases};
use crate::{definitions, shared};

/// What the API server says to this object, which it then forgets.
fn attempt(api: &Api, plural: &str, object: &Value) -> Result<Option<String>> {
    let path = format!("/apis/isthmus.dev/v1alpha1/namespaces/default/{plural}?dryRun=All&fieldValidation=Strict");
    let answer = api.create(&path, object)?;
    if answer.code == 201 {
        return Ok(None);
    }
    let status: Value = serde_json::from_str(&answer.body)?;
    let message = status["message"].as_str().context("a refusal without a message")?;
    ensure!(answer.code == 422, "{}: {message}", answer.code);
    // `Bridge.isthmus.dev "every-field" is invalid: ` says nothing about the value.
    let message = message.split_once(" is invalid: ").map_or(message, |(_, rest)| rest);
    Ok(Some(message.replace(&known::filler(40), "").replace('\n', "\\n")))
}

fn judge(api: &Api, plural: &str, example: &Value, case: &Case, report: &mut String) -> Result<()> {
    for value in &case.accepted {
        let refusal = attempt(api, plural, &case.apply(example, value)?)?;
        ensure!(
            refusal.is_none(),
            "{}: {} is refused: {}",
            case.name,
            known::shown(value),
            refusal.unwrap_or_default()
        );
    }
    writeln!(report, "{}", case.name)?;
    for value in &case.refused {
        let refusal = attempt(api, plural, &case.apply(example, value)?)?;
        let shown = known::shown(value);
        writeln!(report, "  {shown} -> {}", refusal.with_context(|| format!("{}: {shown} is taken", case.name))?)?;
    }
    Ok(())
}

#[test]
fn every_bound_is_enforced_with_a_message_that_names_it() -> Result<()> {
    let control_plane = shared::bare()?;
    let complete = definitions::every_field(control_plane)?;
    let mut report = String::new();
    for definition in shared::committed(control_plane)? {
        let kind = definition["spec"]["names"]["kind"].as_str().context("a definition without a kind")?;
        let plural = definition["spec"]["names"]["plural"].as_str().context("a definition without a plural")?;
        let examples: Vec<_> = complete.iter().filter(|object| object["kind"] == kind).collect();
        for example in &examples {
            assert_eq!(attempt(control_plane.api(), plural, example)?, None, "{kind}");
        }
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for case in cases(kind, schema, &examples)? {
            judge(control_plane.api(), plural, examples[case.example], &case, &mut report)?;
        }
    }
    insta::assert_snapshot!(report);
    Ok(())
}
