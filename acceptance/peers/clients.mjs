// Three foreign clients, each doing the whole round: deploy, send, read receipt, logs and views, decode a revert.

import { execFile } from "node:child_process";
import { strict as assert } from "node:assert";
import { promisify } from "node:util";
import * as ethers from "ethers";
import * as viem from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { program } from "./chain.mjs";
import { initCode, isDeployed, settings } from "./deal-status.mjs";

const run = promisify(execFile);
export const CID = ethers.hexlify(ethers.toUtf8Bytes("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"));
const CHAIN_ID = 31415926;
const REPAIR = 2880n;
const RENEW = 86400n;

/** A new key each time, so that a chain can be driven twice. */
const newKey = () => ethers.hexlify(ethers.randomBytes(32));

/** ethers v6. */
export async function withEthers(chain, artifact) {
  // Answers are not cached: time passes here faster than the 250 ms that ethers keeps a nonce.
  const options = { pollingInterval: 20, cacheTimeout: -1 };
  const provider = new ethers.JsonRpcProvider(chain.url, undefined, options);
  try {
    const wallet = new ethers.Wallet(newKey(), provider);
    await chain.fund(wallet.address);
    assert.equal((await provider.getNetwork()).chainId, BigInt(CHAIN_ID));
    const create = async (abi, code, ...args) => {
      const made = await new ethers.ContractFactory(abi, code, wallet).deploy(...args);
      await chain.settle();
      await made.waitForDeployment();
      return made;
    };
    const library = await (await create([], artifact.library.bytecode)).getAddress();
    const contract = await create(artifact.abi, initCode(artifact, library), settings(wallet.address));
    const address = await contract.getAddress();
    assert.equal(address, ethers.getCreateAddress({ from: wallet.address, nonce: 1 }));
    assert.ok(isDeployed(artifact, await provider.getCode(address), library));
    // Names that both generations of the interface have are called by their signatures.
    const submitRaaS = contract["submitRaaS(bytes,uint256,uint256,uint256)"];
    assert.deepEqual([...(await contract["getAllCIDs(uint64,uint64)"](0n, 50n))], []);

    const sent = await submitRaaS(CID, 3n, REPAIR, RENEW);
    await chain.settle();
    const receipt = await sent.wait();
    assert.equal(receipt.status, 1);
    assert.equal(receipt.logs.length, 2);
    const event = contract.interface.parseLog(receipt.logs[0]);
    assert.equal(event.name, "SubmitAggregatorRequestWithRaaS");
    assert.deepEqual([...event.args], [1n, CID, 3n, REPAIR, RENEW]);

    const filter = contract.filters.SubmitAggregatorRequestWithRaaS(1n);
    const found = await contract.queryFilter(filter, receipt.blockNumber - 1, receipt.blockNumber);
    assert.deepEqual(found.map((log) => log.transactionHash), [sent.hash]);
    assert.equal(await contract.requestCount(), 1n);
    assert.deepEqual([...(await contract["getAllCIDs()"]())], [CID]);
    assert.deepEqual([...(await contract.getActiveDeals(CID))], []);
    assert.equal(await contract.requestCount({ blockTag: receipt.blockNumber - 1 }), 0n);

    const refused = await submitRaaS.staticCall(CID, 0n, REPAIR, RENEW).then(
      () => assert.fail("a target of 0 was accepted"),
      (error) => error,
    );
    assert.equal(refused.code, "CALL_EXCEPTION");
    assert.equal(refused.revert.name, "InvalidTarget");
    const unsent = await submitRaaS(CID, 0n, REPAIR, RENEW).then(() => null, (error) => error);
    assert.equal(unsent?.code, "CALL_EXCEPTION");
    assert.equal(contract.interface.parseError(unsent.data)?.name, "InvalidTarget", "of the estimate");

    const block = await provider.getBlock(receipt.blockNumber, true);
    assert.equal(block.hash, receipt.blockHash);
    assert.equal(block.prefetchedTransactions[0].hash, sent.hash);
    const fees = await provider.getFeeData();
    assert.ok(fees.maxFeePerGas > 0n && fees.maxPriorityFeePerGas > 0n);
    const again = await provider.getTransaction(sent.hash);
    assert.equal(again.from, wallet.address);
    assert.equal(again.signature.serialized.length, 132);
    return { address, hash: sent.hash, sender: wallet.address, block: receipt.blockNumber };
  } finally {
    provider.destroy();
  }
}

