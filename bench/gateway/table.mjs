// The table of bench/gateway.sh. Ends with status 1 if a bar is missed.
//
//   node table.mjs FIGURES RUNS RANGES [--json]
import { readFileSync } from "node:fs";
import { Table, over } from "../table.mjs";

const [file, runs, ranges, json] = process.argv.slice(2);
const figures = readFileSync(file, "utf8").trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
const missing = (who) => figures.find((f) => f.who === who && f.missing)?.missing;

/** The best of all runs in which nothing failed. */
function best(who, what, field) {
  const good = figures.filter((f) => f.who === who && f.what === what && f.failed === 0 && f[field] > 0);
  return good.length > 0 ? Math.max(...good.map((f) => f[field])) : undefined;
}
const failed = figures.filter((f) => f.failed > 0).map((f) => `${f.who}, ${f.what}: ${f.failed} answers failed`);

const table = new Table("gateway");
const calibration = figures.find((f) => f.what === "calibration")?.value;
table.add({ what: "calibration: sha2 of 1 GiB, one core", unit: "GiB/s", value: calibration, reason: "a measure of the machine" });

const loads = [["whole", "a piece of 1 GiB"], ["ranges", "ranges of 1 MiB of an aggregate of 32 GiB"]];
for (const [load, what] of loads) {
  for (const [field, unit, by] of [["value", "GiB/s", ""], ["perCpu", "GiB/cpu s", ", of the server's core"]]) {
    const ours = best("raas", load, field);
    const nginx = best("nginx", load, field);
    const kubo = Math.max(...["kubo", "kubo-car"].map((who) => best(who, load, field) ?? 0)) || undefined;
    const reason = (who) => missing("wrk") ?? missing(who) ?? failed[0];
    // The bars are those of throughput; what it costs is told beside it.
    const bar = (limit) => (field === "value" ? [">=", limit] : undefined);
    const row = (name, theirs, limit, who) => table.add({
      what: what + by, unit, value: ours, peers: { [name]: theirs }, ratio: over(ours, theirs), at: over(ours, theirs), bar: bar(limit),
      reason: field === "value" ? reason(who) : "no bar",
    });
    row("nginx sendfile", nginx, 0.7, "nginx");
    row("kubo", kubo, 1, "kubo");
  }
}
// Of how many different ranges the best runs were; each run goes through the list again and again.
const answered = Math.max(0, ...figures.filter((f) => f.who === "raas" && f.what === "ranges" && f.failed === 0).map((f) => f.answers));
table.add({ what: `answers in one run over ${ranges} random ranges`, unit: "answers", value: answered || undefined, bar: [">=", Number(ranges)], reason: missing("wrk") });
table.add({ what: "answers that failed, of all servers", unit: "answers", value: figures.reduce((sum, f) => sum + (f.failed ?? 0), 0), at: answered ? failed.length : undefined, bar: ["<=", 0], reason: missing("wrk") });
table.add({ what: "memory of the node over what it had before", unit: "MiB", value: figures.find((f) => f.what === "memory")?.value, bar: ["<=", 64], reason: missing("wrk") });

console.log(`best of ${runs}, one core for the server and one for wrk; a ratio is ours over the other's`);
table.print();
failed.forEach((line) => console.log(`FAILED: ${line}`));
table.end(json);
