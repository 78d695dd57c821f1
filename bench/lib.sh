# What the measurements beside other software share: a folder for them, one for this run, and the figures found. Sourced, from the
# root of the checkout.
# shellcheck shell=bash

cache="${XDG_CACHE_HOME:-$HOME/.cache}/raas"
peers="$cache/bench"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"
mkdir -p "$peers"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
found="$work/found"
: >"$found"

# Notes one figure: WHO WHAT VALUE ROOT.
note() { printf '{"who":"%s","what":"%s","value":%s,"root":"%s"}\n' "$@" >>"$found"; }

# Notes why there is none: WHO REASON.
note_missing() {
    echo "$1: $2" >&2
    printf '{"who":"%s","missing":"%s"}\n' "$1" "$(tr -d '"\\\n\t' <<<"$2" | cut -c 1-200)" >>"$found"
}

# Runs an installation, and notes the last line of what it says if it fails: WHO COMMAND...
install_peer() {
    local who=$1
    shift
    if ! "$@" >"$work/install.log" 2>&1; then
        note_missing "$who" "did not install: $(tail -n 1 "$work/install.log")"
        return 1
    fi
}

# A field of the line of JSON on stdin.
field() { node -p "JSON.parse(require('fs').readFileSync(0, 'utf8')).$1"; }

# Builds a program of another one's module: FOLDER NAME PACKAGE.
go_module() { (cd "$1" && go build -o "$peers/$2" "$3"); }
