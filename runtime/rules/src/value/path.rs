//! Reading and writing nested places of values (behaviour document §5.2 rules 2 to 4).

pub(crate) mod packed;

use std::sync::Arc;

use super::{Map, Text, Value};

/// One step into a value, its index already computed.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Into a map.
    Key(Text),
    /// Into a list: 1 is the first element, -1 the last, 0 none when reading and "before the first" when writing.
    Index(i128),
    /// `[-0]`: none when reading, "after the last" when writing.
    End,
}

/// Position of a rule-language index in a list of `len` elements.
pub fn index_from(index: i128, len: usize) -> Option<usize> {
    let len = i128::try_from(len).ok()?;
    let at = if index > 0 { index - 1 } else { len + index };
    if index == 0 || at < 0 || at >= len { None } else { usize::try_from(at).ok() }
}

/// What is at `step` of `value`; undefined when there is no such place. A text is tried as JSON.
pub fn get(value: &Value, step: &Step) -> Value {
    match (value, step) {
        (Value::Map(map), Step::Key(key)) => map.get(key).cloned().unwrap_or_default(),
        (Value::List(items), Step::Index(index)) => {
            index_from(*index, items.len()).map(|at| items[at].clone()).unwrap_or_default()
        }
        (Value::Text(text), _) if looks_nested(text) => match Value::from_json(text) {
            Ok(decoded) if !matches!(decoded, Value::Text(_)) => get(&decoded, step),
            _ => Value::Undefined,
        },
        _ => Value::Undefined,
    }
}

/// Whether a text could be a JSON map or list: saves a parse for all the others.
pub(crate) fn looks_nested(text: &str) -> bool {
    matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['))
}

/// Writes `new` at the place that `steps` lead to, making what is missing on the way.
///
/// A missing list becomes a list of one element whatever the index; an index out of range changes nothing; index 0
/// prepends and `-0` appends; a parent that is not a container is replaced.
pub fn put(value: &mut Value, steps: &[Step], new: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *value = new;
        return;
    };
    match step {
        Step::Key(key) => {
            let mut map = match std::mem::take(value) {
                Value::Map(map) => map,
                _ => Arc::default(),
            };
            put_key(Arc::make_mut(&mut map), key, rest, new);
            *value = Value::Map(map);
        }
        Step::Index(_) | Step::End => {
            let Value::List(mut items) = std::mem::take(value) else {
                let mut only = Value::Undefined;
                put(&mut only, rest, new);
                *value = Value::list(vec![only]);
                return;
            };
            put_index(Arc::make_mut(&mut items), step, rest, new);
            *value = Value::List(items);
        }
    }
}

fn put_key(map: &mut Map, key: &Text, rest: &[Step], new: Value) {
    if let Some(inner) = map.get_mut(key) {
        put(inner, rest, new);
        return;
    }
    let mut inner = Value::Undefined;
    put(&mut inner, rest, new);
    map.insert(key.clone(), inner);
}

fn put_index(items: &mut Vec<Value>, step: &Step, rest: &[Step], new: Value) {
    let at = match step {
        Step::Index(index) if *index != 0 => match index_from(*index, items.len()) {
            Some(at) => at,
            None => return,
        },
        Step::End => {
            items.push(Value::Undefined);
            items.len() - 1
        }
        _ => {
            items.insert(0, Value::Undefined);
            0
        }
    };
    put(&mut items[at], rest, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        Value::from_json(&Text::from(text)).unwrap()
    }

    fn written(before: &str, steps: &[Step], new: i64) -> String {
        let mut value = json(before);
        put(&mut value, steps, new.into());
        value.to_json()
    }

    fn key(name: &str) -> Step {
        Step::Key(Text::from(name))
    }

    #[test]
    fn indexes_count_from_one_and_from_the_end() {
        let list = json("[1,2,3]");
        for (index, expected) in
            [(1, Some(1)), (3, Some(3)), (-1, Some(3)), (-3, Some(1)), (0, None), (4, None), (-4, None)]
        {
            assert_eq!(
                get(&list, &Step::Index(index)),
                expected.map_or(Value::Undefined, |n: i64| n.into()),
                "{index}"
            );
        }
        assert_eq!(get(&list, &Step::End), Value::Undefined);
        assert_eq!(get(&Value::from(r#"{"a":5}"#), &key("a")), Value::Int(5));
        assert_eq!(get(&Value::from("{broken"), &key("a")), Value::Undefined);
    }

    #[test]
    fn writing_makes_parents_and_never_extends_lists_by_index() {
        assert_eq!(written("{}", &[key("a"), Step::Index(7), key("b")], 1), r#"{"a":[{"b":1}]}"#);
        assert_eq!(written("[1,2]", &[Step::Index(-1)], 9), "[1,9]");
        assert_eq!(written("[1,2]", &[Step::Index(3)], 9), "[1,2]");
        assert_eq!(written("[1,2]", &[Step::Index(0)], 9), "[9,1,2]");
        assert_eq!(written("[1,2]", &[Step::End], 9), "[1,2,9]");
        assert_eq!(written("[]", &[Step::Index(1)], 9), "[]");
        assert_eq!(written("{}", &[Step::Index(5)], 9), "[9]");
        assert_eq!(written("5", &[key("a")], 9), r#"{"a":9}"#);
        assert_eq!(written(r#""{\"b\":1}""#, &[key("a")], 9), r#"{"a":9}"#);
    }
}
