import assert from 'node:assert/strict';
import { DAY, liveAfterEach, payload } from './lib.mjs';

export const title = 'three copies lost at once are replaced on three operators, through a kill of the node';

export async function run(world) {
    await world.startNode();
    await world.store(payload(), { replicas: 3 });
    const lost = await world.activated(3);
    await world.stepTo((await world.height()) + 200);

    const since = (await world.height()) + 1;
    for (const deal of lost) await world.rpc('devnet_terminate', `f0${deal.provider}`, null);
    // In the midst of the orders.
    const proposed = (entry) => entry.kind === 'proposed' && entry.epoch >= since;
    await world.stepUntil('a proposal', (ledger) => ledger.some(proposed), DAY);
    await world.killNode();
    await world.startNode();
    const deals = await world.activated(3, since);
    await world.stepTo((await world.height()) + 5 * DAY);

    assert.equal((await world.entries('published', since)).length, 3, 'new deals');
    assert.equal(liveAfterEach(await world.ledger()).at(-1).live.length, 3, 'live deals');
    assert.equal(new Set(deals.map((deal) => deal.operator)).size, 3, 'operators');
}
