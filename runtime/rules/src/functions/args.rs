//! Reading arguments with one wording for what is wrong with them.

use super::FunctionError;
use crate::value::compare::excerpt;
use crate::value::{Map, Text, Value, number};

/// Arguments of a call. Positions count from 0 here and from 1 in messages.
#[derive(Clone, Copy)]
pub(crate) struct Args<'v>(pub(crate) &'v [Value]);

type Read<T> = Result<T, FunctionError>;

impl<'v> Args<'v> {
    pub(crate) fn any(self, at: usize) -> &'v Value {
        self.0.get(at).unwrap_or(&Value::Undefined)
    }

    pub(crate) fn given(self, at: usize) -> Option<&'v Value> {
        self.0.get(at)
    }

    pub(crate) fn wrong<T>(self, at: usize, expected: &'static str) -> Read<T> {
        let found = match self.any(at) {
            Value::Text(text) => format!("the string '{}'", excerpt(text)),
            Value::Int(value) => format!("the integer {value}"),
            Value::Float(value) => format!("the float {value:?}"),
            other => other.type_name().to_owned(),
        };
        Err(FunctionError::Argument { position: at + 1, expected, found })
    }

    /// Text.
    pub(crate) fn text(self, at: usize) -> Read<&'v Text> {
        match self.any(at) {
            Value::Text(text) => Ok(text),
            _ => self.wrong(at, "a string"),
        }
    }

    /// Text or bytes.
    pub(crate) fn bytes(self, at: usize) -> Read<&'v [u8]> {
        self.any(at).as_bytes().map_or_else(|| self.wrong(at, "a string"), Ok)
    }

    pub(crate) fn int(self, at: usize) -> Read<i128> {
        match self.any(at) {
            Value::Int(value) => Ok(*value),
            _ => self.wrong(at, "an integer"),
        }
    }

    /// An integer that counts something: not negative.
    pub(crate) fn count(self, at: usize) -> Read<usize> {
        match usize::try_from(self.int(at)?) {
            Ok(count) => Ok(count),
            Err(_) => self.wrong(at, "an integer that is not negative"),
        }
    }

    /// A number as a float.
    pub(crate) fn float(self, at: usize) -> Read<f64> {
        match self.any(at) {
            Value::Int(value) => Ok(*value as f64),
            Value::Float(value) => Ok(*value),
            _ => self.wrong(at, "a number"),
        }
    }

    pub(crate) fn list(self, at: usize) -> Read<&'v [Value]> {
        match self.any(at) {
            Value::List(items) => Ok(items),
            _ => self.wrong(at, "a list"),
        }
    }

    /// A map, or the JSON text of one.
    pub(crate) fn map(self, at: usize) -> Read<std::sync::Arc<Map>> {
        match self.any(at) {
            Value::Map(map) => Ok(map.clone()),
            Value::Text(text) => match Value::from_json(text) {
                Ok(Value::Map(map)) => Ok(map),
                _ => self.wrong(at, "a map or the JSON text of one"),
            },
            _ => self.wrong(at, "a map or the JSON text of one"),
        }
    }

    /// A number, or a text that is one.
    pub(crate) fn number(self, at: usize) -> Read<Value> {
        match self.any(at) {
            value @ (Value::Int(_) | Value::Float(_)) => Ok(value.clone()),
            Value::Text(text) => number::parse(text).map_or_else(|| self.wrong(at, "a number"), Ok),
            _ => self.wrong(at, "a number"),
        }
    }
}

/// A failure told in words.
pub(crate) fn failed<T>(message: impl Into<String>) -> Read<T> {
    Err(FunctionError::Failed(message.into()))
}
