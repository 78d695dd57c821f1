// Usage: RAAS=path/to/raas node contract.mjs RPC_URL
//
// `raas contract` against the devnet at RPC_URL and against anvil: deploys, looks, grants, pauses, and is refused where it
// should be. Ends with status 1 on the first mismatch.

import { strict as assert } from "node:assert";
import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import * as ethers from "ethers";
import { Chain, startAnvil } from "./chain.mjs";

const program = process.env.RAAS;

/** Runs `raas contract ...` and answers its exit code and output, whatever they are. */
const run = (...args) =>
  new Promise((resolve) => {
    execFile(program, ["contract", ...args], { maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });

async function json(...args) {
  const { code, stdout, stderr } = await run(...args, "--json");
  assert.equal(code, 0, `raas contract ${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout);
}

async function drive(chain, folder, name) {
  const wallet = ethers.Wallet.createRandom();
  await chain.fund(wallet.address);
  const keyFile = path.join(folder, `${name}.key`);
  await writeFile(keyFile, wallet.privateKey.slice(2));
  await chmod(keyFile, 0o600);
  const network = ["--network", chain.url];
  const signer = [...network, "--key-file", keyFile];

  const unasked = await run("deploy", ...signer);
  assert.equal(unasked.code, 2, "without --yes and without a terminal nothing is sent");
  assert.match(unasked.stderr, /chain .*31415926/, "but the chain is shown");
  assert.equal((await run("deploy", "--key-file", keyFile, "--yes")).code, 2, "a network must be named");

  const node = ethers.Wallet.createRandom().address;
  const made = await json("deploy", ...signer, "--yes", "--aggregator", node, "--max-open-requests", "7");
  assert.equal(made.chainId, 31415926);
  assert.ok(made.fromBlock > 0);
  const same = await json("verify-code", made.address, ...network);
  assert.deepEqual([same.same, same.library], [true, made.library]);
  assert.equal((await run("verify-code", made.library, ...network)).code, 1, "the library is no DealStatus");
  assert.equal((await run("verify-code", node, ...network)).code, 1, "nor is an account");

  const status = await json("status", made.address, ...network);
  assert.equal(status.abi, "raas");
  assert.equal(status.code, "of this version");
  assert.equal(status.maxOpenRequests, "7");
  assert.equal(status.admin.toLowerCase(), wallet.address.toLowerCase());
  assert.equal(status.paused, false);

  const abi = JSON.parse((await run("abi")).stdout);
  const provider = new ethers.JsonRpcProvider(chain.url, undefined, { cacheTimeout: -1 });
  try {
    const contract = new ethers.Contract(made.address, abi, provider);
    const role = ethers.id("AGGREGATOR_ROLE");
    assert.equal(await contract.hasRole(role, node), true);
    assert.equal(await contract.hasRole(role, wallet.address), false);
    await json("grant", made.address, "aggregator", wallet.address, ...signer, "--yes");
    assert.equal(await contract.hasRole(role, wallet.address), true);
    await json("grant", made.address, "aggregator", wallet.address, "--revoke", ...signer, "--yes");
    assert.equal(await contract.hasRole(role, wallet.address), false);
    await json("pause", made.address, ...signer, "--yes");
    assert.equal((await json("status", made.address, ...network)).paused, true);
    await json("pause", made.address, "--off", ...signer, "--yes");
    assert.equal(await contract.paused(), false);
  } finally {
    provider.destroy();
  }
  const cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
  const refused = await run("prune", made.address, cid, "5", ...signer, "--yes");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /DealNotListed/, "the contract's own words");
  console.log(`${name}: raas contract agrees`);
}

async function main() {
  const [url] = process.argv.slice(2);
  if (!url || !program) {
    console.error("usage: RAAS=path/to/raas node contract.mjs RPC_URL");
    process.exit(2);
  }
  const folder = await mkdtemp(path.join(tmpdir(), "raas-contract-"));
  const anvil = await startAnvil();
  try {
    await drive(await Chain.at(url), folder, "devnet");
    await drive(await Chain.at(anvil.url), folder, "anvil");
  } finally {
    await anvil.stop();
    await rm(folder, { recursive: true });
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
