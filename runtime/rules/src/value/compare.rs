//! Comparison: the coercing one of WHERE and the strict one of IN and CASE (behaviour document §5.2 rules 6 and 7).

use std::cmp::Ordering;

use super::{Map, Value, number};

/// A comparison operator other than `=~`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=` and `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Why two values cannot be compared: a string that is not a number met a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotANumber(pub String);

/// Compares two values with the coercions of the rule language.
///
/// `undefined = undefined` is true and every other comparison with undefined is false, also `!=`. A number and a
/// string compare as numbers, and the string must be one. A boolean or null and a string compare as texts. Otherwise
/// the order is number < boolean and null < map < list < string.
#[inline]
pub fn compare(op: Comparison, left: &Value, right: &Value) -> Result<bool, NotANumber> {
    use Value::{Bool, Float, Int, Null, Text, Undefined};
    let ordering = match (left, right) {
        (Int(a), Int(b)) => a.cmp(b),
        (Float(a), Int(b)) => order_mixed(*b, *a).reverse(),
        (Float(a), Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Undefined, Undefined) => return Ok(op == Comparison::Equal),
        (Undefined, _) | (_, Undefined) => return Ok(false),
        (Int(_) | Float(_), Text(text)) => order(left, &to_number(text)?),
        (Text(text), Int(_) | Float(_)) => order(&to_number(text)?, right),
        (Int(_) | Float(_), Value::Bytes(_)) | (Value::Bytes(_), Int(_) | Float(_)) => {
            return Err(NotANumber("bytes".into()));
        }
        (Bool(_) | Null, Text(text)) => atom(left).cmp(text),
        (Text(text), Bool(_) | Null) => (**text).cmp(atom(right)),
        _ => order(left, right),
    };
    Ok(match op {
        Comparison::Equal => ordering == Ordering::Equal,
        Comparison::NotEqual => ordering != Ordering::Equal,
        Comparison::Less => ordering == Ordering::Less,
        Comparison::LessOrEqual => ordering != Ordering::Greater,
        Comparison::Greater => ordering == Ordering::Greater,
        Comparison::GreaterOrEqual => ordering != Ordering::Less,
    })
}

fn to_number(text: &str) -> Result<Value, NotANumber> {
    number::parse(text).ok_or_else(|| NotANumber(format!("'{}'", excerpt(text))))
}

/// The beginning of a text, for messages.
pub(crate) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn atom(value: &Value) -> &'static str {
    match value {
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        Value::Null => "null",
        _ => "undefined",
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Int(_) | Value::Float(_) => 0,
        Value::Undefined | Value::Null | Value::Bool(_) => 1,
        Value::Map(_) => 2,
        Value::List(_) => 3,
        Value::Text(_) | Value::Bytes(_) | Value::Bits(_) => 4,
    }
}

/// The total order of values without coercion of strings: integers and floats compare by value.
pub fn order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Int(a), Value::Float(b)) => order_mixed(*a, *b),
        (Value::Float(a), Value::Int(b)) => order_mixed(*b, *a).reverse(),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Value::List(a), Value::List(b)) => order_lists(a, b),
        (Value::Map(a), Value::Map(b)) => order_maps(a, b),
        _ => match rank(left).cmp(&rank(right)) {
            Ordering::Equal if rank(left) == 1 => atom(left).cmp(atom(right)),
            Ordering::Equal => order_binaries(left, right),
            unequal => unequal,
        },
    }
}

#[inline]
fn order_mixed(int: i128, float: f64) -> Ordering {
    // Beyond 2^53 an integer may have no exact float: compare there by the float's integer part.
    if let Ok(int @ -0x20_0000_0000_0000..=0x20_0000_0000_0000) = i64::try_from(int) {
        return (int as f64).partial_cmp(&float).unwrap_or(Ordering::Equal);
    }
    let whole = float.trunc();
    if whole >= 1.7e38 {
        return Ordering::Less;
    }
    if whole <= -1.7e38 {
        return Ordering::Greater;
    }
    int.cmp(&(whole as i128)).then_with(|| 0.0_f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal))
}

fn order_lists(left: &[Value], right: &[Value]) -> Ordering {
    let unequal = left.iter().zip(right).map(|(a, b)| order(a, b)).find(|ordering| ordering.is_ne());
    unequal.unwrap_or_else(|| left.len().cmp(&right.len()))
}

fn order_maps(left: &Map, right: &Map) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| {
        let (left, right) = (left.sorted(), right.sorted());
        let keys = left.iter().map(|entry| entry.0).cmp(right.iter().map(|entry| entry.0));
        keys.then_with(|| {
            left.iter()
                .zip(&right)
                .map(|(a, b)| order(a.1, b.1))
                .find(|ordering| ordering.is_ne())
                .unwrap_or(Ordering::Equal)
        })
    })
}

fn order_binaries(left: &Value, right: &Value) -> Ordering {
    fn parts(value: &Value) -> (&[u8], usize) {
        match value {
            Value::Bits(bits) => (bits.bytes(), bits.len()),
            other => other.as_bytes().map_or((&[], 0), |bytes| (bytes, bytes.len() * 8)),
        }
    }
    let ((a, a_len), (b, b_len)) = (parts(left), parts(right));
    a.cmp(b).then(a_len.cmp(&b_len))
}

/// Equality of IN, CASE with a subject, and `contains`: no coercion, and `1` is not `1.0`.
pub fn same(left: &Value, right: &Value) -> bool {
    left == right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eq(left: impl Into<Value>, right: impl Into<Value>) -> Result<bool, NotANumber> {
        compare(Comparison::Equal, &left.into(), &right.into())
    }

    #[test]
    fn undefined_equals_only_itself_and_is_never_unequal() {
        assert_eq!(eq(Value::Undefined, Value::Undefined), Ok(true));
        for op in [Comparison::Equal, Comparison::NotEqual, Comparison::Less, Comparison::GreaterOrEqual] {
            assert_eq!(compare(op, &Value::Undefined, &Value::Null), Ok(false));
            assert_eq!(compare(op, &1.into(), &Value::Undefined), Ok(false));
        }
    }

    #[test]
    fn strings_meet_numbers_as_numbers_and_booleans_as_texts() {
        assert_eq!(eq(1, "1"), Ok(true));
        assert_eq!(eq("1.0", 1), Ok(true));
        assert_eq!(eq(true, "true"), Ok(true));
        assert_eq!(eq("null", Value::Null), Ok(true));
        assert_eq!(eq("x", 1), Err(NotANumber("'x'".into())));
        assert_eq!(eq("1", "1.0"), Ok(false));
        assert_eq!(eq(1, 1.0), Ok(true));
        assert!(!same(&1.into(), &1.0.into()));
    }

    #[test]
    fn types_have_one_order() {
        let ascending: [Value; 7] = [
            2.into(),
            Value::Bool(false),
            Value::Null,
            Value::Bool(true),
            Value::map(Map::new()),
            Value::list(vec![]),
            "".into(),
        ];
        for pair in ascending.windows(2) {
            assert_eq!(order(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(order(&Value::Int(1 << 60), &Value::Float((1_u64 << 60) as f64)), Ordering::Equal);
        assert_eq!(order(&Value::Int((1 << 60) + 1), &Value::Float((1_u64 << 60) as f64)), Ordering::Greater);
    }
}
