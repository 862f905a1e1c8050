//! What `isthmus rule` prints, on which stream, and its exit status.
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its work fails its test")]

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const SPEEDING: &str = r#"SELECT payload.speed AS speed, clientid FROM "vehicles/+" WHERE payload.speed > 120"#;

/// A folder to work in, with files a user wrote.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.0.path().join(name), text).unwrap();
        self
    }

    /// Everything a shell would show of `isthmus rule ARGS`.
    fn rule(&self, args: &[&str], input: &str) -> String {
        let mut child = Command::new(env!("CARGO_BIN_EXE_isthmus"))
            .arg("rule")
            .args(args)
            .current_dir(self.0.path())
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        format!(
            "exit status: {}\nstandard output:\n{}standard error:\n{}",
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }
}

/// The rule over the event, given as a file.
fn tried(sql: &str, event: &str) -> String {
    Desk::new().with("event.json", event).rule(&["test", "--sql", sql, "--event", "event.json"], "")
}

/// The lines as a table of cases.
fn table(lines: &[&str]) -> String {
    Desk::new().with("cases.jsonl", &lines.join("\n")).rule(&["test", "--cases", "cases.jsonl"], "")
}

#[test]
fn a_select_prints_its_row_with_samples_for_other_columns() {
    let event = r#"{"topic": "vehicles/7", "payload": "{\"speed\": 130}"}"#;
    insta::assert_snapshot!(tried(SPEEDING, event));
}

