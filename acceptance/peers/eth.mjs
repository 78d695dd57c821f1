// Usage: node eth.mjs RPC_URL [--no-anvil]
//
// Drives ethers, viem and cast against the RPC at RPC_URL with the DealStatus contract of this repository, then the
// same against anvil, and compares the shapes of both nodes' answers. Ends with status 1 on the first mismatch.

import { readFile } from "node:fs/promises";
import WebSocket from "ws";
import { Chain, startAnvil } from "./chain.mjs";
import { withCast, withEthers, withViem } from "./clients.mjs";
import { Comparison } from "./shapes.mjs";

const artifactUrl = new URL("../../contracts/artifacts/DealStatus.json", import.meta.url);

/** Everything a client asks, with its parameters, after `withEthers` has left something to ask for. */
async function answers(chain, left) {
  const height = `0x${left.block.toString(16)}`;
  const call = { to: left.address, data: "0x5badbe4c" };
  const submit = { from: left.sender, to: left.address, data: "0xdeadbeef" };
  const block = await chain.rpc("eth_getBlockByNumber", [height, false]);
  const asked = [
    ["eth_chainId"],
    ["eth_blockNumber"],
    ["eth_syncing"],
    ["eth_gasPrice"],
    ["eth_maxPriorityFeePerGas"],
    ["eth_feeHistory", "0x1", height, [50]],
    ["eth_getBlockByNumber", height, false],
    ["eth_getBlockByNumber", height, true],
    ["eth_getBlockByHash", block.hash, false],
    ["eth_getBlockTransactionCountByNumber", height],
    ["eth_getBlockTransactionCountByHash", block.hash],
    ["eth_getTransactionByHash", left.hash],
    ["eth_getTransactionByBlockNumberAndIndex", height, "0x0"],
    ["eth_getTransactionReceipt", left.hash],
    ["eth_getTransactionReceipt", `0x${"ab".repeat(32)}`],
    ["eth_getTransactionByHash", `0x${"ab".repeat(32)}`],
    ["eth_getBlockReceipts", height],
    ["eth_getTransactionCount", left.sender, "latest"],
    ["eth_getBalance", left.sender, "latest"],
    ["eth_getCode", left.address, "latest"],
    ["eth_getCode", left.sender, "latest"],
    ["eth_getStorageAt", left.address, "0x0", "latest"],
    ["eth_call", call, "latest"],
    ["eth_getLogs", { fromBlock: height, toBlock: height, address: left.address }],
    ["eth_getLogs", { blockHash: block.hash, topics: [null, `0x${"00".repeat(31)}01`] }],
    ["net_version"],
    ["net_listening"],
  ];
  const found = [];
  for (const [method, ...params] of asked) found.push([method, await chain.rpc(method, params)]);
  const failed = await chain.answer("eth_call", [submit, "latest"]);
  found.push(["eth_call error", { code: typeof failed.error.code, data: failed.error.data ?? "0x" }]);
  return found;
}

/** What subscribers to heads and transactions are told over a WebSocket, and what they are answered. */
async function heard(chain) {
  const socket = new WebSocket(chain.url.replace(/^http/, "ws"));
  const waiting = [];
  const messages = [];
  socket.on("message", (text) => {
    const message = JSON.parse(text);
    const next = waiting.shift();
    if (next) next(message);
    else messages.push(message);
  });
  const read = () => (messages.length > 0 ? messages.shift() : new Promise((resolve) => waiting.push(resolve)));
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const ask = async (id, method, ...params) => {
    socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
    let message = await read();
    while (message.id !== id) message = await read();
    return message;
  };
  const heads = await ask(1, "eth_subscribe", "newHeads");
  await chain.mine();
  let head = await read();
  while (head.method !== "eth_subscription") head = await read();
  if (head.params.subscription !== heads.result) throw new Error(`a head of another subscription: ${JSON.stringify(head)}`);
  const ended = await ask(2, "eth_unsubscribe", heads.result);
  const unknown = await ask(3, "eth_subscribe", "noSuchThing");
  socket.close();
  return [
    ["ws eth_unsubscribe", ended.result],
    ["ws newHeads", { parentHash: head.params.result.parentHash, ...pick(head.params.result) }],
    ["ws unknown", { code: typeof unknown.error?.code }],
  ];
}

/** The fields of a head that every client reads. */
function pick(head) {
  const fields = ["hash", "number", "timestamp", "gasLimit", "gasUsed", "baseFeePerGas", "logsBloom", "miner", "stateRoot"];
  return Object.fromEntries(fields.map((field) => [field, head[field]]));
}

async function drive(chain, artifact, name) {
  const left = await withEthers(chain, artifact);
  console.log(`${name}: ethers agrees`);
  await withViem(chain, artifact);
  console.log(`${name}: viem agrees`);
  await withCast(chain, artifact);
  console.log(`${name}: cast agrees`);
  const found = await answers(chain, left);
  found.push(...(await heard(chain)));
  console.log(`${name}: a socket hears of heads`);
  return found;
}

async function main() {
  const [url, ...flags] = process.argv.slice(2);
  if (!url || flags.some((flag) => flag !== "--no-anvil")) {
    console.error("usage: node eth.mjs RPC_URL [--no-anvil]");
    process.exit(2);
  }
  const artifact = JSON.parse(await readFile(artifactUrl, "utf8"));
  const ours = await drive(await Chain.at(url), artifact, "devnet");
  if (flags.includes("--no-anvil")) return;
  const anvil = await startAnvil();
  try {
    const theirs = await drive(await Chain.at(anvil.url), artifact, "anvil");
    const comparison = new Comparison();
    for (const [index, [method, answer]] of ours.entries()) comparison.add(method, answer, theirs[index][1]);
    const wrong = comparison.differences();
    if (wrong.length > 0) throw new Error(`answers differ in shape from anvil's:\n${wrong.join("\n")}`);
    console.log(`${ours.length} answers have the same shape as anvil's`);
  } finally {
    await anvil.stop();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
