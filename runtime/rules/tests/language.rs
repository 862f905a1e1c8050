//! The language as a whole: a table of cases written from the behaviour document, and texts that nobody would write.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by panicking")]

use isthmus_rules::case::Case;
use isthmus_rules::{
    Environment, Event, FixedHost, Limits, MapColumns, MissingPolicy, Row, Rows, Rule, Template, TemplateKind,
};
use isthmus_rules::{Map, Text, Value};
use proptest::prelude::*;

#[test]
fn every_case_of_the_table_holds() {
    let mut failures = Vec::new();
    let mut count = 0;
    for line in include_str!("cases.jsonl").lines().filter(|line| !line.is_empty()) {
        let case = Case::from_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        count += 1;
        if let Err(failure) = case.run(&FixedHost::default(), &Limits::default()) {
            failures.push(format!("{}: expected {}, got {}", case.id, failure.expected, failure.actual));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(count > 100, "{count} cases");
}

/// Pieces of SQL, so that random texts get far into the parser.
fn sql() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "SELECT",
            "FROM",
            "WHERE",
            "FOREACH",
            "DO",
            "INCASE",
            "CASE",
            "WHEN",
            "THEN",
            "ELSE",
            "END",
            "AS",
            "AND",
            "OR",
            "NOT",
            "IN",
            "div",
            "mod",
            "*",
            "+",
            "-",
            "/",
            "=",
            "!=",
            "<",
            ">",
            "=~",
            "(",
            ")",
            "[",
            "]",
            ",",
            ".",
            "..",
            "1",
            "2.5",
            "'x'",
            "\"t/#\"",
            "payload",
            "a",
            "b",
            "upper",
            "jq",
            "sprintf",
            "split",
            "true",
            "payload.a",
            "a[1]",
            "a[-0]",
            "null()",
            "'{\"a\":[1]}'",
            "subbits",
            "pad",
            "--",
            "\n",
            "é",
            "0",
            "-1",
            "99999999999999999999",
            "map_put",
            "'a.b'",
            "regex_replace",
            "'(.)'",
            "format_date",
            "'second'",
            "concat",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9'\"().,\\[\\]]{0,4}",
    ];
    prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "-1",
        "0",
        "2.5",
        "170141183460469231731687303715884105727",
        "'x'",
        "''",
        "'1'",
        "true",
        "payload",
        "payload.a",
        "payload.a[1].b",
        "a",
        "qos",
        "topic",
        "null()",
        "[1..3]",
        "[]",
        "map_new()",
        "'{\"a\":[1,2]}'",
        "'[1,2]'",
        "'é\\n'",
        "clientid",
        "pub_props",
        "nosuch",
        "100000",
        "'second'",
        "'%Y'",
        "'Z'",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop::sample::select(isthmus_rules::functions::all().map(|f| f.name).collect::<Vec<_>>());
        prop_oneof![
            (name, prop::collection::vec(inner.clone(), 0..5))
                .prop_map(|(name, args)| format!("\"{name}\"({})", args.join(", "))),
            (
                inner.clone(),
                prop::sample::select(vec!["+", "-", "*", "/", "div", "mod", "=", "!=", "<", ">=", "=~"]),
                inner.clone()
            )
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(CASE WHEN {a} = {b} THEN {a} ELSE {b} END)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} IN ({b}, {a}))")),
            prop::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
        ]
    })
}

