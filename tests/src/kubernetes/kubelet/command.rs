//! From a container's spec to a process: what the image, the mounts and the network would have done.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{Container, EnvVar, Pod};

use super::volume::Volume;
use crate::Result;

/// A container's place in the file system and the network.
pub struct Place<'a> {
    /// The program that the image would start.
    pub program: &'a Path,
    /// Where the container may write.
    pub folder: &'a Path,
    /// The pod's address.
    pub ip: Ipv4Addr,
}

/// The command of a container: paths under its mounts become the folders of the volumes, and "all
/// addresses" becomes the pod's own.
pub fn command(pod: &Pod, container: &Container, volumes: &[Volume], place: &Place<'_>) -> Result<Command> {
    let mounts = mounts(container, volumes)?;
    let here = |text: &str| in_place(text, &mounts, place.ip);
    // The first word of `command` is the program's path in the image.
    let words = container.command.iter().flatten().skip(1).chain(container.args.iter().flatten());
    let mut words: Vec<String> = words.map(|word| here(word)).collect();
    // A container has all addresses to itself, so programs listen on all of them unless told otherwise.
    if words.first().is_some_and(|word| word == "run") && !words.iter().any(|word| word.starts_with("--bind")) {
        words.extend(["--bind".to_owned(), place.ip.to_string()]);
    }
    let mut command = Command::new(place.program);
    command.args(words).env_clear().current_dir(place.folder).env("TMPDIR", place.folder);
    for variable in container.env.iter().flatten() {
        command.env(&variable.name, here(&value(pod, variable, place.ip)?));
    }
    Ok(command)
}

/// Each mount path and the folder that stands for it, the longest first.
fn mounts(container: &Container, volumes: &[Volume]) -> Result<Vec<(String, PathBuf)>> {
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let volume = volumes.iter().find(|volume| volume.name == mount.name);
        let folder = &volume.with_context(|| format!("there is no volume {}", mount.name))?.folder;
        let folder = mount.sub_path.as_ref().map_or_else(|| folder.clone(), |path| folder.join(path));
        mounts.push((mount.mount_path.trim_end_matches('/').to_owned(), folder));
    }
    mounts.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    Ok(mounts)
}

fn in_place(text: &str, mounts: &[(String, PathBuf)], ip: Ipv4Addr) -> String {
    for (path, folder) in mounts {
        if let Some((before, after)) = text.split_once(path.as_str()) {
            let whole = before.is_empty() || before.ends_with('=');
            if whole && (after.is_empty() || after.starts_with('/')) {
                return format!("{before}{}{after}", folder.display());
            }
        }
    }
    text.replace("0.0.0.0", &ip.to_string())
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
    fn paths_under_a_mount_and_all_addresses_are_put_in_place() {
        let mounts = [("/etc/isthmus/plan".to_owned(), PathBuf::from("/tmp/v/plan"))];
        let here = |text| in_place(text, &mounts, Ipv4Addr::new(127, 64, 0, 1));
        assert_eq!(here("/etc/isthmus/plan/plan.json"), "/tmp/v/plan/plan.json");
        assert_eq!(here("--plan=/etc/isthmus/plan"), "--plan=/tmp/v/plan");
        assert_eq!(here("/etc/isthmus/planning"), "/etc/isthmus/planning");
        assert_eq!(here("0.0.0.0:9600"), "127.64.0.1:9600");
    }
}
