//! Names that others may rely on: labels, annotations, the field manager, files in the pods.

/// Who we are, to the API server and in labels.
pub const MANAGER: &str = "isthmus-operator";

/// Label: what program it is.
pub const NAME: &str = "app.kubernetes.io/name";
/// Label: which Bridge it belongs to.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Label: which part of the program.
pub const COMPONENT: &str = "app.kubernetes.io/component";
/// Label: who made it.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// Annotation of pods: the revision of the plan that their volumes should hold. Its change makes the kubelet refresh
/// them at once.
pub const REVISION: &str = "isthmus.dev/revision";
/// Annotation of children: digest of what was applied, which tells whether there is something to apply.
pub const APPLIED: &str = "isthmus.dev/applied";

/// Annotation of Deployments: digests of the pod template without its Secrets and of its Secrets. It tells whether
/// anything else than Secrets has to change.
pub const TEMPLATE: &str = "isthmus.dev/template";

/// Name of the container.
pub const CONTAINER: &str = "isthmus";
/// Port of health, metrics and status in the pods.
pub const ADMIN_PORT: u16 = 9600;
/// Folder of the plan in the pods.
pub const PLAN_FOLDER: &str = "/etc/isthmus/plan";
/// Folder of the Secrets in the pods: a folder for each Secret, a file for each key that is used.
pub const SECRETS_FOLDER: &str = "/etc/isthmus/secrets";
/// Key of the plan in its `ConfigMap`, and name of its file.
pub const PLAN: &str = "plan.json";

/// Name of the `ConfigMap` with the plan of a Bridge.
pub fn plan_of(bridge: &str) -> String {
    format!("{bridge}-plan")
}