/** viem, with a legacy transaction besides. */
export async function withViem(chain, artifact) {
  const network = viem.defineChain({
    id: CHAIN_ID,
    name: "devnet",
    nativeCurrency: { name: "FIL", symbol: "FIL", decimals: 18 },
    rpcUrls: { default: { http: [chain.url] } },
  });
  const transport = viem.http(chain.url, { batch: true });
  const account = privateKeyToAccount(newKey());
  await chain.fund(account.address);
  const reader = viem.createPublicClient({ chain: network, transport, pollingInterval: 20 });
  const writer = viem.createWalletClient({ account, chain: network, transport });
  const receiptOf = async (hash) => {
    await chain.settle();
    return reader.waitForTransactionReceipt({ hash });
  };
  const library = await receiptOf(await writer.deployContract({ abi: [], bytecode: artifact.library.bytecode }));
  const deployed = await receiptOf(await writer.deployContract({
    abi: artifact.abi,
    bytecode: initCode(artifact, library.contractAddress),
    args: [settings(account.address)],
  }));
  assert.equal(deployed.status, "success");
  const contract = { address: deployed.contractAddress, abi: artifact.abi };
  const submitted = await receiptOf(await writer.writeContract({
    ...contract,
    functionName: "submitRaaS",
    args: [CID, 2n, REPAIR, RENEW],
  }));
  assert.equal(submitted.type, "eip1559");
  const legacy = await receiptOf(await writer.writeContract({
    ...contract,
    functionName: "submit",
    args: [CID],
    type: "legacy",
  }));
  assert.deepEqual([legacy.status, legacy.type], ["success", "legacy"]);
  assert.equal(await reader.readContract({ ...contract, functionName: "requestCount" }), 2n);
  const logs = await reader.getContractEvents({
    ...contract,
    eventName: "SubmitAggregatorRequestWithRaaS",
    fromBlock: submitted.blockNumber - 1n,
    toBlock: submitted.blockNumber,
    strict: true,
  });
  assert.deepEqual(logs.map((log) => [log.args.id, log.args._replication_target]), [[1n, 2n]]);
  const simulated = await reader
    .simulateContract({ ...contract, functionName: "submitRaaS", args: [CID, 0n, REPAIR, RENEW], account })
    .then(() => null, (error) => error.walk((cause) => cause instanceof viem.ContractFunctionRevertedError));
  assert.equal(simulated?.data?.errorName, "InvalidTarget");
  assert.equal(await reader.getTransactionCount({ address: account.address }), 4);
  const mined = await reader.getTransaction({ hash: legacy.transactionHash });
  assert.equal(mined.typeHex, "0x0");
  const history = await reader.getFeeHistory({ blockCount: 3, rewardPercentiles: [10, 90] });
  assert.equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1);
  return { address: contract.address };
}

/** foundry's cast, a client in Rust with its own decoding. */
export async function withCast(chain, artifact) {
  const wallet = new ethers.Wallet(newKey());
  await chain.fund(wallet.address);
  const cast = async (command, ...args) => {
    const all = [command, "--rpc-url", chain.url, ...args];
    const { stdout } = await run(program("cast"), all, { maxBuffer: 1 << 24 });
    return stdout.trim();
  };
  const sign = ["--private-key", wallet.privateKey];
  assert.equal(await cast("chain-id"), String(CHAIN_ID));
  const send = async (...args) => {
    const hash = await cast("send", ...sign, "--async", ...args);
    await chain.settle();
    return JSON.parse(await cast("receipt", hash, "--json"));
  };
  const library = (await send("--create", artifact.library.bytecode)).contractAddress;
  const constructor = ethers.AbiCoder.defaultAbiCoder().encode(
    ["address", "uint48", "address", "address", "address", "bool", "uint256", "uint256"],
    Object.values(settings(wallet.address)),
  );
  const deployed = await send("--create", initCode(artifact, library) + constructor.slice(2));
  assert.equal(deployed.status, "0x1");
  const to = deployed.contractAddress;
  const submit = "submitRaaS(bytes,uint256,uint256,uint256)";
  const submitted = await send(to, submit, CID, "3", String(REPAIR), String(RENEW));
  assert.equal(submitted.logs.length, 2);
  assert.equal(await cast("call", to, "requestCount()(uint256)"), "1");
  assert.ok(Number(await cast("estimate", to, submit, CID, "3", "1", "1")) > 21_000);
  const height = Number(submitted.blockNumber);
  const range = ["--from-block", String(height), "--to-block", String(height)];
  const logs = JSON.parse(await cast("logs", "--address", to, ...range, "--json"));
  assert.equal(logs.length, 2);
  assert.equal(await cast("nonce", wallet.address), "3");
  assert.ok(isDeployed(artifact, await cast("code", to), library));
  assert.equal(BigInt(await cast("storage", to, "0x123456")), 0n);
  assert.ok(Number(await cast("block-number")) >= height);
  assert.equal(JSON.parse(await cast("block", String(height), "--json")).hash, submitted.blockHash);
  assert.ok(BigInt(await cast("gas-price")) > 0n);
  assert.ok(BigInt(await cast("balance", wallet.address)) < 10n ** 20n);
  const refused = await cast("call", to, submit, CID, "0", "1", "1").then(() => "", (error) => error.stderr);
  const selector = ethers.id("InvalidTarget(uint256,uint256)").slice(2, 10);
  assert.match(refused, new RegExp(selector), "cast shows the revert data");
  return { address: to };
}
