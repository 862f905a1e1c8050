//! What the users of a namespace do: the quick start, and what comes after it.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use isthmus_tests::certificates::Authority;
use isthmus_tests::condition::eventually;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::kubernetes::{Namespace, Node, Pod};
use isthmus_tests::manifest::{self, rule, sink};
use isthmus_tests::mosquitto::{self, Subscriber, Version::V5};
use isthmus_tests::{Result, environment};
use serde_json::json;

use crate::load::Devices;

/// How long a pod, a rollout or a condition may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// The Kafka topic of the load.
pub(crate) const LOAD_TOPIC: &str = "load";

/// The version of the Rule `stamp` after its edit.
pub(crate) const EDITED: u32 = 2;

/// The Bridge `fleet` of the quick start, and where it runs.
pub(crate) struct Fleet<'a> {
    pub(crate) node: &'a Node,
    pub(crate) kafka: &'a Kafka,
    pub(crate) namespace: Namespace<'a>,
}

impl Fleet<'_> {
    /// Applies the file as it is committed, where a Service `kafka` leads to Kafka, and waits as a user does.
    pub(crate) fn quick_start(&self) -> Result<()> {
        self.kafka.create_topic("vehicles", 3, &[])?;
        self.kafka.create_topic("commands", 1, &[])?;
        let kubectl = self.namespace.kubectl();
        kubectl.apply(&self.kafka_service()?)?;
        let file = environment::checkout("examples/quickstart.yaml");
        kubectl.run(&["apply", "-f", &file.display().to_string()])?;
        for object in ["bridge/fleet", "connector/kafka", "sink/vehicles", "source/commands", "rule/speeding"] {
            kubectl
                .run(&["wait", "--for=condition=Ready", "--timeout=110s", object])
                .map_err(|error| error.context(self.story()))?;
        }
        let listed = kubectl.run(&["get", "isthmus"])?;
        ensure!(listed.lines().filter(|line| line.contains("True")).count() == 5, "{listed}");
        Ok(())
    }

    /// The address of a port of the Bridge's Service.
    pub(crate) fn service(&self, port: u16) -> Result<SocketAddr> {
        let service = self.namespace.other("v1", "services/fleet")?;
        let address = service["spec"]["clusterIP"].as_str().context("no address")?;
        Ok(SocketAddr::new(address.parse()?, port))
    }

    /// From a device through the Rule to Kafka, and from Kafka to a device.
    pub(crate) fn both_ways(&self) -> Result<()> {
        let broker = self.service(1883)?;
        let fast = r#"{"speed":130,"position":[8.5,47.4]}"#;
        mosquitto::publish(broker, V5, "vehicles/7/telemetry", fast, &["-i", "car-7"])?;
        let record = self.kafka.read("vehicles", 1, PATIENCE)?.remove(0);
        ensure!(record.key.as_deref() == Some("car-7") && record.json()?["speed"] == 130, "{record:?}");
        let subscriber = Subscriber::start(broker, V5, "cmd/car-7", &["-i", "car-7"])?;
        self.kafka.write("commands", "car-7", "slow down", &[])?;
        let command = subscriber.payload("cmd/car-7", PATIENCE)?;
        ensure!(command == "slow down", "{command}");
        Ok(())
    }

    /// A Sink that acknowledges when Kafka has the record, and a Rule that marks each with its version.
    pub(crate) fn prepare_load(&self) -> Result<()> {
        self.kafka.create_topic(LOAD_TOPIC, 3, &[])?;
        self.namespace.apply(&[sink("load", LOAD_TOPIC).with("requestMode", "Sync"), stamp(1)])?;
        self.wait("rules", "stamp", "Programmed")
    }

    /// A Rule changes without a restart and without a device that notices; what it does is seen in the records at the end.
    pub(crate) fn edit_a_rule(&self, devices: &Devices) -> Result<()> {
        let before = self.pods(1)?;
        devices.undisturbed(|| {
            self.namespace.apply(&[stamp(EDITED)])?;
            self.wait("rules", "stamp", "Programmed")
        })?;
        ensure!(self.pods(1)? == before, "the pod was replaced or restarted");
        Ok(())
    }

    /// More pods: those who are connected stay so.
    pub(crate) fn scale_up(&self, devices: &Devices) -> Result<()> {
        devices.undisturbed(|| {
            self.namespace.kubectl().run(&["scale", "bridge/fleet", "--replicas=3"])?;
            self.ready(3)
        })
    }

    /// A change of the pods' shape, which replaces them one after the other.
    pub(crate) fn add_a_listener(&self, devices: &Devices) -> Result<()> {
        let before = self.pods(3)?;
        let authority = self.install_certificate("first")?;
        let listener = json!({"name": "mqtts", "port": 8883, "tls": {"secretRef": {"name": "mqtts"}}});
        let patch = json!([{"op": "add", "path": "/spec/listeners/-", "value": listener}]);
        self.namespace.kubectl().run(&["patch", "bridge/fleet", "--type=json", "-p", &patch.to_string()])?;
        self.wait("bridges", "fleet", "Ready")?;
        self.replaced(&before)?;
        self.publish_by_tls(&authority)?;
        devices.flow()
    }

    /// Another certificate of another authority, while everybody stays connected.
    pub(crate) fn rotate_the_certificate(&self, devices: &Devices) -> Result<()> {
        let before = self.pods(3)?;
        devices.undisturbed(|| {
            let authority = self.install_certificate("second")?;
            // Each connection meets another pod, so a few of them meet each.
            eventually("every pod shows the new certificate", PATIENCE, || {
                (0..10).try_for_each(|_| self.publish_by_tls(&authority))
            })
        })?;
        ensure!(self.pods(3)? == before, "a pod was replaced or restarted");
        Ok(())
    }

    /// SIGKILL to the program in a container: the kubelet starts it again in the same pod.
    pub(crate) fn kill_a_pod(&self, devices: &Devices) -> Result<()> {
        let victim = self.pods(3)?.remove(0);
        self.node.kill_program(&victim.uid, "isthmus")?;
        eventually("the container runs again", PATIENCE, || {
            let pods = self.pods(3)?;
            let restarted = pods.iter().any(|pod| pod.uid == victim.uid && pod.restarts == victim.restarts + 1);
            ensure!(restarted, "{pods:?}");
            Ok(())
        })?;
        self.wait("bridges", "fleet", "Ready")?;
        devices.flow()
    }

    /// `kubectl rollout restart`, which an operator must not undo.
    pub(crate) fn restart(&self, devices: &Devices) -> Result<()> {
        let before = self.pods(3)?;
        let kubectl = self.namespace.kubectl();
        kubectl.run(&["rollout", "restart", "deployment/fleet"])?;
        kubectl.run(&["rollout", "status", "deployment/fleet", "--timeout=110s"])?;
        self.replaced(&before)?;
        self.wait("bridges", "fleet", "Ready")?;
        devices.flow()
    }

    /// Fewer pods: whoever was connected to one that goes finds another.
    pub(crate) fn scale_down(&self, devices: &Devices) -> Result<()> {
        self.namespace.kubectl().run(&["scale", "bridge/fleet", "--replicas=1"])?;
        self.ready(1)?;
        devices.flow()
    }

    fn ready(&self, replicas: usize) -> Result<()> {
        self.pods(replicas)?;
        self.wait("bridges", "fleet", "Ready")
    }

    fn pods(&self, count: usize) -> Result<Vec<Pod>> {
        self.namespace.pods(count, PATIENCE).map_err(|error| error.context(self.story()))
    }

    fn replaced(&self, before: &[Pod]) -> Result<()> {
        let after = self.pods(before.len())?;
        ensure!(after.iter().all(|pod| before.iter().all(|old| old.uid != pod.uid)), "{before:?} {after:?}");
        Ok(())
    }

    fn wait(&self, plural: &str, name: &str, kind: &str) -> Result<()> {
        let waited = self.namespace.wait_for(plural, name, kind, "True", PATIENCE, |_| true);
        waited.map(drop).map_err(|error| error.context(self.story()))
    }

    /// Writes the Secret `mqtts` and returns the file with the authority's certificate.
    fn install_certificate(&self, name: &str) -> Result<tempfile::NamedTempFile> {
        let authority = Authority::new(name)?;
        let certificate = authority.issue("fleet", &["fleet"])?;
        let secret = manifest::secret("mqtts", &[("tls.crt", &certificate.chain), ("tls.key", &certificate.key)]);
        self.namespace.kubectl().apply(&secret)?;
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), authority.pem())?;
        Ok(file)
    }

    fn publish_by_tls(&self, authority: &tempfile::NamedTempFile) -> Result<()> {
        let file = authority.path().display().to_string();
        // The certificate is for a name, the connection goes to an address.
        let arguments = ["--cafile", &file, "--insecure"];
        mosquitto::publish(self.service(8883)?, V5, "vehicles/7/telemetry", r#"{"speed":1}"#, &arguments)
    }

    /// The Service `kafka` with Kafka's address behind it.
    fn kafka_service(&self) -> Result<String> {
        let (address, port) = self.kafka.bootstrap().rsplit_once(':').context("no port")?;
        let port: u16 = port.parse()?;
        let service = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kafka"},
            "spec": {"ports": [{"name": "kafka", "port": 9092, "targetPort": port}]},
        });
        let endpoints = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "kafka", "labels": {"kubernetes.io/service-name": "kafka"}},
            "addressType": "IPv4",
            "ports": [{"name": "kafka", "port": port}],
            "endpoints": [{"addresses": [address]}],
        });
        Ok(format!("{service}\n---\n{endpoints}"))
    }

    /// What the cluster says about the namespace.
    fn story(&self) -> String {
        let kubectl = self.namespace.kubectl();
        let said = [
            kubectl.run(&["get", "isthmus,pods,events", "-o", "wide"]),
            kubectl.run(&["logs", "-l", "app.kubernetes.io/managed-by=isthmus-operator", "--tail=50", "--prefix"]),
        ];
        said.map(|text| text.unwrap_or_else(|error| format!("{error:#}"))).join("\n")
    }
}

fn stamp(version: u32) -> manifest::Resource {
    rule("stamp", &format!(r#"SELECT payload, {version} AS version FROM "load/#""#)).to_sink("load")
}
