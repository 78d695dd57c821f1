// Usage: RAAS=path/to/raas node helia.mjs RPC_URL
//
// @helia/verified-fetch reads from our gateway, and from nowhere else: files of one block and of many, what lies in directories (sharded
// ones, too), and whole CARs; each byte is checked by it. When a byte on our disk is another one, it says so and gives nothing.
// Ends with status 1 on the first disagreement.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { trustlessGateway } from "@helia/block-brokers";
import { createHeliaHTTP } from "@helia/http";
import { httpGatewayRouting } from "@helia/routers";
import { createVerifiedFetch } from "@helia/verified-fetch";
import { CarReader } from "@ipld/car";
import { sha256 } from "multiformats/hashes/sha2";
import { stored, withNode } from "./node.mjs";

// Helia wants it, Node 20 does not have it.
Promise.withResolvers ??= () => {
  let [resolve, reject] = [];
  const promise = new Promise((...both) => { [resolve, reject] = both; });
  return { promise, resolve, reject };
};

const [rpcUrl] = process.argv.slice(2);
const raas = process.env.RAAS;
// So long a name that a few thousand of them make a directory over 256 KiB, which is then sharded.
const long = (n) => `${String(n).padStart(5, "0")}-${"n".repeat(60)}`;
const IN_TIME_MS = 60_000;

/** A client that knows our gateway only. Nothing it found for one request is there at the next. */
async function reader(url) {
  return createHeliaHTTP({
    blockBrokers: [trustlessGateway({ allowInsecure: true, allowLocal: true })],
    routers: [httpGatewayRouting({ gateways: [url] })],
    libp2p: { addresses: { listen: [] }, transports: [], peerDiscovery: [], services: {} },
  });
}

async function reading(url, use) {
  const helia = await reader(url);
  const verifiedFetch = await createVerifiedFetch(helia);
  try {
    return await use((resource, headers = {}) => verifiedFetch(resource, { headers, signal: AbortSignal.timeout(IN_TIME_MS) }));
  } finally {
    await verifiedFetch.stop();
    await helia.stop();
  }
}

const bytes = async (response) => Buffer.from(await response.arrayBuffer());

async function files(world) {
  for (const length of [1, 1000, 1 << 20, 3_500_000]) {
    const content = randomBytes(length);
    const { cid } = await stored(world, content);
    await reading(world.data, async (get) => {
      const response = await get(`ipfs://${cid}`);
      assert.equal(response.status, 200, `${length} bytes`);
      assert.ok((await bytes(response)).equals(content), `${length} bytes are the same`);
    });
  }
}

async function directories(world) {
  const folder = join(world.dir, "folder");
  await mkdir(join(folder, "a b", "deep"), { recursive: true });
  await mkdir(join(folder, "sharded"));
  const large = randomBytes(2_500_000);
  await writeFile(join(folder, "a b", "deep", "large.bin"), large);
  await writeFile(join(folder, "a b", "small.txt"), "small");
  for (let n = 0; n < 3000; n += 1) await writeFile(join(folder, "sharded", long(n)), `file ${n}`);
  const car = join(world.dir, "folder.car");
  const root = JSON.parse(execFileSync(raas, ["--json", "piece", "car", folder, "-o", car], { encoding: "utf8" })).root;
  assert.equal((await stored(world, await readFile(car), "&format=car")).cid, root);
  await reading(world.data, async (get) => {
    const read = async (path) => {
      const response = await get(`ipfs://${root}/${path}`);
      assert.equal(response.status, 200, path);
      return bytes(response);
    };
    assert.ok((await read("a%20b/deep/large.bin")).equals(large), "a file of several blocks below two directories");
    assert.equal(String(await read("a%20b/small.txt")), "small");
    for (const n of [0, 1234, 2999]) assert.equal(String(await read(`sharded/${long(n)}`)), `file ${n}`, "in a sharded directory");
    assert.equal((await get(`ipfs://${root}/nothing`)).status, 404, "what is not in it is not found");
  });
  await reading(world.data, async (get) => {
    const response = await get(`ipfs://${root}/a%20b`, { accept: "application/vnd.ipld.car" });
    assert.equal(response.status, 200, "a CAR of a directory");
    const reader = await CarReader.fromBytes(await bytes(response));
    let count = 0;
    let payload = 0;
    for await (const block of reader.blocks()) {
      const digest = (await sha256.digest(block.bytes)).digest;
      assert.ok(Buffer.from(digest).equals(Buffer.from(block.cid.multihash.digest)), `block ${block.cid}`);
      count += 1;
      payload += block.bytes.length;
    }
    // Two directories, the root of the large file and its three leaves, the small file.
    assert.ok(count >= 7 && payload > large.length, `${count} blocks of ${payload} bytes`);
  });
}

async function wrongByte(world) {
  const content = randomBytes(3_000_000);
  const { cid, pieceCid } = await stored(world, content);
  const path = join(world.dir, "node", "pieces", `${pieceCid}.car`);
  const car = await readFile(path);
  // In the second leaf, past what is fetched first.
  const at = car.indexOf(content.subarray(1_500_000, 1_500_100));
  assert.ok(at > 0, "the leaves lie in the CAR as they are");
  const file = await open(path, "r+");
  await file.write(Buffer.from([car[at] ^ 1]), 0, 1, at);
  await file.close();
  const raw = Buffer.from(await (await fetch(`${world.data}/ipfs/${cid}?format=car`)).arrayBuffer());
  assert.ok(!raw.includes(content.subarray(1_500_000, 1_500_100)), "the gateway sends what is on the disk");
  await reading(world.data, async (get) => {
    const read = async () => bytes(await get(`ipfs://${cid}`));
    // The error names the gateway or the block; which of them is Helia's own affair.
    await assert.rejects(read(), (error) => error.name !== "TimeoutError" && error.name !== "AbortError", "it notices, and does not only wait");
  });
}

// The node must not find the wrong byte first.
await withNode(raas, rpcUrl, { RAAS__STORE__SCRUB_MIB_PER_SECOND: "0" }, async (world) => {
  await files(world);
  await directories(world);
  await wrongByte(world);
});
// Some of its timers stay.
process.exit(0);
