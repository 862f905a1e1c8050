//! A definition as a template of the chart `isthmus-crds`: the same text, with the chart's labels and annotations.

use crate::yaml::YamlError;

/// The start of the metadata in the generated YAML, where labels and annotations go.
const METADATA: &str = "\nmetadata:\n  name: ";

const CHART_METADATA: &str = "\nmetadata:
  annotations:
    {{- include \"isthmus-crds.annotations\" . | nindent 4 }}
  labels:
    {{- include \"isthmus-crds.labels\" . | nindent 4 }}
  name: ";

/// The template for the YAML of one definition.
pub(crate) fn template(definition: &str) -> Result<String, YamlError> {
    // Helm puts a document separator before each template itself.
    let escaped = escape(&definition.replacen("\n---\n", "\n", 1));
    let (before, after) = escaped.split_once(METADATA).ok_or(YamlError::Unnamed)?;
    Ok(format!("{before}{CHART_METADATA}{after}"))
}

/// Descriptions may show templates of their own, which Helm must leave alone.
fn escape(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_of_a_description_reach_the_cluster_as_they_are() {
        assert_eq!(escape("a {{b}} c"), "a {{ \"{{\" }}b}} c");
    }

    #[test]
    fn a_definition_without_a_name_is_an_error() {
        assert!(matches!(template("kind: Rule\n"), Err(YamlError::Unnamed)));
    }
}
