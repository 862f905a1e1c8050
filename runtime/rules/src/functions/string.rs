//! Text: case, trimming, parts, padding, joining. A character is a Unicode code point.

use super::args::failed;
use super::{Args, Call, Computed, Function, FunctionError, function};
use crate::eval::operator::{concat as concat_two, to_text};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("lower" ("text") 1..=1, Pure, "The text in lower case.",
        "lower('ABC')" => "\"abc\"", |_, args| Ok(Value::from(Args(args).text(0)?.to_lowercase()))),
    function!("upper" ("text") 1..=1, Pure, "The text in upper case.",
        "upper('abc')" => "\"ABC\"", |_, args| Ok(Value::from(Args(args).text(0)?.to_uppercase()))),
    function!("trim" ("text") 1..=1, Pure, "The text without white space at both ends.",
        "trim(' a ')" => "\"a\"", |_, args| part(Args(args), str::trim)),
    function!("ltrim" ("text") 1..=1, Pure, "The text without white space at its beginning.",
        "ltrim(' a ')" => "\"a \"", |_, args| part(Args(args), str::trim_start)),
    function!("rtrim" ("text [, characters]") 1..=2, Pure, "The text without white space, or any of `characters`, at its end.",
        "rtrim('a--', '-')" => "\"a\"", |_, args| rtrim(Args(args))),
    function!("reverse" ("text") 1..=1, Pure, "The characters from last to first.",
        "reverse('abc')" => "\"cba\"", |_, args| Ok(Value::from(Args(args).text(0)?.chars().rev().collect::<String>()))),
    function!("rm_prefix" ("text, prefix") 2..=2, Pure, "The text without `prefix`, if it starts with it.",
        "rm_prefix('foo/bar', 'foo/')" => "\"bar\"", |_, args| rm_prefix(Args(args))),
    function!("strlen" ("text") 1..=1, Pure, "Number of characters.",
        "strlen('né')" => "2", |_, args| Ok(Value::Int(Args(args).text(0)?.chars().count() as i128))),
    function!("substr" ("text, start [, length]") 2..=3, Pure, "Characters from `start` (0 is the first) on, at most `length`.",
        "substr('abcd', 1, 2)" => "\"bc\"", |_, args| substr(Args(args))),
    function!("concat" ("list | a, b") 1..=2, Pure, "The texts of all values joined.",
        "concat('a', 1)" => "\"a1\"", concat),
    function!("pad" ("text, width [, side [, fill]]") 2..=4, Pure,
        "The text filled to `width` characters with `fill` (a space) at its end (`trailing`, the default), its beginning \
         (`leading`) or both (`both`). Each missing character is replaced by all of `fill`.",
        "pad('abc', 5, 'leading', '*')" => "\"**abc\"", pad),
    function!("replace" ("text, what, by [, which]") 3..=4, Pure, "The text with `what` replaced: `all` (default), the first (`leading`) or the last (`trailing`).",
        "replace('a-b-c', '-', '+', 'trailing')" => "\"a-b+c\"", replace),
    function!("find" ("text, what [, which]") 2..=3, Pure, "The rest of the text from the first (`leading`, default) or last (`trailing`) `what` on; empty when there is none.",
        "find('a/b/c', '/')" => "\"/b/c\"", |_, args| find(Args(args))),
    function!("ascii" ("text") 1..=1, Pure, "The first byte of the text as a number. Error when it is empty.",
        "ascii('a')" => "97", |_, args| ascii(Args(args))),
    function!("join_to_string" ("list | separator, list") 1..=2, Pure, "The texts of the elements with `separator` (`, `) between them.",
        "join_to_string('-', ['a', 1])" => "\"a-1\"", join),
    function!("join_to_sql_values_string" ("list") 1..=1, Pure,
        "The elements as SQL values with `, ` between them: texts, lists and maps (as JSON) in single quotes, quotes doubled; undefined and null as NULL.",
        "join_to_sql_values_string(['a', 1])" => "\"'a', 1\"", |_, args| sql_values(Args(args))),
    function!("unescape" ("text") 1..=1, Pure,
        "The text with escapes replaced: \\\\n \\\\t \\\\r \\\\b \\\\f \\\\v \\\\a \\\\' \\\\\" \\\\? \\\\\\\\ and \\\\x with hexadecimal digits. Error for others.",
        "unescape('a\\x41')" => "\"aA\"", |_, args| unescape(Args(args))),
];

fn part(args: Args<'_>, cut: fn(&str) -> &str) -> Computed {
    let text = args.text(0)?;
    Ok(Value::from(cut(text)))
}

fn rtrim(args: Args<'_>) -> Computed {
    if args.given(1).is_none() {
        return part(args, str::trim_end);
    }
    let characters: Vec<char> = args.text(1)?.chars().collect();
    Ok(Value::from(args.text(0)?.trim_end_matches(characters.as_slice())))
}

fn rm_prefix(args: Args<'_>) -> Computed {
    let text = args.text(0)?;
    Ok(Value::from(text.strip_prefix(args.text(1)?.as_str()).unwrap_or(text)))
}

