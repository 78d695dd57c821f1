#!/usr/bin/env bash
# How much memory the node takes while it stores a large file with three copies, retrieval included.
#
#   bench/memory.sh [MIB]      default 2048
#
# A devnet and a node run as two processes of the release build; the figure is VmHWM of the node: the most that was ever
# resident. Ends with status 1 if that is 200 MiB or more. Needs about five times the file's size on disk, in TMPDIR.
set -euo pipefail

size_mib=${1:-2048}
readonly LIMIT_MIB=200 STEPS_MAX=600
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/raas/target}"
cargo build --release --locked
raas="$CARGO_TARGET_DIR/release/raas"

work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# A field of the JSON on stdin, by a JavaScript path.
field() { node -e 'const v = JSON.parse(require("fs").readFileSync(0, "utf8")); console.log(eval("v" + process.argv[1]) ?? "")' "$1"; }

# Waits for the first line of a process's output.
first_line() {
    for _ in $(seq 300); do
        if [ -s "$1" ] && [ "$(wc -l <"$1")" -ge 1 ]; then head -n 1 "$1"; return; fi
        kill -0 "$2" 2>/dev/null || break
        sleep 0.1
    done
    echo "did not start:" >&2
    cat "$1" "$1.log" >&2
    return 1
}

rpc() {
    curl -sf --max-time 900 -H 'content-type: application/json' "$rpc_url" \
        -d "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\",\"params\":$2}"
}

hwm_mib() { awk '/^VmHWM:/ { printf "%d", $2 / 1024 }' "/proc/$node_pid/status"; }
say() { printf '%6d s  %4d MiB  %s\n' "$SECONDS" "$(hwm_mib)" "$1"; }

TMPDIR="$work" "$raas" --json devnet --port 0 --allow-private >"$work/devnet" 2>"$work/devnet.log" &
pids+=($!)
rpc_url=$(first_line "$work/devnet" $! | field .rpc)

# The devnet's clock stands still; only commands move it.
"$raas" --json up --network "$rpc_url" --data-dir "$work/node" --admin 127.0.0.1:0 --data 127.0.0.1:0 \
    >"$work/node.out" 2>"$work/node.out.log" &
node_pid=$!
pids+=("$node_pid")
up=$(first_line "$work/node.out" "$node_pid")
admin=$(field .admin <<<"$up")
data=$(field .data <<<"$up")

head -c "$((size_mib * 1024 * 1024))" /dev/urandom >"$work/file"
say "node is up; storing $size_mib MiB"
cid=$("$raas" --json --node "$admin" upload "$work/file" | field .cid)
say "uploaded: $cid"

active() { curl -sf "$admin/api/deal_status?cid=$cid" | field .currentActiveDeals.length; }
steps=0
while [ "$(active)" -lt 3 ]; do
    steps=$((steps + 1))
    if [ "$steps" -gt "$STEPS_MAX" ]; then
        "$raas" --node "$admin" why "$cid" >&2
        exit 1
    fi
    curl -sf --max-time 900 -X POST "$admin/v1/node/quiesce" >/dev/null
    rpc devnet_advance '[10]' >/dev/null
done
say "three copies are active, after $((steps * 10)) epochs"

curl -sf "$data/ipfs/$cid" | cmp - "$work/file"
say "read back, the same bytes"

peak=$(hwm_mib)
echo "peak memory of the node: $peak MiB for a file of $size_mib MiB (limit $LIMIT_MIB MiB)"
[ "$peak" -lt "$LIMIT_MIB" ]
