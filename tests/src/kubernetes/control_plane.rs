//! etcd, the API server and the controller manager as processes.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::audit::Audit;
use super::credentials::Credentials;
use super::{Api, Kubectl};
use crate::condition::eventually;
use crate::process::Process;
use crate::{Result, environment, guard, port};

/// How long a start may take on a machine that is busy with the rest of the tests.
const START: Duration = Duration::from_secs(120);

/// The controllers that matter where pods are processes of the test; a node's health, its taints
/// and its volumes are nobody's business here.
const CONTROLLERS: [&str; 11] = [
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "horizontal-pod-autoscaler-controller",
];

/// Whom the control plane serves.
#[derive(Debug, Clone, Copy)]
enum Site {
    /// The test alone, on loopback; pods are its processes.
    Loopback,
    /// A real node at this address, with pods that must reach the API server.
    Node(Ipv4Addr),
}

/// One of the programs of the control plane, or `kubectl`.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    Ok(environment::KUBERNETES.place()?.join(name))
}

/// A running control plane.
pub struct ControlPlane {
    site: Site,
    port: u16,
    etcd_port: u16,
    credentials: Credentials,
    audit: Audit,
    api: Api,
    admin: PathBuf,
    // In the order of their end: whoever asks goes before who answers.
    _controllers: Process,
    api_server: Option<Process>,
    _etcd: Process,
    // Declared last: the folder goes after the processes that write to it.
    folder: TempDir,
}

impl ControlPlane {
    /// Starts a control plane on loopback and waits until its controllers work.
    pub fn start() -> Result<Self> {
        Self::start_at(Site::Loopback)
    }

    /// Starts a whole control plane for a real node at this address; the scheduler is the node's affair.
    pub(super) fn start_for_node(address: Ipv4Addr) -> Result<Self> {
        Self::start_at(Site::Node(address))
    }

    fn start_at(site: Site) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("isthmus-kubernetes-").tempdir()?;
        guard::remove(folder.path())?;
        let (port, etcd_port) = (port::free()?, port::free()?);
        let credentials = Credentials::create(folder.path(), port, &site.addresses())?;
        let audit = Audit::prepare(folder.path())?;
        let etcd = start_etcd(folder.path(), etcd_port)?;
        let mut api_server = start_api_server(site, port, etcd_port, &credentials, &audit)?;
        let api = Api::start(&credentials.kubeconfig("node")?)?;
        wait_until_ready(&api, &mut api_server)?;
        let controllers = start_controllers(site, &credentials)?;
        let admin = credentials.kubeconfig("admin")?;
        eventually("the controllers work", START, || {
            let answer = api.get("/api/v1/namespaces/default/serviceaccounts/default")?;
            if answer.code == 200 { Ok(()) } else { Err(anyhow!("{}\n{}", answer.body, controllers.output())) }
        })?;
        Ok(Self {
            site,
            port,
            etcd_port,
            credentials,
            audit,
            api,
            admin,
            _controllers: controllers,
            api_server: Some(api_server),
            _etcd: etcd,
            folder,
        })
    }

    /// The REST interface with all rights.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// What service accounts asked for.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// Tokens and kubeconfigs.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// `kubectl` as an administrator, in the namespace `default`.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.admin, &self.folder.path().join("kubectl"))
    }

    /// The kubeconfig of an administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// Makes etcd forget everything but the newest version of each object, as it does with time: whoever wants to go on
    /// from an older one is refused.
    pub fn compact(&self) -> Result<()> {
        let call = |what: &str, body: Value| -> Result<Value> {
            let url = format!("http://127.0.0.1:{}/v3/kv/{what}", self.etcd_port);
            Ok(serde_json::from_str(&ureq::post(url).send(body.to_string())?.body_mut().read_to_string()?)?)
        };
        // The key is any; what counts is the revision in the answer.
        let found = call("range", json!({"key": "AA==", "limit": 1}))?;
        let revision = found["header"]["revision"].as_str().with_context(|| format!("no revision: {found}"))?;
        call("compaction", json!({"revision": revision, "physical": true}))?;
        Ok(())
    }

    /// Kills the API server, so that every watch breaks off. etcd keeps what it holds.
    pub fn stop_api_server(&mut self) -> Result<()> {
        self.api_server.take().context("the API server is not running")?.kill()
    }

    /// Starts the API server again, where it was, and waits until it is ready.
    pub fn start_api_server(&mut self) -> Result<()> {
        ensure!(self.api_server.is_none(), "the API server is running");
        let process = start_api_server(self.site, self.port, self.etcd_port, &self.credentials, &self.audit)?;
        wait_until_ready(&self.api, self.api_server.insert(process))
    }
}

