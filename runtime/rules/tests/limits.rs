//! Every limit of [`isthmus_rules::limits`] is met: what passes it is an error of one rule run, and what stays below is
//! none.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::time::{Duration, Instant};

use isthmus_rules::limits::{
    MAX_CONSTANT_BYTES, MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_NESTING, MAX_JQ_BYTES, MAX_SQL_BYTES, MAX_TEMPLATE_BYTES,
    MAX_VALUE_DEPTH,
};
use isthmus_rules::{
    Environment, Event, FixedHost, Host, Limits, MapColumns, Rule, Severity, Template, TemplateKind, Value,
};
use serde_json::json;

/// Runs `sql` over a message with this payload; `Err` holds the message of what raised, or of why it does not compile.
fn run_with(
    sql: &str,
    payload: &serde_json::Value,
    host: &FixedHost,
    limits: &Limits,
) -> Result<Option<Value>, String> {
    let compiled = Rule::compile(sql).map_err(|findings| findings[0].message.clone())?;
    let columns = MapColumns::from_json(&json!({"topic": "t", "payload": payload})).unwrap();
    let id = "limits".into();
    let mut env = Environment::new(host, limits, &id);
    let event = Event::new(&columns);
    compiled.rule.evaluate(&event, &mut env).map(|rows| rows.to_value()).map_err(|error| error.message)
}

fn run(sql: &str) -> Result<Option<Value>, String> {
    run_with(sql, &json!("{}"), &FixedHost::default(), &Limits::default())
}

fn select(expression: &str) -> Result<Option<Value>, String> {
    run(&format!("SELECT {expression} AS r FROM \"t\""))
}

#[track_caller]
fn passes(result: &Result<Option<Value>, String>) {
    assert!(result.is_ok(), "{}", result.as_ref().unwrap_err());
}

#[track_caller]
fn raises(result: Result<Option<Value>, String>, message: &str) {
    let error = result.err().unwrap_or_default();
    assert!(error.contains(message), "`{error}` instead of `{message}`");
}

#[test]
fn an_sql_text_has_an_end() {
    let sql = |length: usize| format!("SELECT '{}' AS r FROM \"t\"", "x".repeat(length - 23));
    assert_eq!(sql(MAX_SQL_BYTES).len(), MAX_SQL_BYTES);
    passes(&run(&sql(MAX_SQL_BYTES)));
    raises(run(&sql(MAX_SQL_BYTES + 1)), "at most 65536 are allowed");
}

#[test]
fn expressions_are_nested_so_deep_and_no_deeper() {
    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    passes(&select(&nested(usize::from(MAX_EXPRESSION_NESTING) - 1)));
    raises(select(&nested(usize::from(MAX_EXPRESSION_NESTING))), "nested more than 64 levels deep");
    let sum = |terms: usize| vec!["1"; terms].join(" + ");
    passes(&select(&sum(usize::from(MAX_EXPRESSION_DEPTH))));
    raises(select(&sum(usize::from(MAX_EXPRESSION_DEPTH) + 1)), "nested more than 256 levels deep");
}

#[test]
fn a_path_has_an_end() {
    let path = |steps: usize| format!("payload{}", ".a".repeat(steps));
    passes(&select(&path(MAX_VALUE_DEPTH)));
    raises(select(&path(MAX_VALUE_DEPTH + 1)), "the path has more than 128 steps");
    raises(run(&format!("SELECT 1 AS {} FROM \"t\"", path(5000))), "the path has more than 128 steps");
    let keys = vec!["a"; MAX_VALUE_DEPTH + 1].join(".");
    raises(select(&format!("map_put('{keys}', 1, map_new())")), "the keys of the path would pass the limit of 128");
}

#[test]
fn a_value_is_nested_so_deep_and_no_deeper() {
    let json = |depth: usize| format!("json_decode('{}{}')", "[".repeat(depth), "]".repeat(depth));
    passes(&select(&json(MAX_VALUE_DEPTH)));
    raises(select(&json(MAX_VALUE_DEPTH + 1)), "nested too deeply");
    let lists = |depth: usize| {
        let steps: Vec<String> = (1..depth).map(|at| format!("[a] AS a, {at} AS b")).collect();
        run(&format!("SELECT [payload] AS a, {} FROM \"t\"", steps.join(", ")))
    };
    passes(&lists(MAX_VALUE_DEPTH));
    raises(lists(MAX_VALUE_DEPTH + 1), "nested more than 128 levels deep");
}

