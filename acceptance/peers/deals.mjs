// Usage: node deals.mjs RPC_URL
//
// A storage client made of other people's software only (iso-filecoin, dag-cbor, data-segment, multiaddr): it takes
// a wallet, pays into the market, reads a provider's address and signed ask, proposes a deal over MK12 as Boost and
// Curio take it, serves the bytes, sees the deal active on chain, and fetches and verifies the piece. The devnet must
// have `allow_private`. Ends with status 1 on the first disagreement.

import { createServer, request } from "node:http";
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { strict as assert } from "node:assert";
import * as dagCbor from "@ipld/dag-cbor";
import { multiaddr } from "@multiformats/multiaddr";
import { Piece } from "@web3-storage/data-segment";
import { fromString as address } from "iso-filecoin/address";
import { Message } from "iso-filecoin/message";
import { RPC } from "iso-filecoin/rpc";
import { Signature } from "iso-filecoin/signature";
import { Token } from "iso-filecoin/token";
import { lotusCid } from "iso-filecoin/utils";
import * as Wallet from "iso-filecoin/wallet";
import { CID } from "multiformats/cid";
import { sha256 } from "multiformats/hashes/sha2";
import { Chain } from "./chain.mjs";

const SECP256K1 = "SECP256K1";
const FIL = 10n ** 18n;
const ADD_BALANCE = 822473126;
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const signatureBytes = (key, bytes) => Buffer.concat([Buffer.from([1]), Wallet.sign(key, SECP256K1, bytes).data]);

/** The eleven fields of a proposal as the tuple that is signed. */
const proposalTuple = (deal) => [
  deal.pieceCid,
  deal.pieceSize,
  false,
  address(deal.client).toBytes(),
  address(deal.provider).toBytes(),
  deal.label,
  deal.start,
  deal.end,
  Token.fromAttoFIL(deal.price).toBytes(),
  Token.fromAttoFIL(deal.collateral).toBytes(),
  Token.fromAttoFIL(0).toBytes(),
];

/** The example that the devnet's own tests hold, made by these libraries. */
function checkGolden() {
  const key = new Uint8Array(32).fill(1);
  const client = Wallet.accountFromPrivateKey(key, SECP256K1, "mainnet").address.toString();
  assert.equal(client, "f1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi");
  const proposal = dagCbor.encode(proposalTuple({
    pieceCid: CID.parse("baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"),
    pieceSize: 34359738368,
    client,
    provider: "f01000",
    label: "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
    start: 5000000,
    end: 5518400,
    price: 1600000000n,
    collateral: 11000000000000000n,
  }));
  assert.equal(
    CID.decode(lotusCid(proposal)).toString(),
    "bafy2bzacebyi3ybudg7faz2xr7opchuethuu6pguxkjwalebw2skoafqxwojq",
  );
  assert.equal(
    hex(signatureBytes(key, proposal)).slice(0, 34),
    "018582a105ebc31a3cc72b63694958f972",
  );
}

/** A CAR of one raw block, and its root. */
async function makeCar(size) {
  const block = randomBytes(size);
  const root = CID.createV1(0x55, await sha256.digest(block));
  const header = dagCbor.encode({ roots: [root], version: 1 });
  const varint = (number) => {
    const bytes = [];
    for (; number >= 128; number = Math.floor(number / 128)) bytes.push((number % 128) + 128);
    return Buffer.from([...bytes, number]);
  };
  const section = Buffer.concat([root.bytes, block]);
  return { root, bytes: Buffer.concat([varint(header.length), header, varint(section.length), section]) };
}

