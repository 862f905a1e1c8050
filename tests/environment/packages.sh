#!/usr/bin/env bash
# Debian packages that the tests use: installs the missing ones when it may (root and apt),
# otherwise prints the line to run and fails.
#
#   packages.sh            what `make test` needs
#   packages.sh node       what `make e2e` needs on top
#   packages.sh shellcheck what `make lint` needs on top
set -euo pipefail

missing=()
want() { # want PROGRAM PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}

if [ $# -eq 0 ]; then
    want cc gcc
    want g++ g++
    want make make
    want cmake cmake
    want perl perl
    want flock util-linux
    want mosquitto_pub mosquitto-clients
    want kcat kcat
    want openssl openssl
    want diff diffutils
    want mvn maven
    want java openjdk-17-jre-headless
    want jq jq
    want python3 python3
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
elif [ "$*" = node ]; then
    want containerd containerd
    want runc runc
    want ip iproute2
    want nft nftables
    want conntrack conntrack
    want unshare util-linux
    want sysctl procps
    want readelf binutils
    [ -x /usr/lib/cni/bridge ] || missing+=(containernetworking-plugins)
else
    for package in "$@"; do want "$package" "$package"; done
fi

[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    if { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    cat "$log" >&2
    rm -f "$log"
fi
echo "error: missing programs; on Debian or Ubuntu run: sudo apt-get install -y ${missing[*]}" >&2
exit 1
