#!/usr/bin/env bash
# The first process of a node of its own: runs a command on a machine with nothing on it, an address of its own and room
# for containers. Called by scripts/e2e.sh in new namespaces; when it ends the kernel ends all else there, and takes the
# mounts and the links with it.
#
#   init.sh FOLDER ADDRESS CGROUP COMMAND...
#
# FOLDER holds what the node writes, ADDRESS becomes its address, CGROUP the group of its pods.
set -euo pipefail
folder=$1 address=$2 cgroup=$3
shift 3

# Volumes that the kubelet mounts must be seen by containers, and by nobody outside of this namespace.
mount --make-rprivate /
mount --make-rshared /
mount -t tmpfs tmpfs /run
for place in /var/lib/kubelet /var/lib/cni /var/log/pods /var/log/containers; do
    mkdir -p "$folder$place"
    mount --bind "$folder$place" "$place"
done
mount --make-rshared /var/lib/kubelet

ip link set lo up
# One end carries the address, the other makes the link come up.
ip link add node0 type veth peer name node1
ip link set node1 up
ip address add "$address/24" dev node0
ip link set node0 up
ip route add default dev node0
sysctl --quiet --write net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1

if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p "/sys/fs/cgroup/$cgroup"
else
    for hierarchy in /sys/fs/cgroup/*/; do
        mkdir -p "$hierarchy$cgroup" 2>/dev/null || true
    done
    # A new group of this controller is empty and takes no process.
    for file in cpuset.cpus cpuset.mems; do
        cat "/sys/fs/cgroup/cpuset/$file" >"/sys/fs/cgroup/cpuset/$cgroup/$file"
    done
fi

# Not `exec`: the first process also waits for what containers leave behind.
"$@"
