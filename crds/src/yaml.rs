//! The generated YAML: one file per kind, the same bytes for the same types.

use saphyr::{Mapping, Scalar, Yaml, YamlEmitter};
use serde_json::Value;

use crate::schema;

const HEADER: &str = "# Generated from crds/src by `make generate`; changes here are overwritten.\n";

/// The file could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum YamlError {
    /// A definition has no `metadata.name`.
    #[error("a definition has no name")]
    Unnamed,
    /// The YAML writer refused a value.
    #[error("cannot write YAML")]
    Emit(#[from] saphyr::EmitError),
}

/// File names and contents of all CustomResourceDefinitions.
pub fn files() -> Result<Vec<(String, String)>, YamlError> {
    schema::definitions()
        .iter()
        .map(|definition| {
            let name = definition.pointer("/metadata/name").and_then(Value::as_str).ok_or(YamlError::Unnamed)?;
            let plural = name.split('.').next().unwrap_or(name);
            Ok((format!("{plural}.yaml"), document(definition)?))
        })
        .collect()
}

fn document(definition: &Value) -> Result<String, YamlError> {
    let mut text = HEADER.to_owned();
    let mut emitter = YamlEmitter::new(&mut text);
    emitter.dump(&yaml(definition))?;
    text.push('\n');
    Ok(text)
}

fn yaml(value: &Value) -> Yaml<'_> {
    match value {
        Value::Null => Yaml::Value(Scalar::Null),
        Value::Bool(value) => Yaml::Value(Scalar::Boolean(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Yaml::Value(Scalar::Integer(integer)),
            (None, float) => Yaml::Value(Scalar::FloatingPoint(float.unwrap_or_default().into())),
        },
        Value::String(text) => Yaml::Value(Scalar::String(text.as_str().into())),
        Value::Array(values) => Yaml::Sequence(values.iter().map(yaml).collect()),
        Value::Object(object) => {
            // Sorted here: the order of a JSON object depends on features other crates switch on.
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let pairs =
                entries.into_iter().map(|(key, value)| (Yaml::Value(Scalar::String(key.as_str().into())), yaml(value)));
            Yaml::Mapping(pairs.collect::<Mapping<'_>>())
        }
    }
}
