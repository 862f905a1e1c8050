//! Secrets that resources name: whether they are there and have the keys that are needed.

use std::collections::{BTreeMap, BTreeSet};

use isthmus_api::{ObjectRef, tls::CaReference};

use super::{Scope, link::suggestion};
use crate::{
    Finding,
    document::{Certificate, SecretKey},
    finding::reason,
};

/// The Secrets of a namespace.
pub(super) fn index<'a>(
    all: &BTreeMap<&'a (String, String), &'a BTreeSet<String>>,
    namespace: &str,
) -> BTreeMap<&'a str, &'a BTreeSet<String>> {
    all.iter().filter(|((of, _), _)| of == namespace).map(|((_, name), keys)| (name.as_str(), *keys)).collect()
}

/// The keys of the Secret called `name`; when it is not there, that is a finding at `path` of `object`.
pub(super) fn find<'a>(
    object: &ObjectRef,
    path: &str,
    name: &str,
    scope: &mut Scope<'a>,
) -> Option<&'a BTreeSet<String>> {
    let found = scope.secrets.get(name).copied();
    if found.is_none() {
        let message = format!("there is no Secret called `{name}` in namespace `{}`", object.namespace);
        let known: Vec<String> = scope.secrets.keys().map(|name| (*name).to_owned()).collect();
        scope.report(Finding::error(object, path, reason::SECRET_NOT_FOUND, message).with_help(suggestion(
            "Secret",
            name,
            known.iter(),
        )));
    }
    found
}

/// Reports `key` as missing unless it is among `keys`, which are those of the Secret called `name`.
pub(super) fn need(
    object: &ObjectRef,
    path: impl Into<String>,
    name: &str,
    keys: &BTreeSet<String>,
    key: &str,
    help: &str,
    scope: &mut Scope<'_>,
) {
    if keys.contains(key) {
        return;
    }
    let there = if keys.is_empty() {
        "it has none".to_owned()
    } else {
        let shown = keys.iter().take(5).map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        format!("it has {shown}{}", if keys.len() > 5 { ", …" } else { "" })
    };
    let message = format!("the Secret `{name}` has no key `{key}`: {there}");
    scope.report(Finding::error(object, path, reason::SECRET_KEY_NOT_FOUND, message).with_help(help));
}

/// A CA in a Secret.
pub(super) fn ca(object: &ObjectRef, path: &str, ca: &CaReference, scope: &mut Scope<'_>) -> SecretKey {
    if let Some(keys) = find(object, &format!("{path}.name"), &ca.name, scope) {
        let help = "add it, or name the key that holds the CA certificates in `key`";
        need(object, format!("{path}.key"), &ca.name, keys, &ca.key, help, scope);
    }
    SecretKey::new(&ca.name, &ca.key)
}

/// A certificate and its private key in a Secret; `pair` are the fields that name the keys, and what they name.
pub(super) fn certificate(
    object: &ObjectRef,
    path: &str,
    name: &str,
    pair: [(&str, &str); 2],
    scope: &mut Scope<'_>,
) -> Certificate {
    if let Some(keys) = find(object, &format!("{path}.name"), name, scope) {
        for (field, key) in pair {
            let help = format!("add it, or name the key that is meant in `{field}`");
            need(object, format!("{path}.{field}"), name, keys, key, &help, scope);
        }
    }
    let [chain, key] = pair.map(|(_, key)| SecretKey::new(name, key));
    Certificate { chain, key }
}
