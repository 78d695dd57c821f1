// Usage: RAAS=path/to/raas RAAS_KUBO=path/to/ipfs node kubo.mjs RPC_URL
//
// Kubo, offline, and ours give files and directories the same CIDs, in both profiles of IPIP-0499, sharded directories and empty ones
// included; Kubo takes CARs from our gateway and gives the files back, and what it exports is taken by our node. A Kubo that is online, and told of
// our node alone, finds what is stored here and fetches it block by block over HTTP. The daemon's RPC has tests of its own (raas-clients).
// Ends with status 1 on the first disagreement.

import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stored, withNode } from "./node.mjs";

const [rpcUrl] = process.argv.slice(2);
const raas = process.env.RAAS;
const kubo = process.env.RAAS_KUBO;
const PROFILES = ["unixfs-v1-2025", "unixfs-v0-2015"];
const MOST = 1 << 28;
// Names so long that a few thousand make a directory of 256 KiB of links.
const entry = (n) => `${String(n).padStart(5, "0")}-${"n".repeat(60)}`;

/** Kubo with a repository of its own that adds by this profile, without a daemon: `(input, ...args) => stdout`. */
function kuboOf(path, profile) {
  const env = { ...process.env, IPFS_PATH: path, IPFS_TELEMETRY: "off" };
  const ipfs = (input, ...args) => execFileSync(kubo, ["--offline", ...args], { env, input, maxBuffer: MOST, stdio: ["pipe", "pipe", "pipe"] });
  ipfs("", "init", "--profile=test");
  ipfs("", "config", "profile", "apply", profile);
  return ipfs;
}

/** What the profiles can differ in: lengths around chunks, names, depths, a directory that must be sharded and one that just is not. */
async function inputs(folder) {
  const made = [];
  const file = async (name, bytes) => { made.push(name); await writeFile(join(folder, name), bytes); };
  for (const length of [0, 1, 262_144, 262_145, 1_048_576, 1_048_577, 3_000_000]) await file(`file-${length}`, randomBytes(length));
  // More leaves than a node of the older profile has links.
  await file("file-wide", randomBytes(175 * 262_144 + 1));
  await mkdir(join(folder, "nested", "b", "c"), { recursive: true });
  await mkdir(join(folder, "nested", "empty"));
  await writeFile(join(folder, "nested", "b", "c", "ü ß.txt"), "deep");
  await writeFile(join(folder, "nested", "large"), randomBytes(2_500_000));
  await writeFile(join(folder, "nested", "nothing"), "");
  made.push("nested");
  // Sharded from 256 KiB of links on.
  for (const [name, count] of [["sharded", 4000], ["not-sharded", 1500]]) {
    await mkdir(join(folder, name));
    for (let n = 0; n < count; n += 1) await writeFile(join(folder, name, entry(n)), `file ${n % 50}`);
    made.push(name);
  }
  return made;
}

/** The root of our CAR of it, which is kept beside it. */
function ours(path, profile) {
  const args = ["--json", "piece", "car", path, "--profile", profile, "--force", "-o", `${path}.${profile}.car`];
  return JSON.parse(execFileSync(raas, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })).root;
}

async function sameRoots(folder, profile, ipfs) {
  const roots = {};
  for (const name of await inputs(folder)) {
    const path = join(folder, name);
    const theirs = String(ipfs("", "add", "--quieter", "--recursive", "--pin=false", path)).trim();
    roots[name] = theirs;
    assert.equal(ours(path, profile), theirs, `${name} by ${profile}`);
    // Every block of ours is there already, by the same CID; and the root is named by the CAR.
    const imported = String(ipfs("", "dag", "import", "--pin-roots=false", "--stats", `${path}.${profile}.car`));
    assert.match(imported, /Imported [1-9][0-9]* blocks/, name);
  }
  return roots;
}

