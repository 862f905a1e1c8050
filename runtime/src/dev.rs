//! `isthmus dev`: manifests on one machine, with an embedded Kafka unless a real one is named. A changed manifest takes
//! effect without a restart. A mistake in it is shown: of the resource that has it, the last good version goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use isthmus_plan::{Kept, Plan};
use kube::ResourceExt as _;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::args;
use crate::bridge::{Applied, Bridge, Options};
use crate::kafka::embedded::Embedded;
use crate::kafka::security::Security;
use crate::kafka::topics::{Ensured, ensure_topics};
use crate::manifest::{self, Manifests};
use crate::memory;
use crate::run::{complain, finish};
use crate::screen::Screen;
use crate::secrets::{Data, Secrets};
use crate::status::{LocalKafka, Observe};
use crate::stop::Stop;
use crate::watch::Watch;

/// Creating a topic in a real Kafka may take this long.
const CREATE_TOPICS: Duration = Duration::from_secs(10);

/// Pause before a Kafka that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Runs until a signal. Manifests with errors start nothing.
pub async fn dev(args: args::Dev) -> anyhow::Result<ExitCode> {
    let mut stop = Stop::listen()?;
    let mut local = Local::start(args.files, args.kafka).await?;
    let Some(Configuration { plan, secrets, unused, .. }) = local.read().filter(|read| !read.errors) else {
        return Ok(ExitCode::FAILURE);
    };
    *local.secrets.lock() = secrets;
    local.create_topics(&plan).await?;
    let options = Options {
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        first_listener: args.mqtt,
        kafka: Some(local.kafka.clone()),
        secrets: Secrets::Given(Arc::clone(&local.secrets)),
        memory: memory::budget(args.memory),
    };
    let admin = Admin::bind(args.admin)?;
    let address = admin.address();
    local.in_force = Some(plan.clone());
    let bridge = Bridge::start(plan, options).await?;

    let serving = admin.start(Arc::clone(&bridge) as Arc<dyn Observe>)?;
    let mut screen = Screen::start(&bridge.snapshot(), &bridge.plan(), address);
    if let Some(unused) = unused {
        screen.interrupt(&unused);
    }
    let mut watch = Watch::start(&local.files).context("cannot watch the manifests")?;
    let mut tick = tokio::time::interval(Screen::REFRESH);
    loop {
        tokio::select! {
            () = stop.requested() => break,
            _ = tick.tick() => screen.refresh(&bridge.snapshot()),
            () = watch.changed() => {
                // Begun, a change is finished: half of it must not be what is stopped.
                let mut reloading = std::pin::pin!(local.reload(&bridge));
                let news = tokio::select! {
                    news = &mut reloading => news,
                    () = stop.requested() => {
                        reloading.await;
                        break;
                    }
                };
                if let Some(news) = news {
                    screen.interrupt(&news);
                    screen.flow(&bridge.snapshot(), &bridge.plan());
                }
            }
        }
    }
    screen.end();
    finish(&bridge, &mut stop).await;
    serving.end().await?;
    Ok(ExitCode::SUCCESS)
}

/// The manifests and what local mode gives them: a Kafka, and the values of their Secrets.
struct Local {
    files: Vec<PathBuf>,
    kafka: LocalKafka,
    embedded: Option<Embedded>,
    secrets: Arc<Mutex<BTreeMap<String, Data>>>,
    /// Text of the files at the last look.
    seen: Vec<String>,
    /// The last plan that was taken on: what it has of a resource goes on while that has a mistake.
    in_force: Option<Plan>,
    topics: BTreeSet<String>,
    /// Topics on their way into a real Kafka; ends with local mode.
    creating: JoinSet<()>,
}

/// What the manifests say: a plan, and the Secrets of its namespace.
struct Configuration {
    plan: Plan,
    /// Whether something of the manifests is not in the plan as it is written.
    errors: bool,
    /// What goes on in its last good version instead.
    kept: Vec<Kept>,
    secrets: BTreeMap<String, Data>,
    /// What of the manifests the embedded Kafka has no use for.
    unused: Option<String>,
}

