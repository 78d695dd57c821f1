// Usage: RAAS=path/to/raas node segments.mjs RPC_URL
//
// Proofs that a piece is in an aggregate go both ways between npm data-segment and `raas piece`: what one makes the other verifies, byte
// for byte the same as CBOR, and neither takes one for another piece. RPC_URL is not used; every peer gets one. Ends with status 1 on the
// first disagreement.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Aggregate, Inclusion, Piece } from "@web3-storage/data-segment";

const raas = process.env.RAAS;
const folder = await mkdtemp(join(tmpdir(), "raas-segments-"));
const run = (...args) => execFileSync(raas, ["piece", ...args], { cwd: folder, encoding: "utf8" }).trim();
const json = (...args) => JSON.parse(run("--json", ...args));
const hex = (bytes) => Buffer.from(bytes).toString("hex");

/** Status and words of `raas piece verify` of a proof. */
function verify(proof, ...args) {
  const { status, stdout, stderr } = spawnSync(raas, ["--json", "piece", "verify", ...args], { input: proof, encoding: "utf8" });
  return { status, stderr, found: status === 0 ? JSON.parse(stdout) : undefined };
}

/** The proof of our JSON as data-segment has it. */
function theirForm({ subtree, index }) {
  const branch = (ours) => [BigInt(ours.index), ours.path.map((node) => new Uint8Array(Buffer.from(node, "hex")))];
  return Inclusion.from([branch(subtree), branch(index)]);
}

/** The aggregate that a proof leads to by data-segment, as a link; undefined where it refuses. */
function resolved(proof, piece) {
  return Inclusion.resolveAggregate(proof, piece.link).ok;
}

async function check(sizes, dealSize) {
  const names = [];
  const pieces = [];
  for (const [at, size] of sizes.entries()) {
    const content = randomBytes(size);
    names.push(`piece-${sizes.length}-${at}`);
    await writeFile(join(folder, names[at]), content);
    pieces.push(Piece.fromPayload(content));
  }
  const described = names.map((name) => json("commp", name));
  described.forEach((ours, at) => assert.equal(ours.pieceCidV2, pieces[at].link.toString(), "the same piece CID"));

  const aggregate = Aggregate.build({ pieces, size: BigInt(dealSize) });
  const ours = json("aggregate", "--deal-size", String(dealSize), ...names);
  assert.equal(ours.pieceCidV2, aggregate.link.toString(), "the same aggregate");

  for (const [at, piece] of pieces.entries()) {
    const theirs = aggregate.resolveProof(piece.link).ok;
    const prove = (form) => run("prove", "--entry", String(at), "--form", form, "--deal-size", String(dealSize), ...names);
    const cbor = prove("cbor");
    assert.equal(cbor, hex(Inclusion.encode(theirs)), "the same bytes as CBOR");

    // Ours, verified by them: as CBOR and from JSON.
    for (const proof of [Inclusion.decode(new Uint8Array(Buffer.from(cbor, "hex"))), theirForm(JSON.parse(prove("json")))]) {
      assert.equal(resolved(proof, piece)?.toString(), aggregate.link.toString(), "data-segment verifies our proof");
      const other = Piece.fromPayload(randomBytes(sizes[at]));
      assert.notEqual(resolved(proof, other)?.toString(), aggregate.link.toString(), "and for that piece only");
    }

    // Theirs, verified by us: as bytes, as hex and as JSON.
    const [subtree, index] = [Inclusion.tree(theirs), Inclusion.index(theirs)];
    const branch = ([position, path]) => ({ index: String(position), path: path.map(hex) });
    const forms = [Inclusion.encode(theirs), hex(Inclusion.encode(theirs)), JSON.stringify({ subtree: branch(subtree), index: branch(index) })];
    const deal = ["--deal", aggregate.link.toString()];
    for (const proof of forms) {
      const { found, stderr } = verify(proof, "--piece", piece.link.toString(), ...deal);
      assert.equal(found?.pieceCidV2, aggregate.link.toString(), stderr);
    }
    const stranger = Piece.fromPayload(randomBytes(sizes[at])).link.toString();
    assert.equal(verify(forms[0], "--piece", stranger, ...deal).status, 1, "a proof of another piece is none of this");
    const bent = Buffer.from(forms[0]);
    bent[bent.length - 1] ^= 1;
    assert.equal(verify(bent, "--piece", piece.link.toString(), ...deal).status, 1, "nor is one with a wrong node");
  }
}

try {
  await check([127 * 8, 127 * 4], 1 << 12);
  // Sizes that are no power of two, gaps between, and more entries than the smallest index has.
  await check([70_000, 200, 33_000, 5_000, 128_000, 100], 1 << 21);
} finally {
  await rm(folder, { recursive: true, force: true });
}
