//! `sprintf` with the directives of Erlang's `io_lib:format`: `~F.P.PadModC`.

use std::fmt::Write;

use super::args::failed;
use super::{Args, Call, Computed, Function, FunctionError, function};
use crate::eval::operator::to_text;
use crate::limits::Limits;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("sprintf" ("format, …") 1..=usize::MAX, Pure,
        "The format with its directives replaced by the arguments: `~s` and `~ts` text, `~p` and `~w` any value as \
         Erlang prints it, `~b` integer (`~.16b` to base 16), `~f` `~e` `~g` float (`~.2f` with two decimals), `~c` \
         character, `~i` nothing, `~n` new line, `~~` tilde. `~10s` fills to a width, `~-10s` on the other side.",
        "sprintf('~ts is ~.1f', 'it', 2.55)" => "\"it is 2.5\"", |call, args| format(call, Args(args), &args[1..])),
    function!("sprintf_s" ("format, list") 2..=2, Pure, "The same as `sprintf` with the arguments in a list.",
        "sprintf_s('~b%', [50])" => "\"50%\"", |call, args| format(call, Args(args), Args(args).list(1)?)),
];

/// One directive: `~width.precision.fill` and its letter.
#[derive(Default)]
struct Directive {
    width: Option<i64>,
    precision: Option<i64>,
    fill: Option<char>,
    unicode: bool,
    letter: char,
}

struct Formatter<'a> {
    args: std::slice::Iter<'a, Value>,
    limits: &'a Limits,
}

fn format(call: &Call<'_, '_>, args: Args<'_>, values: &[Value]) -> Computed {
    let mut formatter = Formatter { args: values.iter(), limits: call.env.limits };
    let mut out = String::new();
    let mut rest = args.text(0)?.chars();
    while let Some(character) = rest.next() {
        if character != '~' {
            out.push(character);
            continue;
        }
        let directive = formatter.directive(&mut rest)?;
        formatter.write(&directive, &mut out)?;
        if out.len() > call.env.limits.output_bytes {
            return Err(FunctionError::Limit {
                what: "the result in bytes",
                limit: call.env.limits.output_bytes as u128,
            });
        }
    }
    if formatter.args.next().is_some() {
        return failed("there are more arguments than directives");
    }
    Ok(Value::from(out))
}

impl<'a> Formatter<'a> {
    fn next(&mut self) -> Result<&'a Value, FunctionError> {
        self.args.next().map_or_else(|| failed("there are fewer arguments than directives"), Ok)
    }

    fn directive(&mut self, rest: &mut std::str::Chars<'_>) -> Result<Directive, FunctionError> {
        let mut directive = Directive { width: self.field(rest)?, ..Directive::default() };
        if skip(rest, '.') {
            directive.precision = self.field(rest)?;
            if skip(rest, '.') {
                directive.fill = rest.next();
            }
        }
        loop {
            match rest.next() {
                Some('t') => directive.unicode = true,
                Some('l' | 'k' | 'K') => {}
                Some(letter) => {
                    directive.letter = letter;
                    return Ok(directive);
                }
                None => return failed("the format ends inside a directive"),
            }
        }
    }

    /// A width or precision: digits with a sign, or `*` for the next argument.
    fn field(&mut self, rest: &mut std::str::Chars<'_>) -> Result<Option<i64>, FunctionError> {
        let value = if skip(rest, '*') {
            match self.next()? {
                Value::Int(value) => i64::try_from(*value).ok(),
                _ => return failed("`*` needs an integer"),
            }
        } else {
            let text = rest.as_str();
            let digits = text.strip_prefix('-').unwrap_or(text);
            let end = text.len() - digits.len() + digits.bytes().take_while(u8::is_ascii_digit).count();
            if end == 0 {
                return Ok(None);
            }
            *rest = text[end..].chars();
            text[..end].parse().ok()
        };
        match value {
            Some(value) if value.unsigned_abs() <= self.limits.pad_width as u64 => Ok(Some(value)),
            _ => Err(FunctionError::Limit { what: "a width", limit: self.limits.pad_width as u128 }),
        }
    }

    fn write(&mut self, directive: &Directive, out: &mut String) -> Result<(), FunctionError> {
        let text = match directive.letter {
            '~' => "~".to_owned(),
            'n' => "\n".repeat(directive.width.map_or(1, |width| width.unsigned_abs() as usize)),
            'i' => {
                self.next()?;
                return Ok(());
            }
            's' => self.text(directive)?,
            'p' | 'w' | 'P' | 'W' => erlang(self.next()?, directive.unicode),
            'c' => self.character(directive)?,
            'b' | 'B' | '#' | '+' | 'x' | 'X' => self.integer(directive)?,
            'f' | 'e' | 'g' => self.float(directive)?,
            other => return failed(format!("there is no directive `~{other}`")),
        };
        if matches!(directive.letter, '~' | 'n') {
            out.push_str(&text);
            return Ok(());
        }
        pad(&text, directive, out);
        Ok(())
    }

    fn text(&mut self, directive: &Directive) -> Result<String, FunctionError> {
        let text = match self.next()? {
            value @ (Value::Text(_) | Value::Bytes(_) | Value::Bool(_) | Value::Null | Value::Undefined) => {
                to_text(value)
            }
            other => return failed(format!("`~s` needs a string, not {} (`~p` takes any value)", other.type_name())),
        };
        match directive.precision {
            Some(precision) => Ok(text.chars().take(precision.unsigned_abs() as usize).collect()),
            None => Ok(text.to_string()),
        }
    }

    fn character(&mut self, directive: &Directive) -> Result<String, FunctionError> {
        let character = match self.next()? {
            Value::Int(code) => u32::try_from(*code).ok().and_then(char::from_u32),
            _ => None,
        };
        let times = directive.precision.or(directive.width).map_or(1, i64::unsigned_abs);
        match character {
            Some(character) => Ok(character.to_string().repeat(times as usize)),
            None => failed("`~c` needs the number of a character"),
        }
    }

    fn integer(&mut self, directive: &Directive) -> Result<String, FunctionError> {
        let Value::Int(value) = self.next()? else { return failed("`~b` needs an integer") };
        let base = directive.precision.unwrap_or(10);
        if !(2..=36).contains(&base) {
            return failed("a base is 2 to 36");
        }
        let digits = radix(value.unsigned_abs(), base as u32);
        let digits = if directive.letter == 'B' || directive.letter == 'X' { digits.to_uppercase() } else { digits };
        Ok(if *value < 0 { format!("-{digits}") } else { digits })
    }

    fn float(&mut self, directive: &Directive) -> Result<String, FunctionError> {
        let value = match self.next()? {
            Value::Float(value) => *value,
            Value::Int(value) => *value as f64,
            other => return failed(format!("`~{}` needs a number, not {}", directive.letter, other.type_name())),
        };
        let precision = directive.precision.unwrap_or(6).unsigned_abs().min(253) as usize;
        Ok(match directive.letter {
            'f' => format!("{value:.precision$}"),
            'g' if value == 0.0 || (0.1..10_000.0).contains(&value.abs()) => format!("{value:.5}"),
            _ => exponent(&format!("{value:.*e}", precision.saturating_sub(1))),
        })
    }
}

