#!/usr/bin/env bash
# What hashing and packing cost, beside other software in the same run: processor time, the least of RUNS runs of each.
#
#   bench/piece.sh [--json]      --json prints last one line of JSON with all rows
#
# The other software is installed here, in pinned versions, in XDG_CACHE_HOME/raas/bench (about 3 GiB, minutes the first time):
# go-fil-commp-hashhash and Kubo (Go), filecoin-proofs (Rust), data-segment and ipfs-car (npm). What does not install is said
# in its row. The roots that others compute are compared with ours; ends with status 1 if one differs or a bar is missed.
# For figures that mean something the machine must be idle.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
readonly RUNS=9 SINGULARITY=v0.5.16
# shellcheck source=bench/lib.sh
. bench/lib.sh

# A whole piece of 128 MiB, and a file so long that starting node does not count for much.
readonly PIECE_BYTES=$((127 << 20)) FILE_BYTES=$((512 << 20))
# One file after the other: memory must not grow with them.
readonly STREAMS="$((64 << 20)) $((1 << 30)) $((4 << 30))"

# The least processor time of RUNS runs of a command whose last line is a CID: WHO WHAT COMMAND...
least() {
    local who=$1 what=$2 best="" spent cid TIMEFORMAT='%U %S'
    shift 2
    for _ in $(seq "$RUNS"); do
        spent=$({ time "$@" >"$work/out" 2>"$work/err"; } 2>&1 | awk '{ print $1 + $2 }')
        best=$(printf '%s\n' ${best:-$spent} "$spent" | sort -n | head -n 1)
        cid=$(cat "$work/out" "$work/err" | grep -oE 'ba[a-z2-7]{57}' | tail -n 1) || true
    done
    note "$who" "$what" "$best" "$cid"
}

rust_peers() { CARGO_TARGET_DIR="$peers/rust" cargo build --release --locked --manifest-path bench/peers/rust/Cargo.toml "$@"; }
js_peers() {
    mkdir -p "$peers/js"
    cp bench/peers/js/{.npmrc,*} "$peers/js/"
    npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$peers/js"
}
singularity() { (cd "$work" && go mod init raas.test/none && go mod download "github.com/data-preservation-programs/singularity@$SINGULARITY"); }

# Like ours it throws the CAR away; the root goes to stderr.
ipfs_car() { "$peers/js/node_modules/.bin/ipfs-car" pack --no-wrap "$1" >/dev/null; }

cargo build --release --locked --package raas-piece --example piece_bench >&2
ours="$CARGO_TARGET_DIR/release/examples/piece_bench"
echo "installing the peers" >&2
install_peer go-fil-commp-hashhash go_module bench/peers/commp commp . && has_go=1
install_peer kubo go_module bench/peers/kubo ipfs github.com/ipfs/kubo/cmd/ipfs && has_kubo=1
install_peer limits rust_peers --package limits && has_limits=1
install_peer filecoin-proofs rust_peers --package proofs && has_proofs=1
install_peer npm js_peers && has_npm=1
install_peer singularity singularity && note_missing singularity "the module is there now, but no measurement of it is written"

"$ours" payload "$PIECE_BYTES" "$work/piece"
"$ours" payload "$FILE_BYTES" "$work/file"

# The bound is measured before and after what is compared with it, since the clock of the processor changes.
limit() { [ -z "${has_limits:-}" ] || note limits bound "$("$peers/rust/release/limits" "$RUNS" | grep . || echo 0)" ""; }
echo "hashing" >&2
limit
"$ours" hash "$work/piece" "$RUNS" >>"$found"
limit
commp() { "$@" "$work/piece" "$RUNS" >"$work/out" && note "$(basename "$1")" commp "$(field seconds <"$work/out")" "$(field root <"$work/out")"; }
[ -z "${has_go:-}" ] || commp "$peers/commp"
[ -z "${has_proofs:-}" ] || commp "$peers/rust/release/proofs"

echo "packing" >&2
least raas pack "$ours" pack "$work/file"
if [ -n "${has_npm:-}" ]; then
    least ipfs-car pack ipfs_car "$work/file"
fi
if [ -n "${has_kubo:-}" ]; then
    export IPFS_PATH="$work/ipfs"
    "$peers/ipfs" init --profile=unixfs-v1-2025 >/dev/null
    least kubo pack "$peers/ipfs" add --only-hash --quieter "$work/file"
fi

echo "aggregates" >&2
"$ours" aggregate "$RUNS" >>"$found"
if [ -n "${has_npm:-}" ]; then
    echo "one aggregate in JavaScript, which takes minutes" >&2
    node "$peers/js/aggregate.mjs" 262144 >"$work/out"
    note data-segment aggregate "$(field seconds <"$work/out")" "$(field root <"$work/out")"
fi
echo "memory" >&2
for bytes in $STREAMS; do "$ours" memory "$bytes" >>"$found"; done

node bench/piece.mjs "$found" "$PIECE_BYTES" "$FILE_BYTES" "$RUNS" "${1:-}"
