import assert from 'node:assert/strict';
import { DAY, liveAfterEach, payload } from './lib.mjs';

export const title = 'through a full renewal there are never less than 3 copies, and 3 successors are bought';

export async function run(world) {
    await world.startNode();
    await world.store(payload(), { replicas: 3, renewBefore: 30 * DAY });
    await world.activated(3);
    const complete = await world.height();
    const first = await world.entries('published');
    const end = Math.max(...first.map((deal) => deal.endEpoch));

    // A provider that accepts and vanishes does not lower the count.
    await world.stepTo(end - 30 * DAY - 10);
    await world.rpc('devnet_setProvider', `f0${first[0].provider}`, 'acceptAndVanish', 1);
    await world.stepTo(end + DAY);

    const ledger = await world.ledger();
    for (const { epoch, live } of liveAfterEach(ledger).filter((state) => state.epoch >= complete)) {
        assert.ok(live.length >= 3, `${live.length} copies at epoch ${epoch}`);
    }
    assert.equal(ledger.filter((entry) => entry.kind === 'ended').length, 3, 'ended terms');
    assert.equal(ledger.filter((entry) => entry.kind === 'published').length, 6, 'deals in all');
    const last = liveAfterEach(ledger).at(-1).live;
    const operators = ledger.filter((entry) => entry.kind === 'activated' && last.includes(entry.dealId))
        .map((entry) => entry.operator);
    assert.equal(new Set(operators).size, 3, 'operators');
    assert.equal(ledger.filter((entry) => entry.kind === 'proposed').length, 7, 'proposals, one of them vanished');
}
