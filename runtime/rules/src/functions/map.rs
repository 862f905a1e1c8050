//! Maps. Where a map is asked for, the JSON text of one does too.

use std::sync::Arc;

use super::{Args, Call, Computed, Function, FunctionError, function};
use crate::limits::MAX_VALUE_DEPTH;
use crate::value::path::{self, Step};
use crate::value::{Map, Text, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("map_new" ("") 0..=0, Pure, "An empty map.", "map_new()" => "{}", |_, _| Ok(Value::map(Map::new()))),
    function!("map_get" ("path, map [, default]") 2..=3, Pure, "The value at a dotted path of a map; `default` (else undefined) when there is none, or no map.",
        "map_get('a.b', '{\"a\": {\"b\": 1}}')" => "1", |_, args| Ok(get(Args(args), &dotted(Args(args))?))),
    function!("map_put" ("path, value, map") 3..=3, Pure, "The map (when undefined, a new one) with the value at a dotted path set.",
        "map_put('a.b', 1, map_new())" => "{\"a\":{\"b\":1}}", |call, args| put(call, Args(args), &dotted(Args(args))?)),
    function!("mget" ("key | keys, map [, default]") 2..=3, Pure, "The value under exactly this key, or under each of a list of keys inside the one before; `default` (else undefined) when there is none, or no map.",
        "mget('a.b', '{\"a.b\": 1}')" => "1", |_, args| Ok(get(Args(args), &literal(Args(args))?))),
    function!("mput" ("key | keys, value, map") 3..=3, Pure, "The map (when undefined, a new one) with the value under exactly this key set, or inside of it under each of a list of keys.",
        "mput(['a', 'b.c'], 1, map_new())" => "{\"a\":{\"b.c\":1}}", |call, args| put(call, Args(args), &literal(Args(args))?)),
    function!("map_keys" ("map") 1..=1, Pure, "The keys in their order.",
        "map_keys('{\"b\": 1, \"a\": 2}')" => "[\"a\",\"b\"]", |_, args| each(Args(args), |key, _| Value::Text(key.clone()))),
    function!("map_values" ("map") 1..=1, Pure, "The values in the order of their keys.",
        "map_values('{\"b\": 1, \"a\": 2}')" => "[2,1]", |_, args| each(Args(args), |_, value| value.clone())),
    function!("map_to_entries" ("map") 1..=1, Pure, "A list of maps with `key` and `value`, in the order of the keys.",
        "map_to_entries('{\"a\": 2}')" => "[{\"key\":\"a\",\"value\":2}]", |_, args| each(Args(args), entry)),
    function!("map_size" ("map") 1..=1, Pure, "Number of entries.",
        "map_size('{\"a\": 2}')" => "1", |_, args| Ok(Value::Int(Args(args).map(0)?.len() as i128))),
    function!("map_to_redis_hset_args" ("map") 1..=1, Pure, "Keys and values by turns, in the order of the keys, values as text; lists and maps are left out.",
        "map_to_redis_hset_args('{\"a\": 2, \"b\": [1]}')" => "[\"a\",\"2\"]", |_, args| hset(Args(args))),
];

fn literal(args: Args<'_>) -> Result<Vec<Step>, FunctionError> {
    match args.any(0) {
        Value::List(keys) if !keys.is_empty() => keys.iter().map(|key| Ok(Step::Key(text(args, key)?))).collect(),
        only => Ok(vec![Step::Key(text(args, only)?)]),
    }
}

fn dotted(args: Args<'_>) -> Result<Vec<Step>, FunctionError> {
    Ok(text(args, args.any(0))?.split('.').map(|key| Step::Key(Text::from(key))).collect())
}

fn text(args: Args<'_>, key: &Value) -> Result<Text, FunctionError> {
    match key {
        Value::Int(key) => Ok(Text::from(key.to_string())),
        Value::Text(key) => Ok(key.clone()),
        _ => args.wrong(0, "a string"),
    }
}

fn get(args: Args<'_>, steps: &[Step]) -> Value {
    // What is no map has nothing inside, as in a path.
    let map = args.map(1).map_or(Value::Undefined, Value::Map);
    let found = steps.iter().fold(map, |value, step| path::get(&value, step));
    if found.is_undefined() { args.any(2).clone() } else { found }
}

fn put(call: &mut Call<'_, '_>, args: Args<'_>, steps: &[Step]) -> Computed {
    if steps.len() > MAX_VALUE_DEPTH {
        return Err(FunctionError::Limit { what: "the keys of the path", limit: MAX_VALUE_DEPTH as u128 });
    }
    let mut map = match args.any(2) {
        Value::Undefined => Value::Undefined,
        _ => Value::Map(args.map(2)?),
    };
    path::put(&mut map, steps, args.any(1).clone());
    call.env.check_built(&map).map_err(FunctionError::Failed)?;
    Ok(map)
}

fn each(args: Args<'_>, make: fn(&Text, &Value) -> Value) -> Computed {
    let map: Arc<Map> = args.map(0)?;
    Ok(Value::list(map.sorted().into_iter().map(|(key, value)| make(key, value)).collect()))
}

fn entry(key: &Text, value: &Value) -> Value {
    Value::map(Map::from_iter([
        (Text::constant("key"), Value::Text(key.clone())),
        (Text::constant("value"), value.clone()),
    ]))
}

fn hset(args: Args<'_>) -> Computed {
    let mut out = Vec::new();
    for (key, value) in args.map(0)?.sorted() {
        if !matches!(value, Value::List(_) | Value::Map(_) | Value::Undefined | Value::Null) {
            out.push(Value::Text(key.clone()));
            out.push(Value::Text(crate::eval::operator::to_text(value)));
        }
    }
    Ok(Value::list(out))
}
