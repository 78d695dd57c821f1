// Somebody else's account on the chain: signs Ethereum transactions and sends them over RPC, with nothing but Node.
//
// Written from the standards, so that the node's own signing is not judged by itself: Keccak-256, secp256k1, RLP and
// EIP-1559. Not for keys of value: it takes no care of side channels.

import { createHash } from 'node:crypto';

const GAS_LIMIT = 100_000_000n;

/** A key with its address, and the nonce that comes next. */
export class Account {
    /** From a name, so that a scenario's accounts are the same in every run. */
    constructor(name) {
        this.secret = createHash('sha256').update(`raas acceptance ${name}`).digest();
        this.address = `0x${keccak(pointBytes(multiply(G, number(this.secret)))).subarray(12).toString('hex')}`;
    }

    /** Sends a call of a contract; it is executed with the next tipset. `rpc(method, ...params)` asks an endpoint. */
    async send(rpc, to, data) {
        const quantity = async (method, ...params) => BigInt(await rpc(method, ...params));
        const fee = 2n * await quantity('eth_gasPrice');
        const fields = [
            await quantity('eth_chainId'),
            await quantity('eth_getTransactionCount', this.address, 'pending'),
            fee, fee, GAS_LIMIT, Buffer.from(to.slice(2), 'hex'), 0n, data, [],
        ];
        const { r, s, odd } = sign(keccak(typed(fields)), this.secret);
        return rpc('eth_sendRawTransaction', `0x${typed([...fields, odd, r, s]).toString('hex')}`);
    }
}

const typed = (fields) => Buffer.concat([Buffer.from([2]), rlp(fields)]);

// --- calls -----------------------------------------------------------------------------------------------------

/** The first topic of an event. */
export const topic = (signature) => `0x${keccak(Buffer.from(signature)).toString('hex')}`;

/**
 * The data of a call. Arguments are numbers, bytes (Buffer), and arrays for what has members of its own: a struct
 * with bytes or lists in it, or an empty list.
 */
export const call = (signature, ...args) => Buffer.concat([keccak(Buffer.from(signature)).subarray(0, 4), tuple(args)]);

function tuple(values) {
    const heads = [];
    const tails = [];
    let at = 32 * values.length;
    for (const value of values) {
        if (typeof value === 'bigint' || typeof value === 'number') {
            heads.push(word(value));
        } else {
            const tail = Array.isArray(value) ? tuple(value) : bytes(value);
            heads.push(word(at));
            tails.push(tail);
            at += tail.length;
        }
    }
    return Buffer.concat([...heads, ...tails]);
}

/** An empty list, which has a length where a struct has members. */
export const NONE = [0];

const word = (value) => Buffer.from(BigInt(value).toString(16).padStart(64, '0'), 'hex');
const bytes = (value) => Buffer.concat([word(value.length), value, Buffer.alloc((32 - (value.length % 32)) % 32)]);

/** The bytes of a CID in base32. */
export function cidBytes(cid) {
    let bits = 0;
    let held = 0;
    const out = [];
    for (const letter of cid.slice(1)) {
        held = (held << 5) | 'abcdefghijklmnopqrstuvwxyz234567'.indexOf(letter);
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            out.push((held >> bits) & 0xff);
            held &= (1 << bits) - 1;
        }
    }
    return Buffer.from(out);
}

// --- RLP -------------------------------------------------------------------------------------------------------

function rlp(value) {
    if (Array.isArray(value)) {
        const body = Buffer.concat(value.map(rlp));
        return Buffer.concat([lengthOf(body, 0xc0), body]);
    }
    const body = typeof value === 'bigint' ? minimal(value) : value;
    return body.length === 1 && body[0] < 0x80 ? body : Buffer.concat([lengthOf(body, 0x80), body]);
}

function lengthOf(body, base) {
    if (body.length < 56) return Buffer.from([base + body.length]);
    const length = minimal(BigInt(body.length));
    return Buffer.concat([Buffer.from([base + 55 + length.length]), length]);
}

