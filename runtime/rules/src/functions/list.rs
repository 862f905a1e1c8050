//! Lists. The first element is number 1.

use super::args::failed;
use super::{Args, Computed, Function, function};
use crate::value::Value;
use crate::value::compare::same;

pub(super) const FUNCTIONS: &[Function] = &[
    function!("nth" ("index, list") 2..=2, Pure, "The element at `index`, 1 being the first. Error when there is none.",
        "nth(2, ['a', 'b'])" => "\"b\"", |_, args| nth(Args(args))),
    function!("length" ("list") 1..=1, Pure, "Number of elements.",
        "length([1, 2])" => "2", |_, args| Ok(Value::Int(Args(args).list(0)?.len() as i128))),
    function!("first" ("list") 1..=1, Pure, "The first element. Error when the list is empty.",
        "first(['a', 'b'])" => "\"a\"", |_, args| present(Args(args).list(0)?.first())),
    function!("last" ("list") 1..=1, Pure, "The last element. Error when the list is empty.",
        "last(['a', 'b'])" => "\"b\"", |_, args| present(Args(args).list(0)?.last())),
    function!("sublist" ("length, list | start, length, list") 2..=3, Pure, "At most `length` elements from `start` on (1, the default, is the first).",
        "sublist(2, 2, ['a', 'b', 'c', 'd'])" => "[\"b\",\"c\"]", |_, args| sublist(Args(args))),
    function!("contains" ("value, list") 2..=2, Pure, "Whether the list has this very value: `1` is neither `1.0` nor `'1'`.",
        "contains(2, [1, 2])" => "true", |_, args| contains(Args(args))),
];

fn present(element: Option<&Value>) -> Computed {
    element.cloned().map_or_else(|| failed("the list is empty"), Ok)
}

fn nth(args: Args<'_>) -> Computed {
    let (index, list) = (args.int(0)?, args.list(1)?);
    let at = usize::try_from(index).ok().and_then(|index| index.checked_sub(1));
    match at.and_then(|at| list.get(at)) {
        Some(element) => Ok(element.clone()),
        None => failed(format!("there is no element {index} in a list of {}", list.len())),
    }
}

fn sublist(args: Args<'_>) -> Computed {
    let (start, rest) = if args.0.len() == 2 { (1, 0) } else { (args.count(0)?, 1) };
    let Some(skip) = start.checked_sub(1) else { return args.wrong(0, "an integer from 1") };
    let length = args.count(rest)?;
    let list = args.list(rest + 1)?;
    Ok(Value::list(list.iter().skip(skip).take(length).cloned().collect()))
}

fn contains(args: Args<'_>) -> Computed {
    let (value, list) = (args.any(0), args.list(1)?);
    Ok(Value::Bool(list.iter().any(|element| same(element, value))))
}
