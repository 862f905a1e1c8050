#!/usr/bin/env bash
# The image of the program that holds a pod's namespaces, isthmus.test/pause:dev: prints the folder with `pause.tar`.
set -euo pipefail
# shellcheck source=tests/environment/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

archive=$environment_dir/../../scripts/oci-archive.sh

build_pause() {
    local arch=amd64
    if [ "$(uname -m)" = aarch64 ]; then arch=arm64; fi
    mkdir "$1/root" || return 1
    cc -Os -static -o "$1/root/pause" "$environment_dir/node/pause.c" || return 1
    "$archive" "$1/root" pause isthmus.test/pause:dev "$arch" "$1/pause.tar"
}

need cc "on Debian: apt-get install -y gcc libc6-dev"
cached pause build_pause "$environment_dir/node/pause.c" "$archive" "$(declare -f build_pause)"
