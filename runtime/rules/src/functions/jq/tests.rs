//! Programs that must give jq's answers, and programs that must not get away.

use crate::case::{Case, Match, Outcome};
use crate::environment::FixedHost;
use crate::limits::Limits;
use crate::value::Value;

fn outcome(program: &str, input: &str) -> Outcome {
    let case = Case {
        id: String::new(),
        sql: "SELECT jq(p, x) AS r FROM \"t\"".into(),
        context: serde_json::json!({"topic": "t", "p": program, "x": input}),
        expect: crate::case::Expect::default(),
        compare: Match::Exact,
        tolerance: None,
    };
    let limits = Limits { jq_timeout: std::time::Duration::from_secs(1), ..Limits::default() };
    case.outcome(&FixedHost::default(), &limits)
}

fn run(program: &str, input: &str) -> String {
    match outcome(program, input) {
        Outcome::Output(Value::Map(row)) => row.get("r").unwrap().to_json(),
        other => other.to_string(),
    }
}

#[test]
fn programs_give_the_answers_of_jq() {
    for (program, input, expected) in [
        (".", "1", "[1]"),
        (".a[1:] , .b", r#"{"a":[1,2,3],"b":"x"}"#, r#"[[2,3],"x"]"#),
        ("[.[] | select(. > 1)]", "[1,2,3]", "[[2,3]]"),
        ("map(.x) | add", r#"[{"x":1},{"x":2.5}]"#, "[3.5]"),
        ("to_entries", r#"{"a":1}"#, r#"[[{"key":"a","value":1}]]"#),
        (".a.b |= . + 1", r#"{"a":{"b":1}}"#, r#"[{"a":{"b":2}}]"#),
        ("del(.a)", r#"{"a":1,"b":2}"#, r#"[{"b":2}]"#),
        ("[limit(1000; repeat(1))] | length", "null", "[1000]"),
        ("[limit(3; repeat(1))]", "null", "[[1,1,1]]"),
        ("reduce range(5) as $i (0; . + $i)", "null", "[10]"),
        ("def f: if . > 99 then . else . + 1 | f end; f", "0", "[100]"),
        ("\"a,b\" | split(\",\") | join(\"-\")", "null", r#"["a-b"]"#),
        ("test(\"^a\")", "\"abc\"", "[true]"),
        ("@base64", "\"hi\"", r#"["aGk="]"#),
        ("tojson | fromjson", r#"{"a":[1,null,true]}"#, r#"[{"a":[1,null,true]}]"#),
        (".[] as [$a, $b] | {a: $a, b: $b}", "[[1,2]]", r#"[{"a":1,"b":2}]"#),
        ("[paths]", r#"{"a":[1]}"#, r#"[[["a"],["a",0]]]"#),
        ("try error(\"x\") catch .", "null", r#"["x"]"#),
        ("[.[] | tostring]", r#"[1, "a", [1]]"#, r#"[["1","a","[1]"]]"#),
        ("sort_by(.a) | map(.a)", r#"[{"a":3},{"a":1}]"#, "[[1,3]]"),
        ("group_by(.a) | length", r#"[{"a":3},{"a":1},{"a":3}]"#, "[2]"),
        ("ascii_downcase, length, (. * 2)", "\"AB\"", r#"["ab",2,"ABAB"]"#),
        ("now", "null", "[1700000000.1234567]"),
        ("env", "null", "[{}]"),
        ("5 / 2, 4 / 2, 7 % 3, -1", "null", "[2.5,2,1,-1]"),
        ("18446744073709551615", "null", "[18446744073709551615]"),
        (
            "input_line_number?",
            "null",
            "error: SELECT: jq: the program uses the filter `input_line_number`, which is not defined",
        ),
        (".a.b", "[1]", "error: SELECT: jq: the program failed: cannot index [1] with \"a\""),
        (".[", "1", "error: SELECT: jq: the program is not jq: expected closing bracket at its end"),
        ("1 +", "1", "error: SELECT: jq: the program is not jq: expected term at its end"),
    ] {
        assert_eq!(run(program, input), expected, "{program}");
    }
}

#[test]
fn programs_without_an_end_are_ended() {
    for program in [
        "def f: f; f",
        "def f: 1 + f; f",
        "def f: [f]; f",
        "[repeat(1)]",
        "last(repeat(1))",
        "def f: try f catch f; f",
        "try repeat(error(\"x\")) catch repeat(1) | empty",
        "[range(1e18)] | length",
        "[range(0; 1; 0)]",
        "reduce range(0; 1; 0) as $i (0; .)",
        "last(range(1e18))",
        "recurse(.) | empty",
        "until(false; .)",
        "while(true; .) | empty",
        "first(repeat(1) | empty)",
        "[limit(1e18; repeat(1))] | length",
        "def f(x): f(x | x); f(.)",
        "def f: .[0] |= f; f",
        "path(repeat(.))",
        "def f: reduce f as $x (0; .); f",
        "label $out | repeat(1) | empty",
        "(., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | \
         (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | (., .) | empty",
        "[range(1000)] | .[] as $a | .[] as $b | .[] as $c | .[] as $d | empty",
        "[range(1000)] | first(.. | .. | .. | .. | .. | empty)",
        "[range(1000)] | [.[] | select(false)?, .[]?] | length | . as $n | [range($n)] | .[] = (range(1e9) | empty)",
    ] {
        let outcome = outcome(program, "[1]");
        assert!(matches!(outcome, Outcome::Error(_)), "{program}: {outcome}");
    }
}

#[test]
fn programs_cannot_use_up_memory() {
    for program in [
        "reduce range(100) as $i ([0]; . + .)",
        "reduce range(100) as $i (\"x\"; . + .)",
        "\"x\" * 1e15",
        "\"xxxxxxxxxxxxxxxx\" * 100000000",
        "reduce range(64) as $i (0; [., .]) | tojson | length",
        "reduce range(64) as $i (0; {a: ., b: .}) | . == .",
        "reduce range(1000) as $i (0; [.])",
        "[range(1000)] | [combinations(10)]",
        "reduce range(100) as $i ([0]; . += .)",
        "reduce range(100) as $i ({a: [0]}; .a += .a)",
        "[range(100000)] | [.[] as $x | .] | flatten | length",
        "[range(3000)] | [.[] as $x | [$x, .]] | tojson | length",
    ] {
        let outcome = outcome(program, "null");
        assert!(matches!(outcome, Outcome::Error(_)), "{program}: {outcome}");
    }
}

#[test]
fn long_and_deep_programs_are_refused_before_they_are_read() {
    let long = vec!["."; 4096].join("|");
    let long = &long[..crate::limits::MAX_JQ_BYTES - 1];
    assert_eq!(run(long, "1"), "[1]");
    let sum = vec!["1"; 4096].join("+");
    assert_eq!(run(&sum[..sum.len().min(crate::limits::MAX_JQ_BYTES - 1)], "1"), "[4096]");
    for program in ["(".repeat(2000), "[".repeat(60), "-".repeat(10_000)] {
        assert!(matches!(outcome(&program, "1"), Outcome::Error(_)));
    }
    assert!(matches!(outcome(&"-".repeat(crate::limits::MAX_JQ_BYTES), "1"), Outcome::Error(_)));
}
