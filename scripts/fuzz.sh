#!/usr/bin/env bash
# Fuzzes the rule engine, one target after the other, FUZZ_SECONDS each (default: 20 minutes). Arguments name the
# targets to run instead of all. What is found is kept in runtime/rules/fuzz/artifacts and printed with the command
# that shows it again; an input that takes longer than ten seconds or more than 2 GiB counts as found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../runtime/rules"

toolchain=${FUZZ_TOOLCHAIN:-nightly}
seconds=${FUZZ_SECONDS:-1200}
if ! rustup run "$toolchain" rustc --version >/dev/null 2>&1; then
    echo "error: the sanitizers need a nightly compiler: rustup toolchain install $toolchain"
    exit 1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install --locked cargo-fuzz
fi

if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(cargo "+$toolchain" fuzz list)
fi
cargo "+$toolchain" fuzz build

# Words of the language, so that random texts get far into it.
words=fuzz/target/sql.dict
{
    printf '"%s"\n' SELECT FROM WHERE FOREACH DO INCASE CASE WHEN THEN ELSE END AS AND OR NOT IN div mod '=~' '!=' '..'
    sed -nE 's/^### `([a-z0-9_]+)\(.*/"\1("/p' docs/functions.md
    # shellcheck disable=SC2016 # the backticks are Markdown's
    sed -nE 's/^\| `([a-z_]+)` \|.*/"\1"/p' docs/events.md | sort -u
} >"$words"

for target in "${targets[@]}"; do
    echo "--- $target, $seconds s"
    mkdir -p "fuzz/corpus/$target"
    cargo "+$toolchain" fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 -dict="$words" -print_final_stats=1
done
echo "nothing found"
