#!/usr/bin/env bash
# Builds the two images as OCI archives, without a container engine, from the same programs as the Containerfile.
#
#   images.sh [--arch amd64|arm64] [--registry REGISTRY] [--tag TAG] [--programs FOLDER] OUT
#
# Writes OUT/isthmus-operator.tar and OUT/isthmus.tar. REGISTRY (isthmus.dev) and TAG (the version in Cargo.toml) name
# the images. --programs takes what build-static.sh made before, instead of building.
set -euo pipefail
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
    echo "error: $*" >&2
    exit 1
}

usage="usage: images.sh [--arch amd64|arm64] [--registry REGISTRY] [--tag TAG] [--programs FOLDER] OUT"
case $(uname -m) in
    aarch64) arch=arm64 ;;
    *) arch=amd64 ;;
esac
registry=isthmus.dev
tag=$(sed -n '/^\[workspace\.package\]/,/^\[/ s/^version = "\(.*\)"/\1/p' "$scripts/../Cargo.toml")
programs=
while [ $# -gt 1 ]; do
    case $1 in
        --arch) arch=$2 ;;
        --registry) registry=$2 ;;
        --tag) tag=$2 ;;
        --programs) programs=$2 ;;
        *) die "$usage" ;;
    esac
    shift 2
done
[ $# = 1 ] || die "$usage"
case $1 in -*) die "$usage" ;; esac
out=$1

if [ -z "$programs" ]; then
    programs=$(mktemp -d)
    trap 'rm -rf "$programs"' EXIT
    "$scripts/build-static.sh" "$programs" "$arch"
fi
"$scripts/oci-archive.sh" "$programs/operator" isthmus-operator "$registry/isthmus-operator:$tag" "$arch" \
    "$out/isthmus-operator.tar"
"$scripts/oci-archive.sh" "$programs/runtime" isthmus "$registry/isthmus:$tag" "$arch" "$out/isthmus.tar"
echo "$registry/isthmus-operator:$tag is $out/isthmus-operator.tar"
echo "$registry/isthmus:$tag is $out/isthmus.tar"
