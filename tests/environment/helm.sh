#!/usr/bin/env bash
# Helm, built from its Go module: prints the folder with the program `helm`.
set -euo pipefail
# shellcheck source=tests/environment/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Go's build cache is used by nothing after, so it lives and dies with the build.
build_helm() {
    (
        cd "$environment_dir/helm" || return 1
        export CGO_ENABLED=0 GOCACHE="$1/build" GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
        local version
        version=$(go list -m -f '{{.Version}}' helm.sh/helm/v3) || return 1
        # Charts may ask for a version of Helm, and an unstamped one says it is some v3.19.
        go build -o "$1/helm" -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=$version" \
            helm.sh/helm/v3/cmd/helm || return 1
        rm -rf "$1/build"
    )
}

need go "install Go 1.25 or later, https://go.dev/doc/install"
module=$environment_dir/helm
cached helm build_helm "$module/go.mod" "$module/go.sum" "$(go version)" "$(declare -f build_helm)"
