#!/usr/bin/env bash
# The product on a real node, as a user of a cluster has it: the charts installed by Helm, the images in containers,
# devices that reach them through a Service. Needs root on Linux; sets up everything else.
#
# The node lives in namespaces of its own, so nothing of it can be seen from this machine, and it ends with this script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/steps.sh
source scripts/steps.sh
trap steps_end EXIT

die() {
    echo "error: $*" >&2
    exit 1
}

[ "$(uname -s)" = Linux ] || die "a node needs Linux: run \`make e2e\` on a Linux machine"
[ "$(id -u)" = 0 ] || die "a node needs root: sudo make e2e"

step "set-up"
tests/environment/packages.sh
tests/environment/packages.sh node
tests/environment/kafka.sh broker >/dev/null
tests/environment/python.sh >/dev/null
tests/environment/helm.sh >/dev/null
tests/environment/kubernetes.sh node >/dev/null
tests/environment/coredns.sh >/dev/null
tests/environment/pause.sh >/dev/null

step "images"
images=${CARGO_TARGET_DIR:-target}/images
scripts/images.sh --registry isthmus.test --tag e2e "$images"
step "build of the test"
test=$(cargo test --workspace --test e2e --no-run --message-format=json |
    jq --raw-output 'select(.reason == "compiler-artifact" and .target.name == "e2e").executable')
[ -x "$test" ] || die "cargo built no test of the name e2e"

step "run"
folder=$(mktemp -d)
cgroup=isthmus-$(basename "$folder")
# Where a kubelet mounts things. Folders that were not there go again.
made=()
for place in /var/lib/kubelet /var/lib/cni /var/log/pods /var/log/containers; do
    [ -d "$place" ] || { mkdir "$place" && made+=("$place"); }
done
node=
clean_up() {
    steps_end
    # The end of this one process is the end of everything in its namespaces.
    if [ -n "$node" ] && kill -KILL "$node" 2>/dev/null; then wait "$node" || true; fi
    find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} + 2>/dev/null || true
    [ ${#made[@]} -eq 0 ] || rmdir "${made[@]}"
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

address=10.250.0.1
mkdir "$folder/tmp"
ISTHMUS_IMAGES=$(realpath "$images")
export TMPDIR=$folder/tmp ISTHMUS_IMAGES
export ISTHMUS_NODE_FOLDER=$folder ISTHMUS_NODE_ADDRESS=$address ISTHMUS_NODE_CGROUP=$cgroup
unshare --net --mount --pid --ipc --fork --kill-child --mount-proc \
    tests/environment/node/init.sh "$folder" "$address" "$cgroup" "$test" "$@" &
node=$!
wait "$node"
