#!/usr/bin/env bash
# Every check that is not a test. All of them run, so that one visit fixes all findings.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
# shellcheck source=scripts/steps.sh
source scripts/steps.sh
trap steps_end EXIT

failed=()
check() { # check NAME COMMAND...
    local name=$1
    shift
    step "$name"
    "$@" || { failed+=("$name"); steps_close " (failed)"; }
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

# A feature that only a dev-dependency turns on makes cargo compile the crate, and all that use it, twice: for the programs
# and for the tests.
features() {
    local kinds
    kinds=$(mktemp --directory) || return 1
    for kind in normal,build normal,build,dev; do
        cargo tree --workspace --locked --edges "$kind" --prefix none --format '{p} {f}' |
            sed 's/ ([^)]*)//g' | sort --unique >"$kinds/$kind" || return 1
    done
    # Other lines are of crates that only tests use.
    awk 'NR == FNR { crates[$1 " " $2]; lines[$0]; next }
        ($1 " " $2) in crates && !($0 in lines) { print "tests have it with other features: " $0; differs = 1 }
        END { exit differs }' "$kinds/normal,build" "$kinds/normal,build,dev"
    local status=$?
    rm -r "$kinds"
    return "$status"
}

dependencies() {
    local folder
    folder=$(tests/environment/cargo-deny.sh) &&
        PATH="$folder:$PATH" cargo-deny --log-level error check bans licenses sources
}

check "format" cargo fmt --all --check
check "format of Go" go_format
check "clippy" cargo clippy --workspace --all-targets --quiet -- -D warnings
check "features" features
check "documentation" documentation
check "shell scripts" shell_scripts
check "dependencies" dependencies

steps_close
if [ ${#failed[@]} -gt 0 ]; then
    printf 'error: failed: %s\n' "${failed[*]}"
    exit 1
fi
echo "all checks passed"
