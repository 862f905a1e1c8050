#!/usr/bin/env bash
# Runs files of rule cases (one JSON object per line) through the built program. All of them run, so that one visit
# shows every failure.
#
#   conformance.sh FOLDER
set -euo pipefail
folder=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

isthmus=${CARGO_TARGET_DIR:-target}/debug/isthmus
failed=0
for file in "$folder"/*.jsonl; do
    echo "--- $file"
    "$isthmus" rule test --cases "$file" || failed=1
done
exit "$failed"
