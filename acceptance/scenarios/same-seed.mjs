import assert from 'node:assert/strict';
import { Account } from './eth.mjs';
import { DAY, World } from './lib.mjs';

export const title = 'the same seed gives the same history twice, from the first deal to the renewed ones';

const SEED = 7;
const BYTES = Buffer.alloc(200_000, 'the same bytes in every run');

export async function run(world) {
    assert.deepEqual(await history(world), await history(world));
}

/** What happened in a world of its own. An order's UUID follows from the store, which is made anew. */
async function history({ binary }) {
    const world = new World(binary);
    try {
        await world.start(SEED);
        // The same account, and rounds only when they are asked for.
        const key = await world.keyFile(new Account('node'));
        await world.startNode({ RAAS__WALLET__KEY_FILE: key, RAAS__CHAIN__POLL_MS: '3600000' });
        await world.store(BYTES, { replicas: 3, renewBefore: 30 * DAY, duration: 180 * DAY });
        await world.activated(3);
        const [{ endEpoch }] = await world.entries('published');
        await world.stepTo(endEpoch - 30 * DAY - 1);
        await world.activated(6);
        await world.stepTo((await world.height()) + DAY);
        const ledger = await world.ledger();
        return ledger.map(({ dealUuid, ...entry }) => JSON.stringify(entry)).sort();
    } finally {
        await world.end();
    }
}
