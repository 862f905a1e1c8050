//! The command line. Every option has a variable of the environment, which is how the chart sets them.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};

use crate::{build::RuntimeImage, watch::Scope};

/// Runs Bridges of isthmus.dev in a Kubernetes cluster.
#[derive(Debug, Clone, Parser)]
#[command(name = "isthmus-operator", version)]
pub struct Args {
    /// Namespaces to look after, separated by commas; empty is all of them.
    #[arg(long, env = "WATCH_NAMESPACES", value_name = "NAMES", default_value = "")]
    pub watch_namespaces: String,
    /// Image of the pods, unless a Bridge names another.
    #[arg(long, env = "RUNTIME_IMAGE", value_name = "IMAGE")]
    pub runtime_image: String,
    /// When that image is pulled; Kubernetes decides by the tag unless told.
    #[arg(long, env = "RUNTIME_IMAGE_PULL_POLICY", value_name = "POLICY")]
    pub runtime_image_pull_policy: Option<PullPolicy>,
    /// Secrets for pulling images in the namespaces of Bridges, separated by commas.
    #[arg(long, env = "IMAGE_PULL_SECRETS", value_name = "NAMES", default_value = "")]
    pub image_pull_secrets: String,
    /// Namespace of the operator itself, where the Lease is that says which of several operators works.
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME", default_value = "default")]
    pub namespace: String,
    /// Name of this operator among several.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub identity: Option<String>,
    /// Where to serve health and metrics.
    #[arg(long, env = "ADMIN_ADDRESS", value_name = "HOST:PORT", default_value = "0.0.0.0:8080")]
    pub admin: SocketAddr,
    /// What to log: error, warn, info, debug, trace, or directives such as `info,isthmus_operator::visit=debug`.
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", hide_env_values = true)]
    pub log: Option<String>,
    /// How to log.
    #[arg(long, env = "LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Where traces go, OTLP over HTTP: `http://HOST:4318`, to which `/v1/traces` is appended. None are made without it.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub otlp_endpoint: Option<String>,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object per line.
    Json,
}

/// When an image is pulled, in Kubernetes' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum PullPolicy {
    /// Each time a pod starts.
    Always,
    /// When the node does not have it.
    IfNotPresent,
    /// The node has it, or the pod does not start.
    Never,
}

impl PullPolicy {
    fn text(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

impl Args {
    /// Where to watch.
    pub fn scope(&self) -> Scope {
        let names = names(&self.watch_namespaces);
        if names.is_empty() { Scope::Cluster } else { Scope::Namespaces(names) }
    }

    /// What the pods of Bridges run.
    pub fn image(&self) -> RuntimeImage {
        RuntimeImage {
            name: self.runtime_image.clone(),
            pull_policy: self.runtime_image_pull_policy.map(|policy| policy.text().to_owned()),
            pull_secrets: names(&self.image_pull_secrets),
        }
    }
}

fn names(list: &str) -> Vec<String> {
    list.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn no_namespaces_is_all_of_them() {
        let scope = |text: &str| {
            Args::try_parse_from(["isthmus-operator", "--runtime-image", "x", "--watch-namespaces", text])
                .map(|args| args.scope())
                .unwrap()
        };
        assert_eq!(scope(""), Scope::Cluster);
        assert_eq!(scope("a, b"), Scope::Namespaces(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn pull_policies_are_written_as_kubernetes_writes_them() {
        for policy in ["Always", "IfNotPresent", "Never"] {
            let arguments = ["isthmus-operator", "--runtime-image", "x", "--runtime-image-pull-policy", policy];
            let image = Args::try_parse_from(arguments).unwrap().image();
            assert_eq!(image.pull_policy.as_deref(), Some(policy));
        }
        let arguments = ["isthmus-operator", "--runtime-image", "x", "--image-pull-secrets", "one,two"];
        let image = Args::try_parse_from(arguments).unwrap().image();
        assert_eq!((image.pull_policy, image.pull_secrets), (None, vec!["one".to_owned(), "two".to_owned()]));
    }
}
