#!/usr/bin/env bash
# Counts the instructions of the stages that need no IO (decode, rule, encode; runtime/benches/instructions.rs) and
# compares them with the committed figures: above 1.10 times a figure is a failure. Instructions, unlike time, do not depend
# on what else the machine does, but they do on the processor's architecture: the figures are those of x86_64.
#
#   instructions.sh            compares
#   instructions.sh --update   writes the figures anew; say why in the change
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

figures=runtime/benches/instructions.txt
stages=(decode select-json encode-payload encode-event encode-json)

die() {
    echo "error: $*" >&2
    exit 1
}

[ "$(uname -m)" = x86_64 ] || die "the figures in $figures are those of x86_64, this machine is $(uname -m)"
tests/environment/packages.sh valgrind jq

# As the images' programs are built (build-static.sh), so that what is compiled for one serves the other.
export RUSTFLAGS="-C target-feature=+crt-static"
program=$(cargo bench --locked --workspace --target x86_64-unknown-linux-gnu --bench instructions --no-run \
    --message-format=json |
    jq -r 'select(.reason == "compiler-artifact" and .target.name == "instructions") | .executable')
[ -x "$program" ] || die "cargo built no program"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count() { # count STAGE MESSAGES
    valgrind --tool=callgrind --callgrind-out-file="$work/out" "$program" "$1" "$2" 2>"$work/log" ||
        { cat "$work/log" >&2; return 1; }
    awk '/^summary:|^totals:/ { total = $2 } END { print total }' "$work/out"
}

few=1000
many=6000
failed=0
: >"$work/figures"
printf '%-16s %12s %12s\n' stage instructions committed
for stage in "${stages[@]}"; do
    less=$(count "$stage" $few)
    more=$(count "$stage" $many)
    now=$(((more - less) / (many - few)))
    echo "$stage $now" >>"$work/figures"
    committed=$(awk -v stage="$stage" '$1 == stage { print $2 }' "$figures" 2>/dev/null || true)
    printf '%-16s %12s %12s\n' "$stage" "$now" "${committed:-none}"
    if [ "${1:-}" != --update ] && [ $((now * 100)) -gt $((${committed:-0} * 110)) ]; then
        echo "error: $stage takes $now instructions for a message, more than 1.10 times the $committed in $figures" >&2
        failed=1
    fi
done
if [ "${1:-}" = --update ]; then
    cp "$work/figures" "$figures"
    echo "$figures is written: say in the change why it moves"
fi
exit "$failed"