/** What Kubo exports is taken, under the same root; and a Kubo that has none of it takes it from our gateway. */
async function thereAndBack(world, folder, profile, ipfs, roots) {
  const other = kuboOf(join(folder, "other-ipfs"), profile);
  for (const name of ["file-3000000", "nested", "sharded"]) {
    const exported = ipfs("", "dag", "export", "--progress=false", roots[name]);
    const { cid } = await stored(world, exported, "&format=car");
    assert.equal(cid, String(ipfs("", "cid", "format", "-v", "1", "-b", "base32", roots[name])).trim(), `${name} from Kubo`);

    const response = await fetch(`${world.data}/ipfs/${roots[name]}?format=car`);
    assert.equal(response.status, 200, name);
    const served = Buffer.from(await response.arrayBuffer());
    const root = String(other(served, "dag", "import", "--pin-roots=true"));
    assert.ok(root.includes(`Pinned root\t${cid}\tsuccess`), `${name} from our gateway: ${root}`);
    const path = { "file-3000000": "", nested: "/b/c/ü ß.txt", sharded: `/${entry(3999)}` }[name];
    const content = await readFile(join(folder, name + path));
    assert.ok(other("", "cat", `/ipfs/${cid}${path}`).equals(content), `${name}${path} is the same`);
  }
}

/** A Kubo that is online and asks `router` alone who has what; ended when `use` is. */
async function online(path, router, use) {
  const env = { ...process.env, IPFS_PATH: path, IPFS_TELEMETRY: "off" };
  // Not waited for by blocking: the daemon's words must be read meanwhile.
  const ipfs = async (...args) => (await promisify(execFile)(kubo, args, { env, maxBuffer: MOST, encoding: "buffer" })).stdout;
  await ipfs("init", "--profile=test");
  await ipfs("config", "--json", "Provide.Enabled", "false");
  await ipfs("config", "Routing.Type", "delegated");
  await ipfs("config", "--json", "Routing.DelegatedRouters", JSON.stringify([router]));
  const daemon = spawn(kubo, ["daemon"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => { daemon.once("exit", resolve); });
  try {
    const ready = new Promise((resolve) => {
      createInterface({ input: daemon.stdout }).on("line", (line) => line === "Daemon is ready" && resolve(true));
    });
    assert.ok(await Promise.race([ready, ended.then(() => false)]), "the daemon ended before it was ready");
    return await use(ipfs);
  } finally {
    daemon.kill();
    await ended;
  }
}

/** It has nothing, knows nobody else, and reads what our node has: a file, what lies in a directory, a block inside; pins a whole DAG. */
async function fetchesFromUs(world, folder, roots) {
  await online(join(folder, "online-ipfs"), world.data, async (ipfs) => {
    const found = String(await ipfs("routing", "findprovs", roots.nested)).trim().split("\n");
    assert.ok(found.length === 1 && found[0].length > 40, `one provider, and a peer by its form: ${found}`);
    const file = await readFile(join(folder, "file-3000000"));
    assert.ok((await ipfs("cat", roots["file-3000000"])).equals(file), "a file of several blocks");
    assert.equal(String(await ipfs("cat", `${roots.nested}/b/c/ü ß.txt`)), "deep");
    const [leaf] = String(await ipfs("refs", roots.nested)).trim().split("\n");
    assert.ok((await ipfs("block", "get", leaf)).length > 0, "a block inside, asked for by its own CID");
    await ipfs("pin", "add", roots.sharded);
    const pinned = String(await ipfs("--offline", "refs", "--recursive", "--unique", roots.sharded)).trim().split("\n");
    assert.ok(pinned.length > 50, `the whole of a sharded directory is there now: ${pinned.length}`);

    // Nobody has this; it is not found, and not waited for without end.
    const absent = String(await ipfs("add", "--quieter", "--only-hash", join(folder, "file-wide"))).trim();
    assert.equal(String(await ipfs("routing", "findprovs", absent)), "");
    await assert.rejects(ipfs("--timeout=3s", "cat", absent), "nobody has it");
  });
}

await withNode(raas, rpcUrl, {}, async (world) => {
  for (const profile of PROFILES) {
    const folder = join(world.dir, profile);
    await mkdir(folder);
    const ipfs = kuboOf(join(folder, "ipfs"), profile);
    const roots = await sameRoots(folder, profile, ipfs);
    await thereAndBack(world, folder, profile, ipfs, roots);
    await fetchesFromUs(world, folder, roots);
  }
});