function minimal(value) {
    if (value === 0n) return Buffer.alloc(0);
    const hex = value.toString(16);
    return Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex');
}

// --- secp256k1 -------------------------------------------------------------------------------------------------

const P = 2n ** 256n - 2n ** 32n - 977n;
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const G = [
    0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
    0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
];

const modulo = (value, by) => ((value % by) + by) % by;

function inverse(value, by) {
    let [a, b, x, y] = [modulo(value, by), by, 1n, 0n];
    while (a > 1n) [a, b, x, y] = [b % a, a, y - (b / a) * x, x];
    return modulo(x, by);
}

function add(one, other) {
    if (!one || !other) return one ?? other;
    const [[x1, y1], [x2, y2]] = [one, other];
    if (x1 === x2 && y1 !== y2) return null;
    const slope = x1 === x2 ? 3n * x1 * x1 * inverse(2n * y1, P) : (y2 - y1) * inverse(x2 - x1, P);
    const x = modulo(slope * slope - x1 - x2, P);
    return [x, modulo(slope * (x1 - x) - y1, P)];
}

function multiply(point, times) {
    let sum = null;
    for (let [power, left] = [point, times]; left > 0n; power = add(power, power), left >>= 1n) {
        if (left & 1n) sum = add(sum, power);
    }
    return sum;
}

function sign(digest, secret) {
    const once = modulo(number(createHash('sha512').update(secret).update(digest).digest()), N);
    const [x, y] = multiply(G, once);
    const r = modulo(x, N);
    const s = modulo(inverse(once, N) * (number(digest) + r * number(secret)), N);
    return s > N / 2n ? { r, s: N - s, odd: 1n - (y & 1n) } : { r, s, odd: y & 1n };
}

const number = (buffer) => BigInt(`0x${buffer.toString('hex')}`);
const pointBytes = (point) => Buffer.concat(point.map(word));

// --- Keccak-256 ------------------------------------------------------------------------------------------------

const RATE = 136;
const LANES = 2n ** 64n - 1n;
const rotate = (lane, by) => ((lane << BigInt(by)) | (lane >> BigInt(64 - by))) & LANES;

/** The hash of Ethereum, which is not SHA-3: it pads otherwise. */
export function keccak(message) {
    const padded = Buffer.alloc(message.length + RATE - (message.length % RATE));
    message.copy(padded);
    padded[message.length] = 1;
    padded[padded.length - 1] |= 0x80;
    const state = new Array(25).fill(0n);
    for (let at = 0; at < padded.length; at += RATE) {
        for (let lane = 0; lane < RATE / 8; lane += 1) state[lane] ^= padded.readBigUInt64LE(at + 8 * lane);
        permute(state);
    }
    const out = Buffer.alloc(32);
    for (let lane = 0; lane < 4; lane += 1) out.writeBigUInt64LE(state[lane], 8 * lane);
    return out;
}

function permute(a) {
    let register = 1;
    for (let round = 0; round < 24; round += 1) {
        const columns = [0, 1, 2, 3, 4].map((x) => a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20]);
        for (let at = 0; at < 25; at += 1) a[at] ^= columns[(at + 4) % 5] ^ rotate(columns[(at + 1) % 5], 1);

        let [x, y, moved] = [1, 0, a[1]];
        for (let step = 0; step < 24; step += 1) {
            [x, y] = [y, (2 * x + 3 * y) % 5];
            const by = ((step + 1) * (step + 2) / 2) % 64;
            [moved, a[x + 5 * y]] = [a[x + 5 * y], rotate(moved, by)];
        }

        for (let row = 0; row < 25; row += 5) {
            const b = a.slice(row, row + 5);
            for (let at = 0; at < 5; at += 1) a[row + at] = b[at] ^ (~b[(at + 1) % 5] & LANES & b[(at + 2) % 5]);
        }

        // The round's constant, from a shift register of eight bits.
        for (let bit = 0; bit < 7; bit += 1) {
            if (register & 1) a[0] ^= 1n << BigInt(2 ** bit - 1);
            register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
        }
    }
}
