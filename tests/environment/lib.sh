# shellcheck shell=bash
# Shared by the set-up scripts: where things are cached, and how a part is built at most once.
#
# A part lands in ${XDG_CACHE_HOME:-~/.cache}/isthmus/WHAT/HASH, where HASH covers everything the
# result depends on. A stamp file, written last, says that the folder is complete.

environment_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export environment_dir # the scripts that source this file read it
cache_root=${XDG_CACHE_HOME:-$HOME/.cache}/isthmus

die() {
    echo "error: $*" >&2
    exit 1
}

need() { # need PROGRAM HOW-TO-GET-IT
    command -v "$1" >/dev/null 2>&1 || die "\`$1\` is missing: $2"
}

# cached WHAT BUILDER INPUT...: prints the folder of the part, calling `BUILDER FOLDER` when it is
# not there yet. An INPUT that names a file counts by its content, any other by its text.
# With CACHED_ONLY set nothing is built: fails when the part is not there.
cached() {
    local what=$1 builder=$2 hash folder
    shift 2
    hash=$(for input in "$@"; do
        if [ -f "$input" ]; then cat "$input"; else printf '%s\n' "$input"; fi
    done | sha256sum | cut -c1-16)
    folder=$cache_root/$what/$hash
    if [ -n "${CACHED_ONLY:-}" ]; then
        [ -f "$folder/.complete" ] || return 1
        echo "$folder"
        return
    fi
    mkdir -p "$cache_root/$what"
    (
        flock 9
        if [ ! -f "$folder/.complete" ]; then
            echo "setting up $what in $folder (once)" >&2
            rm -rf "$folder"
            mkdir -p "$folder"
            "$builder" "$folder" >&2 9>&- || die "could not set up $what (see above); run it again when the cause is gone"
            touch "$folder/.complete"
        fi
    ) 9>"$cache_root/$what/.lock"
    echo "$folder"
}
