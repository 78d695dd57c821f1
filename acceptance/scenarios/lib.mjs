// A devnet and a node as processes of their own, seen from outside: HTTP, RPC and the devnet's ledger.
//
// Time moves by command only. A scenario steps: the node comes to rest, then time goes on to the next thing that either
// side waits for. What happened is read from the ledger, never from the node's own words.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Account } from './eth.mjs';

/** attoFIL in a FIL. */
export const FIL = 10n ** 18n;
/** Epochs in a day, at 30 s each. */
export const DAY = 2880;

const START_MS = 120_000;
// A storm comes to rest in minutes on a machine that does much else.
const REQUEST_MS = 300_000;
const STOP_MS = 10_000;

/** The processes and directories of one scenario. */
export class World {
    constructor(binary) {
        this.binary = binary;
        this.children = new Set();
        this.settled = [];
        // Epochs that a step takes at least, for worlds in which there is something at each.
        this.pace = 1;
    }

    /** Starts the devnet; nodes are started by {@link World.startNode}. */
    async start(seed = 1) {
        this.dir = await mkdtemp(join(tmpdir(), 'raas-scenario-'));
        const args = ['devnet', '--port', '0', '--epoch-ms', '0', '--allow-private', '--json', '--seed', String(seed)];
        this.devnet = await this.run(args);
        this.rpcUrl = this.devnet.started.rpc;
        return this;
    }

    /** A place for another node on the same devnet. It ends with this one. */
    beside(name) {
        return Object.assign(new World(this.binary), {
            children: this.children, dir: join(this.dir, name), rpcUrl: this.rpcUrl,
        });
    }

    /**
     * A node on the devnet, configured by the environment if wanted. Started again, it goes on where it was.
     * `network` is another way to the chain, `inside` a command that runs the node.
     */
    async startNode(environment = {}, { network = this.rpcUrl, inside = [] } = {}) {
        const args = ['up', '--network', network, '--admin', '127.0.0.1:0', '--data', '127.0.0.1:0'];
        args.push('--data-dir', join(this.dir, 'node'), '--json');
        this.node = await this.run(args, environment, inside);
        this.admin = this.node.started.admin;
        this.data = this.node.started.data;
    }

    async stopNode() {
        await stop(this.node.child);
        this.children.delete(this.node.child);
    }

    /** Ends the node in the midst of whatever it does. */
    async killNode() {
        await stop(this.node.child, 'SIGKILL');
        this.children.delete(this.node.child);
    }

    async end() {
        await Promise.all([...this.children].map((child) => stop(child)));
        if (this.dir) await rm(this.dir, { recursive: true, force: true });
    }

