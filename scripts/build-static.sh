#!/usr/bin/env bash
# Builds what goes into the two images, a folder for each: programs that need no library, for an image with nothing
# else in it. The Containerfile and images.sh both call this.
#
#   build-static.sh FOLDER [ARCH]   FOLDER/operator and FOLDER/runtime; ARCH is amd64 or arm64, this machine's if absent
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
    echo "error: $*" >&2
    exit 1
}

[ $# -ge 1 ] || die "usage: build-static.sh FOLDER [amd64|arm64]"
case $(uname -m) in
    x86_64) here=amd64 ;;
    aarch64) here=arm64 ;;
    *) here=$(uname -m) ;;
esac
folder=$1
arch=${2:-$here}
case $arch in
    amd64) cpu=x86_64 ;;
    arm64) cpu=aarch64 ;;
    *) die "there is no image for the architecture $arch: choose amd64 or arm64" ;;
esac
target=$cpu-unknown-linux-gnu
strip="strip"

# What the programs expect of a file system: the certificate authorities by which librdkafka knows a public Kafka.
authorities=/etc/ssl/certs/ca-certificates.crt
[ -s "$authorities" ] || die "$authorities is missing, on Debian: apt-get install -y ca-certificates"

if [ "$arch" != "$here" ]; then
    for compiler in gcc g++; do
        command -v "$cpu-linux-gnu-$compiler" >/dev/null ||
            die "no C compiler for $arch, on Debian: apt-get install -y g++-${cpu//_/-}-linux-gnu"
    done
    if [ ! -d "$(rustc --target "$target" --print target-libdir)" ]; then
        rustup target add "$target" || die "no Rust standard library for $target: rustup target add $target"
    fi
    strip=$cpu-linux-gnu-strip
    underlined=${target//-/_}
    export "CC_$underlined=$cpu-linux-gnu-gcc" "CXX_$underlined=$cpu-linux-gnu-g++" "AR_$underlined=$cpu-linux-gnu-ar"
    export "CARGO_TARGET_${underlined^^}_LINKER=$cpu-linux-gnu-gcc"
fi

# With an explicit target the flag reaches the programs only, not build scripts and macros, which must be dynamic.
export RUSTFLAGS="-C target-feature=+crt-static"
cargo build --release --locked --target "$target" --bin isthmus --bin isthmus-operator

built=${CARGO_TARGET_DIR:-target}/$target/release
rm -rf "$folder/operator" "$folder/runtime"
install -D -m 0755 "$built/isthmus-operator" "$folder/operator/isthmus-operator"
install -D -m 0755 "$built/isthmus" "$folder/runtime/isthmus"
install -D -m 0644 "$authorities" "$folder/runtime$authorities"
for program in "$folder/operator/isthmus-operator" "$folder/runtime/isthmus"; do
    # The C libraries' debug information is two thirds of a program; symbols stay, for backtraces.
    "$strip" --strip-debug "$program"
    # A program that asks for an interpreter would not start in an empty image.
    if readelf --program-headers "$program" | grep -q INTERP; then die "$program is not static"; fi
done
