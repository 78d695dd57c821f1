#!/usr/bin/env bash
# What hashing and packing cost, beside others in the same run, in processor time, best of five.
#
#   bench/piece.sh [--json]      --json prints last one line of JSON with all rows
#
# Peers are installed here: go-fil-commp-hashhash (Go) and ipfs-car (npm). A row whose bar cannot be shown on this machine
# says why. Other peers that were measured once are in no row: filecoin-proofs builds longer than all of this.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/raas/target}"
readonly MIB=64 RUNS=3 IPFS_CAR=3.1.0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cargo build --release --locked --package raas-piece --example piece_bench >&2
ours="$CARGO_TARGET_DIR/release/examples/piece_bench"

if command -v go >/dev/null; then
    (cd bench/peers/commp && go build -o "$work/commp-go" . >&2) || echo "the Go peer did not build" >&2
fi
if command -v npm >/dev/null; then
    npm install --silent --no-audit --no-fund --prefix "$work/npm" "ipfs-car@$IPFS_CAR" >&2 || echo "ipfs-car did not install" >&2
fi

"$ours" >"$work/ours"
[ -x "$work/commp-go" ] && "$work/commp-go" "$MIB" | awk '{ print $2 }' >"$work/go"
if [ -x "$work/npm/node_modules/.bin/ipfs-car" ]; then
    # Eight times the bytes, so that starting node does not count for much.
    head -c $((MIB * 8))M /dev/urandom >"$work/file"
    TIMEFORMAT='%U %S'
    for _ in $(seq "$RUNS"); do
        { time "$work/npm/node_modules/.bin/ipfs-car" pack "$work/file" --output "$work/file.car" >/dev/null 2>&1; } 2>&1 |
            awk '{ print $1 + $2 }'
    done | sort -n | head -n 1 >"$work/ipfs-car"
fi

node - "$work" "$MIB" "${1:-}" <<'JS'
const fs = require("fs");
const [work, mib, json] = [process.argv[2], Number(process.argv[3]), process.argv[4] === "--json"];
const lines = fs.readFileSync(`${work}/ours`, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const value = (what, path) => lines.find((l) => l.what === what && (!path || l.path === path))?.value;
const peer = (file) => {
  try { return Number(fs.readFileSync(`${work}/${file}`, "utf8").trim()) || undefined; } catch { return undefined; }
};
const gib = mib / 1024;
const go = peer("go") && gib / peer("go");
const ipfsCar = peer("ipfs-car") && (8 * gib) / peer("ipfs-car");
const calibration = value("calibration: sha2, one stream");
const rows = [{ what: "calibration: sha2, one stream", unit: "GiB/s", ours: calibration, peers: {}, ratio: null, bar: null, holds: null, skipped: "a measure of the machine" }];
// `at` is what is compared with the bar; without it the row is not shown.
const add = (what, unit, ours, peers, at, bar, least, skipped) => {
  const shown = at !== undefined && !Number.isNaN(at);
  const holds = shown ? (least ? at >= bar : at <= bar) : null;
  rows.push({ what, unit, ours: ours ?? null, peers, ratio: shown ? at : null, bar: `${least ? ">=" : "<="} ${bar}`, holds, skipped: shown ? undefined : skipped });
};
const commp = "commp of 64 MiB in memory";
const best = lines.find((l) => l.what === "one pass: UnixFS, CAR and CommP").path;
const over = (ours, theirs) => (ours && theirs ? ours / theirs : undefined);
const noAvx = value(commp, "avx512") ? "the peer is missing" : "this machine has no AVX-512";
add("CommP, AVX-512, times Go", "GiB/s", value(commp, "avx512"), { "go-fil-commp-hashhash": go }, over(value(commp, "avx512"), go), 8, true, noAvx);
const noSha = value(commp, "sha-ni") ? "the peer is missing" : "this machine has no SHA extensions";
add("CommP, SHA-NI, times Go", "GiB/s", value(commp, "sha-ni"), { "go-fil-commp-hashhash": go }, over(value(commp, "sha-ni"), go), 3, true, noSha);
const threads = value("two threads over one, by the wall clock");
add("two threads over one", "times", threads, {}, threads, 1.8, true, "");
const pass = value("one pass: UnixFS, CAR and CommP");
const passBar = over(pass, calibration);
if (best === "avx512") add("one pass, times calibration", "GiB/s", pass, {}, passBar, 0.62, true, "");
else add("one pass, times calibration", "GiB/s", pass, {}, undefined, 0.62, true, `the bar is of AVX-512; here ${passBar.toFixed(2)} with ${best}`);
add("one pass, times ipfs-car (which makes no CommP)", "GiB/s", pass, { "ipfs-car": ipfsCar }, over(pass, ipfsCar), 7, true, "the peer is missing");
const small = value("commp of pieces of 1 KiB", best);
add("CommP of 1 KiB pieces", "million/s", small, {}, small, 0.5, true, "");
const aggregate = value("aggregate of 262144 pieces with index and all proofs");
add("aggregate of 262,144 pieces", "s", aggregate, {}, aggregate, 0.3, false, "");
const verify = value("verify one proof");
add("verify one proof", "us", verify, {}, verify, 20, false, "");
const text = (v) => (typeof v === "number" ? v.toPrecision(3) : "-");
for (const r of rows) {
  const peers = Object.entries(r.peers).map(([name, v]) => `${name} ${text(v)}`).join(", ") || "-";
  const holds = r.holds === null ? `not shown: ${r.skipped}` : r.holds ? "holds" : "DOES NOT HOLD";
  console.log(`${r.what.padEnd(50)} ${text(r.ours).padStart(8)} ${r.unit.padEnd(10)} ${peers.padEnd(30)} ${text(r.ratio).padStart(7)} ${(r.bar ?? "-").padEnd(8)} ${holds}`);
}
if (json) console.log(JSON.stringify({ bench: "piece", rows }));
JS
