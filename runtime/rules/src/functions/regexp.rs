//! Regular expressions in linear time: no look-around, no back-references in the pattern.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use super::args::failed;
use super::{Args, Call, Computed, Function, FunctionError, Prepared, function};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("regex_match" ("text, pattern") 2..=2, Pure, "Whether the pattern matches somewhere in the text.",
    "regex_match('abc123', '[0-9]+')" => "true", |call, args| {
        Ok(Value::Bool(pattern(call, args)?.is_match(Args(args).text(0)?)))
    }),
    function!("regex_replace" ("text, pattern, by") 3..=3, Pure, "The text with every match replaced; in `by`, `&` stands for the match and `\\\\1` for its first group.",
        "regex_replace('ab1cd3', '[0-9]', '[&]')" => "\"ab[1]cd[3]\"", replace),
    function!("regex_extract" ("text, pattern") 2..=2, Pure, "The groups of the first match; an empty list when there is none.",
        "regex_extract('Order number: 12345', '([0-9]+)')" => "[\"12345\"]", extract),
];

/// Compiles a pattern that is known when the rule is.
pub(super) fn prepare(constant: Option<&Value>, limit: usize) -> Result<Option<Prepared>, FunctionError> {
    match constant {
        Some(Value::Text(pattern)) => compile(pattern, limit).map(|regex| Some(Prepared::Regex(regex))),
        _ => Ok(None),
    }
}

fn compile(pattern: &str, limit: usize) -> Result<Regex, FunctionError> {
    match RegexBuilder::new(pattern).size_limit(limit).dfa_size_limit(limit).build() {
        Ok(regex) => Ok(regex),
        Err(regex::Error::CompiledTooBig(_)) => {
            Err(FunctionError::Limit { what: "the compiled pattern in bytes", limit: limit as u128 })
        }
        Err(error) => {
            // The library draws the pattern over several lines; its last line says what is wrong.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            failed(format!("`{pattern}` is not a pattern: {reason}"))
        }
    }
}

fn pattern<'c>(call: &Call<'c, '_>, args: &[Value]) -> Result<Cow<'c, Regex>, FunctionError> {
    match call.prepared {
        Some(Prepared::Regex(regex)) => Ok(Cow::Borrowed(regex)),
        _ => compile(Args(args).text(1)?, call.env.limits.regex_bytes).map(Cow::Owned),
    }
}

fn replace(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let regex = pattern(call, args)?;
    let args = Args(args);
    let by = args.text(2)?;
    let limit = call.env.limits.output_bytes;
    let mut grown = args.text(0)?.len();
    let replaced = regex.replace_all(args.text(0)?, |found: &Captures<'_>| {
        if grown > limit {
            return String::new();
        }
        let replacement = expand(by, found);
        grown += replacement.len();
        replacement
    });
    if grown > limit {
        return Err(FunctionError::Limit { what: "the result in bytes", limit: limit as u128 });
    }
    Ok(Value::from(replaced.into_owned()))
}

/// `&` and `\0` are the match, `\N` and `\g{N}` a group, `\&` and `\\` themselves.
fn expand(by: &str, found: &Captures<'_>) -> String {
    let group = |number: usize| found.get(number).map_or("", |group| group.as_str());
    let mut out = String::new();
    let mut rest = by.chars();
    while let Some(character) = rest.next() {
        match character {
            '&' => out.push_str(group(0)),
            '\\' => {
                let tail = rest.as_str();
                let braced = tail.strip_prefix("g{").and_then(|tail| tail.split_once('}'));
                let (digits, skip) = if let Some((digits, _)) = braced {
                    (digits, digits.len() + 3)
                } else {
                    let bare = tail.strip_prefix('g').unwrap_or(tail);
                    let length = bare.bytes().take(2).take_while(u8::is_ascii_digit).count();
                    (&bare[..length], tail.len() - bare.len() + length)
                };
                if let Ok(number) = digits.parse() {
                    out.push_str(group(number));
                    rest = tail[skip..].chars();
                } else {
                    out.extend(rest.next());
                }
            }
            other => out.push(other),
        }
    }
    out
}

fn extract(call: &mut Call<'_, '_>, args: &[Value]) -> Computed {
    let regex = pattern(call, args)?;
    let groups = regex
        .captures(Args(args).text(0)?)
        .map(|found| found.iter().skip(1).map(|group| Value::from(group.map_or("", |group| group.as_str()))).collect());
    Ok(Value::list(groups.unwrap_or_default()))
}
