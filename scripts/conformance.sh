#!/usr/bin/env bash
# Runs files of rule cases (one JSON object per line) through the built program.
#
#   conformance.sh FOLDER
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

isthmus=${CARGO_TARGET_DIR:-target}/debug/isthmus
if ! "$isthmus" rule test --help >/dev/null 2>&1; then
    echo "conformance: NOT RUN, this version has no \`isthmus rule test --cases\` yet"
    exit 0
fi
for file in "$1"/*.jsonl; do
    "$isthmus" rule test --cases "$file"
done
