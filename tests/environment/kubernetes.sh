#!/usr/bin/env bash
# Kubernetes built from its Go modules: prints the folder with the programs of a control plane (etcd,
# kube-apiserver, kube-controller-manager, kubectl) and of a node (kube-scheduler, kubelet, kube-proxy).
#
#   kubernetes.sh        for a control plane
#   kubernetes.sh node   for a node too
#
# KUBEBUILDER_ASSETS names a folder with those programs to use instead (`setup-envtest use -p path`
# prints one, but without the controller manager and without those of a node).
set -euo pipefail
# shellcheck source=tests/environment/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

programs=(etcd kube-apiserver kube-controller-manager kubectl)
if [ "${1:-}" = node ]; then programs+=(kube-scheduler kubelet kube-proxy); fi

# One `go build` for all of them, since loading the module graph alone takes most of a minute and a
# node's programs share most packages with the control plane's. Go's build cache grows to gigabytes
# that nothing uses again, so it lives and dies with the build.
build_kubernetes() {
    (
        cd "$environment_dir/kubernetes" || return 1
        export CGO_ENABLED=0 GOCACHE="$1/build" GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
        local version major minor stamp=k8s.io/component-base/version
        version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes) || return 1
        IFS=. read -r major minor _ <<<"${version#v}"
        # The API server tells clients its version and refuses to start with none.
        go build -o "$1/" -ldflags "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=$major \
            -X $stamp.gitMinor=$minor -X $stamp.gitTreeState=clean -X $stamp.buildDate=1970-01-01T00:00:00Z" \
            go.etcd.io/etcd/server/v3 k8s.io/kubernetes/cmd/kube-apiserver \
            k8s.io/kubernetes/cmd/kube-controller-manager k8s.io/kubernetes/cmd/kubectl \
            k8s.io/kubernetes/cmd/kube-scheduler k8s.io/kubernetes/cmd/kubelet k8s.io/kubernetes/cmd/kube-proxy || return 1
        mv "$1/server" "$1/etcd"
        rm -rf "$1/build"
    )
}

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    for program in "${programs[@]}"; do
        [ -x "$KUBEBUILDER_ASSETS/$program" ] || die "KUBEBUILDER_ASSETS has no \`$program\`: add it or unset the variable"
    done
    echo "$KUBEBUILDER_ASSETS"
else
    need go "install Go 1.25 or later, https://go.dev/doc/install"
    modules=$environment_dir/kubernetes
    cached kubernetes build_kubernetes "$modules/go.mod" "$modules/go.sum" "$(go version)" "$(declare -f build_kubernetes)"
fi
