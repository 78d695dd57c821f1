// The table of bench/piece.sh: each figure beside those of others and its bar. Ends with status 1 if a bar is missed, or if
// others computed another root than we.
//
//   node piece.mjs FIGURES PIECE_BYTES FILE_BYTES RUNS [--json]
import { readFileSync } from "node:fs";
import { Table, over } from "./table.mjs";

const [file, pieceBytes, fileBytes, runs, json] = process.argv.slice(2);
const figures = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const GIB = 2 ** 30;

const found = (what, who) => figures.find((f) => f.what === what && f.who === who);
const ours = (what) => found(what)?.value;
const missing = (who) => figures.find((f) => f.who === who)?.missing;
const most = (what, who) => Math.max(...figures.filter((f) => f.what === what && f.who === who).map((f) => f.value));

// What others computed must be what we computed; a figure of something else is none.
const differing = [];
const agree = (what, ...roots) => {
  const known = roots.filter((f) => f?.root);
  if (new Set(known.map((f) => f.root)).size > 1) differing.push(`${what}: ${known.map((f) => `${f.who ?? "raas"} ${f.root}`).join(", ")}`);
};
const commps = ["commp avx512", "commp sha-ni", "two threads"].map((what) => found(what));
agree("CommP", ...commps, found("commp", "commp"), found("commp", "proofs"));
agree("packing", ...["raas", "ipfs-car", "kubo"].map((who) => found("pack", who)));
agree("aggregate", found("aggregate"), found("aggregate", "data-segment"));

const table = new Table("piece");
const add = (row) => table.add(row);

const calibration = ours("calibration");
const avx = ours("commp avx512");
const sha = ours("commp sha-ni");
const noAvx = avx ? undefined : "this machine has no AVX-512";
const rate = (bytes, f) => over(bytes / GIB, f?.value);
const go = rate(pieceBytes, found("commp", "commp"));
const proofs = rate(pieceBytes, found("commp", "proofs"));
const bound = most("bound", "limits");
add({ what: "calibration: sha2 of 1 GiB, one core", unit: "GiB/s", value: calibration, reason: "a measure of the machine" });
add({ what: "CommP, AVX-512", unit: "GiB/s", value: avx, peers: { "go-fil-commp-hashhash": go }, ratio: over(avx, go), at: over(avx, go), bar: [">=", 8], reason: noAvx ?? missing("go-fil-commp-hashhash") });
add({ what: "CommP, AVX-512", unit: "GiB/s", value: avx, peers: { "filecoin-proofs": proofs }, ratio: over(avx, proofs), at: over(avx, proofs), bar: [">=", 9], reason: noAvx ?? missing("filecoin-proofs") });
add({ what: "CommP, AVX-512, of the measured instruction bound", unit: "GiB/s", value: avx, peers: { "instruction bound": bound > 0 && bound }, ratio: over(avx, bound), at: bound > 0 ? over(avx, bound) : undefined, bar: [">=", 0.7], reason: noAvx ?? missing("limits") });
add({ what: "CommP, SHA-NI forced", unit: "GiB/s", value: sha, peers: { "go-fil-commp-hashhash": go }, ratio: over(sha, go), at: over(sha, go), bar: [">=", 3], reason: sha ? missing("go-fil-commp-hashhash") : "this machine has no SHA extensions" });
add({ what: "CommP, two threads over one, wall clock", unit: "times", value: ours("two threads"), bar: [">=", 1.8] });

const pass = ours("one pass");
const passes = over(pass, calibration);
add({ what: "one pass UnixFS, CAR, CommP, over calibration", unit: "GiB/s", value: pass, ratio: passes, at: avx ? passes : undefined, bar: [">=", 0.62], reason: noAvx });
const packed = rate(fileBytes, found("pack", "raas"));
const ipfsCar = rate(fileBytes, found("pack", "ipfs-car"));
const kubo = rate(fileBytes, found("pack", "kubo"));
add({ what: "one pass from a file; ipfs-car makes no CommP", unit: "GiB/s", value: packed, peers: { "ipfs-car": ipfsCar }, ratio: over(packed, ipfsCar), at: over(packed, ipfsCar), bar: [">=", 7], reason: missing("npm") });
add({ what: "one pass from a file; Kubo hashes only, no CAR", unit: "GiB/s", value: packed, peers: { "kubo add --only-hash": kubo }, ratio: over(packed, kubo), reason: missing("kubo") ?? "no bar" });
add({ what: "one pass from a file; Singularity's preparation", unit: "GiB/s", value: packed, reason: missing("singularity") });
add({ what: "CommP of 1 KiB pieces, in batches", unit: "million/s", value: ours("small pieces"), bar: [">=", 0.5] });

const aggregate = ours("aggregate");
const js = found("aggregate", "data-segment")?.value;
add({ what: "aggregate of 262,144 pieces, index, all proofs", unit: "s", value: aggregate, bar: ["<=", 0.3] });
add({ what: "the same, memory of the process", unit: "MiB", value: ours("aggregate memory"), bar: ["<=", 256] });
add({ what: "the same; data-segment once, without proofs", unit: "s", value: aggregate, peers: { "data-segment": js }, ratio: over(js, aggregate), at: over(js, aggregate), bar: [">=", 300], reason: missing("npm") });
add({ what: "verify one proof", unit: "us", value: ours("verify"), bar: ["<=", 20] });
add({ what: "memory over baseline, streams up to 4 GiB", unit: "MiB", value: most("memory"), bar: ["<=", 64] });

const others = figures.filter((f) => f.root && f.who && f.who !== "raas").map((f) => f.who);
add({ what: `roots that differ from those of ${others.length} others`, unit: "roots", value: differing.length, at: others.length > 0 ? differing.length : undefined, bar: ["<=", 0], reason: "no peer is there" });

console.log(`processor time, best of ${runs}; a ratio is ours over the other's`);
table.print();
differing.forEach((line) => console.log(`DIFFERENT ROOTS: ${line}`));
table.end(json);