/** Serves `bytes` with HEAD and Range to whoever knows the secret. */
async function serve(bytes, secret) {
  const server = createServer((asked, answer) => {
    if (asked.headers["x-secret"] !== secret) return answer.writeHead(404).end();
    const from = Number(/^bytes=(\d+)-$/.exec(asked.headers.range ?? "")?.[1] ?? 0);
    const length = bytes.length - from;
    const range = { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
    const headers = { "content-length": length, ...(asked.headers.range ? range : {}) };
    answer.writeHead(asked.headers.range ? 206 : 200, headers);
    answer.end(asked.method === "HEAD" ? undefined : bytes.subarray(from));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}/piece.car`, stop: () => server.close() };
}

/** One CBOR value there and one back; fetch() refuses a GET with a body, so this is node's own client. */
async function ask(base, method, path, value) {
  const body = dagCbor.encode(value);
  const headers = { "content-type": "application/cbor", "content-length": body.length };
  const sent = request(`${base}${path}`, { method, headers });
  sent.end(body);
  const [answer] = await once(sent, "response");
  const parts = await answer.toArray();
  assert.equal(answer.statusCode, 200, `${method} ${path}: ${Buffer.concat(parts)}`);
  return dagCbor.decode(Buffer.concat(parts));
}

class Client {
  constructor(url) {
    this.chain = new Chain(url, true);
    this.rpc = new RPC({ api: url, network: "testnet" });
    this.key = new Uint8Array(randomBytes(32));
    this.address = Wallet.accountFromPrivateKey(this.key, SECP256K1, "testnet").address.toString();
  }

  native(method, ...params) {
    return this.chain.rpc(`Filecoin.${method}`, params);
  }

  /** Pays into the market by a native message that iso-filecoin builds, estimates, signs and pushes. */
  async payIn(amount) {
    await this.chain.rpc("devnet_fund", [this.address, (amount + FIL).toString()]);
    const params = Buffer.from(dagCbor.encode(address(this.address).toBytes())).toString("base64");
    const message = new Message({
      to: "t05", from: this.address, value: amount.toString(), method: ADD_BALANCE, params,
    });
    await message.prepare(this.rpc);
    const signature = Wallet.signMessage(this.key, SECP256K1, message);
    const pushed = await this.rpc.pushMessage({ msg: message, signature });
    assert.ok(pushed.result, JSON.stringify(pushed.error));
    await this.chain.rpc("devnet_advance", [3]);
    const found = await this.native("StateSearchMsg", [], pushed.result, -1, true);
    assert.equal(found.Receipt.ExitCode, 0);
    const balance = await this.native("StateMarketBalance", this.address, []);
    assert.deepEqual(balance, { Escrow: amount.toString(), Locked: "0" });
  }

  /** Where a provider listens and what it asks, checked against what the chain says of it. */
  async meet(provider) {
    const info = await this.native("StateMinerInfo", provider, []);
    const [text] = info.Multiaddrs.map((one) => multiaddr(Buffer.from(one, "base64")).toString());
    const [, host, port] = /^\/ip4\/([0-9.]+)\/tcp\/(\d+)\/http$/.exec(text);
    const base = `http://${host}:${port}`;
    const miner = address(provider).toBytes();
    const { Ask: signed } = await ask(base, "GET", "/market/mk12/ask", { Miner: miner });
    assert.deepEqual(signed.Ask.Miner, miner);
    const worker = await this.native("StateAccountKey", info.Worker, []);
    const signature = new Signature({ type: SECP256K1, data: signed.Signature.subarray(1) });
    const signer = Wallet.recoverAddress(signature, dagCbor.encode(signed.Ask), "testnet");
    assert.equal(signer.toString(), worker, "the ask is signed by the worker");
    return { provider, base, price: BigInt(`0x${hex(signed.Ask.Price)}`) };
  }

  /** This client's deals with a provider under a label that were published since `height`. */
  async published(height, provider, label) {
    const events = await this.native("GetActorEventsRaw", { fromHeight: height, toHeight: null });
    const ids = events
      .map(({ entries }) => new Map(entries.map(({ Key, Value }) => [Key, dagCbor.decode(Buffer.from(Value, "base64"))])))
      .filter((entries) => entries.get("$type") === "deal-published")
      .map((entries) => entries.get("id"));
    const deals = await Promise.all(ids.map((id) => this.native("StateMarketStorageDeal", id, [])));
    const client = await this.native("StateLookupID", this.address, []);
    return deals.filter(
      ({ Proposal: deal }) => deal.Client === client && deal.Provider === provider && deal.Label === label,
    );
  }

  /** Makes a deal and follows it to the piece. */
  async deal({ provider, base, price }, car, source) {
    const piece = Piece.fromPayload(car.bytes);
    const v1 = piece.toInfo().link;
    const head = (await this.native("ChainHead")).Height;
    const bounds = await this.native("StateDealProviderCollateralBounds", Number(piece.size), false, []);
    const start = head + 8640;
    const tuple = proposalTuple({
      pieceCid: v1,
      pieceSize: Number(piece.size),
      client: this.address,
      provider,
      label: car.root.toString(),
      start,
      end: start + 1555200,
      price: (price * BigInt(piece.size) + (1n << 30n) - 1n) >> 30n,
      collateral: (BigInt(bounds.Min) * 6n) / 5n,
    });
    const signature = signatureBytes(this.key, dagCbor.encode(tuple));
    const uuid = randomBytes(16);
    const params = { URL: source.url, Headers: { "X-Secret": source.secret } };
    const answer = await ask(base, "POST", "/market/mk12/store", {
      DealUUID: uuid,
      Transfer: { Size: car.bytes.length, Type: "http", Params: Buffer.from(JSON.stringify(params)), ClientID: "" },
      IsOffline: false,
      DealDataRoot: car.root,
      SkipIPNIAnnounce: false,
      ClientDealProposal: [tuple, signature],
      RemoveUnsealedCopy: false,
    });
    assert.deepEqual(answer, { Accepted: true, Message: "" });
    await this.chain.rpc("devnet_advance", [100]);

    const { DealStatus: status } = await ask(base, "GET", "/market/mk12/status", {
      DealUUID: uuid,
      Signature: signatureBytes(this.key, uuid),
    });
    assert.equal(status.Error, "");
    assert.deepEqual(dagCbor.encode(status.Proposal), dagCbor.encode(tuple));
    const signedCid = CID.createV1(0x71, await sha256.digest(dagCbor.encode([tuple, signature])));
    assert.ok(status.SignedProposalCid.equals(signedCid));

    const found = await this.published(head, provider, car.root.toString());
    assert.equal(found.length, 1);
    assert.equal(found[0].Proposal.PieceCID["/"], v1.toString());
    assert.ok(found[0].State.SectorStartEpoch > head);

    const got = Buffer.from(await (await fetch(`${base}/piece/${v1}`)).arrayBuffer());
    assert.ok(got.subarray(0, car.bytes.length).equals(car.bytes), "the piece begins with the CAR");
    assert.ok(got.subarray(car.bytes.length).every((byte) => byte === 0), "and goes on with zeros");
    const byV2 = await fetch(`${base}/piece/${piece.link}`, { headers: { range: "bytes=10-19" } });
    assert.equal(byV2.status, 206);
    assert.ok(Buffer.from(await byV2.arrayBuffer()).equals(car.bytes.subarray(10, 20)));
    return status.Status;
  }
}

async function main() {
  const [url, ...rest] = process.argv.slice(2);
  if (!url || rest.length > 0) {
    console.error("usage: node deals.mjs RPC_URL");
    process.exit(2);
  }
  checkGolden();
  console.log("the example proposal has the same CID and signature");
  const client = new Client(url);
  await client.payIn(5n * FIL);
  console.log(`${client.address} paid into the market`);
  const secret = hex(randomBytes(16));
  const words = new Set();
  for (const provider of ["t01000", "t01002"]) {
    const car = await makeCar(200_000);
    const source = await serve(car.bytes, secret);
    try {
      const word = await client.deal(await client.meet(provider), car, { url: source.url, secret });
      words.add(word);
      console.log(`${provider}: deal active, piece fetched and equal, status ${word}`);
    } finally {
      source.stop();
    }
  }
  assert.deepEqual([...words], ["Complete", "Sealed"], "one answers as Boost, one as Curio");
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
