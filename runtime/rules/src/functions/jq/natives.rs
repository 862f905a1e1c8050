//! The native filters: those of the interpreter's library that are safe, and those that depend on the value type.

use jaq_core::box_iter::box_once;
use jaq_core::load::parse::Def;
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{Cv, Error, Exn, RunPtr, ValR, ValXs, load};

use super::guard::{self, Jq};
use super::value::Val;
use crate::value::{Text, Value};

/// Left out or replaced below: the environment, the real clock, local time, logging, and loops without a guard.
const REPLACED: &[&str] = &["env", "now", "localtime", "strflocaltime", "debug_empty", "stderr_empty", "range"];

/// Definitions that depend on how values are made; the same meaning as in jq's manual.
const DEFS: &str = r#"
def totype(p; e): if p then . else fromjson | if p then . else e end end;
def tonumber: totype(isnumber; error("cannot parse as number"));
def toboolean: totype(isboolean; error("cannot parse as boolean"));
def transpose: [range([.[] | length] | max) as $i | [.[][$i]]];
def in(xs): . as $x | xs | has($x);
def inside(xs): . as $x | xs | contains($x);
def index($i): indices($i)[0];
def rindex($i): indices($i)[-1];
def ascii: [.] | implode;
def ltrimstr_all($x): until(startswith($x) | not; ltrimstr($x));
def todate: todateiso8601;
def env: {};
def @json: tojson;
"#;

pub(super) fn defs() -> impl Iterator<Item = Def<&'static str>> {
    load::parse(DEFS, |parser| parser.defs()).unwrap_or_default().into_iter()
}

pub(super) fn funs() -> impl Iterator<Item = Fun<Jq>> {
    let library = jaq_core::funs::<Jq>().chain(jaq_std::funs::<Jq>());
    let own: Vec<Filter<RunPtr<Jq>>> = vec![
        (guard::LOOK, v(0), guard::look),
        (guard::LOOK_AT_NESTING, v(0), guard::look_at_nesting),
        ("range", v(3), range),
        ("now", v(0), |(ctx, _)| box_once(Ok(Val::Float(ctx.data().host.now() as f64 / 1e9)))),
        ("debug_empty", v(0), |_| Box::new(std::iter::empty())),
        ("stderr_empty", v(0), |_| Box::new(std::iter::empty())),
        ("fromjson", v(0), |(_, input)| bome(from_json(&input))),
        ("tojson", v(0), |(_, input)| box_once(Ok(Val::string(input.to_string())))),
        ("length", v(0), |(_, input)| bome(length(&input))),
        ("contains", v(1), |cv| unary(cv, |value, part| Ok(Val::Bool(contains(&value, &part))))),
        ("has", v(1), |cv| unary(cv, |value, key| value.find(&key).map(|found| Val::Bool(found.is_some())))),
        ("indices", v(1), |cv| unary(cv, |value, part| Ok(value.indices(&part)))),
        ("bsearch", v(1), |cv| unary(cv, |value, wanted| bsearch(&value, &wanted))),
    ];
    library.filter(|(name, ..)| !REPLACED.contains(name)).chain(own.into_iter().map(run::<Jq>))
}

/// `range(from; to; by)`, one look at the guard for each number.
fn range((mut ctx, _): Cv<'_, Jq>) -> ValXs<'_, Val> {
    let (by, to, from) = (ctx.pop_var(), ctx.pop_var(), ctx.pop_var());
    let zero = Val::Int(0);
    let mut next = Some(from);
    Box::new(std::iter::from_fn(move || {
        let current = next.take()?;
        if !guard::may_go_on(ctx.data()) {
            return Some(Err(Exn::halt(1)));
        }
        let inside = match by.cmp(&zero) {
            std::cmp::Ordering::Greater => current < to,
            std::cmp::Ordering::Less => current > to,
            std::cmp::Ordering::Equal => current != to,
        };
        if !inside {
            return None;
        }
        match current.clone() + by.clone() {
            Ok(following) => next = Some(following),
            Err(error) => return Some(Err(error.into())),
        }
        Some(Ok(current))
    }))
}

fn from_json(input: &Val) -> ValR<Val> {
    match input {
        Val::Text(text) => match Value::from_json(text) {
            Ok(value) => Ok(Val::from_value(&value)),
            Err(error) => Err(Error::str(format!("cannot parse as JSON: {error}"))),
        },
        other => Err(Error::typ(other.clone(), "string")),
    }
}

fn length(input: &Val) -> ValR<Val> {
    Ok(match input {
        Val::Null => Val::Int(0),
        Val::Bool(_) => return Err(Error::str(format!("{input} has no length"))),
        Val::Int(value) => value.checked_abs().map_or(Val::Float((*value as f64).abs()), Val::Int),
        Val::Float(value) => Val::Float(value.abs()),
        Val::Text(text) => Val::from(text.chars().count()),
        Val::List(list) => Val::from(list.items().len()),
        Val::Map(map) => Val::from(map.items().len()),
    })
}

fn contains(value: &Val, part: &Val) -> bool {
    match (value, part) {
        (Val::Text(value), Val::Text(part)) => value.contains(part.as_str()),
        (Val::List(value), Val::List(part)) => {
            part.items().iter().all(|part| value.items().iter().any(|value| contains(value, part)))
        }
        (Val::Map(value), Val::Map(part)) => part
            .items()
            .iter()
            .all(|(key, part)| value.items().get(key.as_str()).is_some_and(|value| contains(value, part))),
        _ => value == part,
    }
}

fn bsearch(value: &Val, wanted: &Val) -> ValR<Val> {
    match value {
        Val::List(list) => Ok(match list.items().binary_search(wanted) {
            Ok(at) => Val::from(at),
            Err(at) => Val::Int(-1 - at as i128),
        }),
        other => Err(Error::typ(other.clone(), "array")),
    }
}

impl Val {
    /// Where `part` begins in a list or string; null when it cannot be in there.
    pub(super) fn indices(&self, part: &Self) -> Self {
        match (self, part) {
            (Self::Text(text), Self::Text(part)) => text_indices(text, part),
            (Self::List(list), Self::List(part)) if part.items().is_empty() || list.items().is_empty() => {
                Self::list(Vec::new())
            }
            (Self::List(list), Self::List(part)) => {
                let windows = list.items().windows(part.items().len()).enumerate();
                windows.filter(|(_, window)| *window == part.items().as_slice()).map(|(at, _)| Self::from(at)).collect()
            }
            (Self::List(list), part) => list
                .items()
                .iter()
                .enumerate()
                .filter(|(_, item)| *item == part)
                .map(|(at, _)| Self::from(at))
                .collect(),
            _ => Self::Null,
        }
    }
}

fn text_indices(text: &Text, part: &Text) -> Val {
    if part.is_empty() {
        return Val::list(Vec::new());
    }
    let starts = text.char_indices().enumerate();
    starts.filter(|(_, (byte, _))| text[*byte..].starts_with(part.as_str())).map(|(at, _)| Val::from(at)).collect()
}