fn substr(args: Args<'_>) -> Computed {
    let start = args.count(1)?;
    let length = if args.given(2).is_some() { args.count(2)? } else { usize::MAX };
    Ok(Value::from(args.text(0)?.chars().skip(start).take(length).collect::<String>()))
}

fn concat(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let parts = if args.len() == 1 { Args(args).list(0)? } else { args };
    let limits = call.env.limits;
    let start = Value::constant("");
    parts.iter().try_fold(start, |joined, part| concat_two(&joined, part, limits)).or_else(failed)
}

fn pad(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let args = Args(args);
    let (text, width) = (args.text(0)?, args.count(1)?);
    let fill = if args.given(3).is_some() { args.text(3)?.as_str() } else { " " };
    let side = if args.given(2).is_some() { args.text(2)?.as_str() } else { "trailing" };
    if width > call.env.limits.pad_width {
        return Err(FunctionError::Limit { what: "the width in characters", limit: call.env.limits.pad_width as u128 });
    }
    let missing = width.saturating_sub(text.chars().count());
    if missing.saturating_mul(fill.len()) > call.env.limits.output_bytes {
        return Err(FunctionError::Limit { what: "the result in bytes", limit: call.env.limits.output_bytes as u128 });
    }
    let left = match side {
        "trailing" => 0,
        "leading" => missing,
        "both" => missing / 2,
        _ => return args.wrong(2, "'trailing', 'leading' or 'both'"),
    };
    Ok(Value::from(format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left))))
}

/// Which occurrences: `None` all, else the first or not.
fn which(args: Args<'_>, at: usize) -> Result<Option<bool>, FunctionError> {
    match args.given(at).map(Value::as_text) {
        None | Some(Some("all")) => Ok(None),
        Some(Some("leading")) => Ok(Some(true)),
        Some(Some("trailing")) => Ok(Some(false)),
        Some(_) => args.wrong(at, "'all', 'leading' or 'trailing'"),
    }
}

fn replace(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let args = Args(args);
    let (text, what, by) = (args.text(0)?, args.text(1)?.as_str(), args.text(2)?.as_str());
    let which = which(args, 3)?;
    if what.is_empty() {
        return Ok(Value::Text(text.clone()));
    }
    let place = match which {
        None => {
            let (found, limit) = (text.matches(what).count(), call.env.limits.output_bytes);
            if found.saturating_mul(by.len()) > limit {
                return Err(FunctionError::Limit { what: "the result in bytes", limit: limit as u128 });
            }
            return Ok(Value::from(text.replace(what, by)));
        }
        Some(true) => text.find(what),
        Some(false) => text.rfind(what),
    };
    Ok(match place {
        Some(at) => Value::from(format!("{}{by}{}", &text[..at], &text[at + what.len()..])),
        None => Value::Text(text.clone()),
    })
}

fn find(args: Args<'_>) -> Computed {
    let (text, what) = (args.text(0)?, args.text(1)?.as_str());
    let place = match which(args, 2)? {
        _ if what.is_empty() => Some(0),
        Some(false) => text.rfind(what),
        _ => text.find(what),
    };
    Ok(place.map_or(Value::constant(""), |at| Value::from(&text[at..])))
}

fn ascii(args: Args<'_>) -> Computed {
    match args.bytes(0)?.first() {
        Some(byte) => Ok(Value::from(*byte)),
        None => args.wrong(0, "a text that is not empty"),
    }
}

fn join(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let args = Args(args);
    let (separator, list) = match args.0.len() {
        1 => (", ", args.list(0)?),
        _ => (args.text(0)?.as_str(), args.list(1)?),
    };
    let mut out = String::new();
    for (at, element) in list.iter().enumerate() {
        if at > 0 {
            out.push_str(separator);
        }
        if matches!(element, Value::Bytes(_)) {
            return failed("bytes that are not UTF-8 cannot be joined: encode them with `base64_encode`");
        }
        out.push_str(&to_text(element));
        if out.len() > call.env.limits.output_bytes {
            return Err(FunctionError::Limit {
                what: "the result in bytes",
                limit: call.env.limits.output_bytes as u128,
            });
        }
    }
    Ok(Value::from(out))
}

fn sql_values(args: Args<'_>) -> Computed {
    let values = args.list(0)?.iter().map(|element| match element {
        Value::Undefined | Value::Null => "NULL".to_owned(),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => to_text(element).to_string(),
        other => format!("'{}'", to_text(other).replace('\'', "''")),
    });
    Ok(Value::from(values.collect::<Vec<_>>().join(", ")))
}

fn unescape(args: Args<'_>) -> Computed {
    let text = args.text(0)?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        out.push(match rest.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('v') => '\u{b}',
            Some('a') => '\u{7}',
            Some(same @ ('\'' | '"' | '?' | '\\')) => same,
            Some('x') => {
                let digits: String = rest.as_str().chars().take_while(char::is_ascii_hexdigit).collect();
                rest = rest.as_str()[digits.len()..].chars();
                match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
                    Some(character) => character,
                    None => return failed(format!("`\\x{digits}` is no character")),
                }
            }
            Some(other) => return failed(format!("unknown escape `\\{other}`")),
            None => return failed("the text ends with a single `\\`"),
        });
    }
    Ok(Value::from(out))
}
