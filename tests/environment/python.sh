#!/usr/bin/env bash
# A virtual environment with the independent Python clients: prints its interpreter.
set -euo pipefail
# shellcheck source=tests/environment/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

build() {
    python3 -m venv "$1/venv" &&
        "$1/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --requirement "$environment_dir/python/requirements.txt"
}

need python3 "install Python 3.9 or later, on Debian: apt-get install -y python3 python3-venv"
folder=$(cached python build "$environment_dir/python/requirements.txt" "$(python3 -VV)" "$(python3 -c 'import sys; print(sys.executable)')")
echo "$folder/venv/bin/python"
