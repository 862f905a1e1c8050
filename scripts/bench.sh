#!/usr/bin/env bash
# Benchmarks: builds what is measured, sets up what it needs, and runs it. Arguments go to `isthmus-bench`.
#
#   bench.sh run [--shape S1] [--rounds 3]   writes target/bench/report.md and report.json
#   bench.sh profile [--shape S1]            writes target/bench/profile-S1.txt
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests/environment/packages.sh
if [ "${1:-}" = profile ]; then tests/environment/packages.sh valgrind; fi
tests/environment/kafka.sh broker >/dev/null
tests/environment/python.sh >/dev/null
cargo build --release --workspace --bin isthmus --bin isthmus-bench

target=${CARGO_TARGET_DIR:-target}
# Thousands of connections on both sides.
ulimit -n "$(ulimit -Hn)"
ISTHMUS_BIN=${ISTHMUS_BIN:-$(realpath "$target")/release/isthmus}
export ISTHMUS_BIN
exec "$target/release/isthmus-bench" "$@" --out "$target/bench"
