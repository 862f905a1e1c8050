#!/usr/bin/env bash
# Makes an OCI archive of one folder, without a container engine: same folder, same bytes. `ctr images import`,
# `podman load`, `skopeo copy oci-archive:…` and `docker load` (25 or newer) take it.
#
#   oci-archive.sh FOLDER ENTRYPOINT NAME ARCH OUT.tar
#
# FOLDER becomes the image's only layer, ENTRYPOINT is a path in it, NAME is REGISTRY/REPOSITORY:TAG.
set -euo pipefail

die() {
    echo "error: $*" >&2
    exit 1
}

[ $# = 5 ] || die "usage: oci-archive.sh FOLDER ENTRYPOINT NAME ARCH OUT.tar"
folder=$1 entrypoint=$2 name=$3 arch=$4 out=$5
for program in jq tar gzip sha256sum; do
    command -v "$program" >/dev/null || die "\`$program\` is missing, on Debian: apt-get install -y $program"
done
[ -x "$folder/$entrypoint" ] || die "the entrypoint $entrypoint is no program in $folder"
case $name in
    */*:*) ;;
    *) die "$name is no name of an image: write REGISTRY/REPOSITORY:TAG" ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
blobs=$work/layout/blobs/sha256
mkdir -p "$blobs"
created=$(date --utc --date="@${SOURCE_DATE_EPOCH:-0}" +%Y-%m-%dT%H:%M:%SZ)

# The order and the owners of the files, and their times, do not depend on where the folder was made.
pack() { # pack FOLDER FILE...
    tar --create --directory "$1" --sort=name --owner=0 --group=0 --numeric-owner --format=ustar \
        --mtime="@${SOURCE_DATE_EPOCH:-0}" "${@:2}"
}

digest() { # digest FILE
    sha256sum "$1" | cut -d' ' -f1
}

# Moves a file to its place in the layout and prints its descriptor.
blob() { # blob FILE MEDIA-TYPE
    local hash size
    hash=$(digest "$1")
    size=$(stat --format=%s "$1")
    mv "$1" "$blobs/$hash"
    jq --null-input --arg type "$2" --arg digest "sha256:$hash" --argjson size "$size" \
        '{mediaType: $type, digest: $digest, size: $size}'
}

pack "$folder" . >"$work/layer.tar"
difference=sha256:$(digest "$work/layer.tar")
gzip --no-name --best <"$work/layer.tar" >"$work/layer.tar.gz"
layer=$(blob "$work/layer.tar.gz" application/vnd.oci.image.layer.v1.tar+gzip)

# The user is one that owns nothing, here or on a node; by number, so that `runAsNonRoot` can be checked.
jq --null-input --compact-output --arg created "$created" --arg arch "$arch" --arg entrypoint "/$entrypoint" \
    --arg difference "$difference" '{
        created: $created, architecture: $arch, os: "linux",
        config: {User: "65532:65532", Entrypoint: [$entrypoint], WorkingDir: "/"},
        rootfs: {type: "layers", diff_ids: [$difference]},
        history: [{created: $created, created_by: "scripts/oci-archive.sh"}]
    }' >"$work/config.json"
config=$(blob "$work/config.json" application/vnd.oci.image.config.v1+json)

jq --null-input --compact-output --argjson config "$config" --argjson layer "$layer" '{
        schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: $config, layers: [$layer]
    }' >"$work/manifest.json"
manifest=$(blob "$work/manifest.json" application/vnd.oci.image.manifest.v1+json)

jq --null-input --compact-output --argjson manifest "$manifest" --arg arch "$arch" --arg name "$name" '{
        schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
        manifests: [$manifest + {
            platform: {architecture: $arch, os: "linux"},
            annotations: {
                "io.containerd.image.name": $name,
                "org.opencontainers.image.ref.name": ($name | split(":") | last)
            }
        }]
    }' >"$work/layout/index.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout"

mkdir -p "$(dirname "$out")"
pack "$work/layout" oci-layout index.json blobs >"$work/archive.tar"
mv "$work/archive.tar" "$out"
