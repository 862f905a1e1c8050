//! The Helm charts: what they render, what they refuse, and that they say the same as the types.
//!
//! A changed rendering is shown as a difference to the committed one: `cargo insta review`.

use std::fs;

use anyhow::{Context as _, ensure};
use isthmus_tests::{Result, environment, helm};

const EVERYTHING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/system/charts/everything.yaml");
const TWO_NAMESPACES: &str = "watchNamespaces={vehicles,plants}";

/// The three ways in which the operator's chart is rendered here.
fn renderings() -> Result<[String; 3]> {
    Ok([
        helm::template("isthmus", &[])?,
        helm::template("isthmus", &["--set", TWO_NAMESPACES])?,
        helm::template("isthmus", &["--values", EVERYTHING])?,
    ])
}

/// The `kind: …` of a document.
fn kind(document: &str) -> Option<&str> {
    document.lines().find_map(|line| line.strip_prefix("kind: "))
}

/// The documents of one kind.
fn of_kind<'a>(rendered: &'a str, wanted: &str) -> Vec<&'a str> {
    helm::documents(rendered).into_iter().filter(|document| kind(document) == Some(wanted)).collect()
}

/// The `metadata.name` and `metadata.namespace` of documents.
fn places(documents: &[&str]) -> Vec<(String, String)> {
    let field = |document: &str, name: &str| {
        let metadata = document.lines().skip_while(|line| *line != "metadata:").skip(1);
        let mut fields = metadata.take_while(|line| line.starts_with("  "));
        fields.find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    documents.iter().map(|document| (field(document, "  name: "), field(document, "  namespace: "))).collect()
}

#[test]
fn helm_finds_nothing_to_say_about_the_charts() -> Result<()> {
    for arguments in [
        &["lint", "--strict", "isthmus"][..],
        &["lint", "--strict", "isthmus", "--set", TWO_NAMESPACES],
        &["lint", "--strict", "isthmus", "--values", EVERYTHING],
        &["lint", "--strict", "isthmus-crds"],
    ] {
        let output = helm::run(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{arguments:?}:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[test]
fn the_port_that_traces_go_to_is_open() -> Result<()> {
    for (endpoint, port) in [
        ("http://collector:4318", 4318),
        ("http://collector-2/", 80),
        ("https://10.0.0.5", 443),
        ("https://collector:8443/otlp", 8443),
    ] {
        let rendered = helm::template("isthmus", &["--set", &format!("traces.otlpEndpoint={endpoint}")])?;
        let policy = of_kind(&rendered, "NetworkPolicy").concat();
        let rule = format!("# Traces.\n    - ports:\n        - port: {port}\n          protocol: TCP\n");
        ensure!(policy.contains(&rule), "{endpoint}:\n{policy}");
    }
    Ok(())
}

#[test]
fn by_default_one_operator_watches_every_namespace() -> Result<()> {
    insta::assert_snapshot!(helm::template("isthmus", &[])?);
    Ok(())
}

#[test]
fn a_list_of_namespaces_becomes_a_role_in_each() -> Result<()> {
    let rendered = helm::template("isthmus", &["--set", TWO_NAMESPACES])?;
    let roles = places(&of_kind(&rendered, "Role"));
    let names: Vec<_> = roles.iter().map(|(name, namespace)| (name.as_str(), namespace.as_str())).collect();
    assert_eq!(
        names,
        [
            ("isthmus:own", "isthmus-system"),
            ("isthmus-system:isthmus:watched", "vehicles"),
            ("isthmus-system:isthmus:watched", "plants")
        ]
    );
    // What is left for the whole cluster: definitions, and the roles of people.
    let cluster_roles = of_kind(&rendered, "ClusterRole").join("\n");
    assert!(!cluster_roles.contains("secrets"), "{cluster_roles}");
    insta::assert_snapshot!(rendered);
    Ok(())
}

#[test]
fn every_value_has_its_place_in_the_output() -> Result<()> {
    let rendered = helm::template("isthmus", &["--values", EVERYTHING])?;
    insta::assert_snapshot!(rendered);
    Ok(())
}

#[test]
fn the_roles_can_be_left_to_whoever_installs() -> Result<()> {
    let rendered = helm::template(
        "isthmus",
        &["--set", "rbac.create=false,serviceAccount.create=false,serviceAccount.name=mine"],
    )?;
    for kind in ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount"] {
        assert_eq!(of_kind(&rendered, kind), Vec::<&str>::new());
    }
    assert!(rendered.contains("serviceAccountName: mine"));
    Ok(())
}

#[test]
fn a_budget_for_disruptions_needs_a_second_operator() -> Result<()> {
    let budgets = |values: &str| -> Result<usize> {
        Ok(of_kind(&helm::template("isthmus", &["--set", values])?, "PodDisruptionBudget").len())
    };
    assert_eq!(budgets("replicas=1")?, 0);
    assert_eq!(budgets("replicas=2")?, 1);
    assert_eq!(budgets("replicas=2,podDisruptionBudget.enabled=false")?, 0);
    Ok(())
}

#[test]
fn every_rule_of_a_role_says_what_it_is_for() -> Result<()> {
    for rendered in renderings()? {
        let mut rules = 0;
        let mut before = "";
        for line in rendered.lines() {
            if line.trim_start().starts_with("- apiGroups:") {
                rules += 1;
                assert!(before.trim_start().starts_with("# "), "no comment above {line:?}, but {before:?}");
            }
            before = line;
        }
        assert!(rules > 10, "{rules} rules");
        // Each rule grants what its comment explains, and nothing else.
        assert!(!rendered.contains("\"*\"") && !rendered.contains("'*'") && !rendered.contains("[*]"));
    }
    Ok(())
}

#[test]
fn every_pod_is_as_the_restricted_standard_wants_it() -> Result<()> {
    for rendered in renderings()? {
        let pods: Vec<_> = [of_kind(&rendered, "Deployment"), of_kind(&rendered, "Pod")].concat();
        assert_eq!(pods.len(), 2, "the operator and the test");
        for pod in pods {
            for wanted in [
                "runAsNonRoot: true",
                "type: RuntimeDefault",
                "allowPrivilegeEscalation: false",
                "readOnlyRootFilesystem: true",
                "- ALL",
            ] {
                assert_eq!(pod.matches(wanted).count(), 1, "{wanted} in\n{pod}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_value_that_does_not_exist_is_refused_by_name() -> Result<()> {
    let refused = [
        ("isthmus", "replica=2", "additional properties 'replica' not allowed"),
        ("isthmus", "image.name=x", "at '/image': additional properties 'name' not allowed"),
        ("isthmus", "networkPolicy.enable=false", "at '/networkPolicy': additional properties 'enable' not allowed"),
        ("isthmus", "watchNamespaces=vehicles", "at '/watchNamespaces': got string, want array"),
        ("isthmus", "watchNamespaces={Vehicles}", "at '/watchNamespaces/0': 'Vehicles' does not match pattern"),
        ("isthmus", "replicas=many", "at '/replicas': got string, want integer"),
        (
            "isthmus",
            "image.pullPolicy=Sometimes",
            "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
        ),
        ("isthmus", "image.digest=latest", "at '/image/digest': 'latest' does not match pattern"),
        ("isthmus", "log.format=xml", "at '/log/format': value must be one of 'json', 'text'"),
        ("isthmus", "serviceAccount.create=false", "at '/serviceAccount/name': minLength: got 0, want 1"),
        ("isthmus-crds", "keep=false", "additional properties 'keep' not allowed"),
    ];
    for (chart, value, message) in refused {
        let error = helm::refusal(chart, &["--set", value])?;
        assert!(error.contains(message), "{value}:\n{error}");
    }
    Ok(())
}

#[test]
fn the_definitions_are_those_of_the_types_and_outlive_the_chart() -> Result<()> {
    let rendered = helm::template("isthmus-crds", &["--set", "annotations.team=telemetry,labels.tier=edge"])?;
    let documents = helm::documents(&rendered);
    assert_eq!(documents.len(), 5);
    for document in documents {
        let (start, rest) = document.split_once("\nmetadata:\n").context("no metadata")?;
        let (metadata, end) = rest.split_once("\nspec:\n").context("no spec")?;
        for line in ["    helm.sh/resource-policy: keep", "    team: telemetry", "    tier: edge"] {
            assert!(metadata.lines().any(|found| found == line), "no {line:?} in\n{metadata}");
        }
        let name = metadata.lines().find(|line| line.starts_with("  name: ")).context("no name")?;
        let plural = name.trim_start_matches("  name: ").trim_end_matches(".isthmus.dev");
        let yaml = fs::read_to_string(environment::checkout(&format!("crds/yaml/{plural}.yaml")))?;
        let plain = format!("{start}\nmetadata:\n{name}\nspec:\n{end}");
        assert_eq!(plain.trim_end(), yaml.replacen("\n---\n", "\n", 1).trim_end(), "{plural}");
    }
    Ok(())
}

#[test]
fn the_charts_have_the_version_of_the_programs() -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    for chart in ["isthmus", "isthmus-crds"] {
        let text = fs::read_to_string(environment::checkout(&format!("charts/{chart}/Chart.yaml")))?;
        for line in [format!("version: {version}"), format!("appVersion: {version}")] {
            assert!(text.lines().any(|found| found == line), "no {line:?} in charts/{chart}/Chart.yaml");
        }
    }
    Ok(())
}

/// The notes of the operator's chart. Helm shows them on an installation only, so a copy of the chart renders them as
/// the data of a `ConfigMap`.
fn notes(arguments: &[&str]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let chart = folder.path().join("isthmus");
    for name in ["Chart.yaml", "values.yaml", "values.schema.json", "templates/_helpers.tpl"] {
        let copy = chart.join(name);
        fs::create_dir_all(copy.parent().context("no folder")?)?;
        fs::copy(environment::checkout("charts/isthmus").join(name), copy)?;
    }
    let text = fs::read_to_string(environment::checkout("charts/isthmus/templates/NOTES.txt"))?;
    fs::write(chart.join("templates/_notes.tpl"), format!("{{{{- define \"notes\" -}}}}\n{text}{{{{- end -}}}}\n"))?;
    let object = "apiVersion: v1\nkind: ConfigMap\ndata:\n  notes: |\n    {{- include \"notes\" . | nindent 4 }}\n";
    fs::write(chart.join("templates/notes.yaml"), object)?;
    let chart = chart.to_str().context("an unusual folder")?;
    let output = helm::run(&[&["template", "isthmus", chart, "--namespace", "isthmus-system"], arguments].concat())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rendered = String::from_utf8(output.stdout)?;
    let (_, block) = rendered.split_once("  notes: |\n").context("no notes")?;
    Ok(block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect::<Vec<_>>().join("\n"))
}

#[test]
fn whoever_installs_is_told_what_comes_next() -> Result<()> {
    insta::assert_snapshot!("notes", notes(&["--api-versions", "isthmus.dev/v1alpha1"])?);
    insta::assert_snapshot!(
        "notes_of_two_namespaces_without_definitions_and_roles",
        notes(&["--set", &format!("{TWO_NAMESPACES},rbac.create=false")])?
    );
    Ok(())
}