#[test]
fn a_value_in_a_store_does_not_grow_for_ever() {
    let host = FixedHost::default();
    let runs =
        |sql: &str, times: usize| (0..times).find_map(|_| run_with(sql, &json!("{}"), &host, &Limits::default()).err());
    let deeper = "SELECT kv_store_put('a', [kv_store_get('a')]) AS r FROM \"t\"";
    assert_eq!(runs(deeper, MAX_VALUE_DEPTH), None);
    assert!(runs(deeper, 1).unwrap().contains("nested more than 128 levels deep"));
    let wider = "SELECT kv_store_put('b', [kv_store_get('b'), kv_store_get('b')]) AS r FROM \"t\"";
    assert!(runs(wider, 40).unwrap().contains("more than 16777216 bytes"));
}

#[test]
fn what_is_shared_counts_as_often_as_it_occurs() {
    let lists: Vec<String> = (0..40).map(|_| "[a, a] AS a".to_owned()).collect();
    raises(run(&format!("SELECT [1] AS a, {} FROM \"t\"", lists.join(", "))), "more than");
    let maps: Vec<String> = (0..40).map(|at| format!("a AS b{at}.x, a AS b{at}.y, b{at} AS a")).collect();
    raises(run(&format!("SELECT [1] AS a, {} FROM \"t\"", maps.join(", "))), "more than");
    let puts: Vec<String> = (0..40).map(|_| "map_put('x', a, map_put('y', a, map_new())) AS a".to_owned()).collect();
    raises(run(&format!("SELECT [1] AS a, {} FROM \"t\"", puts.join(", "))), "more than");
}

#[test]
fn a_row_has_an_end_that_a_large_event_does_not_reach() {
    let fields: Vec<String> = (0..30).map(|at| format!("payload.l AS f{at}")).collect();
    let sql = format!("SELECT {} FROM \"t\"", fields.join(", "));
    let payload = |length: usize| json!(json!({"l": ["x".repeat(length)]}).to_string());
    let (host, limits) = (FixedHost::default(), Limits::default());
    passes(&run_with(&sql, &payload(1000), &host, &limits));
    raises(run_with(&sql, &payload(1 << 20), &host, &limits), "the output has more than ");
    let large = json!("x".repeat(20 << 20));
    passes(&run_with("SELECT *, payload AS raw FROM \"t\"", &large, &host, &limits));
    raises(
        run_with("SELECT *, payload AS a, payload AS b, payload AS c FROM \"t\"", &large, &host, &limits),
        "the output",
    );
}

#[test]
fn one_run_does_so_much_work_and_no_more() {
    let list = json!(json!({"l": vec![7; 50_000], "t": "x".repeat(10_000)}).to_string());
    let (host, limits) = (FixedHost::default(), Limits::default());
    let run = |sql: &str| run_with(sql, &list, &host, &limits);
    passes(&run("FOREACH payload.l AS i DO i + 1 AS r, upper('x') AS u FROM \"t\""));
    let message = "the rule reads and builds more than 134217728 bytes for one event";
    for sql in [
        "FOREACH payload.l AS i DO sha256(payload) AS r FROM \"t\"",
        "FOREACH payload.l AS i DO payload.l AS r FROM \"t\"",
        "FOREACH payload.l AS i DO payload.l[-1] AS r FROM \"t\"",
        "FOREACH payload.l AS i DO pad(str(i), 60000) AS r FROM \"t\"",
        "FOREACH payload.l AS i DO [payload.l] AS r FROM \"t\"",
        "FOREACH payload AS p, payload.l AS i DO p.t AS r FROM \"t\"",
        "FOREACH payload.l AS i INCASE sha256(payload) = '' FROM \"t\"",
    ] {
        let started = Instant::now();
        raises(run(sql), message);
        assert!(started.elapsed() < Duration::from_secs(300), "{sql}: {:?}", started.elapsed());
    }
    // Without DO every row has all columns, once made and then shared.
    passes(&run("FOREACH payload.l AS i FROM \"t\""));
}

