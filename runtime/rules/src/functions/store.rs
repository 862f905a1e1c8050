//! Values kept between rule runs. Neither store outlives the pod.

use super::args::failed;
use super::{Args, Call, Computed, Function, FunctionError, function};
use crate::environment::Store;
use crate::eval::operator::to_text;
use crate::value::{Text, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("kv_store_put" ("key, value") 2..=2, Writes, "Keeps a value for all rules of this pod. True. Error when the store is full: 100,000 keys or 64 MiB.",
        "kv_store_put('a', 1)" => "true", |call, args| put(call, Args(args), Store::Node)),
    function!("kv_store_get" ("key [, default]") 1..=2, Reads, "The value kept under a key; `default` (else undefined) when there is none.",
        "kv_store_get('missing', 0)" => "0", |call, args| get(call, Args(args), Store::Node)),
    function!("kv_store_del" ("key") 1..=1, Writes, "Forgets a key. True.",
        "kv_store_del('a')" => "true", |call, args| delete(call, Args(args), Store::Node)),
    function!("proc_dict_put" ("key, value") 2..=2, Writes, "Keeps a value for this worker only. True. Error when the store is full: 100,000 keys or 64 MiB.",
        "proc_dict_put('a', 1)" => "true", |call, args| put(call, Args(args), Store::Worker)),
    function!("proc_dict_get" ("key") 1..=1, Reads, "The value this worker keeps under a key; undefined when there is none.",
        "is_null(proc_dict_get('missing'))" => "true", |call, args| get(call, Args(args), Store::Worker)),
    function!("proc_dict_del" ("key") 1..=1, Writes, "Makes this worker forget a key. True.",
        "proc_dict_del('a')" => "true", |call, args| delete(call, Args(args), Store::Worker)),
];

fn key(args: Args<'_>) -> Result<Text, FunctionError> {
    match args.any(0) {
        Value::Undefined => args.wrong(0, "a key"),
        key => Ok(to_text(key)),
    }
}

fn get(call: &Call<'_, '_>, args: Args<'_>, store: Store) -> Computed {
    Ok(call.env.host.load(store, &key(args)?).unwrap_or_else(|| args.any(1).clone()))
}

fn put(call: &Call<'_, '_>, args: Args<'_>, store: Store) -> Computed {
    let saved = call.env.host.save(store, &key(args)?, args.any(1).detached());
    saved.map_or_else(failed, |()| Ok(Value::Bool(true)))
}

fn delete(call: &Call<'_, '_>, args: Args<'_>, store: Store) -> Computed {
    call.env.host.remove(store, &key(args)?);
    Ok(Value::Bool(true))
}
