import assert from 'node:assert/strict';
import { DAY, bought, liveAfterEach, payload } from './lib.mjs';

export const title = 'through two renewals there are never less than 3 copies, though every successor vanishes twice';

const WINDOW = 30 * DAY;

export async function run(world) {
    await world.startNode();
    const cid = await world.store(payload(), { replicas: 3, renewBefore: WINDOW, duration: 180 * DAY });
    await world.activated(3);
    const complete = await world.height();
    const providers = (await world.rpc('devnet_providers')).map(({ id }) => id);
    const all = async (mode) => {
        for (const id of providers) await world.rpc('devnet_setProvider', id, mode, null);
    };
    const ends = async () => (await world.entries('published')).map(({ endEpoch }) => endEpoch);

    await world.stepTo(Math.min(...await ends()) - WINDOW - 10);
    assert.equal((await world.entries('proposed')).length, 3, 'proposals before the window opens');
    await all('acceptAndVanish');
    const vanished = (ledger) => bought(ledger, cid).length === 9;
    await world.stepUntil('two vanished successors of each copy', vanished, 15 * DAY);
    await all('normal');
    await world.stepTo(Math.max(...await ends()) + DAY);
    assert.equal((await ends()).length, 6, 'what vanished was never published');
    const second = await ends();
    await world.stepTo(Math.max(...second) + DAY);

    const ledger = await world.ledger();
    for (const { epoch, live } of liveAfterEach(ledger).filter((state) => state.epoch >= complete)) {
        assert.ok(live.length >= 3, `${live.length} copies at epoch ${epoch}`);
    }
    assert.equal(ledger.filter((entry) => entry.kind === 'ended').length, 6, 'ended terms');
    assert.equal(ledger.filter((entry) => entry.kind === 'published').length, 9, 'deals in all');
    const orders = bought(ledger, cid);
    assert.equal(orders.length, 3 + 6 + 3 + 3, 'orders, six of which vanished');

    // An order is on its way until its deal is proven or can start no more: never more of them than places.
    const of = (kind, key, value) => new Map(ledger.filter((entry) => entry.kind === kind)
        .map((entry) => [entry[key], entry[value]]));
    const deals = of('published', 'proposalCid', 'dealId');
    const proven = of('activated', 'dealId', 'epoch');
    const closed = (order) => proven.get(deals.get(order.proposalCid)) ?? order.startEpoch;
    for (const { epoch } of orders) {
        const open = orders.filter((order) => order.epoch <= epoch && epoch < closed(order));
        assert.ok(open.length <= 3, `${open.length} orders on their way at epoch ${epoch}`);
    }
}
