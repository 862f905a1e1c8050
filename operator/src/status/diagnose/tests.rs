use isthmus_api::ObjectRef;
use isthmus_plan::finding::reason as finding_reason;

use super::*;

fn object() -> ObjectRef {
    ObjectRef::new("Rule", "plant", "speeding")
}

#[test]
fn bad_sql_is_shown_with_line_column_and_caret() {
    let sql = "SELECT\n  uper(clientid) AS id\nFROM \"a\"";
    let at = sql.find("uper").unwrap();
    let finding = Finding::error(&object(), "spec.sql", finding_reason::INVALID_SQL, "there is no function `uper`")
        .with_help("did you mean `upper`?")
        .at(at..at + 4);
    let diagnosis = Diagnosis::of(&[&finding], |path| (path == "spec.sql").then_some(sql));
    assert_eq!(diagnosis.accepted.reason, "InvalidSql");
    assert!(!diagnosis.is_good());
    assert_eq!(
        diagnosis.accepted.message,
        "Line 2, column 3: there is no function `uper`\n --> spec.sql:2:3\n  |\n2 |   uper(clientid) AS id\n  |   ^^^^\n  |\n  = help: did you mean `upper`?"
    );
    assert_eq!(diagnosis.resolved.reason, "NotAccepted");
}

#[test]
fn a_missing_reference_leaves_the_resource_accepted() {
    let finding = Finding::error(
        &object(),
        "spec.actions[0].sinkRef.name",
        finding_reason::REF_NOT_FOUND,
        "there is no Sink called `vehicle` in namespace `plant`",
    )
    .with_help("did you mean `vehicles`?");
    let diagnosis = Diagnosis::of(&[&finding], |_| None);
    assert!(diagnosis.accepted.is_true());
    assert_eq!(diagnosis.resolved.reason, "RefNotFound");
    assert_eq!(
        diagnosis.resolved.message,
        "spec.actions[0].sinkRef.name: there is no Sink called `vehicle` in namespace `plant`: did you mean `vehicles`?"
    );
}

#[test]
fn warnings_are_told_and_stop_nothing() {
    let finding = Finding::warning(&object(), "spec.sql", finding_reason::SUSPICIOUS_SQL, "this is always false");
    let diagnosis = Diagnosis::of(&[&finding], |_| None);
    assert!(diagnosis.is_good());
    assert_eq!(diagnosis.accepted, Verdict::yes("AcceptedWithWarnings", "spec.sql: this is always false."));
}

#[test]
fn last_good_version_is_named_where_the_newest_one_is_wrong() {
    let sql = "SELECT\n  uper(clientid) AS id\nFROM \"a\"";
    let at = sql.find("uper").unwrap();
    let bad = Finding::error(&object(), "spec.sql", finding_reason::INVALID_SQL, "there is no function `uper`")
        .at(at..at + 4);
    let last_good = LastGood { running: Some(3), newest: 4 };
    let diagnosis = Diagnosis::of(&[&bad], |_| Some(sql)).going_on(last_good);
    assert_eq!(diagnosis.accepted.reason, "InvalidSql");
    assert!(diagnosis.accepted.message.ends_with("^^^^\nGeneration 3 goes on in the pods."), "{diagnosis:?}");
    assert_eq!(
        diagnosis.programmed(),
        Some(Verdict::no(
            "LastGoodVersion",
            "The pods run generation 3; generation 4 does not, because: Line 2, column 3: there is no function `uper`."
        ))
    );
    let lost =
        Finding::error(&object(), "spec.connectorRef.name", finding_reason::REF_NOT_FOUND, "there is no `kafak`");
    let said = |running| {
        let diagnosis = Diagnosis::of(&[&lost], |_| None).going_on(LastGood { running, newest: 4 });
        (diagnosis.resolved.message.clone(), diagnosis.programmed().unwrap().message)
    };
    let why = "spec.connectorRef.name: there is no `kafak`.";
    assert_eq!(
        said(None),
        (
            format!("{why} The version before goes on in the pods."),
            format!("The pods run the version before; generation 4 does not, because: {why}")
        )
    );
    assert_eq!(
        said(Some(4)),
        (
            format!("{why} Generation 4 goes on in the pods."),
            format!("The pods run generation 4 with what it referred to before, because: {why}")
        )
    );
    assert_eq!(Diagnosis::of(&[], |_| None).programmed(), None);
}

#[test]
fn an_object_that_cannot_be_read_says_so() {
    let diagnosis = Diagnosis::unreadable("unknown variant `Maybe`");
    assert_eq!(diagnosis.accepted.reason, "Unreadable");
    assert!(diagnosis.accepted.message.contains("unknown variant `Maybe`"));
}