fn run(sql: &str, payload: Value) {
    let Ok(compiled) = Rule::compile(sql) else { return };
    let mut columns = Map::new();
    columns.insert("topic", "t/1");
    columns.insert("payload", payload);
    columns.insert("a", Value::list(vec![1.into(), "x".into(), Value::Null]));
    let columns = MapColumns::new(columns).unwrap();
    let host = FixedHost::default();
    let limits =
        Limits { jq_timeout: std::time::Duration::from_millis(50), output_bytes: 1 << 20, ..Limits::default() };
    let (event, name) = (Event::new(&columns), "r".into());
    let outcome = compiled.rule.evaluate(&event, &mut Environment::new(&host, &limits, &name));
    let rows = match outcome {
        Ok(rows) => rows,
        Err(error) => {
            assert!(sql.get(error.span.clone()).is_some(), "{error:?}");
            Rows::NoMatch
        }
    };
    for row in rows.iter() {
        let mut json = Vec::new();
        let _ = row.write_json(&mut json);
        serde_json::from_slice::<serde_json::Value>(&json).expect("rows are JSON");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_rule_or_an_error_with_a_place(sql in prop_oneof![sql(), any::<String>()]) {
        match Rule::compile(&sql) {
            Ok(compiled) => {
                for warning in compiled.warnings {
                    prop_assert!(sql.get(warning.span).is_some());
                }
            }
            Err(findings) => {
                prop_assert!(!findings.is_empty());
                for finding in findings {
                    prop_assert!(sql.get(finding.span).is_some());
                }
            }
        }
        run(&sql, Value::constant("{\"a\":[{\"b\":1}]}"));
    }

    #[test]
    fn any_expression_gives_a_value_or_an_error(expression in expression(), payload in prop_oneof![
        Just(Value::constant("{\"a\":[{\"b\":1}]}")),
        any::<String>().prop_map(Value::from),
        any::<Vec<u8>>().prop_map(Value::binary),
    ]) {
        run(&format!("SELECT {expression} AS r, {expression} FROM \"t/#\""), payload.clone());
        run(&format!("FOREACH {expression} AS i DO i, i.a INCASE is_not_null(i) FROM \"t/#\""), payload);
    }

    #[test]
    fn a_printed_rule_parses_to_the_same_rule(expression in expression(), condition in expression(), other in sql()) {
        let foreach = format!("FOREACH {expression} AS i DO i.a AS b[-0].\"c d\", * INCASE {condition} = 1 FROM \"t/#\", a WHERE NOT {condition} IN (1)");
        let select = format!("SELECT *, - -{expression}, {condition} AS x.'1'.y[2][-1][a.b] FROM 't'");
        for sql in [foreach, select, other] {
            let Ok(query) = isthmus_rules::sql::parse(&sql) else { continue };
            let printed = query.to_string();
            let again = isthmus_rules::sql::parse(&printed).map_err(|error| TestCaseError::fail(format!("{printed}: {error:?}")))?;
            prop_assert_eq!(again.to_string(), printed.clone(), "{}", sql);
            prop_assert_eq!(spanless(&again), spanless(&query), "{}", printed);
        }
    }

    #[test]
    fn any_template_renders(text in prop_oneof![any::<String>(), "[$\\{\\}.a]{0,12}"], json in prop_oneof![Just("{}"), Just("{\"a\":{\"a\":\"{}\"}}")]) {
        let Ok(Value::Map(map)) = Value::from_json(&Text::from(json)) else { unreachable!() };
        let row = Row::from(&*map);
        for kind in [TemplateKind::Action, TemplateKind::Topic] {
            let template = Template::compile(&text, kind).unwrap();
            for variable in template.variables() {
                let whole = text.get(variable.span.clone()).is_some_and(|part| part.starts_with('$') && part.ends_with('}'));
                prop_assert!(whole);
            }
            let mut out = Vec::new();
            let rendered = template.render(&row, MissingPolicy::Undefined, &mut out).unwrap();
            if template.variables().next().is_none() {
                prop_assert!(!rendered.missing);
                let constant = template.constant().unwrap();
                prop_assert_eq!(constant.as_bytes(), out);
            }
        }
    }
}

/// The tree without its places: its debug text without anything like `3..5`.
fn spanless(query: &isthmus_rules::sql::ast::Query) -> String {
    let text = format!("{query:?}");
    let is_span = |word: &str| {
        word.split_once("..").is_some_and(|(from, to)| from.parse::<usize>().is_ok() && to.parse::<usize>().is_ok())
    };
    let words = text.split([' ', ',', '(', ')', '}']).filter(|word| !is_span(word));
    words.collect::<Vec<_>>().join(" ")
}
