//! Manifest files → typed resources, with the place of every mistake.
//!
//! ```text
//! files ─read─▶ text ─yaml─▶ trees with places ─schema, CEL─▶ typed resources ─plan─▶ plan + findings
//!                                    └────────────── places ──────────────▶ problems, drawn with file and line
//! ```
//!
//! Owns what a cluster would do to manifests before the operator sees them: parsing, structure, defaults, CEL rules.
//! What needs several resources or a compiler is the plan crate's; this module only finds the place of its findings.
//! Reading the files is the only IO here ([`load`]); [`parse`] is pure.

mod document;
mod metadata;
pub mod place;
pub mod problem;
pub mod schema;
mod secret;
pub mod yaml;

use std::{fmt, path::PathBuf};

use isthmus_api::{Bridge, BridgeSpec, ObjectRef, bridge::Access};
use isthmus_plan::{
    Finding, Kept, Options, Plan, Resources, finding::reason, render_readable, resources::DEFAULT_NAMESPACE,
};

pub use problem::{File, Problem, Severity};
pub use secret::Secret;

/// What a set of manifest files says.
#[derive(Default)]
pub struct Manifests {
    /// The files, in the order in which they were given.
    pub files: Vec<File>,
    /// Resources that are right by themselves.
    pub resources: Resources,
    /// Secrets, which local mode takes from the same files. Their content never enters a plan.
    pub secrets: Vec<Secret>,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
    origins: Vec<Origin>,
    /// Some text could not be read, so what seems to be missing may be in it.
    partial: bool,
    /// A document does not say what resource it is.
    nameless: bool,
}

/// Names only: the files may hold Secrets.
impl fmt::Debug for Manifests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifests")
            .field("files", &self.files.iter().map(|file| &file.name).collect::<Vec<_>>())
            .field("resources", &self.origins.iter().map(|origin| origin.object.to_string()).collect::<Vec<_>>())
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// Where a resource comes from.
struct Origin {
    object: ObjectRef,
    file: usize,
    root: yaml::Node,
}

/// A plan out of manifests, or why there is none.
#[derive(Debug)]
pub struct Rendered {
    /// Everything that passed; absent when there is no Bridge to run.
    pub plan: Option<Plan>,
    /// Everything there is to say, in the order of the files.
    pub problems: Vec<Problem>,
    /// What goes on in its last good version.
    pub kept: Vec<Kept>,
}

impl Rendered {
    /// Whether something is wrong enough not to start with it.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

/// Reads and parses files. One that cannot be read is a problem among the others.
pub fn load(paths: &[PathBuf]) -> Manifests {
    let mut files = Vec::new();
    let mut unreadable = Vec::new();
    for (position, path) in paths.iter().enumerate() {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| {
            let help = match error.kind() {
                std::io::ErrorKind::IsADirectory => "name the files in it",
                std::io::ErrorKind::InvalidData => "manifests are UTF-8 text",
                _ => "check the path",
            };
            unreadable.push(Problem {
                severity: Severity::Error,
                resource: None,
                message: format!("cannot read this file: {error}"),
                help: Some(help.to_owned()),
                file: Some(position),
                span: None,
                secret: false,
            });
            String::new()
        });
        files.push(File { name: path.display().to_string(), text });
    }
    let mut manifests = parse(files);
    manifests.partial |= !unreadable.is_empty();
    manifests.problems.splice(0..0, unreadable);
    manifests
}

/// Parses files that were read already.
pub fn parse(files: Vec<File>) -> Manifests {
    let mut manifests = Manifests { files, ..Manifests::default() };
    for position in 0..manifests.files.len() {
        let (documents, error) = yaml::parse(&manifests.files[position].text);
        for root in documents.into_iter().filter(|root| !root.is_null()) {
            manifests.add(position, root);
        }
        if let Some(error) = error {
            let problem = Problem::error(position, error.span, error.message);
            manifests.problems.push(Problem { help: error.help, ..problem });
            manifests.partial = true;
        }
    }
    manifests
}

impl Manifests {
    fn add(&mut self, file: usize, root: yaml::Node) {
        let before = self.problems.len();
        let Some(object) = document::read(file, &root, self) else {
            self.nameless |= self.problems[before..].iter().any(|problem| problem.severity == Severity::Error);
            return;
        };
        self.origins.push(Origin { object, file, root });
    }

