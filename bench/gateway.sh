#!/usr/bin/env bash
# What the data listener gives a second, beside nginx with sendfile and Kubo's gateway: the best of RUNS runs, by the clock, and for
# each second of the server's processor time.
#
#   bench/gateway.sh [--json]      --json prints last one line of JSON with all rows
#
# Each server has one core, and wrk with CONNECTIONS connections another. All read the same bytes from memory: four pieces of 1 GiB,
# 1015 MiB of noise each. nginx has our own CAR files. Kubo has their DAGs in its own store and is asked for a file, which is
# the only way it serves ranges; for a whole one it is asked for the CAR, too, and its faster answer counts.
# The aggregate of 32 GiB has 31 such pieces, so that each of the four lies in it several times: it is computed, and 31 different
# ones would need a disk instead of memory. nginx is not given one file of 32 GiB: a sparse one would be holes, which are no bytes
# to read, and a real one would not fit in memory, so that the disk would be measured. Its ranges are the same bytes in the CARs;
# Kubo's are the same but for what the CAR adds.
#
# Needs nginx and wrk, which are installed by apt where they are missing and nobody has to be asked (Debian starts its nginx, too),
# Go for Kubo (in XDG_CACHE_HOME/raas/bench, as ./test peers builds it), two cores, 9 GiB of disk in TMPDIR and as much free
# memory. RAAS_BENCH_RUNS sets RUNS. Ends with status 1 if a bar is missed. For figures that mean something the machine must be idle.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
readonly RUNS=${RAAS_BENCH_RUNS:-5} SECONDS_EACH=6 CONNECTIONS=8
readonly PIECES=4 SLOTS=31 FILE_BYTES=$((1015 << 20)) RANGES=10000 RANGE_BYTES=$((1 << 20))
# shellcheck source=bench/lib.sh
. bench/lib.sh

pids=()
cleanup() {
    # What they have is thrown away; asked kindly they take their time.
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# Debian packages that are not there yet, where nobody has to be asked: PACKAGE...
debian() {
    local as=()
    if [ "$(id -u)" != 0 ]; then as=(sudo -n); fi
    "${as[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as[@]}" apt-get install -y -qq --no-install-recommends "$@"
}

# Debian's nginx is not on everybody's path.
PATH="$PATH:/usr/sbin"
program() {
    if ! command -v "$1" >/dev/null && ! install_peer "$1" debian "$1"; then
        echo "$1 is needed: apt-get install $1" >&2
        return 1
    fi
}

# The first two cores that we may use.
mapfile -t cores < <(taskset -cp $$ | sed 's/.*: //' | tr , '\n' | while IFS=- read -r from to; do seq "$from" "${to:-$from}"; done)
if [ "${#cores[@]}" -lt 2 ]; then echo "two cores are needed, one for a server and one for wrk" >&2; exit 2; fi
# In the background only: it becomes the server.
on_servers_core() { exec taskset -c "${cores[0]}" "$@"; }

# The first line of a process's output: FILE PID.
first_line() {
    for _ in $(seq 600); do
        if grep -m 1 . "$1"; then return; fi
        kill -0 "$2" 2>/dev/null || break
        sleep 0.1
    done
    echo "did not start:" >&2
    cat "$1" "$1.log" >&2
    return 1
}

echo "installing the peers" >&2
program wrk && has_wrk=1
program nginx && has_nginx=1
install_peer kubo go_module bench/peers/kubo ipfs github.com/ipfs/kubo/cmd/ipfs && has_kubo=1
cargo build --release --locked --workspace --bins >&2
cargo build --release --locked --package raas-piece --example piece_bench >&2
raas="$CARGO_TARGET_DIR/release/raas"

"$CARGO_TARGET_DIR/release/examples/piece_bench" calibrate "$RUNS" >>"$found"

# --- the servers ------------------------------------------------------------------------------------------------

"$raas" --json devnet --port 0 --epoch-ms 0 --allow-private >"$work/devnet" 2>"$work/devnet.log" &
pids+=($!)
rpc=$(first_line "$work/devnet" $! | field rpc)
# No limits, and nothing else that is done meanwhile: they are not what is measured.
RAAS__GATEWAY__PUBLIC_PIECES=true RAAS__GATEWAY__REQUESTS_PER_SECOND=1000000 RAAS__STORE__SCRUB_MIB_PER_SECOND=0 \
    on_servers_core "$raas" --json up --network "$rpc" --data-dir "$work/node" --admin 127.0.0.1:0 --data 127.0.0.1:0 \
    >"$work/up" 2>"$work/up.log" &
raas_pid=$!
pids+=("$raas_pid")
up=$(first_line "$work/up" "$raas_pid")
admin=$(field admin <<<"$up")
raas_url=$(field data <<<"$up")

echo "storing $PIECES pieces" >&2
cars=() roots=() sizes=()
for _ in $(seq "$PIECES"); do
    head -c "$FILE_BYTES" /dev/urandom >"$work/file"
    stored=$(curl -sSf -T "$work/file" -X POST "$admin/api/uploadFile?deal=false")
    cars+=("$(field pieceCid <<<"$stored")")
    roots+=("$(field cid <<<"$stored")")
    sizes+=("$(field carBytes <<<"$stored")")
done
rm "$work/file"
# The slots of the aggregate, each filled by one of them.
listed=() slots=()
for slot in $(seq 0 $((SLOTS - 1))); do
    n=$((slot % PIECES))
    listed+=("\"${cars[$n]}\"")
    slots+=("${cars[$n]}:${sizes[$n]}:${roots[$n]}:$FILE_BYTES")
done
aggregate=$(curl -sSf "$admin/v1/aggregates" -H 'content-type: application/json' \
    -d "{\"pieces\":[$(IFS=,; echo "${listed[*]}")],\"size\":$((32 << 30))}" | field pieceCid)

if [ -n "${has_nginx:-}" ]; then
    nginx_port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
    cat >"$work/nginx.conf" <<END
daemon off;
worker_processes 1;
pid $work/nginx.pid;
error_log $work/nginx.log;
$([ "$(id -u)" != 0 ] || echo "user root;")
events { worker_connections 256; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=100;
    default_type application/vnd.ipld.car;
    client_body_temp_path $work/nginx-body; proxy_temp_path $work/nginx-proxy; fastcgi_temp_path $work/nginx-fastcgi;
    uwsgi_temp_path $work/nginx-uwsgi; scgi_temp_path $work/nginx-scgi;
    server { listen 127.0.0.1:$nginx_port; root $work/node/pieces; }
}
END
    on_servers_core nginx -e "$work/nginx.log" -p "$work" -c "$work/nginx.conf" &
    pids+=($!)
    nginx_url="http://127.0.0.1:$nginx_port"
    for _ in $(seq 100); do curl -sf -o /dev/null -r 0-0 "$nginx_url/${cars[0]}.car" && break; sleep 0.1; done
    nginx_pid=$(pgrep -P "${pids[-1]}")
    pids+=("$nginx_pid")
fi

if [ -n "${has_kubo:-}" ]; then
    echo "importing them into Kubo" >&2
    export IPFS_PATH="$work/ipfs" IPFS_TELEMETRY=off
    ipfs="$peers/ipfs"
    "$ipfs" init --profile=test >/dev/null
    "$ipfs" config Addresses.API /ip4/127.0.0.1/tcp/0
    "$ipfs" config Addresses.Gateway /ip4/127.0.0.1/tcp/0
    for car in "${cars[@]}"; do "$ipfs" dag import --pin-roots=false "$work/node/pieces/$car.car" >/dev/null; done
    on_servers_core "$ipfs" daemon --offline >"$work/kubo" 2>"$work/kubo.log" &
    kubo_pid=$!
    pids+=("$kubo_pid")
    for _ in $(seq 300); do grep -q '^Daemon is ready' "$work/kubo" && break; sleep 0.1; done
    kubo_url=$(cat "$work/ipfs/gateway")
fi

# --- loads ------------------------------------------------------------------------------------------------------

node bench/gateway/ranges.mjs "$RANGES" "$RANGE_BYTES" "$work" "$aggregate" "${slots[@]}"
echo "/piece/${cars[0]}" >"$work/raas.whole"
echo "/${cars[0]}.car" >"$work/nginx.whole"
echo "/ipfs/${roots[0]}" >"$work/kubo.whole"
echo "/ipfs/${roots[0]}?format=car" >"$work/kubo-car.whole"

ticks=$(getconf CLK_TCK)
# Ticks that a process was on a processor.
spent() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }
resident() { awk -v what="$2:" '$1 == what { print $2 / 1024 }' "/proc/$1/status"; }

