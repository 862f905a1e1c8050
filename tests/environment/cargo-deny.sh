#!/usr/bin/env bash
# cargo-deny, built once from crates.io: prints the folder with the program.
set -euo pipefail
# shellcheck source=tests/environment/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=0.20.2

build() {
    # Built in a debug-like way: it runs for a second per check and takes minutes to optimize.
    CARGO_TARGET_DIR="$1/build" RUSTFLAGS="" CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
        CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        cargo install --quiet --locked --root "$1" "cargo-deny@$version" || return 1
    rm -rf "$1/build"
}

need cargo "install Rust from https://rustup.rs"
if command -v cargo-deny >/dev/null 2>&1; then
    dirname "$(command -v cargo-deny)"
else
    echo "$(cached cargo-deny build "$version" "$(rustc -V)")/bin"
fi
