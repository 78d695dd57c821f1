#!/usr/bin/env node
// Makes or checks GAS.md from the figures that `forge test --match-contract GasTest` leaves in snapshots/.
//   gas.mjs write | check
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const [ours, reference] = ["DealStatus", "Reference"].map((group) =>
  JSON.parse(readFileSync(join(ROOT, "snapshots", `${group}.json`), "utf8")),
);

const counts = [1, 2, 4, 8, 16, 32, 64];
const number = (text) => Number(text).toLocaleString("en");
const row = (name) => `| ${name} | ${number(ours[name])} | ${number(reference[name])} |`;
const text = `# Gas

EVM gas with a cold contract, by \`test/Gas.t.sol\`. "Reference" is a contract that behaves as the reference was found to,
written for the tests; its answers are wrong, and it asks the market nothing when it completes. The market stand-in,
written in Solidity, is in all figures. **Filecoin gas is another scale and was never measured.**

| call | DealStatus | reference's behaviour |
| --- | ---: | ---: |
${["submitRaaS", ...["complete, deal", "getActiveDeals of", "getExpiringDeals of"].flatMap((call) =>
  counts.map((n) => `${call} ${n}`),
)].map(row).join("\n")}
`;

const path = join(ROOT, "GAS.md");
if (process.argv[2] === "write") writeFileSync(path, text);
else if (process.argv[2] !== "check") {
  process.stderr.write("usage: gas.mjs write|check\n");
  process.exitCode = 2;
} else if (readFileSync(path, "utf8") !== text) {
  process.stderr.write("gas: GAS.md does not match snapshots/; run bin/gas.mjs write\n");
  process.exitCode = 1;
}