# What one server gives in a run: WHO PID URL LOAD.
load() {
    local who=$1 pid=$2 url=$3 kind=$4 before said
    before=$(spent "$pid")
    said=$(REQUESTS="$work/$who.$kind" taskset -c "${cores[1]}" wrk -t 1 -c "$CONNECTIONS" -d "$SECONDS_EACH" --timeout 60 \
        -s bench/gateway/load.lua "$url" | grep '^LOAD ')
    awk -v who="$who" -v kind="$kind" -v spent="$(($(spent "$pid") - before))" -v ticks="$ticks" '{
        gib = $3 / 2 ^ 30
        line = "{\"who\":\"%s\",\"what\":\"%s\",\"value\":%.6f,\"perCpu\":%.6f,\"answers\":%d,\"failed\":%d}\n"
        printf(line, who, kind, gib / $2, spent > 0 ? gib / (spent / ticks) : 0, $4, $5)
    }' <<<"$said" >>"$found"
}

# What came under two addresses must be the same: WHAT BYTES URL URL.
same() {
    if [ "$(curl -sSf "$3" -r "$2" | sha256sum)" != "$(curl -sSf "$4" -r "$2" | sha256sum)" ]; then
        echo "$1: other bytes" >&2
        exit 1
    fi
}

if [ -n "${has_wrk:-}" ]; then
    echo "measuring" >&2
    if [ -n "${has_nginx:-}" ]; then same "a piece" 0- "$raas_url/piece/${cars[0]}" "$nginx_url/${cars[0]}.car"; fi
    if [ -n "${has_kubo:-}" ]; then
        same "a file" 0- "$raas_url/ipfs/${roots[0]}" "$kubo_url/ipfs/${roots[0]}"
    fi
    # The first pull of the aggregate hashes its pieces; it is not one of ranges.
    cat "$work"/node/pieces/*.car >/dev/null
    before=$(resident "$raas_pid" VmRSS)
    for _ in $(seq "$RUNS"); do
        for kind in whole ranges; do
            load raas "$raas_pid" "$raas_url" "$kind"
            [ -z "${has_nginx:-}" ] || load nginx "$nginx_pid" "$nginx_url" "$kind"
            [ -z "${has_kubo:-}" ] || load kubo "$kubo_pid" "$kubo_url" "$kind"
        done
        [ -z "${has_kubo:-}" ] || load kubo-car "$kubo_pid" "$kubo_url" whole
    done
    note raas memory "$(awk -v a="$(resident "$raas_pid" VmHWM)" -v b="$before" 'BEGIN { print(a > b ? a - b : 0) }')" ""
fi

node bench/gateway/table.mjs "$found" "$RUNS" "$RANGES" "${1:-}"
