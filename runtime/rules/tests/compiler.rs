//! What the compiler says: findings with their place and their hint, where rules take events from, what they produce.

use isthmus_rules::{Diagnostic, EventKind, From, Rule, Severity};

/// Findings as `severity: message @ the text they point at (help)`.
fn findings(sql: &str) -> Vec<String> {
    let all = match Rule::compile(sql) {
        Ok(compiled) => compiled.warnings,
        Err(findings) => findings,
    };
    let describe = |Diagnostic { severity, span, message, help }: Diagnostic| {
        let severity = if severity == Severity::Error { "error" } else { "warning" };
        let help = help.map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{severity}: {message} @ {}{help}", &sql[span])
    };
    all.into_iter().map(describe).collect()
}

#[test]
fn findings_point_at_their_place_and_name_the_fix() {
    insta::assert_snapshot!(
        [
            "SELECT uper(clientid) FROM \"t/#\"",
            "SELECT upper() FROM \"t/#\"",
            "SELECT sprintf() FROM \"t/#\"",
            "SELECT pad('a') FROM \"t/#\"",
            "SELECT schema_decode('a', payload) FROM \"t/#\"",
            "SELECT cleintid FROM \"t/#\"",
            "SELECT speed FROM \"t/#\"",
            "SELECT speed FROM \"$sources/kafka_consumer:commands\"",
            "SELECT payload.a FROM \"$events/client/connected\"",
            "SELECT qos.x FROM \"t/#\"",
            "SELECT clientid FROM \"t/#/x\"",
            "SELECT clientid FROM \"$events/client_conected\"",
            "SELECT clientid FROM \"$events/message_published\"",
            "SELECT clientid FROM \"$bridges/mqtt:x\"",
            "SELECT clientid FROM \"$sources/kafka_consumer:\"",
            "SELECT clientid FROM \"t/#\" WHERE clientid",
            "SELECT clientid FROM \"t/#\" WHERE 'x'",
            "SELECT clientid FROM \"t/#\" WHERE 1 = 2 AND qos = 1",
            "SELECT CASE WHEN false THEN 1 END AS x FROM \"t/#\"",
            "SELECT 1 / 0 AS x FROM \"t/#\"",
            "SELECT regex_match(clientid, '(') FROM \"t/#\"",
            "SELECT jq('.[', payload) FROM \"t/#\"",
            "SELECT payload.a[0..1] FROM \"t/#\"",
            "SELECT [3..1] AS x FROM \"t/#\"",
            "FOREACH 5 FROM \"t/#\"",
            "FOREACH payload.l AS a.b FROM \"t/#\"",
            "SELECT from FROM \"t/#\"",
            "SELECT a.1.100 FROM \"t/#\"",
            "SELECT payload.from FROM \"t/#\"",
            "SELECT 'a FROM \"t/#\"",
            "SELECT 12abc FROM \"t/#\"",
            "SELECT _a FROM \"t/#\"",
            "SELECT a FROM \"t/#\";",
            "SELECT a FROM x y",
            "SELECT a WHERE b",
            "UPDATE a",
            "",
        ]
        .map(|sql| format!("{sql}\n    {}\n", findings(sql).join("\n    ")))
        .concat()
    );
}

#[test]
fn several_findings_come_errors_first() {
    assert_eq!(
        findings("SELECT nosuch, uper(a), lowr(b) FROM \"t/#\""),
        [
            "error: unknown function `uper` @ uper (did you mean `upper`?)",
            "error: unknown function `lowr` @ lowr (did you mean `lower`?)",
            "warning: there is no column `nosuch` in MQTT messages: it is always undefined @ nosuch (a field of the payload is written `payload.nosuch`)",
        ]
    );
}

#[test]
fn names_set_before_are_columns_of_the_rest() {
    for sql in [
        "SELECT payload.x AS x, x.y AS y FROM \"t/#\" WHERE y = 1",
        "FOREACH payload.l AS l, l.m AS m DO m.a AS a, a AS b, l INCASE m.c = 1 FROM \"t/#\" WHERE l.x = 1",
        "FOREACH payload.l DO item.a FROM \"t/#\"",
        "SELECT key, value.a, payload FROM \"$sources/kafka_consumer:x\", \"t/#\"",
    ] {
        assert_eq!(findings(sql), [""; 0], "{sql}");
    }
}

