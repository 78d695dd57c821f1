import assert from 'node:assert/strict';
import { DAY, bought, liveAfterEach, payload } from './lib.mjs';

export const title = 'the silent renewal of a last copy gets one more order beside it, and there is a copy at any time';

/** A payload with one copy, up to the start of its renewal window; its first deal. */
async function lastCopy(world) {
    const since = (await world.height()) + 1;
    const cid = await world.store(payload(), { replicas: 1, renewBefore: 30 * DAY });
    await world.activated(1, since);
    const [deal] = await world.entries('published', since);
    await world.stepTo(deal.endEpoch - 30 * DAY - 10);
    return { cid, deal, since };
}

export async function run(world) {
    await world.startNode();
    const { cid, deal } = await lastCopy(world);
    // The provider of the copy takes its renewal and is never heard of again.
    await world.rpc('devnet_setProvider', `f0${deal.provider}`, 'acceptAndVanish', 1);
    const proposals = await world.stepUntil('a renewal and its hedge', (ledger) => {
        const made = bought(ledger, cid);
        return made.length >= 3 && made;
    }, 10 * DAY);
    const [, renewal, hedge] = proposals;
    assert.equal(renewal.provider, deal.provider, 'the same provider is asked first');
    assert.notEqual(hedge.provider, renewal.provider, 'the hedge goes elsewhere');
    const waited = hedge.epoch - renewal.epoch;
    assert.ok(waited >= DAY / 2 && waited < DAY / 2 + 60, `hedged after ${waited} epochs`);

    await world.stepTo(deal.endEpoch + DAY);
    const ledger = await world.ledger();
    assert.equal(bought(ledger, cid).length, 3, 'the copy, its renewal, one hedge');
    assert.equal(ledger.filter((entry) => entry.kind === 'published').length, 2, 'what vanished is no deal');
    const states = liveAfterEach(ledger);
    const from = states.findIndex(({ live }) => live.length > 0);
    assert.ok(states.slice(from).every(({ live }) => live.length > 0), 'there is a copy at any time');
}
