//! The probes of a container: when they are due, and what their results mean.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe as Spec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::Result;

/// One probe of a running container.
pub struct Probe {
    url: String,
    timeout: Duration,
    period: Duration,
    due: Instant,
    thresholds: (u32, u32),
    /// Results in a row that say the opposite of the verdict.
    opposed: u32,
    verdict: bool,
}

impl Probe {
    /// Begins with this verdict, which stays until enough results in a row oppose it.
    pub fn begin(spec: &Spec, container: &Container, ip: Ipv4Addr, verdict: bool) -> Result<Self> {
        let action = spec.http_get.as_ref().context("only httpGet probes are run here")?;
        let seconds = |value: Option<i32>, default: u64| {
            Duration::from_secs(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(default))
        };
        let count =
            |value: Option<i32>, default: u32| value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default);
        Ok(Self {
            url: url(action, container, ip)?,
            timeout: seconds(spec.timeout_seconds, 1),
            period: seconds(spec.period_seconds, 10),
            due: Instant::now() + seconds(spec.initial_delay_seconds, 0),
            thresholds: (count(spec.success_threshold, 1), count(spec.failure_threshold, 3)),
            opposed: 0,
            verdict,
        })
    }

    /// Asks, if it is due; true when the verdict changed.
    pub fn run(&mut self) -> bool {
        if Instant::now() < self.due {
            return false;
        }
        self.due = Instant::now() + self.period;
        let result = get(&self.url, self.timeout).is_ok();
        if result == self.verdict {
            self.opposed = 0;
            return false;
        }
        self.opposed += 1;
        let threshold = if result { self.thresholds.0 } else { self.thresholds.1 };
        if self.opposed < threshold {
            return false;
        }
        self.verdict = result;
        self.opposed = 0;
        true
    }

    /// What enough results in a row said.
    pub fn verdict(&self) -> bool {
        self.verdict
    }
}

/// The address that an action means in this pod.
pub fn url(action: &HTTPGetAction, container: &Container, ip: Ipv4Addr) -> Result<String> {
    let port = match &action.port {
        IntOrString::Int(port) => *port,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let port = ports.find(|port| port.name.as_ref() == Some(name));
            port.with_context(|| format!("{} has no port {name}", container.name))?.container_port
        }
    };
    if action.scheme.as_deref().unwrap_or("HTTP") != "HTTP" {
        bail!("only plain HTTP is asked here");
    }
    Ok(format!("http://{ip}:{port}{}", action.path.as_deref().unwrap_or("/")))
}

/// Asks once; an error unless the answer is one of success.
pub fn get(url: &str, timeout: Duration) -> Result<()> {
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout));
    let code = ureq::Agent::from(config.build()).get(url).call()?.status().as_u16();
    ensure!((200..400).contains(&code), "{url} answers {code}");
    Ok(())
}
