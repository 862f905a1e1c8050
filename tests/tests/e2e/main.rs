//! The product on a real node: the charts installed by Helm, the images of this checkout in containers under the
//! restricted security standard, and devices that reach them through a Service. `make e2e` runs it.
//!
//! It is one story, told in the order in which a user of a cluster lives it; each step prints what it took.

mod fleet;
mod installation;
mod load;
mod steps;

use std::env;
use std::path::Path;

use anyhow::Context as _;
use isthmus_tests::Result;
use isthmus_tests::kafka::Kafka;
use isthmus_tests::kubernetes::{Namespace, Node};

use crate::fleet::Fleet;
use crate::steps::Steps;

#[test]
fn product_is_installed_used_changed_hurt_and_removed_without_losing_a_message() -> Result<()> {
    let mut steps = Steps::default();
    let images = env::var("ISTHMUS_IMAGES").context("ISTHMUS_IMAGES is not set: run `make e2e`")?;
    let images = ["isthmus-operator.tar", "isthmus.tar"].map(|name| Path::new(&images).join(name));
    let node = steps.run("a node is Ready", || Node::start(&images))?;
    let kafka = steps.run("Kafka answers", || Kafka::private_at(node.address()))?;
    let helm = installation::Helm::new(node.control_plane());
    steps.run("helm install", || helm.install())?;
    steps.run("helm test", || helm.test())?;

    let fleet = Fleet { node: &node, kafka: &kafka, namespace: Namespace::create(node.control_plane(), "vehicles")? };
    steps.run("the quick start is Ready", || fleet.quick_start())?;
    steps.run("a message goes to Kafka and a record comes back", || fleet.both_ways())?;
    let load = load::start(&fleet)?;
    steps.run("a Rule is edited", || fleet.edit_a_rule(&load))?;
    steps.run("scaled up to 3 pods", || fleet.scale_up(&load))?;
    steps.run("a TLS listener is added, pod by pod", || fleet.add_a_listener(&load))?;
    steps.run("its Secret is rotated", || fleet.rotate_the_certificate(&load))?;
    steps.run("a pod's program is killed", || fleet.kill_a_pod(&load))?;
    steps.run("a rolling restart", || fleet.restart(&load))?;
    steps.run("scaled down to 1 pod", || fleet.scale_down(&load))?;
    let verdict = steps.run("every acknowledged message is in Kafka", || load.verify(&fleet))?;
    steps.note(&verdict)?;
    steps.run("removed", || helm.uninstall_and_delete(&fleet.namespace))
}
