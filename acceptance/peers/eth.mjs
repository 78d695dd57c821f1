// Usage: node eth.mjs RPC_URL [--no-anvil]
//
// Drives ethers, viem and cast against the RPC at RPC_URL with the DealStatus contract of this repository, then the
// same against anvil, and compares the shapes of both nodes' answers. Ends with status 1 on the first mismatch.

import { readFile } from "node:fs/promises";
import WebSocket from "ws";
import { Chain, startAnvil } from "./chain.mjs";
import { withCast, withEthers, withViem } from "./clients.mjs";
import { Comparison } from "./shapes.mjs";

/**
 * Every method of Ethereum that the devnet serves and anvil has in the same form: each must be compared. Of the others
 * anvil lacks eth_baseFee, and its eth_protocolVersion is a number.
 */
const SERVED = `
  eth_accounts eth_blockNumber eth_call eth_chainId eth_estimateGas eth_feeHistory eth_gasPrice eth_getBalance
  eth_getBlockByHash eth_getBlockByNumber eth_getBlockReceipts eth_getBlockTransactionCountByHash
  eth_getBlockTransactionCountByNumber eth_getCode eth_getFilterChanges eth_getFilterLogs eth_getLogs eth_getStorageAt
  eth_getTransactionByBlockHashAndIndex eth_getTransactionByBlockNumberAndIndex eth_getTransactionByHash
  eth_getTransactionCount eth_getTransactionReceipt eth_maxPriorityFeePerGas eth_newBlockFilter eth_newFilter
  eth_newPendingTransactionFilter eth_sendRawTransaction eth_subscribe eth_syncing
  eth_uninstallFilter eth_unsubscribe net_listening net_version trace_block trace_filter trace_replayBlockTransactions
  trace_transaction web3_clientVersion
`.trim().split(/\s+/);

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
    ["eth_feeHistory", "0x2", "latest", [25, 75]],
    ["eth_getBlockByNumber", "latest", false],
    ["eth_getBlockByNumber", "safe", false],
    ["eth_getBlockByNumber", "finalized", false],
    ["eth_getBlockByNumber", height, false],
    ["eth_getBlockByNumber", height, true],
    ["eth_getBlockByHash", block.hash, false],
    ["eth_getBlockTransactionCountByNumber", height],
    ["eth_getBlockTransactionCountByHash", block.hash],
    ["eth_getTransactionByHash", left.hash],
    ["eth_getTransactionByBlockNumberAndIndex", height, "0x0"],
    ["eth_getTransactionByBlockHashAndIndex", block.hash, "0x0"],
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
    ["eth_estimateGas", { ...call, from: left.sender }],
    ["eth_getLogs", { fromBlock: height, toBlock: height, address: left.address }],
    ["eth_getLogs", { blockHash: block.hash, topics: [null, `0x${"00".repeat(31)}01`] }],
    ["trace_transaction", left.hash],
    ["trace_block", height],
    ["trace_filter", { fromBlock: height, toBlock: height, fromAddress: [left.sender] }],
    ["trace_replayBlockTransactions", height, ["trace"]],
    ["net_version"],
    ["net_listening"],
    ["web3_clientVersion"],
  ];
  const found = [];
  for (const [method, ...params] of asked) found.push([method, await chain.rpc(method, params)]);
  found.push(["eth_sendRawTransaction", left.hash]);
  found.push(["eth_accounts", Array.isArray(await chain.rpc("eth_accounts"))]);
  const failed = await chain.answer("eth_call", [submit, "latest"]);
  found.push(["eth_call error", { code: typeof failed.error.code, data: failed.error.data ?? "0x" }]);
  return found;
}

/** What filters and subscriptions tell of what `happen` does, over HTTP and over a WebSocket, and what they answer. */
async function heard(chain, left, happen) {
  const socket = new WebSocket(chain.url.replace(/^http/, "ws"));
  const waiting = [];
  const messages = [];
  const told = new Map();
  socket.on("message", (text) => {
    const message = JSON.parse(text);
    if (message.method === "eth_subscription") {
      const { subscription, result } = message.params;
      if (!told.has(subscription)) told.set(subscription, []);
      told.get(subscription).push(result);
      return;
    }
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
  const logs = await ask(2, "eth_subscribe", "logs", {});
  const pending = await ask(3, "eth_subscribe", "newPendingTransactions");
  const filters = {
    logs: await chain.rpc("eth_newFilter", [{ fromBlock: `0x${left.block.toString(16)}` }]),
    blocks: await chain.rpc("eth_newBlockFilter"),
    transactions: await chain.rpc("eth_newPendingTransactionFilter"),
  };
  await happen();
  await chain.mine();
  // A filter of transactions has those that came, also when they are in a block by now.
  const first = (list, what) => {
    if (!Array.isArray(list) || list.length === 0) throw new Error(`${what} tells nothing: ${JSON.stringify(list)}`);
    return list[0];
  };
  const changes = async (name) => first(await chain.rpc("eth_getFilterChanges", [filters[name]]), `the filter of ${name}`);
  const fetched = [
    ["eth_newFilter", typeof filters.logs],
    ["eth_newBlockFilter", typeof filters.blocks],
    ["eth_newPendingTransactionFilter", typeof filters.transactions],
    ["eth_subscribe", [heads, logs, pending].map((answer) => typeof answer.result)],
    ["eth_getFilterLogs", first(await chain.rpc("eth_getFilterLogs", [filters.logs]), "eth_getFilterLogs")],
    ["eth_getFilterChanges of logs", await changes("logs")],
    ["eth_getFilterChanges of blocks", await changes("blocks")],
    ["eth_getFilterChanges of transactions", await changes("transactions")],
    ["eth_getFilterChanges again", await chain.rpc("eth_getFilterChanges", [filters.logs])],
    ["eth_uninstallFilter", await chain.rpc("eth_uninstallFilter", [filters.logs])],
    ["eth_uninstallFilter again", await chain.rpc("eth_uninstallFilter", [filters.logs])],
  ];
  const ended = await ask(4, "eth_unsubscribe", heads.result);
  const unknown = await ask(5, "eth_subscribe", "noSuchThing");
  socket.close();
  const head = first(told.get(heads.result), "newHeads");
  return [
    ...fetched,
    ["ws logs", first(told.get(logs.result), "logs")],
    ["ws newPendingTransactions", first(told.get(pending.result), "newPendingTransactions")],
    ["eth_unsubscribe", ended.result],
    ["ws newHeads", { parentHash: head.parentHash, ...pick(head) }],
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
  const found = await answers(chain, left);
  found.push(...(await heard(chain, left, () => withCast(chain, artifact))));
  console.log(`${name}: cast agrees, and filters and sockets tell of what it did`);
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
    const compared = new Set(ours.map(([method]) => method.split(" ")[0]));
    const left = SERVED.filter((method) => !compared.has(method));
    if (left.length > 0) throw new Error(`not compared with anvil: ${left.join(", ")}`);
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
