//! Operators and places of jq values: what the interpreter asks of a value type.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::ops::Math;
use jaq_core::path::Opt;
use jaq_core::{Error, Exn, ValR, ValX};

use super::guard;
use super::value::{Entries, Val, owned};
use crate::value::{Text, Value, number};

type Range<'v> = jaq_core::val::Range<&'v Val>;

impl jaq_core::ValT for Val {
    fn from_num(text: &str) -> ValR<Self> {
        match number::parse(text) {
            Some(Value::Int(value)) => Ok(Self::Int(value)),
            Some(Value::Float(value)) => Ok(Self::Float(value)),
            _ => text.parse().map(Self::Float).map_err(|_| Error::str(format!("cannot read {text} as a number"))),
        }
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(entries: I) -> ValR<Self> {
        let entries = entries.into_iter().map(|(key, value)| match key {
            Self::Text(key) => Ok((key, value)),
            other => Err(Error::typ(other, "string")),
        });
        entries.collect::<Result<Entries, _>>().map(Self::map)
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self {
            Self::List(list) => {
                Box::new(owned(list).into_iter().enumerate().map(|(at, item)| Ok((Self::from(at), item))))
            }
            Self::Map(map) => Box::new(owned(map).into_iter().map(|(key, value)| Ok((Self::Text(key), value)))),
            other => box_once(Err(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self {
            Self::List(list) => Box::new(owned(list).into_iter().map(Ok)),
            Self::Map(map) => Box::new(owned(map).into_values().map(Ok)),
            other => box_once(Err(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        self.find(index).map(Option::unwrap_or_default)
    }

    fn range(self, range: Range<'_>) -> ValR<Self> {
        match self {
            Self::List(list) => {
                let (from, to) = bounds(&range, list.items().len())?;
                Ok(Self::list(list.items()[from..to].to_vec()))
            }
            Self::Text(text) => {
                let (from, to) = bounds(&range, text.chars().count())?;
                Ok(Self::string(text.chars().skip(from).take(to - from).collect::<String>()))
            }
            Self::Null => Ok(Self::Null),
            other => Err(Error::typ(other, "rangeable (array or string)")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        match self {
            Self::List(list) => owned(list).into_iter().flat_map(f).collect(),
            Self::Map(map) => {
                let entries = owned(map).into_iter();
                let entries = entries.filter_map(|(key, value)| f(value).next().map(|value| Ok((key, value?))));
                Ok(Self::map(entries.collect::<Result<Entries, Exn<'a, Self>>>()?))
            }
            other => opt.fail(other, |other| Exn::from(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (self, index) {
            (value @ (Self::List(_) | Self::Text(_)), Self::Map(range)) => {
                let range = range.items().get("start")..range.items().get("end");
                value.map_range(range, opt, f)
            }
            (Self::Map(map), Self::Text(key)) => {
                let mut entries = owned(map);
                let old = entries.get_mut(key.as_str()).map(std::mem::take);
                match f(old.unwrap_or_default()).next().transpose()? {
                    Some(new) => entries.insert(key.clone(), new),
                    None => entries.shift_remove(key.as_str()),
                };
                Ok(Self::map(entries))
            }
            (Self::List(list), index) => {
                let Some(at) = index.position(list.items().len()) else {
                    let error = Error::str(format!("index {index} out of bounds"));
                    return opt.fail(Self::List(list), |_| Exn::from(error));
                };
                let mut items = owned(list);
                match f(std::mem::take(&mut items[at])).next().transpose()? {
                    Some(new) => items[at] = new,
                    None => {
                        items.remove(at);
                    }
                }
                Ok(Self::list(items))
            }
            (other, index) => opt.fail(other, |other| Exn::from(Error::index(other, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<'_>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let Self::List(list) = self else {
            return opt.fail(self, |other| Exn::from(Error::typ(other, "array")));
        };
        let (from, to) = match bounds(&range, list.items().len()) {
            Ok(bounds) => bounds,
            Err(error) => return opt.fail(Self::List(list), |_| Exn::from(error)),
        };
        let mut items = owned(list);
        let part = Self::list(items[from..to].to_vec());
        let new = match f(part).next().transpose()? {
            None => Vec::new(),
            Some(Self::List(new)) => owned(new),
            Some(other) => return Err(Exn::from(Error::typ(other, "array"))),
        };
        items.splice(from..to, new);
        Ok(Self::list(items))
    }

    fn as_bool(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Text(_) => self,
            other => Self::string(other.to_string()),
        }
    }
}

impl Val {
    /// What is at an index or key; `None` when there is nothing.
    pub(super) fn find(self, index: &Self) -> ValR<Option<Self>, Self> {
        match (self, index) {
            (Self::Null, _) => Ok(None),
            (Self::Map(map), Self::Text(key)) => Ok(map.items().get(key.as_str()).cloned()),
            (Self::List(list), Self::Int(_) | Self::Float(_)) => {
                Ok(index.position(list.items().len()).map(|at| list.items()[at].clone()))
            }
            (list @ Self::List(_), Self::List(_)) => Ok(Some(list.indices(index))),
            (value @ (Self::List(_) | Self::Text(_)), Self::Map(range)) => {
                jaq_core::ValT::range(value, range.items().get("start")..range.items().get("end")).map(Some)
            }
            (other, index) => Err(Error::index(other, index.clone())),
        }
    }

    /// A number as a position in a list of `len`: counted from 0, or from the end when negative.
    fn position(&self, len: usize) -> Option<usize> {
        let at = match self {
            Self::Int(at) => *at,
            Self::Float(at) if at.abs() < 1e15 => at.floor() as i128,
            _ => return None,
        };
        let at = if at < 0 { at + len as i128 } else { at };
        usize::try_from(at).ok().filter(|at| *at < len)
    }
}

fn bounds(range: &Range<'_>, len: usize) -> ValR<(usize, usize), Val> {
    let bound = |end: Option<&Val>, default: usize, round: fn(f64) -> f64| match end {
        None | Some(Val::Null) => Ok(default),
        Some(Val::Int(at)) => Ok(clamp(*at, len)),
        Some(Val::Float(at)) => Ok(clamp(round(*at) as i128, len)),
        Some(other) => Err(Error::typ(other.clone(), "integer")),
    };
    let from = bound(range.start, 0, f64::floor)?;
    let to = bound(range.end, len, f64::ceil)?;
    Ok((from, to.max(from)))
}

fn clamp(at: i128, len: usize) -> usize {
    let at = if at < 0 { at.saturating_add(len as i128) } else { at };
    usize::try_from(at.max(0)).unwrap_or(len).min(len)
}

fn float(value: &Val) -> Option<f64> {
    match value {
        Val::Int(value) => Some(*value as f64),
        Val::Float(value) => Some(*value),
        _ => None,
    }
}

/// Numbers: exact while both are integers and the result fits, floats otherwise.
fn numbers(l: Val, op: Math, r: Val, exact: fn(i128, i128) -> Option<i128>, rough: fn(f64, f64) -> f64) -> ValR<Val> {
    if let (Val::Int(a), Val::Int(b)) = (&l, &r)
        && let Some(result) = exact(*a, *b)
    {
        return Ok(Val::Int(result));
    }
    match (float(&l), float(&r)) {
        (Some(a), Some(b)) => Ok(Val::Float(rough(a, b))),
        _ => Err(Error::math(l, op, r)),
    }
}

impl Add for Val {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Null, value) | (value, Self::Null) => Ok(value),
            (Self::Text(a), Self::Text(b)) => Ok(Self::string([a.as_str(), b.as_str()].concat())),
            (Self::List(a), Self::List(b)) => {
                let mut items = owned(a);
                items.extend(b.items().iter().cloned());
                Ok(Self::list(items))
            }
            (Self::Map(a), Self::Map(b)) => {
                let mut entries = owned(a);
                entries.extend(b.items().iter().map(|(key, value)| (key.clone(), value.clone())));
                Ok(Self::map(entries))
            }
            (l, r) => numbers(l, Math::Add, r, i128::checked_add, |a, b| a + b),
        }
    }
}

impl Sub for Val {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::List(a), Self::List(b)) => {
                let without: std::collections::BTreeSet<&Self> = b.items().iter().collect();
                Ok(Self::list(a.items().iter().filter(|item| !without.contains(item)).cloned().collect()))
            }
            (l, r) => numbers(l, Math::Sub, r, i128::checked_sub, |a, b| a - b),
        }
    }
}

impl Mul for Val {
    type Output = ValR<Self>;

    fn mul(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Text(text), Self::Int(times)) | (Self::Int(times), Self::Text(text)) => repeat(&text, times),
            (Self::Map(a), Self::Map(b)) => Ok(Self::map(merge(owned(a), b.items()))),
            (l, r) => numbers(l, Math::Mul, r, i128::checked_mul, |a, b| a * b),
        }
    }
}

fn repeat(text: &Text, times: i128) -> ValR<Val> {
    if times <= 0 {
        return Ok(Val::Null);
    }
    let times = usize::try_from(times).unwrap_or(usize::MAX);
    if text.len().saturating_mul(times) > guard::max_bytes() {
        guard::trip(guard::Trip::Bytes(guard::max_bytes()));
        return Err(Error::str("the string is too long"));
    }
    Ok(Val::string(text.repeat(times)))
}

fn merge(mut into: Entries, from: &Entries) -> Entries {
    for (key, value) in from {
        let merged = match (into.get_mut(key.as_str()).map(std::mem::take), value) {
            (Some(Val::Map(old)), Val::Map(new)) => Val::map(merge(owned(old), new.items())),
            _ => value.clone(),
        };
        into.insert(key.clone(), merged);
    }
    into
}

impl Div for Val {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (Self::Text(text), Self::Text(separator)) => Ok(match (text.is_empty(), separator.is_empty()) {
                (true, _) => Self::list(Vec::new()),
                (false, true) => text.chars().map(|character| Self::string(character.to_string())).collect(),
                (false, false) => text.split(separator.as_str()).map(Self::string).collect(),
            }),
            (l, r) => numbers(
                l,
                Math::Div,
                r,
                |a, b| if b != 0 && a % b == 0 { a.checked_div(b) } else { None },
                |a, b| a / b,
            ),
        }
    }
}

impl Rem for Val {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> ValR<Self> {
        match (self, other) {
            (l @ Self::Int(_), r @ Self::Int(0)) => Err(Error::math(l, Math::Rem, r)),
            (l, r) => numbers(l, Math::Rem, r, i128::checked_rem, |a, b| a % b),
        }
    }
}

impl Neg for Val {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        match self {
            Self::Int(value) => Ok(value.checked_neg().map_or(Self::Float(-(value as f64)), Self::Int)),
            Self::Float(value) => Ok(Self::Float(-value)),
            other => Err(Error::typ(other, "number")),
        }
    }
}

impl jaq_std::ValT for Val {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::List(list) => Ok(owned(list).into_iter().collect()),
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Int(_))
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Int(value) => isize::try_from(*value).ok(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        float(self)
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        Self::string(String::from_utf8_lossy(part).into_owned())
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::string(String::from_utf8_lossy(bytes.as_ref()).into_owned())
    }
}
