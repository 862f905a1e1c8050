#!/usr/bin/env bash
# Apache Kafka from Maven Central: prints the folder that holds `classpath` (the jars, in a fixed
# order) and, for the broker, `classes.jsa` (a class archive of this JDK, which halves its start).
#
#   kafka.sh broker   the broker
#   kafka.sh tools    Kafka's command-line tools
set -euo pipefail
# shellcheck source=tests/environment/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

fetch() { # fetch POM FOLDER
    need mvn "install Maven, on Debian: apt-get install -y maven"
    mvn --batch-mode --quiet --strict-checksums --file "$1" \
        dependency:copy-dependencies -DoutputDirectory="$2/jars" -DincludeScope=runtime || return 1
    find "$2/jars" -name '*.jar' | LC_ALL=C sort | paste -sd: >"$2/classpath"
}

# Runs the broker once, so that the JVM writes down the classes it loaded.
archive_classes() {
    local folder=$1 work port=$((20000 + RANDOM % 10000)) pid
    work=$(mktemp -d)
    sed "s#@DIR@#$work#; s#@HOST@#127.0.0.1#g; s#@PORT@#$port#g; s#@CONTROLLER_PORT@#$((port + 1))#g" \
        "$environment_dir/kafka/broker.properties" >"$work/broker.properties"
    local java=(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1
        -Dlog4j2.configurationFile="$environment_dir/kafka/log4j2.yaml" -cp "$(cat "$folder/classpath")")
    "${java[@]}" kafka.tools.StorageTool format --cluster-id 4L6g3nShT-eMCtK--X86sw \
        --config "$work/broker.properties" >"$work/log" 2>&1 || { cat "$work/log"; return 1; }
    "${java[@]}" -XX:ArchiveClassesAtExit="$folder/classes.jsa" kafka.Kafka "$work/broker.properties" >>"$work/log" 2>&1 &
    pid=$!
    for _ in $(seq 1 300); do
        if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
        kill -0 "$pid" 2>/dev/null || { cat "$work/log"; return 1; }
        sleep 0.1
    done
    kcat -b "127.0.0.1:$port" -L -m 5 >/dev/null 2>&1 || true
    kill -TERM "$pid"
    wait "$pid" || true
    rm -rf "$work"
    [ -f "$folder/classes.jsa" ] || { echo "the JVM wrote no class archive"; return 1; }
}

build_broker() {
    fetch "$environment_dir/kafka/pom.xml" "$1" && archive_classes "$1"
}

build_tools() {
    fetch "$environment_dir/kafka-tools/pom.xml" "$1"
}

need java "install Java 17 or later, on Debian: apt-get install -y openjdk-17-jre-headless"
case ${1:-} in
    broker) cached kafka build_broker "${BASH_SOURCE[0]}" "$environment_dir/kafka/pom.xml" "$(java -version 2>&1)" ;;
    tools) cached kafka-tools build_tools "${BASH_SOURCE[0]}" "$environment_dir/kafka-tools/pom.xml" ;;
    *) die "usage: kafka.sh broker|tools" ;;
esac