    /// The plan of these manifests, with every problem there is. Resources with problems are left out of it, so a
    /// plan with errors is for showing, not for running.
    ///
    /// With the plan that is `in_force`, a resource with a problem goes on as it is there, and the plan is for running when
    /// there is nothing [hidden](Self::hides_resources) in the files.
    pub fn render(&self, options: &Options, in_force: Option<&Plan>) -> Rendered {
        let broken = self.broken();
        let unreadable: Vec<ObjectRef> = broken.iter().map(|object| (*object).clone()).collect();
        let stand_in = self.stand_in(&broken);
        let resources = stand_in.as_ref().unwrap_or(&self.resources);
        let mut rendered = render_readable(resources, &unreadable, options, in_force);
        if stand_in.is_some() && !rendered.kept.iter().any(|kept| kept.object.kind == "Bridge") {
            rendered.plan = None;
            rendered.kept.clear();
        }
        let mut problems = self.problems.clone();
        let own = rendered.findings.iter().filter(|finding| !self.follows_from(finding, &broken));
        problems.extend(own.map(|finding| self.locate(finding)));
        problems.sort_by_key(|problem| {
            let start = problem.span.as_ref().map_or(0, |span| span.start);
            (problem.file.unwrap_or(usize::MAX), start, std::cmp::Reverse(problem.severity))
        });
        Rendered { plan: rendered.plan, problems, kept: rendered.kept }
    }

    /// Whether there is text of which nobody knows what resource it is: what seems to be deleted may be in it.
    pub fn hides_resources(&self) -> bool {
        self.partial || self.nameless
    }

    /// Number of resources that were read from `file`, Secrets included.
    pub fn count(&self, file: usize) -> usize {
        self.origins.iter().filter(|origin| origin.file == file).count()
    }

    /// All problems as text, each with its place.
    pub fn draw(&self, problems: &[Problem], styled: bool) -> String {
        problems.iter().map(|problem| problem::draw(problem, &self.files, styled) + "\n\n").collect()
    }

    /// Resources that exist in the files but were refused.
    fn broken(&self) -> Vec<&ObjectRef> {
        let refused = |object: &ObjectRef| match object.kind.as_str() {
            "Bridge" => !contains(&self.resources.bridges, object),
            "Connector" => !contains(&self.resources.connectors, object),
            "Sink" => !contains(&self.resources.sinks, object),
            "Source" => !contains(&self.resources.sources, object),
            "Rule" => !contains(&self.resources.rules, object),
            "Secret" => !self.resources.secrets.contains_key(&(object.namespace.clone(), object.name.clone())),
            _ => false,
        };
        self.origins.iter().map(|origin| &origin.object).filter(|object| refused(object)).collect()
    }

    /// The resources with an empty Bridge in place of the only one, when that one was refused: the others are to be
    /// checked all the same.
    fn stand_in(&self, broken: &[&ObjectRef]) -> Option<Resources> {
        let object =
            broken.iter().find(|object| object.kind == "Bridge").filter(|_| self.resources.bridges.is_empty())?;
        let mut bridge = Bridge::new(&object.name, BridgeSpec::default());
        bridge.metadata.namespace = Some(object.namespace.clone());
        bridge.spec.authentication.anonymous = Access::Allow;
        Some(Resources { bridges: vec![bridge], ..self.resources.clone() })
    }

    /// Whether a finding only says that a resource is missing which is there, with a mistake that is reported.
    fn follows_from(&self, finding: &Finding, broken: &[&ObjectRef]) -> bool {
        match finding.reason {
            reason::REF_NOT_FOUND | reason::SECRET_NOT_FOUND | reason::BRIDGE_NOT_CHOSEN if self.partial => true,
            reason::REF_NOT_FOUND | reason::SECRET_NOT_FOUND => broken.iter().any(|object| {
                finding.object.namespace == object.namespace
                    && finding.message.starts_with(&format!("there is no {} called `{}`", object.kind, object.name))
            }),
            // The resource it refers to has a finding of its own.
            reason::REF_NOT_ACCEPTED => true,
            _ => false,
        }
    }

    /// The place of a finding in the files.
    fn locate(&self, finding: &Finding) -> Problem {
        let mut origins = self.origins.iter().filter(|origin| origin.object == finding.object);
        let origin = match finding.reason {
            // The first of that name stays.
            reason::DUPLICATE_NAME if finding.path == "metadata.name" => origins.next_back(),
            _ => origins.next(),
        };
        let severity = match finding.severity {
            isthmus_plan::Severity::Warning => Severity::Warning,
            isthmus_plan::Severity::Error => Severity::Error,
        };
        let span = origin.map(|origin| match (&finding.span, self.files.get(origin.file)) {
            (Some(part), Some(file)) => place::of_text(&file.text, &origin.root, &finding.path, part),
            _ => place::of_path(&origin.root, &finding.path),
        });
        Problem {
            severity,
            resource: origin.map(|origin| called(&origin.object)),
            message: finding.message.clone(),
            help: finding.help.clone(),
            file: origin.map(|origin| origin.file),
            span,
            secret: false,
        }
    }
}

/// What people call a resource.
fn called(object: &ObjectRef) -> String {
    if object.namespace == DEFAULT_NAMESPACE {
        format!("{} {}", object.kind, object.name)
    } else {
        format!("{} {}/{}", object.kind, object.namespace, object.name)
    }
}

fn contains<K: kube::Resource>(resources: &[K], object: &ObjectRef) -> bool {
    resources.iter().any(|resource| {
        let meta = resource.meta();
        meta.name.as_ref() == Some(&object.name) && meta.namespace.as_ref() == Some(&object.namespace)
    })
}
