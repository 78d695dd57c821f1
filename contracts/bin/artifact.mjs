#!/usr/bin/env node
// Makes or checks artifacts/DealStatus.json, the ABI and bytecode that the node embeds.
//   artifact.mjs write   compile src/ and write the artifact
//   artifact.mjs check   compile src/ and fail if the artifact differs; also compare with the reference ABI
// Only src/ is compiled, in a scratch directory, so that tests and caches have no influence on the result.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const ARTIFACT = join(ROOT, "artifacts/DealStatus.json");
const REFERENCE = join(ROOT, "artifacts/reference-abi.json");
/** EIP-170: code of a deployed contract. */
const MAX_CODE_BYTES = 24576;

/** Equal to `sha256sum src/*.sol foundry.toml package-lock.json | sha256sum` in the C locale. */
function sourceHash() {
  const sources = readdirSync(join(ROOT, "src")).filter((name) => name.endsWith(".sol")).sort();
  const files = [...sources.map((name) => `src/${name}`), "foundry.toml", "package-lock.json"];
  const lines = files.map((file) => `${sha256(readFileSync(join(ROOT, file)))}  ${file}\n`);
  return sha256(lines.join(""));
}

function sha256(data) {
  return createHash("sha256").update(data).digest("hex");
}

function build() {
  const scratch = mkdtempSync(join(tmpdir(), "deal-status-"));
  try {
    const args = ["build", "src", "--offline", "--force", "--no-metadata", "--out", join(scratch, "out")];
    execFileSync(join(ROOT, "node_modules/.bin/forge"), [...args, "--cache-path", join(scratch, "cache")], {
      cwd: ROOT,
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, FOUNDRY_LINT_LINT_ON_BUILD: "false" },
    });
    const read = (name) => JSON.parse(readFileSync(join(scratch, `out/${name}.sol/${name}.json`), "utf8"));
    const [built, library, cbor] = ["DealStatus", "Evidence", "Cbor"].map(read);
    for (const [name, code] of [["DealStatus", built], ["Evidence", library]]) {
      const size = bytes(code.deployedBytecode.object);
      if (size > MAX_CODE_BYTES) throw new Error(`the code of ${name} is ${size} bytes, more than ${MAX_CODE_BYTES}`);
    }
    return {
      contractName: "DealStatus",
      compiler: `solc ${JSON.parse(readFileSync(join(ROOT, "node_modules/solc/package.json"), "utf8")).version}`,
      sourceHash: sourceHash(),
      abi: withErrors(built.abi, [library.abi, cbor.abi]),
      // The placeholder stands wherever the 40 hex digits of the library's address belong.
      bytecode: built.bytecode.object,
      deployedBytecode: built.deployedBytecode.object,
      // Where the constructor writes its settings into the code, in bytes: whoever compares code leaves these out.
      immutables: immutables(built),
      library: {
        contractName: "Evidence",
        placeholder: placeholder(built),
        bytecode: library.bytecode.object,
        deployedBytecode: library.deployedBytecode.object,
      },
    };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function bytes(code) {
  return (code.length - 2) / 2;
}

/** The one placeholder of the one library. */
function placeholder(built) {
  const found = [...new Set(built.bytecode.object.match(/__\$[0-9a-f]{34}\$__/g))];
  if (found.length !== 1) throw new Error(`one library was expected, not ${found.length}`);
  return found[0];
}

/** Ranges of the immutables: start and length, in order. */
function immutables(built) {
  const ranges = Object.values(built.deployedBytecode.immutableReferences ?? {}).flat();
  return ranges.sort((a, b) => a.start - b.start);
}

/** Errors that the library reverts with come out of DealStatus too. */
function withErrors(abi, others) {
  const key = (entry) => JSON.stringify([entry.name, entry.inputs.map((input) => input.type)]);
  const known = new Set(abi.filter((entry) => entry.type === "error").map(key));
  const added = others.flat().filter((entry) => entry.type === "error" && !known.has(key(entry)) && known.add(key(entry)));
  return [...abi, ...added];
}

/** Kind, name and types of an ABI entry, with parameter names and `indexed`: all that a client relies on. */
function shape(entry) {
  const parameter = (p) => [
    p.type,
    p.name,
    p.indexed ?? false,
    // Names of tuple fields matter to clients that decode by name.
    (p.components ?? []).map(parameter),
  ];
  const outputs = (entry.outputs ?? []).map(parameter).map(([type, , indexed, fields]) => [type, indexed, fields]);
  return JSON.stringify([entry.type, entry.name, entry.anonymous ?? false, entry.inputs.map(parameter), outputs]);
}

/** The reference's functions and events must all be there, unchanged; only queries may have become `view`. */
function referenceProblems(abi) {
  const have = new Map(abi.filter((e) => e.name).map((e) => [`${e.type} ${shape(e)}`, e]));
  const problems = [];
  for (const wanted of JSON.parse(readFileSync(REFERENCE, "utf8"))) {
    const found = have.get(`${wanted.type} ${shape(wanted)}`);
    const same = found?.stateMutability === wanted.stateMutability;
    const nowView = found?.stateMutability === "view" && wanted.name.startsWith("get");
    if (!found) problems.push(`${wanted.type} ${wanted.name} is missing or changed`);
    else if (!same && !nowView) problems.push(`${wanted.name} became ${found.stateMutability}`);
  }
  return problems;
}

const command = process.argv[2];
if (command !== "write" && command !== "check") {
  process.stderr.write("usage: artifact.mjs write|check\n");
  process.exit(2);
}
const artifact = build();
const text = JSON.stringify(artifact, null, 1) + "\n";
const problems = referenceProblems(artifact.abi);
if (command === "write" && problems.length === 0) {
  writeFileSync(ARTIFACT, text);
} else if (command === "check") {
  const checkedIn = readFileSync(ARTIFACT, "utf8");
  if (checkedIn !== text) problems.push("artifacts/DealStatus.json does not match the sources; run ./export.sh");
}
for (const problem of problems) process.stderr.write(`artifact: ${problem}\n`);
const sizes = [artifact, artifact.library].map((code) => `${code.contractName} ${bytes(code.deployedBytecode)}`);
process.stdout.write(`artifact: bytes of code, of ${MAX_CODE_BYTES}: ${sizes.join(", ")}\n`);
process.exit(problems.length === 0 ? 0 : 1);
