//! `isthmus run`: the data path of one Bridge from a plan file, as a pod does. A changed plan takes effect at once.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use flate2::read::MultiGzDecoder;
use isthmus_plan::Plan;
use isthmus_plan::resources::DEFAULT_NAMESPACE;

use crate::admin::Admin;
use crate::args;
use crate::bridge::{Applied, ApplyError, Bridge, Options};
use crate::memory;
use crate::secrets::Secrets;
use crate::status::Observe;
use crate::stop::Stop;
use crate::watch::Watch;

/// Runs until a signal.
pub async fn run(args: args::Run) -> anyhow::Result<()> {
    let mut stop = Stop::listen()?;
    let plan = read(&args.plan)?;
    let options = Options {
        bind: args.bind,
        first_listener: None,
        kafka: None,
        secrets: Secrets::Folder(args.secrets),
        memory: memory::budget(args.memory),
    };
    let admin = Admin::bind(args.admin)?;
    let bridge = Bridge::start(plan, options).await?;
    for listener in bridge.snapshot().listeners {
        say(&listener.to_string());
    }
    say(&format!("admin on http://{}", admin.address()));

    let serving = admin.start(Arc::clone(&bridge) as Arc<dyn Observe>)?;
    let mut watch = Watch::start(std::slice::from_ref(&args.plan)).context("cannot watch the plan")?;
    loop {
        watch.also(&bridge.secret_folders());
        tokio::select! {
            () = stop.requested() => break,
            () = watch.changed() => {
                // Begun, a change is finished: half of it must not be what is stopped.
                let mut reloading = std::pin::pin!(reload(&bridge, &args.plan));
                tokio::select! {
                    () = &mut reloading => {}
                    () = stop.requested() => {
                        reloading.await;
                        break;
                    }
                }
            }
        }
    }
    finish(&bridge, &mut stop).await;
    serving.end().await?;
    Ok(())
}

/// How a file of gzip begins (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// A plan of 5,000 Rules with the longest SQL there is has some 330 MB; what unpacks to more is no plan.
const LARGEST_PLAN: u64 = 512 << 20;

fn read(path: &Path) -> anyhow::Result<Plan> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the plan {}", path.display()))?;
    unpack(bytes).and_then(|json| Ok(serde_json::from_slice(&json)?)).with_context(|| {
        format!("{} is not a plan: render one with `isthmus plan`, or let the operator do it", path.display())
    })
}

/// Plans may be compressed: a `ConfigMap` holds a megabyte.
fn unpack(bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut json = Vec::new();
    MultiGzDecoder::new(bytes.as_slice()).take(LARGEST_PLAN + 1).read_to_end(&mut json).context("damaged gzip")?;
    anyhow::ensure!(json.len() as u64 <= LARGEST_PLAN, "it unpacks to more than {} MiB", LARGEST_PLAN >> 20);
    Ok(json)
}

async fn reload(bridge: &Bridge, path: &Path) {
    let plan = match read(path) {
        Ok(plan) => plan,
        Err(error) => {
            // A file that is being replaced: the next look will show whether it stays so.
            tracing::warn!("the changed plan is not used: {error:#}");
            return bridge.reject(String::new(), format!("{error:#}"));
        }
    };
    let revision = plan.revision.clone();
    match bridge.apply(plan).await {
        Ok(Applied::Nothing) => {}
        Ok(Applied::InForce(_)) => tracing::info!(revision, "plan in force"),
        Err(error) => {
            if !bridge.refuse(revision.clone(), &error) {
                return;
            }
            if matches!(error, ApplyError::NotMounted(_)) {
                // Nothing is wrong: the pod that takes this one's place has what it needs.
                tracing::warn!(revision, "the new plan is not taken: {error}");
            } else {
                tracing::error!(revision, "the new plan is refused, the one before goes on: {error}");
            }
        }
    }
}

/// Stops in order within the plan's grace period, and says what was left behind. A second signal ends at once.
pub async fn finish(bridge: &Bridge, stop: &mut Stop) {
    let grace: Duration = bridge.plan().bridge.drain.grace_period.into();
    say(&format!("stopping: finishing what is in flight, {} s at most", grace.as_secs()));
    tokio::select! {
        leftovers = bridge.stop(Instant::now() + grace) => {
            for line in leftovers.lines() {
                say(&format!("left behind: {line}"));
            }
            say("stopped");
        }
        () = stop.requested() => say("stopped at once: what was in flight is left behind"),
    }
}

/// `isthmus check`: says everything that is wrong with manifests.
pub fn check(args: &args::Check) -> ExitCode {
    let report = crate::check::check(&args.files, std::io::stdout().is_terminal());
    say(report.text.trim_end());
    ExitCode::from(report.exit_code())
}

/// `isthmus probe`: prints the answer, or fails with it.
pub fn probe(args: &crate::probe::Args) -> anyhow::Result<ExitCode> {
    say(&crate::probe::run(args)?);
    Ok(ExitCode::SUCCESS)
}

/// `isthmus plan`: prints what `isthmus run` takes.
pub fn plan(args: &args::Plan) -> anyhow::Result<ExitCode> {
    let manifests = crate::manifest::load(&args.files);
    let bridge = args.bridge.as_ref().map(|name| {
        let (namespace, name) = name.split_once('/').unwrap_or((DEFAULT_NAMESPACE, name));
        (namespace.to_owned(), name.to_owned())
    });
    let rendered = manifests.render(&isthmus_plan::Options { bridge }, None);
    if !rendered.problems.is_empty() {
        complain(&manifests.draw(&rendered.problems, std::io::stderr().is_terminal()));
    }
    let errors = rendered.has_errors();
    let Some(plan) = rendered.plan.filter(|_| !errors) else { return Ok(ExitCode::FAILURE) };
    say(&serde_json::to_string_pretty(&plan)?);
    Ok(ExitCode::SUCCESS)
}

/// Runs to the end in an async runtime with a thread for each core.
pub fn in_runtime<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let outcome = runtime.block_on(work);
    // What is still blocked (a lookup of a name, say) does not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

/// Tells the user of the command line what is wrong.
pub fn complain(text: &str) {
    // Nobody listens when the terminal is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Tells the user of the command line what is.
pub(crate) fn say(line: &str) {
    // When the terminal is closed nobody listens, and there is still work to finish.
    let _ = writeln!(std::io::stdout(), "{line}");
}
