import assert from 'node:assert/strict';
import { DAY, FIL, payload, prices } from './lib.mjs';

export const title = 'money for 2 of 3 copies buys 2 and waits, saying how much is missing; sent, it buys the third';

const DURATION = 180 * DAY;

export async function run(world) {
    await world.startNode();
    const { accounts: [{ address, balance }] } = (await world.get('/v1/wallet')).body;
    await world.stopNode();
    const [first, second, third] = await prices(world, DURATION);
    // What is left above the reserve is enough for two, and not for three.
    const reserve = BigInt(balance.attofil) - first - second - third / 2n;
    await world.startNode({ RAAS__BUDGET__WALLET_RESERVE_ATTOFIL: String(reserve) });

    const cid = await world.store(payload(), { replicas: 3, duration: DURATION });
    await world.activated(2);
    await world.stepTo((await world.height()) + 6 * DAY);
    assert.equal((await world.entries('proposed')).length, 2, 'proposals without the money for a third');
    const { waits } = (await world.get(`/v1/holdings/${cid}/why`)).body.holdings[0];
    const [wait, ...others] = waits.filter((one) => one.for_.waiting_for === 'budget');
    assert.deepEqual(others, [], JSON.stringify(waits));
    assert.ok(BigInt(wait.for_.needed) > BigInt(wait.for_.available), JSON.stringify(wait));

    await world.rpc('devnet_fund', address, String(FIL));
    await world.advance(1);
    const deals = await world.activated(3);
    await world.stepTo((await world.height()) + DAY);
    assert.equal((await world.entries('proposed')).length, 3, 'proposals after the top-up');
    assert.equal(new Set(deals.map((deal) => deal.operator)).size, 3, 'operators');
}
