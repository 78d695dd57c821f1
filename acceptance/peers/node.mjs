// A node of ours for a peer to talk to: `raas up` on the devnet that the peer was given, in a folder of its own.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { World } from "../scenarios/lib.mjs";

/** Runs `use` with a running node ({@link World}) and ends it, whatever comes of it. */
export async function withNode(raas, rpcUrl, environment, use) {
  const world = new World(raas);
  world.dir = await mkdtemp(join(tmpdir(), "raas-peer-"));
  world.rpcUrl = rpcUrl;
  try {
    await world.startNode(environment);
    return await use(world);
  } catch (error) {
    if (world.node) console.error(`the node said last:\n${world.node.log().slice(-4000)}`);
    throw error;
  } finally {
    await world.end();
    await rm(world.dir, { recursive: true, force: true });
  }
}

/** Stores bytes without a job; the node's answer. */
export async function stored(world, bytes, query = "") {
  const response = await fetch(`${world.admin}/api/uploadFile?deal=false${query}`, { method: "POST", body: bytes });
  const body = await response.json();
  if (response.status !== 201) throw new Error(`the upload: ${response.status} ${JSON.stringify(body)}`);
  return body;
}
