//! `sprintf` with the directives of Erlang's `io_lib:format`: `~F.P.PadModC`.

mod number;

use std::fmt::Write;

use super::args::failed;
use super::{Args, Call, Computed, Function, FunctionError, function};
use crate::eval::operator::to_text;
use crate::limits::Limits;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("sprintf" ("format, …") 1..=usize::MAX, Pure,
        "The format with its directives replaced by the arguments: `~s` and `~ts` text, `~p` and `~w` any value as \
         Erlang prints it, on one line (`~w` with texts as bytes), `~b` integer (`~.16b` to base 16, `~.16+` with the base before it, \
         `~.16x` with a prefix from the next argument; `~B` `~#` `~X` with large digits), `~f` `~e` `~g` float (`~.2f` \
         with two decimals), `~c` character, `~i` nothing, `~n` new line, `~~` tilde. `~10s` fills to a width, `~-10s` on the other side.",
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

    /// A width or precision: digits, or `*` for the next argument, after a sign.
    fn field(&mut self, rest: &mut std::str::Chars<'_>) -> Result<Option<i64>, FunctionError> {
        let sign = if skip(rest, '-') { -1 } else { 1 };
        let value = if skip(rest, '*') {
            match self.next()? {
                Value::Int(value) => i64::try_from(*value).ok(),
                _ => return failed("`*` needs an integer"),
            }
        } else {
            let text = rest.as_str();
            let digits = &text[..text.bytes().take_while(u8::is_ascii_digit).count()];
            if digits.is_empty() {
                return if sign < 0 { failed("`-` needs a width") } else { Ok(None) };
            }
            *rest = text[digits.len()..].chars();
            digits.parse().ok()
        };
        match value {
            Some(value) if value.unsigned_abs() <= self.limits.pad_width as u64 => Ok(Some(sign * value)),
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
            'p' => erlang(self.next()?, if directive.unicode { Texts::Unicode } else { Texts::Ascii }),
            'w' => erlang(self.next()?, Texts::Bytes),
            'c' => self.character(directive)?,
            'b' | 'B' | '#' | '+' | 'x' | 'X' => self.integer(directive)?,
            'f' | 'e' | 'g' => self.float(directive)?,
            other => return failed(format!("there is no directive `~{other}`")),
        };
        // The width of `~p` is that of the lines it would be broken into.
        if matches!(directive.letter, '~' | 'n' | 'p') {
            out.push_str(&text);
            return Ok(());
        }
        pad(&text, directive, out);
        Ok(())
    }

    fn text(&mut self, directive: &Directive) -> Result<String, FunctionError> {
        let text = match self.next()? {
            Value::Bytes(_) => return failed("`~s` needs a string, not bytes that are not UTF-8"),
            value @ (Value::Text(_) | Value::Bool(_) | Value::Null | Value::Undefined) => to_text(value),
            other => return failed(format!("`~s` needs a string, not {} (`~p` takes any value)", other.type_name())),
        };
        match directive.precision {
            Some(precision) => Ok(text.chars().take(precision.unsigned_abs() as usize).collect()),
            None => Ok(text.to_string()),
        }
    }

    fn integer(&mut self, directive: &Directive) -> Result<String, FunctionError> {
        let Value::Int(value) = self.next()? else {
            return failed(format!("`~{}` needs an integer", directive.letter));
        };
        let base = directive.precision.unwrap_or(10);
        if !(2..=36).contains(&base) {
            return failed("a base is 2 to 36");
        }
        let prefix = match directive.letter {
            'x' | 'X' => to_text(self.next()?).to_string(),
            '#' | '+' => format!("{base}#"),
            _ => String::new(),
        };
        let digits = number::radix(value.unsigned_abs(), base as u32);
        let digits = if matches!(directive.letter, 'B' | 'X' | '#') { digits.to_uppercase() } else { digits };
        let sign = if *value < 0 { "-" } else { "" };
        Ok(format!("{sign}{prefix}{digits}"))
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
            'g' => number::general(value, precision),
            _ => number::exponential(value, precision),
        })
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
}

fn skip(rest: &mut std::str::Chars<'_>, wanted: char) -> bool {
    let hit = rest.as_str().starts_with(wanted);
    if hit {
        rest.next();
    }
    hit
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

/// Which texts are printed as texts; others are printed as the numbers of their bytes.
#[derive(Clone, Copy)]
enum Texts {
    Bytes,
    Ascii,
    Unicode,
}

/// A value as `~p` and `~w` print it.
fn erlang(value: &Value, texts: Texts) -> String {
    match value {
        Value::Text(text) if text.chars().all(is_printable) => match texts {
            Texts::Ascii | Texts::Unicode if text.is_ascii() => format!("<<\"{}\">>", escaped(text)),
            Texts::Unicode => format!("<<\"{}\"/utf8>>", escaped(text)),
            _ => bytes(text.as_bytes()),
        },
        Value::Text(_) | Value::Bytes(_) => bytes(value.as_bytes().unwrap_or_default()),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| erlang(item, texts)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Map(map) => {
            let mut out = String::from("#{");
            for (at, (key, value)) in map.sorted().into_iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let key = erlang(&Value::Text(key.clone()), texts);
                // Writing to a String cannot fail.
                let _ = write!(out, "{comma}{key} => {}", erlang(value, texts));
            }
            out.push('}');
            out
        }
        Value::Float(value) => number::shortest(*value),
        other => to_text(other).to_string(),
    }
}

/// Control characters that have an escape of one letter are printable.
const ESCAPES: &[(char, char)] = &[
    ('\n', 'n'),
    ('\t', 't'),
    ('\r', 'r'),
    ('\u{b}', 'v'),
    ('\u{8}', 'b'),
    ('\u{c}', 'f'),
    ('\u{1b}', 'e'),
    ('"', '"'),
    ('\\', '\\'),
];

fn is_printable(character: char) -> bool {
    !character.is_control() || ESCAPES.iter().any(|(escaped, _)| *escaped == character)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match ESCAPES.iter().find(|(escaped, _)| *escaped == character) {
            Some((_, letter)) => out.extend(['\\', *letter]),
            None => out.push(character),
        }
    }
    out
}

fn bytes(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(u8::to_string).collect();
    format!("<<{}>>", bytes.join(","))
}
