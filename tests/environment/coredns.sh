#!/usr/bin/env bash
# The DNS server of a cluster, built from its Go module: prints the folder with the program `coredns`.
set -euo pipefail
# shellcheck source=tests/environment/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_coredns() {
    (
        cd "$environment_dir/coredns" || return 1
        export CGO_ENABLED=0 GOCACHE="$1/build" GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
        go build -o "$1/coredns" -ldflags "-s -w" . || return 1
        rm -rf "$1/build"
    )
}

need go "install Go 1.26 or later, https://go.dev/doc/install"
module=$environment_dir/coredns
cached coredns build_coredns "$module/go.mod" "$module/go.sum" "$module/main.go" "$(go version)" "$(declare -f build_coredns)"
