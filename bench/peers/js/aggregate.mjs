// An aggregate with data-segment: prints its root and the processor time, once; it takes minutes. No proofs are made: each is
// a search through all pieces.
//
//   node aggregate.mjs PIECES      pieces of 64 KiB in a deal of 32 GiB, the i-th with the SHA-256 of "i" as its root
import { createHash } from "node:crypto";
import { Aggregate, Piece } from "@web3-storage/data-segment";

const count = Number(process.argv[2]);
const pieces = Array.from({ length: count }, (_, i) => {
  const root = createHash("sha256").update(String(i)).digest();
  root[31] &= 0x3f;
  return Piece.toView({ root: new Uint8Array(root), height: 11, padding: 0n });
});
const before = process.cpuUsage();
const aggregate = Aggregate.build({ pieces });
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ root: Buffer.from(aggregate.root).toString("hex"), seconds: (user + system) / 1e6 }));
