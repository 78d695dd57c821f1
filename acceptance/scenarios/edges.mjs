import assert from 'node:assert/strict';
import { DAY, payload } from './lib.mjs';

export const title = 'a fault is repaired in the round that finalizes F + X, not one before, and not on one sighting';

const X = DAY;

export async function run(world) {
    // Rounds happen when the scenario says so.
    await world.startNode({ RAAS__CHAIN__POLL_MS: '3600000' });
    const cid = await world.store(payload(), { replicas: 3, repairAfter: X });
    const [one, other] = await world.activated(3);
    await world.stepTo((await world.height()) + 200);
    const { head, finalized } = await world.quiesce();
    const lag = head - finalized;
    // From the order to the proposal lie the rounds and transactions that bring the money.
    const ordered = async () => (await world.get(`/v1/holdings/${cid}/why`)).body.holdings[0].orders.length;
    assert.equal(await ordered(), 3);

    const since = (await world.height()) + 1;
    const faultOf = async ({ provider, sector }) => {
        await world.rpc('devnet_fault', `f0${provider}`, [sector]);
        const faulted = (entry) => entry.kind === 'faulted' && entry.provider === provider && entry.epoch >= since;
        return (await world.happens('the fault', faulted, 2 * DAY)).epoch;
    };
    const repaired = async (count, deal) => {
        const copies = await world.activated(count, since);
        await world.stepTo((await world.height()) + 5 * DAY);
        assert.equal((await world.entries('proposed', since)).length, count, 'proposals');
        assert.equal((await world.entries('activated', since)).length, count, 'new copies');
        assert.notEqual(copies.at(-1).operator, deal.operator, 'another operator');
    };

    const fault = await faultOf(one);
    await world.stepTo(fault + X - 1 + lag);
    assert.equal(await ordered(), 3, 'orders when F + X - 1 is final');
    assert.deepEqual(await world.entries('proposed', since), [], 'proposals when F + X - 1 is final');
    await world.advance(1);
    await world.quiesce();
    assert.equal(await ordered(), 4, 'orders when F + X is final');
    await repaired(1, one);

    // The node does not look until F + X is long over.
    await faultOf(other);
    await world.advance(2 * X);
    await world.quiesce();
    await world.quiesce();
    assert.equal(await ordered(), 4, 'orders after one sighting');
    assert.equal((await world.entries('proposed', since)).length, 1, 'proposals after one sighting');
    await world.advance(1);
    await world.quiesce();
    assert.equal(await ordered(), 5, 'orders after the second sighting');
    await repaired(2, other);
}