fn skip(rest: &mut std::str::Chars<'_>, wanted: char) -> bool {
    let hit = rest.as_str().starts_with(wanted);
    if hit {
        rest.next();
    }
    hit
}

/// Rust writes `1.5e1`, the reference system `1.5e+1`.
fn exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent:0>2}"),
        Some((digits, exponent)) => format!("{digits}e-{:0>2}", exponent.trim_start_matches('-')),
        None => text.to_owned(),
    }
}

fn radix(mut value: u128, base: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit((value % u128::from(base)) as u32, base).unwrap_or('0'));
        value /= u128::from(base);
        if value == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

/// Fills to the width, on the right when it is negative; what is too long for `~s` is cut, other text becomes stars.
fn pad(text: &str, directive: &Directive, out: &mut String) {
    let width = directive.width.filter(|_| directive.letter != 'c' || directive.precision.is_some());
    let Some(width) = width else {
        out.push_str(text);
        return;
    };
    let (wanted, length) = (width.unsigned_abs() as usize, text.chars().count());
    let fill = directive.fill.unwrap_or(' ');
    if length > wanted {
        match directive.letter {
            's' | 'c' => out.extend(text.chars().take(wanted)),
            _ => out.extend(std::iter::repeat_n('*', wanted)),
        }
    } else if width < 0 {
        out.push_str(text);
        out.extend(std::iter::repeat_n(fill, wanted - length));
    } else {
        out.extend(std::iter::repeat_n(fill, wanted - length));
        out.push_str(text);
    }
}

/// A value as `~p` prints it.
fn erlang(value: &Value, unicode: bool) -> String {
    match value {
        Value::Text(text) if text.is_ascii() && text.chars().all(|c| !c.is_control()) => {
            format!("<<{:?}>>", text.as_str())
        }
        Value::Text(text) if unicode && text.chars().all(|c| !c.is_control()) => {
            format!("<<{:?}/utf8>>", text.as_str())
        }
        Value::Text(_) | Value::Bytes(_) => {
            let bytes = value.as_bytes().unwrap_or_default().iter().map(u8::to_string);
            format!("<<{}>>", bytes.collect::<Vec<_>>().join(","))
        }
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| erlang(item, unicode)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Map(map) => {
            let mut out = String::from("#{");
            for (at, (key, value)) in map.sorted().into_iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let key = erlang(&Value::Text(key.clone()), unicode);
                // Writing to a String cannot fail.
                let _ = write!(out, "{comma}{key} => {}", erlang(value, unicode));
            }
            out.push('}');
            out
        }
        Value::Float(value) => format!("{value:?}"),
        other => to_text(other).to_string(),
    }
}
