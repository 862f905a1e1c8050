#!/usr/bin/env bash
# Runs every test of the workspace after setting up what they need, and counts. Arguments go to the
# tests (`scripts/test.sh publish` runs those with "publish" in their name).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/steps.sh
source scripts/steps.sh
log=$(mktemp)
trap 'steps_end; rm -f "$log"' EXIT

step "set-up"
tests/environment/packages.sh
tests/environment/kafka.sh broker >/dev/null
tests/environment/kafka.sh tools >/dev/null
tests/environment/python.sh >/dev/null
tests/environment/helm.sh >/dev/null
tests/environment/health.sh >/dev/null
tests/environment/kubernetes.sh >/dev/null

# What the tests run must be what the checkout says.
step "build"
cargo build --workspace --bin isthmus --bin isthmus-operator
cargo test --workspace --no-run

step "run"
status=0
cargo test --workspace --no-fail-fast -- "$@" 2>&1 | tee "$log" || status=$?

# A line for each program of tests that took a second or more.
while IFS=$'\t' read -r seconds name; do
    steps_add "$seconds" "$name"
done < <(awk '$1 == "Running" || $1 == "Doc-tests" { name = $1 == "Running" ? $NF : $0 }
    /^test result:.* finished in / {
        took = $NF
        sub(/s$/, "", took)
        gsub(/^.*\/|-[0-9a-f]+\)$|^ +/, "", name)
        if (took >= 1) { printf "%d\t%s\n", took, name }
    }' "$log")

counts=$(awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
    END { printf "%d %d %d", passed, failed, ignored }' "$log")
read -r passed failed ignored <<<"$counts"
echo
if [ "$failed" != 0 ]; then
    echo "failed:"
    grep -E '^test .* \.\.\. FAILED$' "$log" | sed -E 's/^test (.*) \.\.\. FAILED$/  \1/'
fi
if [ "$ignored" != 0 ]; then
    echo "error: $ignored tests are marked #[ignore]; a test runs or goes"
    status=1
fi
if [ "$status" != 0 ] && [ "$failed" = 0 ]; then
    echo "error: the test run itself failed, see above"
fi
echo "$passed passed, $failed failed"
exit "$status"
