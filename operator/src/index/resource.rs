//! A resource of one of the five kinds as the API server stores it: parsed, or with the reason why it cannot be.
//!
//! A stored object that does not parse (the schema was another one when it was stored) must not end a watch. It
//! keeps its place here, with what can be read of it, and gets a condition that says so.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

use isthmus_api::{Bridge, Connector, Rule, Sink, Source};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::core::{DynamicObject, ObjectMeta, object::HasStatus};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Namespace;

/// Where kubectl keeps a copy of what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The resources of a kind in one namespace, by name.
pub type Table<K> = BTreeMap<String, Stored<K>>;

/// One of the five kinds.
pub trait Kind: kube::Resource<DynamicType = ()> + DeserializeOwned + Clone + Debug + Send + Sync + 'static {
    /// Its place in a namespace.
    fn table(namespace: &mut Namespace) -> &mut Table<Self>;
    /// What it refers to on its way to a Bridge.
    fn parent(&self) -> Parent<'_>;
    /// The same, read out of an object that does not parse.
    fn parent_of(spec: &Value) -> Parent<'_>;
}

/// The first step from a resource to its Bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent<'a> {
    /// It is one.
    Itself,
    /// A Bridge of this name.
    Bridge(&'a str),
    /// A Connector of this name.
    Connector(&'a str),
}

/// A resource that does not parse.
#[derive(Debug)]
pub struct Unreadable {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its `spec` and `status`.
    pub data: Value,
    /// Why it does not parse.
    pub message: String,
}

/// A stored resource.
#[derive(Debug)]
pub enum Stored<K> {
    /// It parses.
    Parsed(Arc<K>),
    /// It does not.
    Unreadable(Arc<Unreadable>),
}

impl<K> Clone for Stored<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Parsed(object) => Self::Parsed(Arc::clone(object)),
            Self::Unreadable(object) => Self::Unreadable(Arc::clone(object)),
        }
    }
}

impl<K: Kind> Stored<K> {
    /// Parses what a watch or a write gave.
    pub fn read(object: DynamicObject) -> Self {
        let DynamicObject { types: _, mut metadata, mut data } = object;
        slim(&mut metadata);
        match complete(&mut data, &metadata).and_then(|()| K::deserialize(&data)) {
            Ok(parsed) => Self::Parsed(Arc::new(parsed)),
            Err(error) => {
                if let Some(object) = data.as_object_mut() {
                    object.remove("metadata");
                }
                Self::Unreadable(Arc::new(Unreadable { metadata, data, message: error.to_string() }))
            }
        }
    }

    /// The resource, if it parses.
    pub fn object(&self) -> Option<&Arc<K>> {
        match self {
            Self::Parsed(object) => Some(object),
            Self::Unreadable(_) => None,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::Parsed(object) => object.meta(),
            Self::Unreadable(object) => &object.metadata,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    /// What it refers to on its way to a Bridge.
    pub fn parent(&self) -> Parent<'_> {
        match self {
            Self::Parsed(object) => object.parent(),
            Self::Unreadable(object) => K::parent_of(&object.data["spec"]),
        }
    }

    /// Whether both are the same generation of the same object: only its status, labels or annotations may differ.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let (one, other) = (self.metadata(), other.metadata());
        one.uid == other.uid
            && one.generation == other.generation
            && one.deletion_timestamp.is_some() == other.deletion_timestamp.is_some()
    }

    /// Whether this is a later version of the same object. What a watch tells may be older than what a write
    /// returned.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        is_newer(self.metadata(), other.metadata())
    }
}

/// What the conditions of a kind say, for the metrics.
pub(super) fn conditions<'a, K>(
    kind: &'static str,
    table: &'a Table<K>,
    of: impl Fn(&'a K::Status) -> &'a Vec<Condition>,
    into: &mut BTreeMap<(&'static str, &'a str, &'a str), usize>,
) where
    K: Kind + HasStatus<Status: 'a>,
{
    for status in table.values().filter_map(Stored::object).filter_map(|object| object.status()) {
        for condition in of(status) {
            *into.entry((kind, condition.type_.as_str(), condition.status.as_str())).or_default() += 1;
        }
    }
}

/// Whether `one` is a later version of the object that `other` is a version of.
pub(super) fn is_newer(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    let version =
        |metadata: &ObjectMeta| metadata.resource_version.as_deref().and_then(|text| text.parse::<u64>().ok());
    one.uid == other.uid && version(one) > version(other)
}

/// Drops what is of no interest here and the largest part of many objects: who set which field, and kubectl's copy of
/// the manifest.
pub(super) fn slim(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// Puts the object in one piece, as the types are declared.
fn complete(data: &mut Value, metadata: &ObjectMeta) -> serde_json::Result<()> {
    if let Some(object) = data.as_object_mut() {
        object.insert("metadata".to_owned(), serde_json::to_value(metadata)?);
    }
    Ok(())
}

fn reference<'a>(spec: &'a Value, field: &str) -> &'a str {
    spec[field]["name"].as_str().unwrap_or_default()
}

macro_rules! kinds {
    ($($kind:ident $table:ident: $object:ident => $parent:expr, $spec:ident => $read:expr;)*) => {$(
        impl Kind for $kind {
            fn table(namespace: &mut Namespace) -> &mut Table<Self> {
                &mut namespace.$table
            }

            fn parent(&self) -> Parent<'_> {
                let $object = self;
                $parent
            }

            fn parent_of($spec: &Value) -> Parent<'_> {
                $read
            }
        }
    )*};
}

kinds! {
    Bridge bridges: _object => Parent::Itself, _spec => Parent::Itself;
    Connector connectors:
        object => Parent::Bridge(&object.spec.bridge_ref.name), spec => Parent::Bridge(reference(spec, "bridgeRef"));
    Sink sinks:
        object => Parent::Connector(&object.spec.connector_ref.name),
        spec => Parent::Connector(reference(spec, "connectorRef"));
    Source sources:
        object => Parent::Connector(&object.spec.connector_ref.name),
        spec => Parent::Connector(reference(spec, "connectorRef"));
    Rule rules:
        object => Parent::Bridge(&object.spec.bridge_ref.name), spec => Parent::Bridge(reference(spec, "bridgeRef"));
}