impl Site {
    /// Where clients find the API server, other than by loopback.
    fn addresses(self) -> Vec<String> {
        match self {
            Self::Loopback => Vec::new(),
            // A pod uses the first address of the range of Services.
            Self::Node(address) => vec![address.to_string(), "10.96.0.1".to_owned()],
        }
    }

    fn api_server_arguments(self, credentials: &Credentials) -> Vec<String> {
        match self {
            Self::Loopback => {
                vec!["--bind-address=127.0.0.1".to_owned(), "--endpoint-reconciler-type=none".to_owned()]
            }
            Self::Node(address) => {
                let file = |name: &str| credentials.file(name).display().to_string();
                vec![
                    "--bind-address=0.0.0.0".to_owned(),
                    format!("--advertise-address={address}"),
                    "--kubelet-preferred-address-types=InternalIP".to_owned(),
                    // Its own certificate shows the kubelet who asks for logs.
                    format!("--kubelet-client-certificate={}", file("server.crt")),
                    format!("--kubelet-client-key={}", file("server.key")),
                ]
            }
        }
    }

    fn controllers(self) -> String {
        match self {
            Self::Loopback => CONTROLLERS.join(","),
            Self::Node(_) => "*".to_owned(),
        }
    }
}

fn start_etcd(folder: &Path, port: u16) -> Result<Process> {
    let clients = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(program("etcd")?);
    command.arg("--data-dir").arg(folder.join("etcd")).args([
        "--listen-client-urls",
        &clients,
        "--advertise-client-urls",
        &clients,
        // There is no other member, so whatever port it takes will do.
        "--listen-peer-urls",
        "http://127.0.0.1:0",
        // What a test writes need not survive the machine.
        "--unsafe-no-fsync",
        "--log-level",
        "warn",
    ]);
    Process::start("etcd", &mut command)
}

fn start_api_server(
    site: Site,
    port: u16,
    etcd_port: u16,
    credentials: &Credentials,
    audit: &Audit,
) -> Result<Process> {
    let mut command = Command::new(program("kube-apiserver")?);
    let file = |flag: &str, name: &str| format!("--{flag}={}", credentials.file(name).display());
    command
        .args([
            format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
            format!("--secure-port={port}"),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            "--anonymous-auth=false".to_owned(),
            "--profiling=false".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        ])
        .args([
            file("tls-cert-file", "server.crt"),
            file("tls-private-key-file", "server.key"),
            file("token-auth-file", "tokens.csv"),
            file("service-account-signing-key-file", "accounts.key"),
            file("service-account-key-file", "accounts.crt"),
        ])
        .args(site.api_server_arguments(credentials))
        .args(audit.arguments());
    Process::start("kube-apiserver", &mut command)
}

fn start_controllers(site: Site, credentials: &Credentials) -> Result<Process> {
    let mut command = Command::new(program("kube-controller-manager")?);
    command.arg("--kubeconfig").arg(credentials.kubeconfig("controllers")?).args([
        format!("--controllers={}", site.controllers()),
        format!("--root-ca-file={}", credentials.file("ca.crt").display()),
        "--leader-elect=false".to_owned(),
        "--horizontal-pod-autoscaler-sync-period=2s".to_owned(),
        "--secure-port=0".to_owned(),
        // Its default of 20 requests a second spends seconds on start-up alone.
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]);
    Process::start("kube-controller-manager", &mut command)
}

fn wait_until_ready(api: &Api, api_server: &mut Process) -> Result<()> {
    eventually("the API server is ready", START, || {
        ensure!(api_server.is_running()?, "it has ended:\n{}", api_server.output());
        let answer = api.get("/readyz")?;
        if answer.code == 200 { Ok(()) } else { Err(anyhow!("/readyz: {}\n{}", answer.body, api_server.output())) }
    })
}
