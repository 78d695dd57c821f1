#!/usr/bin/env node
// Runs test/vectors/scenario.json on anvil, with the stand-ins of the precompiles and the market put where the chain
// has them, and compares every return, revert and log with what forge wrote down. Needs artifacts of `forge build`.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const PRECOMPILE = "0xfe00000000000000000000000000000000000005";
const MARKET = "0xff00000000000000000000000000000000000005";
/** The addresses of the private keys 07..07, 08..08 and 09..09, which forge and the devnet sign with. */
const ACCOUNTS = {};

const read = (path) => JSON.parse(readFileSync(join(ROOT, path), "utf8"));

async function main() {
  const scenario = read("test/vectors/scenario.json");
  const standIn = (name) => read(`out/StandIns.sol/${name}.json`).deployedBytecode.object;
  Object.assign(ACCOUNTS, scenario.accounts);
  const anvil = await start(scenario.base);
  try {
    const chain = new Rpc(anvil.url);
    await chain.rpc("anvil_setCode", PRECOMPILE, standIn("CallActorStandIn"));
    await chain.rpc("anvil_setCode", MARKET, standIn("MarketStandIn"));
    for (const address of Object.values(ACCOUNTS)) {
      await chain.rpc("anvil_impersonateAccount", address);
      await chain.rpc("anvil_setBalance", address, "0x3635c9adc5dea00000");
    }
    const contract = await deploy(chain);
    await chain.mineTo(scenario.base);
    for (const [at, step] of scenario.steps.entries()) {
      try {
        await run(chain, contract, step);
      } catch (error) {
        throw new Error(`step ${at} (${step.do} ${step.op ?? step.data.slice(0, 10)}): ${error.message}`);
      }
    }
    process.stdout.write(`scenario: ${scenario.steps.length} steps on anvil come out as on forge\n`);
  } finally {
    await anvil.stop();
  }
}

async function run(chain, contract, step) {
  if (step.do === "advance") return chain.rpc("anvil_mine", hex(step.epochs));
  if (step.do === "market") {
    const receipt = await chain.send({ from: ACCOUNTS.operator, to: MARKET, data: step.data });
    return equal(receipt.status, "0x1", "status");
  }
  if (step.do === "ask") return outcome(chain, { to: contract, data: step.data }, "latest", step);
  const message = { from: ACCOUNTS[step.from], to: contract, data: step.data };
  // What it returns, in the block that will have it.
  await outcome(chain, message, "pending", step);
  const receipt = await chain.send(message);
  equal(receipt.status, step.ok ? "0x1" : "0x0", "status");
  equal(receipt.logs.map(({ topics, data }) => ({ topics, data })), step.logs, "logs");
}

async function outcome(chain, message, block, step) {
  const answer = await chain.ask("eth_call", message, block);
  equal(!answer.error, step.ok, "success");
  equal(answer.result ?? answer.error.data ?? "0x", step.output, "output");
}

async function deploy(chain) {
  const artifact = read("artifacts/DealStatus.json");
  const create = async (data) => {
    const receipt = await chain.send({ from: ACCOUNTS.operator, data });
    equal(receipt.status, "0x1", "deployment");
    return receipt.contractAddress;
  };
  const library = await create(artifact.library.bytecode);
  const code = artifact.bytecode.replaceAll(artifact.library.placeholder, library.slice(2));
  const word = (value) => BigInt(value).toString(16).padStart(64, "0");
  const owner = ACCOUNTS.operator;
  // admin, admin delay, aggregator, pauser, submitter, restricted, deposit, open requests.
  return create(code + [owner, 3 * 86400, owner, owner, owner, 0, 0, 1000].map(word).join(""));
}

function equal(got, wanted, what) {
  const [left, right] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (left !== right) throw new Error(`${what}: got ${left}, wanted ${right}`);
}

const hex = (number) => `0x${number.toString(16)}`;

class Rpc {
  #id = 0;

  constructor(url) {
    this.url = url;
  }

  async ask(method, ...params) {
    this.#id += 1;
    const response = await fetch(this.url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: this.#id, method, params }),
    });
    return response.json();
  }

  async rpc(method, ...params) {
    const answer = await this.ask(method, ...params);
    if (answer.error) throw new Error(`${method}: ${JSON.stringify(answer.error)}`);
    return answer.result;
  }

  /** Executed in a block of its own, whether it succeeds or not. */
  async send(message) {
    const hash = await this.rpc("eth_sendTransaction", { ...message, gas: "0x1c9c380" });
    for (let look = 0; look < 1000; look += 1) {
      const receipt = await this.rpc("eth_getTransactionReceipt", hash);
      if (receipt) return receipt;
    }
    throw new Error(`${hash} has no receipt`);
  }

  async mineTo(height) {
    const now = Number(await this.rpc("eth_blockNumber"));
    if (now < height) await this.rpc("anvil_mine", hex(height - now));
  }
}

/** anvil on a free port, shortly before the scenario's height. */
async function start(base) {
  const program = join(ROOT, "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
  const args = ["--port", "0", "--number", String(base - 20), "--hardfork", "cancun", "--gas-limit", "1000000000"];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise((resolve, reject) => {
    let text = "";
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`anvil ended with ${code}:\n${text}`)));
    child.stdout.on("data", (chunk) => {
      text += chunk;
      const found = /Listening on (\S+)/.exec(text);
      if (found) resolve(`http://${found[1]}`);
    });
  });
  const stop = async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  };
  return { url, stop };
}

main().catch((error) => {
  process.stderr.write(`scenario: ${error.message}\n`);
  process.exitCode = 1;
});
