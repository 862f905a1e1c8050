#!/usr/bin/env bash
# Every check that is not a test. All of them run, so that one visit fixes all findings.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

failed=()
check() { # check NAME COMMAND...
    local name=$1
    shift
    echo "--- $name"
    "$@" || failed+=("$name")
}

shell_scripts() {
    tests/environment/packages.sh shellcheck &&
        shellcheck --external-sources .ci/run scripts/*.sh tests/environment/*.sh tests/environment/*/*.sh
}

go_format() {
    local files
    files=$(gofmt -l tests/environment) || return 1
    [ -z "$files" ] || { echo "run gofmt -w on: $files"; return 1; }
}

documentation() {
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet
}

dependencies() {
    local folder
    folder=$(tests/environment/cargo-deny.sh) &&
        PATH="$folder:$PATH" cargo-deny --log-level error check bans licenses sources
}

check "format" cargo fmt --all --check
check "format of Go" go_format
check "clippy" cargo clippy --workspace --all-targets --quiet -- -D warnings
check "documentation" documentation
check "shell scripts" shell_scripts
check "dependencies" dependencies

if [ ${#failed[@]} -gt 0 ]; then
    printf 'error: failed: %s\n' "${failed[*]}"
    exit 1
fi
echo "all checks passed"
