import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { attested } from './deal-status.mjs';
import { DAY, bought, cost, liveAfterEach, money, payload } from './lib.mjs';

export const title = 'killed at random moments of storing, renewing, repairing: 3 copies, nothing bought or paid twice';

// A moment is so many requests of the node to the chain after the last one; each stage has several times as many.
const REQUESTS_MAX = 100;
const KILLS_EACH = 2;

const SEED = process.env.RAAS_SEED ?? '1';

/** From seed and purpose, so that every run draws the same. */
function draw(purpose, below) {
    return createHash('sha256').update(`kills ${SEED} ${purpose}`).digest().readUInt32LE() % below;
}

/** Stands between a node and the chain, and kills the node at the wanted request: before it is passed on, or after. */
class Executioner {
    constructor(world) {
        this.world = world;
        this.moments = [];
        this.kills = 0;
        this.alive = true;
        this.server = createServer((incoming, outgoing) => {
            this.pass(incoming, outgoing).catch(() => outgoing.destroy());
        });
    }

    async listen() {
        await new Promise((resolve) => { this.server.listen(0, '127.0.0.1', resolve); });
        return `http://127.0.0.1:${this.server.address().port}/rpc/v1`;
    }

    async pass(incoming, outgoing) {
        const parts = [];
        for await (const part of incoming) parts.push(part);
        const [moment] = this.moments;
        const due = this.alive && moment && (moment.requests -= 1) === 0;
        if (due && !moment.after) return this.kill(outgoing);
        const headers = { 'content-type': 'application/json' };
        const answer = await fetch(this.world.rpcUrl, { method: 'POST', headers, body: Buffer.concat(parts) });
        const body = Buffer.from(await answer.arrayBuffer());
        if (due) return this.kill(outgoing);
        outgoing.writeHead(answer.status, headers).end(body);
    }

    async kill(outgoing) {
        this.alive = false;
        this.moments.shift();
        this.killed = this.world.killNode();
        this.kills += 1;
        outgoing.destroy();
        await this.killed;
    }
}

export async function run(world) {
    const executioner = new Executioner(world);
    const network = await executioner.listen();
    const start = () => world.startNode({}, { network });
    // Does something that may be done again until the node lives through it.
    const through = async (what) => {
        for (;;) {
            const { kills } = executioner;
            try {
                return await what();
            } catch (error) {
                if (executioner.kills === kills) throw error;
                await executioner.killed;
                await start();
                executioner.alive = true;
            }
        }
    };
    const stage = async (name, what) => {
        executioner.moments = Array.from({ length: KILLS_EACH }, (_, kill) => ({
            requests: 1 + draw(`${name} ${kill} requests`, REQUESTS_MAX),
            after: draw(`${name} ${kill} after`, 2) === 1,
        }));
        await through(what);
        assert.deepEqual(executioner.moments, [], `${name} was over before its kills`);
    };

    await start();
    const bytes = payload();
    let stored = null;
    await stage('store', async () => {
        stored ??= await world.store(bytes, { replicas: 3, renewBefore: 30 * DAY, duration: 180 * DAY });
        await world.activated(3);
    });
    const { label: cid, endEpoch } = (await world.entries('published'))[0];

    const window = endEpoch - 30 * DAY;
    await world.stepTo(window - 1);
    await stage('renew', () => world.activated(3, window));
    await world.stepTo(endEpoch + 2 * DAY);
    const [lost] = await world.entries('published', window);

    const since = (await world.height()) + 1;
    await world.rpc('devnet_terminate', `f0${lost.provider}`, null);
    await stage('repair', () => world.activated(1, since));
    await world.stepTo(since + 5 * DAY);
    executioner.server.close();

    const ledger = await world.ledger();
    const orders = bought(ledger, cid);
    assert.equal(orders.length, 3 + 3 + 1, 'orders: copies, successors, one replacement');
    assert.equal(new Set(orders.map(({ dealUuid }) => dealUuid)).size, orders.length, 'an order signed twice');
    const published = ledger.filter((entry) => entry.kind === 'published');
    assert.equal(published.length, orders.length, 'each is published once');
    const { live } = liveAfterEach(ledger).at(-1);
    assert.equal(live.length, 3, 'live copies');
    const operators = new Map(published.map(({ dealId, operator }) => [dealId, operator]));
    assert.equal(new Set(live.map((dealId) => operators.get(dealId))).size, 3, 'operators');

    // Escrow got what the orders cost; what the terminated deal gave back may have been used again.
    const { added, cost: most } = money(ledger);
    assert.ok(added <= most && added >= most - cost(lost), `${added} attoFIL of escrow for ${most}`);
    const failed = ledger.filter((entry) => entry.kind === 'transaction' && !entry.success);
    assert.deepEqual(failed, [], 'transactions that reverted');
    for (const { id } of (await world.get('/v1/jobs')).body.jobs) {
        assert.equal(attested(ledger, id).length, orders.length, `deals shown for request ${id}`);
    }
}
