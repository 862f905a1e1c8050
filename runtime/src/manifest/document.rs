//! One YAML document → one resource: which kind it is, whether its shape is right, and the typed value.

use isthmus_api::{
    API_VERSION, Bridge, Connector, GROUP, ObjectRef, Rule, Sink, Source, schema::KINDS, schema::schema_of,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    Manifests, called, metadata, place,
    problem::{Problem, Severity},
    schema::{self, Check},
    secret,
    yaml::{Content, Node},
};

/// Fields of every resource besides `metadata`.
const ROOT: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

/// Reads the document into `manifests`. `None` when it has no name to be known by, or is none of our business.
pub(super) fn read(file: usize, root: &Node, manifests: &mut Manifests) -> Option<ObjectRef> {
    if !matches!(root.content, Content::Mapping(_)) {
        manifests.problems.push(
            Problem::error(file, place::of_path(root, ""), "this document is not a resource")
                .with_help(format!("start it with `apiVersion: {API_VERSION}` and `kind: …`")),
        );
        return None;
    }
    let api_version = header(file, root, "apiVersion", API_VERSION, manifests)?;
    let kind = header(file, root, "kind", "Bridge", manifests)?;
    let before = manifests.problems.len();
    let object = match whose(&api_version, &kind) {
        Whose::Ours => ours(file, root, &kind, manifests)?,
        Whose::Secret => secret::read(file, root, manifests)?,
        Whose::Misspelled { field, kind: meant, help } => {
            let message = match field {
                "kind" => format!("there is no kind `{kind}` in {API_VERSION}"),
                _ => format!("there is no apiVersion `{api_version}` for {kind}"),
            };
            let span = place::of_path(root, field);
            manifests.problems.push(Problem::error(file, span, message).with_help(help));
            // Known by the name it means to have, so that nobody is told that it is missing.
            return metadata::read(file, root, meant?, &mut manifests.problems);
        }
        Whose::Foreign => {
            manifests.problems.push(Problem {
                severity: Severity::Note,
                resource: None,
                message: format!("{kind} ({api_version}) is left to the cluster: local mode does not use it"),
                help: None,
                file: Some(file),
                span: Some(place::of_path(root, "kind")),
                secret: false,
            });
            return None;
        }
    };
    for problem in &mut manifests.problems[before..] {
        problem.resource = Some(called(&object));
    }
    Some(object)
}

fn header(file: usize, root: &Node, field: &str, example: &str, manifests: &mut Manifests) -> Option<String> {
    let text = root.get(field).and_then(Node::as_str);
    if text.is_none() {
        let span = place::of_path(root, field);
        manifests.problems.push(
            Problem::error(file, span, format!("this document has no `{field}`"))
                .with_help(format!("a resource starts with it, for example `{field}: {example}`")),
        );
    }
    text.map(str::to_owned)
}

enum Whose {
    Ours,
    Secret,
    Foreign,
    /// In `field`; with the kind that was probably meant.
    Misspelled {
        field: &'static str,
        kind: Option<&'static str>,
        help: String,
    },
}

fn whose(api_version: &str, kind: &str) -> Whose {
    let group = api_version.split('/').next().unwrap_or_default();
    let known = KINDS.iter().copied().find(|known| *known == kind);
    if api_version == "v1" && kind == "Secret" {
        return Whose::Secret;
    }
    if api_version == API_VERSION {
        if known.is_some() {
            return Whose::Ours;
        }
        let near = schema::nearest(kind, &KINDS);
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the kinds are {}", KINDS.join(", ")),
        };
        return Whose::Misspelled { field: "kind", kind: near, help };
    }
    if group == GROUP || (known.is_some() && strsim::jaro_winkler(group, GROUP) > 0.8) {
        return Whose::Misspelled {
            field: "apiVersion",
            kind: known,
            help: format!("write `apiVersion: {API_VERSION}`"),
        };
    }
    Whose::Foreign
}

fn ours(file: usize, root: &Node, kind: &str, manifests: &mut Manifests) -> Option<ObjectRef> {
    let before = manifests.problems.len();
    let object = metadata::read(file, root, kind, &mut manifests.problems);
    let schema = schema_of(kind)?;
    check(file, root, kind, &schema, &mut manifests.problems);
    let object = object?;
    let stored = stored(root, &object, &schema);
    let sound =
        |manifests: &Manifests| manifests.problems[before..].iter().all(|problem| problem.severity != Severity::Error);
    if sound(manifests) {
        Check { file, problems: &mut manifests.problems }.rules(&schema, &stored, root);
    }
    if sound(manifests) {
        let problems = &mut manifests.problems;
        let resources = &mut manifests.resources;
        match kind {
            "Bridge" => resources.bridges.extend(typed::<Bridge>(file, root, stored, problems)),
            "Connector" => resources.connectors.extend(typed::<Connector>(file, root, stored, problems)),
            "Sink" => resources.sinks.extend(typed::<Sink>(file, root, stored, problems)),
            "Source" => resources.sources.extend(typed::<Source>(file, root, stored, problems)),
            _ => resources.rules.extend(typed::<Rule>(file, root, stored, problems)),
        }
    }
    Some(object)
}

fn check(file: usize, root: &Node, kind: &str, schema: &Value, problems: &mut Vec<Problem>) {
    let mut check = Check { file, problems };
    let mut meant = Vec::new();
    if let Content::Mapping(entries) = &root.content {
        for (key, _) in entries.iter().filter(|(key, _)| !ROOT.contains(&key.name.as_str())) {
            meant.extend(check.unknown(kind, key, &ROOT));
        }
    }
    let spec_schema = &schema["properties"]["spec"];
    match root.entry("spec") {
        Some((key, spec)) => check.node(spec_schema, "spec", &key.span, spec),
        None if meant.contains(&"spec") => {}
        None => check.problems.push(
            Problem::error(file, place::of_path(root, "kind"), format!("this {kind} has no `spec`"))
                .with_help("add it: `spec: {…}`"),
        ),
    }
}

/// The resource as the API server would store it.
fn stored(root: &Node, object: &ObjectRef, schema: &Value) -> Value {
    let spec = root.get("spec").map(Node::to_json).unwrap_or_default();
    let mut resource = schema::with_defaults(schema, &json!({"spec": spec}));
    resource["apiVersion"] = json!(API_VERSION);
    resource["kind"] = json!(object.kind);
    resource["metadata"] = json!({"namespace": object.namespace, "name": object.name});
    // A status is the operator's to write; one that was exported with the resource says nothing here.
    if let Some(resource) = resource.as_object_mut() {
        resource.remove("status");
    }
    resource
}

fn typed<K: DeserializeOwned>(file: usize, root: &Node, resource: Value, problems: &mut Vec<Problem>) -> Option<K> {
    match serde_json::from_value(resource) {
        Ok(resource) => Some(resource),
        Err(error) => {
            problems.push(Problem::error(file, place::of_path(root, "spec"), format!("`spec`: {error}")));
            None
        }
    }
}
