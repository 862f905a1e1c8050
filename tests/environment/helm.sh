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
        local helm=helm.sh/helm/v3 version minor stamps
        version=$(go list -m -f '{{.Version}}' $helm) || return 1
        minor=$(go list -m -f '{{.Version}}' k8s.io/client-go | cut -d. -f2) || return 1
        # A chart asks for versions of Helm and of Kubernetes. Without a cluster Helm takes the one that it is built
        # for, and without a stamp that is v1.20.
        stamps="-X $helm/internal/version.version=$version"
        for package in chartutil lint/rules; do
            stamps+=" -X $helm/pkg/$package.k8sVersionMajor=1 -X $helm/pkg/$package.k8sVersionMinor=$minor"
        done
        go build -o "$1/helm" -ldflags "-s -w $stamps" $helm/cmd/helm || return 1
        rm -rf "$1/build"
    )
}

need go "install Go 1.25 or later, https://go.dev/doc/install"
module=$environment_dir/helm
cached helm build_helm "$module/go.mod" "$module/go.sum" "$(go version)" "$(declare -f build_helm)"
