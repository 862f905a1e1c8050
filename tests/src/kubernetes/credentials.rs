//! Who is who: a certificate authority, tokens, and the files that hold them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::Result;
use crate::process::Process;

const OPENSSL: Duration = Duration::from_secs(20);
/// Elliptic keys are made in no time, RSA keys are not.
const KEY: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];

/// The credentials of one control plane, in its folder.
pub struct Credentials {
    folder: PathBuf,
    server: String,
    token: String,
}

impl Credentials {
    /// Makes them for the API server at `https://127.0.0.1:PORT`, which has these addresses too.
    pub fn create(folder: &Path, port: u16, addresses: &[String]) -> Result<Self> {
        // A temporary folder has a random name, so the tokens are no guess for other users of the machine.
        let token = folder.file_name().context("no folder")?.to_string_lossy().into_owned();
        let credentials = Self { folder: folder.to_owned(), server: format!("https://127.0.0.1:{port}"), token };
        credentials.certificates(addresses)?;
        credentials.tokens()?;
        Ok(credentials)
    }

    /// A file of these credentials: `ca.crt`, `server.crt`, `server.key`, `accounts.crt`, `accounts.key`,
    /// `tokens.csv`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a kubeconfig for one of the users of `tokens.csv` and returns its path.
    pub fn kubeconfig(&self, user: &str) -> Result<PathBuf> {
        self.kubeconfig_with_token(user, &self.token_of(user))
    }

    /// Writes a kubeconfig with this token, for example a service account's.
    pub fn kubeconfig_with_token(&self, name: &str, token: &str) -> Result<PathBuf> {
        let cluster = json!({"server": self.server, "certificate-authority": self.file("ca.crt")});
        self.write(name, &cluster, &json!({"token": token}))
    }

    /// Writes a kubeconfig for a proxy at this address, which has credentials of its own.
    pub fn kubeconfig_of_proxy(&self, name: &str, url: &str) -> Result<PathBuf> {
        self.write(name, &json!({"server": url}), &json!({}))
    }

    fn write(&self, name: &str, cluster: &Value, user: &Value) -> Result<PathBuf> {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        });
        let path = self.file(&format!("{name}.kubeconfig"));
        fs::write(&path, format!("{config:#}"))?;
        Ok(path)
    }

    fn token_of(&self, user: &str) -> String {
        format!("{user}.{}", self.token)
    }

    fn tokens(&self) -> Result<()> {
        let line = |user: &str| format!("{},{user},{user},system:masters\n", self.token_of(user));
        Ok(fs::write(self.file("tokens.csv"), [line("admin"), line("controllers"), line("node")].concat())?)
    }

    fn certificates(&self, addresses: &[String]) -> Result<()> {
        let addresses: Vec<String> = addresses.iter().map(|address| format!("IP:{address}")).collect();
        let names = [&["subjectAltName=IP:127.0.0.1,DNS:localhost".to_owned()], &addresses[..]].concat().join(",");
        self.openssl(&[
            "req",
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=isthmus-test",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
        ])?;
        self.openssl(&[
            "req",
            "-x509",
            "-days",
            "2",
            "-subj",
            // A kubelet takes the group's word for anything.
            "/O=system:masters/CN=kube-apiserver",
            "-keyout",
            "server.key",
            "-out",
            "server.crt",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            &names,
        ])?;
        // Signs the tokens of service accounts; the certificate is the form in which the public key is read.
        self.openssl(&["req", "-x509", "-subj", "/CN=accounts", "-keyout", "accounts.key", "-out", "accounts.crt"])
    }

    fn openssl(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("openssl");
        command.args(arguments).args(KEY).current_dir(&self.folder);
        Process::run("openssl", OPENSSL, &mut command)?;
        Ok(())
    }
}
