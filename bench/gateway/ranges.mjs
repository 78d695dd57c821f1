// The same random ranges in the words of each server.
//
//   node ranges.mjs COUNT BYTES FOLDER AGGREGATE_CID PIECE:CAR_BYTES:ROOT:FILE_BYTES...   (as often as it is in the aggregate)
//
// Writes FOLDER/raas.ranges (of the aggregate), nginx.ranges (of the CARs) and kubo.ranges (of the files), one range a line. A
// range lies in one piece, since nginx has a file for each; where it lies is drawn from all of them. Kubo has the file without the
// CAR around it, which is shorter by less than one in ten thousand: its range begins at the same byte, or at the last one that fits.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

const [count, bytes, folder, aggregate, ...named] = process.argv.slice(2);
const length = Number(bytes);
const pieces = named.map((text) => {
  const [piece, carBytes, root, fileBytes] = text.split(":");
  return { piece, carBytes: Number(carBytes), root, fileBytes: Number(fileBytes) };
});

// Where a piece of 1 GiB lies in the raw stream: the slots follow one another, each of its capacity.
const CAPACITY = 2 ** 30 / 128 * 127;

// xorshift64*, so that every run asks for the same.
let state = 88172645463325252n;
const random = () => {
  state ^= state >> 12n;
  state = BigInt.asUintN(64, state ^ (state << 25n));
  state ^= state >> 27n;
  return Number(BigInt.asUintN(64, state * 2685821657736338717n) >> 11n) / 2 ** 53;
};

const lines = { raas: [], nginx: [], kubo: [] };
for (let n = 0; n < Number(count); n += 1) {
  const slot = Math.floor(random() * pieces.length);
  const { piece, carBytes, root, fileBytes } = pieces[slot];
  const first = Math.floor(random() * (carBytes - length));
  const start = slot * CAPACITY + first;
  const inFile = Math.min(first, fileBytes - length);
  lines.raas.push(`/piece/${aggregate} ${start} ${start + length - 1}`);
  lines.nginx.push(`/${piece}.car ${first} ${first + length - 1}`);
  lines.kubo.push(`/ipfs/${root} ${inFile} ${inFile + length - 1}`);
}
for (const [name, asked] of Object.entries(lines)) writeFileSync(join(folder, `${name}.ranges`), asked.join("\n") + "\n");
