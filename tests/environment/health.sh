#!/usr/bin/env bash
# What Argo CD and kstatus say about an object, as a program built from their own parts: prints the folder with the
# program `health`.
set -euo pipefail
# shellcheck source=tests/environment/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build_health() {
    (
        cd "$environment_dir/health" || return 1
        export CGO_ENABLED=0 GOCACHE="$1/build" GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
        go build -o "$1/health" . || return 1
        rm -rf "$1/build"
    )
}

need go "install Go 1.25 or later, https://go.dev/doc/install"
module=$environment_dir/health
cached health build_health "$module/go.mod" "$module/go.sum" "$module/main.go" "$(go version)" "$(declare -f build_health)"