#[test]
fn from_tells_filters_sources_and_events_apart() {
    let from = |sql: &str| -> Vec<From> {
        Rule::compile(sql).unwrap().rule.from().iter().map(|entry| entry.from.clone()).collect()
    };
    assert_eq!(
        from("SELECT * FROM \"a/+\", b, '$SYS/#', \"$sources/kafka_consumer:c\", \"$bridges/kafka_consumer:d\""),
        [
            From::Filter("a/+".into()),
            From::Filter("b".into()),
            From::Filter("$SYS/#".into()),
            From::Source("c".into()),
            From::Source("d".into()),
        ]
    );
    assert_eq!(
        from("SELECT * FROM \"$events/message/acked\", \"$events/delivery_dropped\", \"$events/sys/+\""),
        [
            From::Event(EventKind::MessageAcked),
            From::Event(EventKind::DeliveryDropped),
            From::Event(EventKind::AlarmActivated),
            From::Event(EventKind::AlarmDeactivated),
        ]
    );
    let sql = "SELECT * FROM \"a/+\", b";
    let spans: Vec<&str> =
        Rule::compile(sql).unwrap().rule.from().iter().map(|entry| &sql[entry.span.clone()]).collect();
    assert_eq!(spans, ["\"a/+\"", "b"]);
}

#[test]
fn what_can_never_be_produced_is_known() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "SELECT payload.speed AS speed, clientid, 1 + 1 AS n, 5 AS x.y, 'lit', payload AS p FROM \"t/#\"",
            &["", ".", "speed", ".speed", "speed.unit", "clientid", "n", "x", "x.y", "lit", "p.deep.er"],
            &["payload", "topic", "n.a", "x.z", "x.y.z", "speedx"],
        ),
        ("SELECT * FROM \"t/#\"", &["payload", "payload.a.b", "topic", "metadata.rule_id"], &["key", "qos.a", "speed"]),
        (
            "SELECT payload.a.b, payload.c[1].d FROM \"t/#\"",
            &["payload.a.b", "payload.a", "payload.c", "payload.a.b.c"],
            &["payload.x", "a"],
        ),
        ("SELECT * FROM \"$sources/kafka_consumer:x\"", &["key", "value.a", "headers.h"], &["payload", "clientid"]),
        ("FOREACH payload.l AS s FROM \"t/#\"", &["s.a", "topic", "payload.l"], &["item"]),
        ("FOREACH payload.l DO item.a AS a FROM \"t/#\"", &["a"], &["item", "topic", "payload"]),
        ("FOREACH payload.l AS l, l.m AS m DO *, 1 AS one FROM \"t/#\"", &["one", "l", "m", "topic"], &["item"]),
    ];
    for (sql, can, cannot) in cases {
        let rule = Rule::compile(sql).unwrap().rule;
        for path in *can {
            assert!(rule.can_produce(path), "{sql}: {path}");
        }
        for path in *cannot {
            assert!(!rule.can_produce(path), "{sql}: {path}");
        }
    }
}

#[test]
fn rules_are_shared_by_threads() {
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    shared(&Rule::compile("SELECT jq('.', payload) AS x FROM \"t\"").unwrap().rule);
}

#[test]
fn expressions_up_to_the_limits_are_compiled_and_printed() {
    use isthmus_rules::limits::{MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_NESTING};
    let nest = usize::from(MAX_EXPRESSION_NESTING) - 1;
    for (open, close) in
        [("(", ")"), ("upper(", ")"), ("[", "]"), ("NOT ", ""), ("- ", ""), ("CASE WHEN qos = 1 THEN ", " END")]
    {
        let sql = format!("SELECT {}qos{} AS x FROM t", open.repeat(nest), close.repeat(nest));
        assert_eq!(findings(&sql), [""; 0], "{open}");
        let chain = " + qos".repeat(usize::from(MAX_EXPRESSION_DEPTH) - nest - 2);
        let sql = format!(
            "SELECT {}qos{}{chain} AS x FROM t WHERE qos = 1{}",
            open.repeat(nest),
            close.repeat(nest),
            " OR qos = 1".repeat(250)
        );
        assert_eq!(findings(&sql), [""; 0], "{open}");
        assert!(isthmus_rules::sql::parse(&sql).unwrap().to_string().len() > 100);
    }
}

#[test]
fn hostile_texts_are_refused_quickly() {
    let deep = format!("SELECT {}1{} FROM t", "(".repeat(5000), ")".repeat(5000));
    let chain = format!("SELECT 1{} FROM t", " + 1".repeat(10_000));
    let not = format!("SELECT 1 FROM t WHERE {} true", "NOT ".repeat(5000));
    let index = format!("SELECT {}a{} FROM t", "a[".repeat(5000), "]".repeat(5000));
    let case = format!("SELECT {} FROM t", "CASE WHEN ".repeat(5000));
    let long = format!("SELECT '{}' AS x FROM t", "x".repeat(70_000));
    for sql in [deep, chain, not, index, case, long] {
        let findings = Rule::compile(&sql).unwrap_err();
        assert!(
            findings[0].message.contains("levels deep") || findings[0].message.contains("at most 65536"),
            "{findings:?}"
        );
    }
}