    /** Starts a process that stays, and waits for its first line of JSON. */
    run(args, environment = {}, inside = []) {
        const [program, ...rest] = [...inside, this.binary, ...args];
        const child = spawn(program, rest, {
            env: { ...process.env, ...environment },
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        this.children.add(child);
        process.once('exit', () => child.kill('SIGKILL'));
        let said = '';
        let complained = '';
        child.stderr.on('data', (chunk) => { complained = (complained + chunk).slice(-20_000); });
        return new Promise((resolve, reject) => {
            const failed = (why) => reject(new Error(`raas ${args[0]} ${why}\n${complained}`));
            const timer = setTimeout(() => failed('did not start in time'), START_MS);
            child.on('error', (error) => failed(error.message));
            child.on('exit', (code) => failed(`ended with status ${code}`));
            child.stdout.on('data', (chunk) => {
                said += chunk;
                const line = said.split('\n').slice(0, -1).find((one) => one.startsWith('{'));
                if (!line) return;
                clearTimeout(timer);
                resolve({ child, started: JSON.parse(line), log: () => complained });
            });
        });
    }

    /** Runs a command of the CLI to its end, against the node if there is one. */
    command(...args) {
        const node = this.admin ? ['--node', this.admin, '--data-url', this.data] : [];
        const child = spawn(this.binary, [...node, ...args]);
        const out = { stdout: '', stderr: '' };
        child.stdout.on('data', (chunk) => { out.stdout += chunk; });
        child.stderr.on('data', (chunk) => { out.stderr += chunk; });
        return new Promise((resolve, reject) => {
            child.on('error', reject);
            child.on('close', (code) => resolve({ code, ...out }));
        });
    }

    // --- the chain ---------------------------------------------------------------------------------------------

    rpc(method, ...params) {
        return rpcAt(this.rpcUrl, method, params);
    }

    /** Another endpoint of the devnet, untouched by what is done to the node's: `(method, ...params) => result`. */
    async endpoint(name) {
        await this.rpc('devnet_setEndpoint', name, {});
        return (method, ...params) => rpcAt(`${this.rpcUrl}/${name}`, method, params);
    }

    /** Somebody with money of their own. */
    async account(name) {
        const account = new Account(name);
        await this.rpc('devnet_fund', account.address, String(100n * FIL));
        await this.advance(2);
        return account;
    }

    /** Its key in a file, as the CLI reads it. */
    async keyFile(account) {
        const path = join(this.dir, `${account.address}.key`);
        await writeFile(path, account.secret.toString('hex'), { mode: 0o600 });
        return path;
    }

    async height() {
        return (await this.rpc('devnet_now')).height;
    }

    /** Lets time pass without letting the node come to rest. */
    advance(epochs) {
        return this.rpc('devnet_advance', epochs);
    }

    /** All that happened. What is older than the newest epoch does not change, and is read once. */
    async ledger() {
        const ledger = [...this.settled, ...await this.rpc('devnet_ledger', this.settled.length)];
        const newest = ledger.at(-1)?.epoch;
        this.settled = ledger.slice(0, ledger.findIndex((entry) => entry.epoch === newest));
        return ledger;
    }

    /** Entries of one kind, at or after an epoch. */
    async entries(kind, since = 0) {
        return (await this.ledger()).filter((entry) => entry.kind === kind && entry.epoch >= since);
    }

    // --- the node ----------------------------------------------------------------------------------------------

    get(path) {
        return request(this.admin + path);
    }

    post(path, value) {
        const headers = { 'content-type': 'application/json' };
        return request(this.admin + path, { method: 'POST', headers, body: JSON.stringify(value) });
    }

    upload(bytes, fields = {}) {
        const form = new FormData();
        for (const [name, value] of Object.entries(fields)) form.append(name, value);
        form.append('file', new Blob([bytes]), 'payload.bin');
        return this.send('/api/uploadFile', form);
    }

    send(path, form) {
        return request(this.admin + path, { method: 'POST', body: form });
    }

    /** Stores a payload with these fields of a job. */
    async store(bytes, job = {}) {
        const stored = await this.upload(bytes, { deal: 'false' });
        assert.equal(stored.status, 201, JSON.stringify(stored.body));
        const registered = await this.post('/api/register_job', { cid: stored.body.cid, jobType: 'all', ...job });
        assert.equal(registered.status, 201, JSON.stringify(registered.body));
        return stored.body.cid;
    }

    async quiesce() {
        const { status, body } = await request(`${this.admin}/v1/node/quiesce`, { method: 'POST' });
        assert.equal(status, 200, JSON.stringify(body));
        return body;
    }

    // --- time --------------------------------------------------------------------------------------------------

    /** One step, not past `limit` and at most `stride` epochs. */
    async step(limit, stride = Infinity) {
        const { next_wake: wake } = await this.quiesce();
        const height = await this.height();
        const event = await this.rpc('devnet_nextEvent');
        const later = [wake, event].filter((epoch) => epoch !== null && epoch > height);
        const to = Math.min(limit, height + stride, Math.max(height + this.pace, Math.min(...later)));
        if (to > height) await this.advance(to - height);
        return to;
    }

    /** Steps to an epoch and lets the node come to rest there. */
    async stepTo(epoch, stride = Infinity) {
        while (await this.step(epoch, stride) < epoch);
        await this.quiesce();
    }

    /** Steps until the ledger satisfies a condition, for a bounded number of epochs. */
    async stepUntil(what, condition, atMost) {
        const limit = (await this.height()) + atMost;
        for (;;) {
            await this.quiesce();
            const found = condition(await this.ledger());
            if (found) return found;
            if ((await this.height()) >= limit) throw new Error(`${atMost} epochs passed without ${what}`);
            await this.step(limit);
        }
    }

    /** Lets the world go on without the node coming to rest, until the ledger has such an entry; it is returned. */
    async happens(what, condition, atMost) {
        const limit = (await this.height()) + atMost;
        for (;;) {
            const found = (await this.ledger()).find(condition);
            if (found) return found;
            const event = await this.rpc('devnet_nextEvent');
            if (event === null || event > limit) throw new Error(`${atMost} epochs passed without ${what}`);
            await this.advance(event - await this.height());
        }
    }

    /** Steps until so many deals have been activated since an epoch; they are returned. */
    activated(count, since = 0) {
        return this.stepUntil(`${count} activated deals`, (ledger) => {
            const deals = ledger.filter((entry) => entry.kind === 'activated' && entry.epoch >= since);
            return deals.length >= count && deals;
        }, 4 * DAY);
    }
}

/** A payload nobody has stored before. */
export function payload(size = 200_000) {
    return randomBytes(size);
}

// What a payload of the usual size is as a piece.
const PADDED = 262_144n;
const GIB = 1n << 30n;

/** What a payload of the usual size costs each operator's cheapest provider for a term, attoFIL, cheapest first. */
export async function prices(world, duration) {
    const cheapest = new Map();
    for (const { operator, askPerGibEpoch, minPieceSize } of await world.rpc('devnet_providers')) {
        if (BigInt(minPieceSize) > PADDED) continue;
        const perEpoch = (BigInt(askPerGibEpoch) * PADDED + GIB - 1n) / GIB;
        const price = perEpoch * BigInt(duration);
        if (!(cheapest.get(operator) <= price)) cheapest.set(operator, price);
    }
    return [...cheapest.values()].sort((a, b) => (a < b ? -1 : 1));
}

/** The proposals, of a CID if it is given, each as a provider saw it first. */
export function bought(ledger, cid) {
    const seen = new Set();
    return ledger.filter((entry) => entry.kind === 'proposed' && entry.label === (cid ?? entry.label))
        .filter((entry) => !seen.has(entry.proposalCid) && seen.add(entry.proposalCid));
}

/** What went into escrow, and what the published deals cost, attoFIL. */
export function money(ledger) {
    const sum = (kind, amount) => ledger.filter((entry) => entry.kind === kind)
        .reduce((total, entry) => total + amount(entry), 0n);
    return {
        added: sum('balanceAdded', ({ amount }) => BigInt(amount)),
        cost: sum('published', cost),
    };
}

/** What a deal costs over its term, attoFIL. */
export const cost = (deal) => BigInt(deal.pricePerEpoch) * BigInt(deal.endEpoch - deal.startEpoch);

/** Ids of deals that are active and not faulty after each epoch of the ledger, oldest first: `[{epoch, live}]`. */
export function liveAfterEach(ledger) {
    const deals = new Map();
    const faulty = new Set();
    const states = [];
    for (const entry of ledger) {
        const sector = `${entry.provider}/${entry.sector}`;
        if (entry.kind === 'activated') deals.set(entry.dealId, sector);
        else if (entry.kind === 'ended' || entry.kind === 'terminated') deals.delete(entry.dealId);
        else if (entry.kind === 'faulted') faulty.add(sector);
        else if (entry.kind === 'recovered') faulty.delete(sector);
        else continue;
        const live = [...deals].filter(([, where]) => !faulty.has(where)).map(([id]) => id);
        if (states.at(-1)?.epoch === entry.epoch) states.pop();
        states.push({ epoch: entry.epoch, live });
    }
    return states;
}

async function rpcAt(url, method, params) {
    const { body } = await request(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    if (body.error) throw new Error(`${method}: ${JSON.stringify(body.error)}`);
    return body.result;
}

/** An HTTP exchange: status and body, parsed if it is JSON. */
export async function request(url, options = {}) {
    const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_MS), ...options });
    const bytes = Buffer.from(await response.arrayBuffer());
    const json = (response.headers.get('content-type') ?? '').startsWith('application/json');
    return { status: response.status, body: json ? JSON.parse(bytes) : bytes };
}

async function stop(child, signal = 'SIGTERM') {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
}