#[test]
fn constants_of_a_rule_have_an_end_and_take_no_time_to_compile() {
    let ranges = vec!["[1..100000]"; 5000].join(", ");
    let started = Instant::now();
    raises(select(&format!("length([{ranges}])")), "the ranges and constants of a rule have at most 524288 elements");
    let large = format!("pad('', 65536, 'leading', '{}')", "x".repeat(200));
    let large = vec![large.as_str(); 200].join(", ");
    let limits = Limits { output_bytes: MAX_CONSTANT_BYTES, ..Limits::default() };
    let sql = format!("SELECT join_to_string([{large}]) AS r FROM \"t\"");
    raises(run_with(&sql, &json!("{}"), &FixedHost::default(), &limits), "would pass the limit of 4194304");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn output_of_one_call_has_an_end() {
    let limits = Limits { output_bytes: 100, ..Limits::default() };
    let payload = json!("x".repeat(60));
    let run = |expression: &str| {
        let sql = format!("SELECT {expression} AS r FROM \"t\"");
        run_with(&sql, &payload, &FixedHost::default(), &limits)
    };
    passes(&run("payload + '!'"));
    for expression in [
        "payload + payload",
        "concat(payload, payload)",
        "concat([payload, '!', payload])",
        "join_to_string(['a', payload, payload])",
        "sprintf('~s~s', payload, payload)",
        "pad(payload, 101)",
        "regex_replace(payload, 'x', 'yyy')",
        "replace(payload, 'x', 'yyy')",
        "join_to_sql_values_string([payload, payload])",
        "json_encode([payload, [1, 2, 3, 4, 5, 6]])",
        "bin2hexstr(payload)",
        "str_utf16_le(payload)",
        "[payload, payload]",
    ] {
        assert!(run(expression).is_err(), "{expression}");
    }
}

#[test]
fn lists_and_foreach_have_an_end() {
    passes(&select("[1..100000]"));
    raises(select("[1..100001]"), "more than 100000 elements");
    let limits = Limits { list_items: 10, foreach_items: 5, ..Limits::default() };
    let run = |sql: &str| run_with(sql, &json!("a,b,c,d,e,f,g,h,i,j,k,l"), &FixedHost::default(), &limits);
    raises(run("SELECT split(payload, ',') AS r FROM \"t\""), "the number of pieces would pass the limit of 10");
    raises(run("SELECT tokens(payload, ',') AS r FROM \"t\""), "the number of pieces would pass the limit of 10");
    passes(&run("FOREACH [1..5] AS i FROM \"t\""));
    raises(run("FOREACH [1..6] AS i FROM \"t\""), "the list has 6 elements; at most 5 are visited");
}

#[test]
fn patterns_and_widths_have_an_end() {
    let limits = Limits { regex_bytes: 10_000, pad_width: 10, ..Limits::default() };
    let run = |expression: &str| {
        let sql = format!("SELECT {expression} AS r FROM \"t\"");
        run_with(&sql, &json!("x"), &FixedHost::default(), &limits)
    };
    raises(
        run("regex_match(payload, payload + '{1000}')"),
        "the compiled pattern in bytes would pass the limit of 10000",
    );
    raises(select("regex_match(payload, 'a{1000}{1000}')"), "the compiled pattern in bytes would pass the limit");
    raises(run("pad(payload, 11)"), "the width in characters would pass the limit of 10");
    raises(run("sprintf('~11s', payload)"), "a width would pass the limit of 10");
}

#[test]
fn a_bomb_does_not_go_off() {
    let large = "pad('', 65536, 'leading', '0123456789abcdef')";
    for (pack, unpack) in [("gzip", "gunzip"), ("zip", "unzip"), ("zip_compress", "zip_uncompress")] {
        raises(select(&format!("{unpack}({pack}({large}))")), "the decompressed size in bytes would pass the limit of");
    }
    let limits = Limits { decompressed_bytes: 10, ..Limits::default() };
    let run = |expression: &str| {
        let sql = format!("SELECT {expression} AS r FROM \"t\"");
        run_with(&sql, &json!("hello hello hello"), &FixedHost::default(), &limits)
    };
    raises(run("gunzip(gzip(payload))"), "the decompressed size in bytes would pass the limit of 10");
}

#[test]
fn jq_programs_have_an_end() {
    raises(select(&format!("jq('{}', 1)", " ".repeat(MAX_JQ_BYTES + 1))), "a program has at most 8192 bytes");
    raises(select("jq('def f: [f]; f', payload)"), "calls itself too deeply");
    // Time or size, whichever comes first.
    raises(select("jq('[range(9999999)]', payload)"), "limit");
    raises(select("jq('reduce range(99) as $i ([]; [., .])', payload)"), "limit");
    raises(select("jq('repeat(empty)', payload, 10)"), "ran longer than its time limit");
}

#[test]
fn all_jq_programs_of_a_run_share_its_time() {
    let limits = Limits { jq_timeout: Duration::from_secs(1), ..Limits::default() };
    let host = FixedHost::default();
    let sql = "FOREACH [1..1000] AS i DO jq('last(range(1000))', i) AS r FROM \"t\"";
    let started = host.monotonic();
    raises(run_with(sql, &json!("{}"), &host, &limits), "ran longer than its time limit");
    assert!(
        host.monotonic().saturating_sub(started) < Duration::from_secs(4),
        "each look at the clock takes a millisecond"
    );
}

#[test]
fn a_template_has_an_end() {
    assert!(Template::compile(&"x".repeat(MAX_TEMPLATE_BYTES), TemplateKind::Action).is_ok());
    let error = Template::compile(&"x".repeat(MAX_TEMPLATE_BYTES + 1), TemplateKind::Topic).unwrap_err();
    assert_eq!(error.severity, Severity::Error);
    assert!(error.message.contains("at most 65536 are allowed"), "{}", error.message);
}
