//! The function library: every function's example gives what its documentation says.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use isthmus_rules::functions::{self, Function};
use isthmus_rules::{Environment, Event, FixedHost, Limits, MapColumns, Rows, Rule, Severity, Text, Value, reference};

fn evaluate(expression: &str) -> Result<Value, String> {
    let compiled = Rule::compile(&format!("SELECT {expression} AS r FROM \"t/#\"")).map_err(|findings| {
        findings.into_iter().find(|finding| finding.severity == Severity::Error).map_or_else(String::new, |f| f.message)
    })?;
    let columns = MapColumns::from_json(&serde_json::json!({})).unwrap().with_samples();
    let (host, limits) = (FixedHost::default(), Limits::default());
    let (event, name) = (Event::new(&columns), "example".into());
    match compiled.rule.evaluate(&event, &mut Environment::new(&host, &limits, &name)) {
        Ok(Rows::One(row)) => Ok(row.get("r").cloned().unwrap_or_default()),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn every_example_gives_what_the_documentation_says() {
    for function in functions::all() {
        let (example, expected) = function.example;
        let expected = Value::from_json(&Text::from(expected)).unwrap_or_else(|error| panic!("{example}: {error}"));
        assert_eq!(evaluate(example), Ok(expected), "{example}");
        assert!(example.contains(function.name), "{example} does not show {}", function.name);
    }
}

#[test]
fn every_operator_gives_what_the_documentation_says() {
    for operator in reference::all_operators() {
        let (example, expected) = operator.example;
        let expected = Value::from_json(&Text::from(expected)).unwrap_or_else(|error| panic!("{example}: {error}"));
        assert_eq!(evaluate(example), Ok(expected), "{example}");
    }
}

#[test]
fn every_function_is_described_and_named_once() {
    let mut names: Vec<&str> = functions::all().map(|function| function.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    for Function { name, description, min_args, max_args, .. } in functions::all() {
        assert!(description.ends_with(['.', ':']) && min_args <= max_args, "{name}: {description}");
    }
}

/// Every function of the behaviour document is here, but for those that need a schema registry or Erlang's terms.
#[test]
fn the_library_is_complete() {
    let expected = "abs acos acosh asin asinh atan atanh cos cosh exp log log10 log2 sin sinh sqrt tan tanh ceil floor \
        round fmod power random div mod eq bitand bitor bitxor bitsl bitsr bitnot bitsize bytesize subbits is_null \
        is_not_null is_null_var is_not_null_var is_str is_bool is_int is_float is_num is_map is_array is_empty str \
        str_utf8 str_utf16_le bool int float float2str map bin2hexstr hexstr2bin sqlserver_bin2hexstr null coalesce \
        coalesce_ne lower upper trim ltrim rtrim reverse rm_prefix strlen substr split tokens concat sprintf sprintf_s \
        pad replace regex_match regex_replace regex_extract ascii find join_to_string join_to_sql_values_string \
        unescape map_to_redis_hset_args map_new map_get map_put mget mput map_keys map_values map_to_entries map_size \
        nth length first last sublist contains md5 sha sha256 hash gzip gunzip zip unzip zip_compress zip_uncompress \
        base64_encode base64_decode json_encode json_decode now_timestamp now_rfc3339 unix_ts_to_rfc3339 \
        rfc3339_to_unix_ts format_date date_to_unix_ts timezone_to_offset_seconds timezone_to_second mongo_date jq msgid \
        qos flags flag topic clientid clientip peerhost username payload contains_topic contains_topic_match \
        proc_dict_put proc_dict_get proc_dict_del kv_store_put kv_store_get kv_store_del uuid_v4 uuid_v4_no_hyphen getenv";
    let missing: Vec<&str> = expected.split_whitespace().filter(|name| functions::find(name).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn wrong_arguments_are_errors_that_say_what_is_expected() {
    for (expression, message) in [
        ("upper(1)", "SELECT: upper: argument 1 must be a string, but is the integer 1"),
        ("sqrt(-1)", "SELECT: sqrt: the result is not a finite number"),
        ("log(0)", "SELECT: log: the result is not a finite number"),
        ("fmod(1, 0)", "SELECT: fmod: the result is not a finite number"),
        ("nth(3, [1, 2])", "SELECT: nth: there is no element 3 in a list of 2"),
        ("first([])", "SELECT: first: the list is empty"),
        ("bool('yes')", "SELECT: bool: argument 1 must be a boolean, 'true', 'false', 0 or 1, but is the string 'yes'"),
        ("int('x')", "SELECT: int: argument 1 must be a number, but is the string 'x'"),
        ("json_decode('{')", "SELECT: json_decode: not JSON: expected a key in double quotes at byte 1"),
        ("gunzip('abc')", "SELECT: gunzip: the data is damaged or of another format: "),
        ("bitsl(1, 200)", "SELECT: bitsl: the result does not fit 128 bits"),
        ("1 / 0", "SELECT: division by zero"),
        ("5 div 2.0", "SELECT: `div` needs integers"),
        ("[] + 1", "SELECT: `+` needs numbers, not a list and an integer"),
        ("regex_match('a', '(')", "regex_match: `(` is not a pattern: unclosed group"),
        ("jq('.[', 1)", "jq: the program is not jq: expected closing bracket at its end"),
    ] {
        let error = evaluate(expression).expect_err(expression);
        assert!(error.starts_with(message), "{expression}: {error}");
    }
}

#[test]
fn limits_end_what_would_not_end() {
    let bomb = "base64_encode(gzip(pad('', 65536, 'leading', '0123456789abcdef')))";
    let Ok(Value::Text(packed)) = evaluate(bomb) else { panic!("the bomb did not pack") };
    assert!(packed.len() < 8192, "{}", packed.len());
    for (expression, message) in [
        (
            format!("gunzip(base64_decode('{packed}'))"),
            "gunzip: the decompressed size in bytes would pass the limit of",
        ),
        ("pad('a', 65537)".into(), "pad: the width in characters would pass the limit of 65536"),
        (
            "pad('', 65536, 'leading', sprintf('~2000s', 'a'))".into(),
            "pad: the result in bytes would pass the limit of",
        ),
        ("sprintf('~99999999s', 'a')".into(), "sprintf: a width would pass the limit of 65536"),
        (
            "regex_match('a', 'a{1000}{1000}')".into(),
            "regex_match: the compiled pattern in bytes would pass the limit of",
        ),
        ("[1..100001]".into(), "the range has more than 100000 elements"),
        ("jq('[repeat(1)]', 1, 10)".into(), "jq: the program ran longer than its time limit"),
    ] {
        let error = evaluate(&expression).expect_err(&expression);
        assert!(error.contains(message), "{expression}: {error}");
    }
}
