//! From a container's spec to a process: what the image, the mounts and the network would have done.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};

use super::volume::Volume;
use crate::Result;

/// A container's place in the file system and the network.
pub struct Place<'a> {
    /// The program that the image would start.
    pub program: &'a Path,
    /// The folder that stands for `/` in the container.
    pub root: &'a Path,
    /// The pod's address.
    pub ip: Ipv4Addr,
}

/// The command of a container: absolute paths become paths under its root, where the volumes are
/// mounted, and "all addresses" becomes the pod's own.
pub fn command(pod: &Pod, container: &Container, volumes: &[Volume], place: &Place<'_>) -> Result<Command> {
    mount(container, volumes, place.root)?;
    // The first word of `command` is the program's path in the image.
    let words = container.command.iter().flatten().skip(1).chain(container.args.iter().flatten());
    let mut words: Vec<String> = words.map(|word| place.translate(word)).collect();
    // A container has all addresses to itself, so programs listen on all of them unless told otherwise.
    if words.first().is_some_and(|word| word == "run") && !words.iter().any(|word| word.starts_with("--bind")) {
        words.extend(["--bind".to_owned(), place.ip.to_string()]);
    }
    let mut command = Command::new(place.program);
    command.args(words).env_clear().current_dir(place.root).env("TMPDIR", place.root);
    for variable in container.env.iter().flatten() {
        command.env(&variable.name, place.translate(&value(pod, variable, place.ip)?));
    }
    Ok(command)
}

/// Links the folder of each volume to its place under the root.
fn mount(container: &Container, volumes: &[Volume], root: &Path) -> Result<()> {
    for mount in container.volume_mounts.iter().flatten() {
        let volume = volumes.iter().find(|volume| volume.name == mount.name);
        let folder = &volume.with_context(|| format!("there is no volume {}", mount.name))?.folder;
        let folder = mount.sub_path.as_ref().map_or_else(|| folder.clone(), |path| folder.join(path));
        let place = root.join(mount.mount_path.trim_matches('/'));
        fs::create_dir_all(place.parent().context("mounted at the root")?)?;
        // It is there already when the container is started again.
        if !place.is_symlink() {
            symlink(folder, place)?;
        }
    }
    Ok(())
}

impl Place<'_> {
    fn translate(&self, text: &str) -> String {
        let (flag, value) = text.split_once('=').map_or(("", text), |(flag, value)| (flag, value));
        if !value.starts_with('/') {
            return text.replace("0.0.0.0", &self.ip.to_string());
        }
        let equals = if flag.is_empty() { "" } else { "=" };
        format!("{flag}{equals}{}{value}", self.root.display())
    }
}

fn value(pod: &Pod, variable: &EnvVar, ip: Ipv4Addr) -> Result<String> {
    let Some(source) = &variable.value_from else { return Ok(variable.value.clone().unwrap_or_default()) };
    let field = source.field_ref.as_ref().context("only fieldRef variables are filled in here")?;
    Ok(match field.field_path.as_str() {
        "metadata.name" => pod.metadata.name.clone().unwrap_or_default(),
        "metadata.namespace" => pod.metadata.namespace.clone().unwrap_or_default(),
        "metadata.uid" => pod.metadata.uid.clone().unwrap_or_default(),
        "spec.nodeName" => pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
        "status.podIP" => ip.to_string(),
        other => bail!("{}: the field {other} is not filled in here", variable.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_and_all_addresses_are_put_in_place() {
        let place = Place { program: Path::new("x"), root: Path::new("/tmp/r"), ip: Ipv4Addr::new(127, 64, 0, 1) };
        assert_eq!(place.translate("/etc/isthmus/plan"), "/tmp/r/etc/isthmus/plan");
        assert_eq!(place.translate("--plan=/etc/isthmus/plan"), "--plan=/tmp/r/etc/isthmus/plan");
        assert_eq!(place.translate("0.0.0.0:9600"), "127.64.0.1:9600");
        assert_eq!(place.translate("info,isthmus=debug"), "info,isthmus=debug");
    }
}
