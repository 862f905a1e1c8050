//! How much memory this process may have: the smallest limit of its control groups, or what the machine has.
//!
//! Reads `/proc` and `/sys/fs/cgroup` in the forms of control groups version 1 and 2 (Linux, `cgroups(7)`), inside a
//! container, where the process sees its own group as the root, and outside.

use std::fs;
use std::path::{Path, PathBuf};

/// The limit in bytes, and which one it is; `None` where nothing says.
pub fn find() -> Option<(u64, &'static str)> {
    find_in(Path::new("/"))
}

fn find_in(root: &Path) -> Option<(u64, &'static str)> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let group = groups.lines().filter_map(|line| of_group(root, line)).min();
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok().and_then(|text| total_memory(&text));
    match (group, machine) {
        (Some(group), Some(machine)) if machine < group => Some((machine, "the machine's memory")),
        (Some(group), _) => Some((group, "the container's memory limit")),
        (None, machine) => Some((machine?, "the machine's memory")),
    }
}

/// The smallest limit on the way from the group of a line of `/proc/self/cgroup` to the root.
fn of_group(root: &Path, line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (mounts, file): (&[&str], _) = if number == "0" && controllers.is_empty() {
        (&["sys/fs/cgroup", "sys/fs/cgroup/unified"], "memory.max")
    } else if controllers.split(',').any(|controller| controller == "memory") {
        (&["sys/fs/cgroup/memory"], "memory.limit_in_bytes")
    } else {
        return None;
    };
    let group = Path::new(path.trim_start_matches('/'));
    // In a container the path may be the host's: then only the root of the mount is there, which is the container's group.
    let places = group.ancestors().map(PathBuf::from);
    mounts
        .iter()
        .flat_map(|mount| places.clone().map(move |place| root.join(mount).join(place).join(file)))
        .filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
        .min()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [("proc/meminfo", "MemTotal:        1000 kB\nMemFree: 1 kB\n")].iter().chain(files) {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn found(files: &[(&str, &str)]) -> Option<u64> {
        find_in(machine(files).path()).map(|(bytes, _)| bytes)
    }

    #[test]
    fn the_smallest_limit_counts_in_both_versions_inside_and_outside_of_a_container() {
        const MACHINE: u64 = 1_024_000;
        for (what, files, expected) in [
            ("no control group", &[][..], MACHINE),
            (
                "version 2 in a container",
                &[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "131072\n")],
                131_072,
            ),
            (
                "version 2, limited by a parent",
                &[
                    ("proc/self/cgroup", "0::/pods/one/main\n"),
                    ("sys/fs/cgroup/pods/one/main/memory.max", "max\n"),
                    ("sys/fs/cgroup/pods/one/memory.max", "65536\n"),
                    ("sys/fs/cgroup/pods/memory.max", "99999\n"),
                ],
                65_536,
            ),
            (
                "version 1 in a container that sees the host's path",
                &[
                    ("proc/self/cgroup", "4:memory:/kubepods/abc\n0::/\n"),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "777\n"),
                ],
                777,
            ),
            (
                "version 1 without a limit",
                &[
                    ("proc/self/cgroup", "3:cpu,cpuacct:/\n4:memory:/\n"),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ],
                MACHINE,
            ),
        ] {
            assert_eq!(found(files), Some(expected), "{what}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_a_limit() {
        assert!(find().unwrap().0 > 1 << 20);
    }
}
