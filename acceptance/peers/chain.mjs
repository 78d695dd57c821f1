// A JSON-RPC endpoint under test: the devnet, or anvil as the measure of the shapes of its answers.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import path from "node:path";

const here = path.dirname(fileURLToPath(import.meta.url));

/** The path of a program that an npm package of this folder ships. */
export const program = (name) => path.join(here, "node_modules", "@foundry-rs", `${name}-linux-amd64`, "bin", name);

export class Chain {
  #id = 0;

  constructor(url, isDevnet) {
    this.url = url;
    this.isDevnet = isDevnet;
  }

  /** Asks who is there, so that funding and time go by the right commands. */
  static async at(url) {
    const chain = new Chain(url, true);
    const version = await chain.rpc("web3_clientVersion");
    chain.isDevnet = version.startsWith("raas-devnet/");
    return chain;
  }

  /** The whole answer, error included. */
  async answer(method, params = []) {
    this.#id += 1;
    const response = await fetch(this.url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: this.#id, method, params }),
    });
    return response.json();
  }

  async rpc(method, params = []) {
    const answer = await this.answer(method, params);
    if (answer.error) throw new Error(`${method}: ${JSON.stringify(answer.error)}`);
    return answer.result;
  }

  /** Gives 100 FIL (or ether). */
  async fund(address) {
    if (this.isDevnet) await this.rpc("devnet_fund", [address, (10n ** 20n).toString()]);
    else await this.rpc("anvil_setBalance", [address, "0x56bc75e2d63100000"]);
  }

  /** Lets one more block be there. */
  async mine() {
    if (this.isDevnet) await this.rpc("devnet_advance", [1]);
    else await this.rpc("evm_mine");
  }

  /** Lets what was sent be included, executed and shown. */
  async settle() {
    if (this.isDevnet) await this.rpc("devnet_advance", [2]);
  }
}

/** Starts anvil on a free port; `stop()` ends it. */
export async function startAnvil() {
  const args = ["--port", "0", "--chain-id", "31415926"];
  const child = spawn(program("anvil"), args, { stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise((resolve, reject) => {
    let text = "";
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
