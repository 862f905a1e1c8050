//! The API server's REST interface, through `kubectl proxy`, which adds TLS and the credentials.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::typestate::WithBody;
use ureq::{Body, RequestBuilder, http};

use super::control_plane::program;
use crate::Result;
use crate::process::Process;

/// How long one request may take on a busy machine.
const REQUEST: Duration = Duration::from_secs(60);
/// How long the proxy may take to start.
const START: Duration = Duration::from_secs(30);
/// A list of everything that a large test makes.
const LARGEST_ANSWER: u64 = 256 << 20;

/// A client with the rights of one kubeconfig.
pub struct Api {
    base: String,
    agent: ureq::Agent,
    _proxy: Process,
}

/// What the API server answered, whatever it was.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status code.
    pub code: u16,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The object in the body; an error with the server's message when the request failed.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T> {
        if self.code >= 400 {
            bail!("the API server answers {}: {}", self.code, self.body);
        }
        serde_json::from_str(&self.body).with_context(|| format!("not the expected object: {}", self.body))
    }
}

impl Api {
    /// Starts a proxy with these credentials. The API server need not run yet.
    pub fn start(kubeconfig: &Path) -> Result<Self> {
        let mut command = Command::new(program("kubectl")?);
        command.arg("--kubeconfig").arg(kubeconfig).args(["proxy", "--port=0"]);
        let proxy = Process::start("kubectl proxy", &mut command)?;
        let address = proxy
            .line("its address", START, |line| Some(line.strip_prefix("Starting to serve on ")?.trim().to_owned()))?;
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Ok(Self { base: format!("http://{address}"), agent, _proxy: proxy })
    }

    /// Reads a path such as `/api/v1/namespaces/default/pods`.
    pub fn get(&self, path: &str) -> Result<Answer> {
        answer(self.agent.get(self.url(path)).config().timeout_global(Some(REQUEST)).build().call()?)
    }

    /// Creates an object in the collection at this path.
    pub fn create(&self, path: &str, object: &Value) -> Result<Answer> {
        send(self.agent.post(self.url(path)), "application/json", object)
    }

    /// Changes an object with a strategic merge patch, which only built-in kinds take.
    pub fn patch(&self, path: &str, changes: &Value) -> Result<Answer> {
        send(self.agent.patch(self.url(path)), "application/strategic-merge-patch+json", changes)
    }

    /// Deletes an object; `options` is a `DeleteOptions`.
    pub fn delete(&self, path: &str, options: &Value) -> Result<Answer> {
        send(self.agent.delete(self.url(path)).force_send_body(), "application/json", options)
    }

    /// Follows a collection from `version` on, handing each event's type and object to `each`, until
    /// the API server ends the answer.
    pub fn watch(&self, path: &str, version: &str, mut each: impl FnMut(&str, Value)) -> Result<()> {
        let url = self.url(&format!("{path}?watch=true&timeoutSeconds=300&resourceVersion={version}"));
        let mut response = self.agent.get(url).call()?;
        if response.status().as_u16() >= 400 {
            bail!("the API server answers {}", response.status());
        }
        for line in BufReader::new(response.body_mut().as_reader()).lines() {
            let mut event: Value = serde_json::from_str(&line?)?;
            let object = event["object"].take();
            each(event["type"].as_str().context("an event without a type")?, object);
        }
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

fn send(request: RequestBuilder<WithBody>, kind: &str, body: &Value) -> Result<Answer> {
    let request = request.config().timeout_global(Some(REQUEST)).build();
    answer(request.content_type(kind).send(body.to_string())?)
}

fn answer(mut response: http::Response<Body>) -> Result<Answer> {
    let code = response.status().as_u16();
    Ok(Answer { code, body: response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_string()? })
}