/// What the status says of a newer configuration that is not wholly in force.
const ERRORS: &str = "the manifests have errors: see the terminal";

/// What becomes of what has errors.
fn fate(kept: &[Kept]) -> String {
    let names: Vec<String> = kept.iter().map(|kept| format!("{} {}", kept.object.kind, kept.object.name)).collect();
    match names.as_slice() {
        [] => "what has them is left out".to_owned(),
        [one] => format!("{one} goes on with its last good version"),
        [many @ .., last] => format!("{} and {last} go on with their last good versions", many.join(", ")),
    }
}

/// Creates topics in a real Kafka once it answers.
async fn create_in(bootstrap_servers: String, security: Security, topics: Vec<String>) {
    let mut said = false;
    let answers = loop {
        match ensure_topics(&bootstrap_servers, &security, &topics, CREATE_TOPICS).await {
            Ok(answers) => break answers,
            Err(why) if !said => {
                tracing::warn!("{why}");
                said = true;
            }
            Err(_) => {}
        }
        tokio::time::sleep(ASK_AGAIN).await;
    };
    for (topic, ensured) in answers {
        match ensured {
            Ensured::Present => {}
            Ensured::Created => tracing::info!(topic, "created the topic in Kafka"),
            Ensured::Failed(why) => tracing::warn!(topic, "the topic could not be created in Kafka: {why}"),
        }
    }
}

impl Local {
    async fn start(files: Vec<PathBuf>, kafka: Option<String>) -> anyhow::Result<Self> {
        let embedded = match &kafka {
            Some(_) => None,
            None => Some(Embedded::start().await?),
        };
        let bootstrap_servers = match (&kafka, &embedded) {
            (Some(servers), _) => servers.clone(),
            (None, embedded) => embedded.as_ref().map(|kafka| kafka.bootstrap_servers().to_owned()).unwrap_or_default(),
        };
        let kafka = LocalKafka { bootstrap_servers, embedded: embedded.is_some() };
        Ok(Self {
            files,
            kafka,
            embedded,
            secrets: Arc::default(),
            seen: Vec::new(),
            in_force: None,
            topics: BTreeSet::new(),
            creating: JoinSet::new(),
        })
    }

    /// Reads the manifests, with this machine's Kafka behind every Connector. Says what of them the embedded Kafka, which
    /// knows neither users nor TLS, has no use for.
    fn load(&mut self) -> (Manifests, Option<String>) {
        let mut manifests = manifest::load(&self.files);
        self.seen = manifests.files.iter().map(|file| file.text.clone()).collect();
        let mut unused = Vec::new();
        for connector in &mut manifests.resources.connectors {
            let kafka = &mut connector.spec.kafka;
            kafka.bootstrap_servers = self.kafka.bootstrap_servers.split(',').map(str::to_owned).collect();
            if self.embedded.is_some() && (kafka.authentication.take().is_some() | kafka.tls.take().is_some()) {
                unused.push(connector.name_any());
            }
        }
        let unused = (!unused.is_empty()).then(|| {
            format!("the embedded Kafka has no users and no TLS: those of Connector {} are not used", unused.join(", "))
        });
        (manifests, unused)
    }

    /// What the manifests say; `None` when they have errors with which there is no plan. Errors are shown.
    fn read(&mut self) -> Option<Configuration> {
        let (manifests, unused) = self.load();
        let rendered = manifests.render(&isthmus_plan::Options::default(), self.in_force.as_ref());
        if !rendered.problems.is_empty() {
            complain(&manifests.draw(&rendered.problems, std::io::stderr().is_terminal()));
        }
        let errors = rendered.has_errors();
        let goes_on = |plan: &Plan| {
            let before = self.in_force.as_ref().map(|plan| (&plan.bridge.namespace, &plan.bridge.name));
            before == Some((&plan.bridge.namespace, &plan.bridge.name)) && !manifests.hides_resources()
        };
        // With errors only the Bridge that runs goes on, and only when nothing that seems deleted may be in the text.
        let plan = rendered.plan.filter(|plan| !errors || goes_on(plan))?;
        let ours = manifests.secrets.into_iter().filter(|secret| secret.namespace == plan.bridge.namespace);
        let secrets = ours.map(|secret| (secret.name, secret.data)).collect();
        Some(Configuration { plan, errors, kept: rendered.kept, secrets, unused })
    }

