# How long each part of a script took, as a table at its end, also when it fails. To be sourced, by scripts that call each
# other too: there is one table, that of the first, and the parts of the others are part of its parts.
#
#   step NAME                 the part before is over, this one begins
#   steps_add SECONDS NAME    a part of the part that runs, measured by somebody else
#   steps_end                 call it when the script ends: trap steps_end EXIT
# shellcheck shell=bash

steps_depth=$((${ISTHMUS_STEPS_DEPTH:--1} + 1))
export ISTHMUS_STEPS_DEPTH=$steps_depth
steps_open=
if [ "$steps_depth" = 0 ]; then
    ISTHMUS_STEPS=$(mktemp)
    export ISTHMUS_STEPS
fi

step() {
    steps_close
    steps_open=$(steps_begin "$steps_depth" "$1")
    steps_began=$SECONDS
    echo "--- $1"
}

steps_add() {
    printf 'end\t%s\t%s\n' "$(steps_begin $((steps_depth + 1)) "$2")" "$1" >>"$ISTHMUS_STEPS"
}

# Prints the number of the part.
steps_begin() { # steps_begin DEPTH NAME
    printf 'begin\t%s\t%s\n' "$1" "$2" >>"$ISTHMUS_STEPS"
    wc --lines <"$ISTHMUS_STEPS"
}

steps_close() {
    [ -z "$steps_open" ] || printf 'end\t%s\t%s\t%s\n' "$steps_open" $((SECONDS - steps_began)) "${1:-}" >>"$ISTHMUS_STEPS"
    steps_open=
}

# Leaves the exit code as it is.
steps_end() {
    local status=$?
    if [ "$status" = 0 ]; then steps_close; else steps_close " (failed)"; fi
    [ "$steps_depth" = 0 ] || return 0
    echo
    awk -F '\t' '
        $1 == "begin" { depth[NR] = $2; name[NR] = $3 }
        $1 == "end" { took[$2] = $3; note[$2] = $4 }
        END {
            for (line = 1; line <= NR; line++) {
                if (line in name) {
                    printf "%3d:%02d  %*s%s%s\n", took[line] / 60, took[line] % 60, 2 * depth[line], "", name[line], note[line]
                }
            }
        }' "$ISTHMUS_STEPS"
    printf '%3d:%02d  altogether\n' $((SECONDS / 60)) $((SECONDS % 60))
    rm -f "$ISTHMUS_STEPS"
}
