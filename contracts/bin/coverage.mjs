// Sums an lcov report over src/ and fails below a percentage.
//   coverage.mjs REPORT PERCENT
import { readFileSync } from "node:fs";

const [report, wanted] = process.argv.slice(2);
const totals = { lines: [0, 0], branches: [0, 0] };
let file = "";
let own = { LH: 0, LF: 0, BRH: 0, BRF: 0 };
for (const line of readFileSync(report, "utf8").split("\n")) {
  const [key, value] = line.split(/:(.*)/);
  if (key === "SF") [file, own] = [value, { LH: 0, LF: 0, BRH: 0, BRF: 0 }];
  else if (key in own) own[key] = Number(value);
  else if (key === "end_of_record" && file.startsWith("src/")) {
    console.log(`${file.padEnd(28)} lines ${share(own.LH, own.LF)}  branches ${share(own.BRH, own.BRF)}`);
    add(totals.lines, own.LH, own.LF);
    add(totals.branches, own.BRH, own.BRF);
  }
}
const [lines, branches] = [share(...totals.lines), share(...totals.branches)];
console.log(`${"all of src/".padEnd(28)} lines ${lines}  branches ${branches}`);
const low = Object.values(totals).some(([hit, found]) => found === 0 || (100 * hit) / found < Number(wanted));
if (low) console.error(`coverage: below ${wanted} %`);
process.exitCode = low ? 1 : 0;

function add(sum, hit, found) {
  sum[0] += hit;
  sum[1] += found;
}

function share(hit, found) {
  return `${String(hit).padStart(4)}/${String(found).padEnd(4)} ${found ? ((100 * hit) / found).toFixed(1).padStart(5) : "  -  "} %`;
}
