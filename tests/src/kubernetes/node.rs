//! A real node: containerd, the kubelet, the proxy of Services and DNS, with a control plane of its own.
//!
//! It needs a machine with nothing on it, which `scripts/e2e.sh` makes of namespaces; there it says where the node may
//! write, and which address and control group it has.

use std::env;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::ControlPlane;
use super::control_plane::program;
use crate::condition::eventually;
use crate::environment::{COREDNS, PAUSE};
use crate::process::Process;
use crate::{Result, environment};

const START: Duration = Duration::from_secs(120);
const NAME: &str = "isthmus-node";

/// A running node.
pub struct Node {
    control_plane: ControlPlane,
    address: Ipv4Addr,
    // In the order of their end: who runs containers goes after those who ask for them.
    _parts: [Process; 4],
    _containerd: Process,
}

/// Where the node may write, and what it is called outside.
struct Site {
    folder: PathBuf,
    address: Ipv4Addr,
    cgroup: String,
}

impl Node {
    /// Starts a node that has these images (OCI archives), and waits until it is Ready.
    pub fn start(images: &[PathBuf]) -> Result<Self> {
        let site = Site::from_environment()?;
        let containerd = site.containerd()?;
        for image in images.iter().chain([&PAUSE.place()?.join("pause.tar")]) {
            let mut import = Command::new("ctr");
            import.args(["--namespace", "k8s.io", "images", "import"]).arg(image);
            Process::run("ctr", START, &mut import)?;
        }
        let control_plane = ControlPlane::start_for_node(site.address)?;
        let parts = [
            scheduler(&control_plane)?,
            site.proxy(&control_plane)?,
            site.names(&control_plane)?,
            site.kubelet(&control_plane)?,
        ];
        eventually("the node is Ready", START, || {
            let node: Value = control_plane.api().get(&format!("/api/v1/nodes/{NAME}"))?.object()?;
            let conditions = node["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            let ready = conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            ensure!(ready, "{:#}\n{}", node["status"]["conditions"], parts[3].output());
            Ok(())
        })?;
        Ok(Self { control_plane, address: site.address, _parts: parts, _containerd: containerd })
    }

    /// The control plane it belongs to.
    pub fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// Its address, which pods reach.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// SIGKILL to the program of a pod, found by the pod's uid.
    pub fn kill_program(&self, uid: &str, program: &str) -> Result<()> {
        for process in fs::read_dir("/proc")? {
            let folder = process?.path();
            let (Ok(groups), Ok(name)) =
                (fs::read_to_string(folder.join("cgroup")), fs::read_to_string(folder.join("comm")))
            else {
                continue;
            };
            if groups.contains(uid) && name.trim() == program {
                let id = folder.file_name().context("no process")?;
                Process::run("kill", START, Command::new("kill").arg("-KILL").arg(id))?;
                return Ok(());
            }
        }
        anyhow::bail!("the pod {uid} runs no `{program}`")
    }
}

impl Site {
    fn from_environment() -> Result<Self> {
        let variable = |name: &str| env::var(name).with_context(|| format!("{name} is not set: run `make e2e`"));
        Ok(Self {
            folder: variable("ISTHMUS_NODE_FOLDER")?.into(),
            address: variable("ISTHMUS_NODE_ADDRESS")?.parse()?,
            cgroup: variable("ISTHMUS_NODE_CGROUP")?,
        })
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().context("no folder")?)?;
        fs::write(&path, text)?;
        Ok(path)
    }

    fn containerd(&self) -> Result<Process> {
        let configuration = fs::read_to_string(environment::file("node/containerd.toml"))?;
        let configuration = configuration.replace("@FOLDER@", &self.folder.display().to_string());
        let path = self.write("containerd.toml", &configuration)?;
        self.write("cni/10-isthmus.conflist", &network(&self.folder))?;
        let process = Process::start("containerd", Command::new("containerd").arg("--config").arg(path))?;
        eventually("containerd answers", START, || {
            Process::run("ctr", START, Command::new("ctr").arg("version")).map(drop).context(process.output())
        })?;
        Ok(process)
    }

    fn proxy(&self, control_plane: &ControlPlane) -> Result<Process> {
        let configuration = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": control_plane.kubeconfig()},
            "clusterCIDR": "10.244.0.0/16",
            "hostnameOverride": NAME,
            "nodePortAddresses": ["127.0.0.0/8"],
            "conntrack": {"maxPerCore": 0},
        });
        let path = self.write("proxy.json", &configuration.to_string())?;
        Process::start("kube-proxy", Command::new(program("kube-proxy")?).arg("--config").arg(path))
    }

    fn names(&self, control_plane: &ControlPlane) -> Result<Process> {
        let kubeconfig = control_plane.kubeconfig().display();
        let zones = "cluster.local:53 in-addr.arpa:53";
        let kubernetes = format!("kubernetes cluster.local in-addr.arpa {{\n kubeconfig {kubeconfig}\n ttl 5\n}}");
        let corefile = format!("{zones} {{\nbind {}\nerrors\n{kubernetes}\n}}\n", self.address);
        let path = self.write("Corefile", &corefile)?;
        Process::start("coredns", Command::new(COREDNS.place()?.join("coredns")).arg("-conf").arg(path))
    }

    fn kubelet(&self, control_plane: &ControlPlane) -> Result<Process> {
        let resolver = self.write("resolv.conf", &format!("nameserver {}\n", self.address))?;
        let configuration = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": control_plane.credentials().file("ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": format!("/{}", self.cgroup),
            "failCgroupV1": false,
            "failSwapOn": false,
            "clusterDomain": "cluster.local",
            "clusterDNS": [self.address],
            "resolvConf": resolver,
            // The disk and the memory are the machine's: a node that evicts for them would fail a test for no fault of ours.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "nodeStatusUpdateFrequency": "5s",
            "enforceNodeAllocatable": ["pods"],
        });
        let path = self.write("kubelet.json", &configuration.to_string())?;
        let mut command = Command::new(program("kubelet")?);
        command.arg("--config").arg(path).arg("--kubeconfig").arg(control_plane.kubeconfig());
        command.arg(format!("--hostname-override={NAME}")).arg(format!("--node-ip={}", self.address));
        Process::start("kubelet", &mut command)
    }
}

fn scheduler(control_plane: &ControlPlane) -> Result<Process> {
    let kubeconfig = control_plane.kubeconfig();
    let mut command = Command::new(program("kube-scheduler")?);
    command.arg("--kubeconfig").arg(kubeconfig).arg("--authentication-kubeconfig").arg(kubeconfig);
    command.arg("--authorization-kubeconfig").arg(kubeconfig).arg("--leader-elect=false");
    Process::start("kube-scheduler", &mut command)
}

fn network(folder: &Path) -> String {
    let addresses = json!({
        "type": "host-local",
        "dataDir": folder.join("addresses"),
        "ranges": [[{"subnet": "10.244.0.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    });
    let bridge = json!({"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipam": addresses});
    json!({"cniVersion": "1.0.0", "name": "isthmus", "plugins": [bridge]}).to_string()
}
