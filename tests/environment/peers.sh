#!/usr/bin/env bash
# Other bridges from MQTT to Kafka, for the benchmarks to run beside ours: sets one up and prints its program.
#
#   peers.sh mosquitto   Debian's package, a broker without Kafka
#   peers.sh telegraf    built from its Go module with two plugins, runs behind mosquitto: 3 minutes
#   peers.sh comqtt      built from its Go module, broker and bridge in one: 1 minute
#   peers.sh rmqtt       cargo install, broker and bridge in one: 20 minutes
#   peers.sh --installed NAME   prints the program if it is there, and fails if not
set -euo pipefail
# shellcheck source=tests/environment/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A module of its own for each: the versions that a program asks for are then those it gets.
build_go() { # build_go FOLDER NAME MODULE@VERSION PACKAGE TAGS
    (
        mkdir -p "$1/module" && cd "$1/module" || return 1
        export CGO_ENABLED=0 GOFLAGS="-mod=mod -trimpath -buildvcs=false" GOCACHE="$1/cache"
        go mod init peer && go get "$3" && go build -tags "$5" -ldflags "-s -w" -o "$1/$2" "$4" || return 1
        rm -rf "$1/cache" "$1/module"
    )
}

comqtt=github.com/wind-c/comqtt/v2
build_comqtt() {
    build_go "$1" comqtt $comqtt@v2.6.0 $comqtt/cmd/single ""
}

telegraf=github.com/influxdata/telegraf
build_telegraf() {
    build_go "$1" telegraf $telegraf@v1.37.2 $telegraf/cmd/telegraf \
        custom,inputs.mqtt_consumer,outputs.kafka,parsers.value,serializers.template
}

build_rmqtt() {
    cargo install rmqttd --version 0.24.0 --locked --root "$1" --target-dir "$1/build" && rm -rf "$1/build"
}

if [ "${1:-}" = --installed ]; then
    export CACHED_ONLY=1
    shift
fi
case ${1:-} in
    mosquitto)
        # Debian has it where only root's path leads.
        PATH=$PATH:/usr/sbin
        command -v mosquitto || {
            [ -z "${CACHED_ONLY:-}" ] || exit 1
            "$environment_dir/packages.sh" mosquitto >&2
            command -v mosquitto
        }
        ;;
    comqtt | telegraf)
        need go "install Go 1.25 or later, https://go.dev/doc/install"
        folder=$(cached "$1" "build_$1" "$(go version)" "$(declare -f build_go "build_$1")")
        echo "$folder/$1"
        ;;
    rmqtt)
        [ -n "${CACHED_ONLY:-}" ] || command -v protoc >/dev/null ||
            die "rmqtt needs more, on Debian: apt-get install -y protobuf-compiler libssl-dev libsasl2-dev pkg-config"
        folder=$(cached rmqtt build_rmqtt "$(declare -f build_rmqtt)")
        echo "$folder/bin/rmqttd"
        ;;
    *) die "usage: peers.sh [--installed] mosquitto|telegraf|comqtt|rmqtt" ;;
esac
