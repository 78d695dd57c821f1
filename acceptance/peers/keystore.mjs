// Usage: node keystore.mjs RPC_URL
//
// Key files go both ways between ethers and `raas wallet`: what one encrypts the other opens, and the addresses agree.
// RPC_URL is not used; every peer gets one. The binary is CARGO_TARGET_DIR/debug/raas.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wallet } from "ethers";

const raas = join(process.env.CARGO_TARGET_DIR, "debug", "raas");
const folder = await mkdtemp(join(tmpdir(), "raas-keystore-"));
const passphrase = "pässphrase of both";

function wallet(...args) {
  return JSON.parse(execFileSync(raas, ["wallet", ...args, "--json"], { cwd: folder, encoding: "utf8" }));
}

async function privately(name, text) {
  await writeFile(join(folder, name), text);
  await chmod(join(folder, name), 0o600);
}

try {
  await privately("pass", `${passphrase}\n`);

  const made = wallet("new", "--to", "ours.json", "--passphrase-file", "pass");
  const ours = JSON.parse(await readFile(join(folder, "ours.json"), "utf8"));
  const opened = await Wallet.fromEncryptedJson(JSON.stringify(ours), passphrase);
  assert.equal(opened.address, made.eth, "ethers opens ours");
  assert.equal(`0x${ours.address}`, made.eth.toLowerCase(), "and the file names the address as geth does");
  await assert.rejects(Wallet.fromEncryptedJson(JSON.stringify(ours), "another"), "with its passphrase only");

  const theirs = Wallet.createRandom();
  await privately("theirs.json", await theirs.encrypt(passphrase));
  const imported = wallet(
    "import", "theirs.json", "--from-passphrase-file", "pass", "--to", "copy.json", "--passphrase-file", "pass",
  );
  assert.equal(imported.eth, theirs.address, "we open what ethers encrypts");

  execFileSync(
    raas,
    ["wallet", "export", "copy.json", "--to", "lotus", "--passphrase-file", "pass", "--yes"],
    { cwd: folder },
  );
  const lotus = JSON.parse(Buffer.from(await readFile(join(folder, "lotus"), "utf8"), "hex").toString("utf8"));
  assert.equal(lotus.Type, "secp256k1");
  const secret = Buffer.from(lotus.PrivateKey, "base64").toString("hex");
  assert.equal(`0x${secret}`, theirs.privateKey, "the exported secret is the one that was imported");
  console.log("keystore: ethers and raas open each other's key files");
} finally {
  await rm(folder, { recursive: true, force: true });
}
