//! Whether an object has everything that we ask of it.

use serde_json::Value;

/// Whether every field of `desired` is in `live` with the same value. What the API server, its defaults or others
/// added does not count; a list has to be as long as asked for.
pub(super) fn covers(live: &Value, desired: &Value) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => desired
            .iter()
            .all(|(field, desired)| live.get(field).map_or_else(|| is_nothing(desired), |live| covers(live, desired))),
        (Value::Array(live), Value::Array(desired)) => {
            live.len() == desired.len() && live.iter().zip(desired).all(|(live, desired)| covers(live, desired))
        }
        _ => live == desired,
    }
}

/// The API server does not store empty lists and maps.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.values().all(is_nothing),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_added_does_not_count() {
        let live = json!({"a": 1, "b": {"c": [{"d": 1, "default": true}]}, "status": {}});
        assert!(covers(&live, &json!({"a": 1, "b": {"c": [{"d": 1}]}, "empty": [], "none": {"x": {}}})));
    }

    #[test]
    fn a_changed_missing_or_longer_value_does() {
        let live = json!({"a": 1, "list": [1, 2]});
        for desired in [json!({"a": 2}), json!({"b": 1}), json!({"list": [1]}), json!({"list": [1, 2, 3]})] {
            assert!(!covers(&live, &desired), "{desired}");
        }
    }
}