#[test]
fn a_foreach_prints_a_list() {
    let event = r#"{"topic": "t", "payload": "{\"sensors\": [1, 2]}"}"#;
    insta::assert_snapshot!(tried(r#"FOREACH payload.sensors AS s DO s AS value FROM "t""#, event));
}

#[test]
fn sql_comes_from_a_file_and_the_event_from_standard_input() {
    let desk = Desk::new().with("rule.sql", "-- doubles\nSELECT qos + qos AS twice\nFROM \"t\"\n");
    insta::assert_snapshot!(
        desk.rule(&["test", "--sql-file", "rule.sql", "--event", "-"], r#"{"topic": "t", "qos": 2}"#)
    );
}

#[test]
fn sql_may_start_with_a_comment() {
    insta::assert_snapshot!(tried("-- all\nSELECT qos FROM \"t\"", r#"{"topic": "t"}"#));
}

#[test]
fn a_false_where_is_no_match_and_is_shown() {
    let event = r#"{"topic": "vehicles/7", "payload": "{\"speed\": 30}"}"#;
    insta::assert_snapshot!(tried(SPEEDING, event));
}

#[test]
fn a_topic_that_from_does_not_cover_is_no_match() {
    insta::assert_snapshot!(tried(SPEEDING, r#"{"topic": "boats/7"}"#));
}

#[test]
fn an_event_without_a_topic_is_told_which_sample_it_got() {
    insta::assert_snapshot!(tried(SPEEDING, "{}"));
}

#[test]
fn an_event_that_from_does_not_name_is_no_match() {
    insta::assert_snapshot!(tried(SPEEDING, r#"{"event": "client.connected"}"#));
}

#[test]
fn records_match_the_rules_of_their_source_only() {
    let event = r#"{"event": "$bridges/kafka_consumer:commands", "key": "car-7"}"#;
    let sql = |source: &str| format!(r#"SELECT key FROM "$sources/kafka_consumer:{source}""#);
    insta::assert_snapshot!("record_of_its_source", tried(&sql("commands"), event));
    insta::assert_snapshot!("record_of_another_source", tried(&sql("audit"), event));
}

#[test]
fn an_unknown_function_is_underlined() {
    insta::assert_snapshot!(tried(r#"SELECT uper(clientid) AS id FROM "t""#, r#"{"topic": "t"}"#));
}

#[test]
fn bad_grammar_is_underlined() {
    let desk = Desk::new().with("rule.sql", "SELECT clientid\nFROM \"t\"\nWHERE qos >> 1\n").with("event.json", "{}");
    insta::assert_snapshot!(desk.rule(&["test", "--sql-file", "rule.sql", "--event", "event.json"], ""));
}

#[test]
fn an_exception_is_underlined() {
    insta::assert_snapshot!(tried(
        r#"SELECT 1 + payload.x AS y FROM "t""#,
        r#"{"topic": "t", "payload": "{\"x\": []}"}"#
    ));
}

#[test]
fn a_payload_that_is_not_json_is_an_exception() {
    insta::assert_snapshot!(tried(r#"SELECT payload.x AS y FROM "t""#, r#"{"topic": "t", "payload": "hello"}"#));
}

#[test]
fn an_event_that_is_not_json_is_underlined() {
    insta::assert_snapshot!(tried(SPEEDING, "{\n  \"topic\": 'ä'\n}"));
}

#[test]
fn an_event_that_is_a_list_is_refused() {
    insta::assert_snapshot!(tried(SPEEDING, "[1]"));
}

#[test]
fn an_event_of_an_unknown_name_is_told_the_nearest() {
    insta::assert_snapshot!(tried(SPEEDING, r#"{"event": "client.conected"}"#));
}

#[test]
fn mistakes_in_both_files_are_shown_together() {
    insta::assert_snapshot!(tried("SELECT", "{"));
}

#[test]
fn an_unreadable_event_is_named() {
    insta::assert_snapshot!(Desk::new().rule(&["test", "--sql", SPEEDING, "--event", "none.json"], ""));
}

#[test]
fn cases_that_pass_are_counted() {
    insta::assert_snapshot!(table(&[
        r#"{"id": "fast", "sql": "SELECT payload.x AS x FROM \"t\"", "context": {"topic": "t", "payload": "{\"x\": 1}"}, "expect": {"output": {"x": 1}}, "match": "exact"}"#,
        "",
        r#"{"id": "elsewhere", "sql": "SELECT * FROM \"t\"", "context": {"topic": "u"}, "expect": {"no_match": true}}"#,
        r#"{"id": "wrong", "sql": "SELECT nothing_like_it() FROM \"t\"", "context": {}, "expect": {"error": true}}"#,
        r#"{"id": "near", "sql": "SELECT pi AS p, q FROM \"t\"", "context": {"topic": "t", "pi": 3.1415}, "expect": {"output": {"p": 3.14, "q": {"$undefined": true}}}, "tolerance": 0.01}"#,
        r#"{"id": "text", "template": "${a}/${b.c}/${d}", "bindings": {"a": 1, "b": {"c": "x"}}, "expect": {"text": "1/x/undefined"}, "missing": ["d"]}"#,
        r#"{"id": "action", "kind": "action", "template": "${a b}", "bindings": {"a b": 1}, "expect": {"text": "1"}}"#,
        r#"{"id": "json", "template": "<${.}>", "bindings": {"a": 1, "b": 2}, "expect": {"json_parts": [{"b": 2, "a": 1}], "pattern": "<<json>>"}}"#,
    ]));
}

#[test]
fn cases_that_fail_show_expected_and_actual() {
    insta::assert_snapshot!(table(&[
        r#"{"id": "value", "sql": "SELECT qos FROM \"t\"", "context": {"topic": "t", "qos": 1}, "expect": {"output": {"qos": 2}}}"#,
        r#"{"id": "more-keys", "sql": "SELECT qos, topic FROM \"t\"", "context": {"topic": "t", "qos": 1}, "expect": {"output": {"qos": 1}}, "match": "exact"}"#,
        r#"{"id": "matched", "sql": "SELECT qos FROM \"t\"", "context": {"topic": "t", "qos": 1}, "expect": {"no_match": true}}"#,
        r#"{"id": "raised", "sql": "SELECT uper(qos) FROM \"t\"", "context": {"topic": "t"}, "expect": {"output": {}}}"#,
        r#"{"id": "good", "sql": "SELECT qos FROM \"t\"", "context": {"topic": "t", "qos": 1}, "expect": {"present": ["qos"], "key_count": 1, "output_any_value": 1}}"#,
        r#"{"id": "text", "template": "${a}", "bindings": {}, "expect": {"text": ""}}"#,
        r#"{"id": "json", "template": "${.}", "bindings": {"a": 1}, "expect": {"json_parts": [{"a": 2}], "pattern": "<json>"}}"#,
        r#"{"id": "strict", "template": "${a}", "bindings": {"a": 1}, "expect": {"strict_error": true}}"#,
        r#"{"id": "names", "template": "${a}${b}", "expect": {"placeholders": ["a"]}}"#,
        r#"{"id": "constant", "template": "${a}", "expect": {"constant": true}}"#,
        r#"{"id": "allowed", "template": "${a}${b}", "expect": {"disallowed": ["a"], "allowed_list": ["a"]}}"#,
        r#"{"id": "missing", "template": "${a}${b}", "bindings": {"a": 1}, "expect": {"text": "1undefined"}, "missing": ["a"]}"#,
    ]));
}

#[test]
fn lines_that_are_no_cases_fail_with_their_place() {
    insta::assert_snapshot!(table(&[
        "{not json}",
        r#"{"id": "a"}"#,
        r#"{"id": "b", "sql": "SELECT * FROM \"t\"", "context": {}, "expect": {}}"#,
        r#"{"id": "c", "sql": "SELECT * FROM \"t\"", "context": {}, "expect": {"no_match": true, "error": true}}"#,
        r#"{"id": "d", "sql": "SELECT * FROM \"t\"", "context": {}, "expect": {"outptu": {}}}"#,
        r#"{"id": "e", "template": "${a}", "bindings": {}, "expect": {"texts": ""}}"#,
    ]));
}

#[test]
fn each_case_has_stores_of_its_own() {
    let put = r#"{"id": "put", "sql": "SELECT kv_store_put('k', 1) AS r FROM \"t\"", "context": {"topic": "t"}, "expect": {"key_count": 1}}"#;
    let get = r#"{"id": "get", "sql": "SELECT kv_store_get('k', 'none') AS r FROM \"t\"", "context": {"topic": "t"}, "expect": {"output": {"r": "none"}}}"#;
    insta::assert_snapshot!(table(&[put, get]));
}

#[test]
fn a_table_without_cases_is_an_error() {
    insta::assert_snapshot!(table(&["", " "]));
}

#[test]
fn a_table_comes_from_standard_input() {
    let case = r#"{"id": "a", "template": "x", "expect": {"constant": true}}"#;
    insta::assert_snapshot!(Desk::new().rule(&["test", "--cases", "-"], case));
}

#[test]
fn a_table_that_is_not_there_is_named() {
    insta::assert_snapshot!(Desk::new().rule(&["test", "--cases", "none.jsonl"], ""));
}

#[test]
fn sql_without_an_event_is_asked_for_one() {
    insta::assert_snapshot!(Desk::new().rule(&["test", "--sql", SPEEDING], ""));
}

#[test]
fn one_function_is_explained() {
    insta::assert_snapshot!(Desk::new().rule(&["functions", "is_int"], ""));
}

#[test]
fn every_function_is_listed_under_its_family() {
    let all = Desk::new().rule(&["functions"], "");
    for family in isthmus_rules::functions::FAMILIES {
        assert!(all.contains(&format!("\n{}\n  {}(", family.title, family.functions[0].name)), "{}", family.title);
    }
    for function in isthmus_rules::functions::all() {
        assert!(all.contains(&format!("\n  {}({})\n", function.name, function.signature)), "{}", function.name);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_isthmus"))
        .args(["rule", "functions"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything is read: the reference is larger than what a pipe holds, or the pipe is gone already.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn an_unknown_function_name_gets_the_nearest() {
    insta::assert_snapshot!(Desk::new().rule(&["functions", "uper"], ""));
}
