//! Cutting text into pieces.

use super::{Args, Call, Computed, Function, FunctionError, function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("split" ("text, separator [, how]") 2..=3, Pure,
        "The pieces between separators, empty ones left out. `how`: `notrim` keeps empty pieces; `leading` and \
         `trailing` cut at the first or last separator only, `leading_notrim` and `trailing_notrim` keep empty pieces too.",
        "split('a/b//c', '/')" => "[\"a\",\"b\",\"c\"]", split),
    function!("tokens" ("text, separators [, 'nocrlf']") 2..=3, Pure,
        "The pieces between any of the characters in `separators`, empty ones left out. `nocrlf` cuts at line ends too.",
        "tokens(' a, b', ' ,')" => "[\"a\",\"b\"]", tokens),
];

fn split(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let args = Args(args);
    let (text, separator) = (args.text(0)?.as_str(), args.text(1)?.as_str());
    let how = if args.given(2).is_some() { args.text(2)?.as_str() } else { "" };
    let (how, keep_empty) = match how.strip_suffix("notrim") {
        Some(how) => (how.trim_end_matches('_'), true),
        None => (how, false),
    };
    let once =
        |cut: Option<(&str, &str)>| cut.map_or_else(|| vec![Value::from(text)], |(a, b)| vec![a.into(), b.into()]);
    let mut pieces = match how {
        _ if separator.is_empty() => vec![Value::from(text)],
        "" => pieces(call, text.split(separator))?,
        "leading" => once(text.split_once(separator)),
        "trailing" => once(text.rsplit_once(separator)),
        _ => return args.wrong(2, "'notrim', 'leading', 'leading_notrim', 'trailing' or 'trailing_notrim'"),
    };
    if !keep_empty {
        pieces.retain(|piece| piece.as_text() != Some(""));
    }
    Ok(Value::list(pieces))
}

fn tokens(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let args = Args(args);
    let mut separators: Vec<char> = args.text(1)?.chars().collect();
    match args.given(2).map(Value::as_text) {
        None => {}
        Some(Some("nocrlf")) => separators.extend(['\r', '\n']),
        Some(_) => return args.wrong(2, "'nocrlf'"),
    }
    let found = args.text(0)?.split(separators.as_slice()).filter(|piece| !piece.is_empty());
    Ok(Value::list(pieces(call, found)?))
}

fn pieces<'t>(call: &Call<'_, '_>, found: impl Iterator<Item = &'t str>) -> Result<Vec<Value>, FunctionError> {
    let limit = call.env.limits.list_items;
    let pieces: Vec<Value> = found.take(limit + 1).map(Value::from).collect();
    if pieces.len() > limit {
        return Err(FunctionError::Limit { what: "the number of pieces", limit: limit as u128 });
    }
    Ok(pieces)
}