    /// Creates the topics that the plan names and that were not created before. A real Kafka is asked in the
    /// background, for as long as it takes: Sinks and Sources wait for their topics anyway.
    async fn create_topics(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let values = Secrets::Given(Arc::clone(&self.secrets)).read(&plan.secrets());
        let fixed = plan.sinks.iter().filter(|sink| !sink.dynamic_topic).map(|sink| (&sink.kafka, &sink.topic));
        let mapped = plan
            .sources
            .iter()
            .flat_map(|source| source.topic_mapping.iter().map(|mapping| (&source.kafka, &mapping.kafka_topic)));
        let mut new: Vec<(Security, Vec<String>)> = Vec::new();
        for (kafka, topic) in fixed.chain(mapped) {
            if self.topics.contains(topic) || new.iter().any(|(_, topics)| topics.contains(topic)) {
                continue;
            }
            // A Secret that cannot be used is told by the Sink or Source, which then has no use for topics either.
            let Ok(security) = Security::resolve(kafka, &values) else { continue };
            match new.iter_mut().find(|(known, _)| *known == security) {
                Some((_, topics)) => topics.push(topic.clone()),
                None => new.push((security, vec![topic.clone()])),
            }
        }
        for (security, topics) in new {
            let created = topics.clone();
            match &self.embedded {
                Some(embedded) => embedded.create_topics(topics.iter().map(String::as_str)).await?,
                None => {
                    self.creating.spawn(create_in(self.kafka.bootstrap_servers.clone(), security, topics));
                }
            }
            self.topics.extend(created);
        }
        Ok(())
    }

    /// Takes on changed manifests. Says what happened, when something did.
    async fn reload(&mut self, bridge: &Bridge) -> Option<String> {
        let texts: Vec<String> =
            self.files.iter().map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect();
        if texts == self.seen {
            return None;
        }
        let refused = |bridge: &Bridge, revision: String, why: &str| {
            bridge.reject(revision, why.to_owned());
            Some(format!("{why}\nthe manifests changed and are refused; the configuration before goes on"))
        };
        let Some(Configuration { plan, errors, kept, secrets, unused }) = self.read() else {
            return refused(bridge, String::new(), ERRORS);
        };
        let before = std::mem::replace(&mut *self.secrets.lock(), secrets);
        let revision = plan.revision.clone();
        let applied = match self.create_topics(&plan).await {
            Ok(()) => bridge.apply(plan.clone()).await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        if applied.is_ok() {
            self.in_force = Some(plan);
        }
        if errors && applied.is_ok() {
            bridge.reject(String::new(), format!("{ERRORS}; {}", fate(&kept)));
        }
        match applied {
            Ok(Applied::Nothing) if errors => Some(format!("the manifests have errors; {}", fate(&kept))),
            Ok(Applied::Nothing) => Some("the manifests changed, and mean the same".into()),
            Ok(Applied::InForce(unusable)) => {
                let mut news = vec![if errors {
                    format!(
                        "the changed manifests are in force without what has errors, revision {revision}; {}",
                        fate(&kept)
                    )
                } else {
                    format!("the changed manifests are in force, revision {revision}")
                }];
                news.extend(unusable.into_iter().map(|problem| format!("except for a Secret: {problem}")));
                news.extend(unused);
                Some(news.join("\n"))
            }
            Err(error) => {
                *self.secrets.lock() = before;
                refused(bridge, revision, &format!("{error:#}"))
            }
        }
    }
}
