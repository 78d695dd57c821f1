import assert from 'node:assert/strict';
import { activeDeals } from './deal-status.mjs';
import { DAY, bought, payload } from './lib.mjs';

export const title = 'orders on their way while an endpoint lies beyond their start are found, not made again';

const MODES = ['stale', 'down', 'forgetDeals', 'forgetDeals32', 'emptyLogs'];
// Twice as long as from a proposal to the start of its term.
const LASTS = 6 * DAY;

export async function run(world) {
    await world.startNode();
    for (const mode of MODES) {
        const since = (await world.height()) + 1;
        const cid = await world.store(payload(), { replicas: 3 });
        await world.stepUntil('3 proposals', (ledger) => bought(ledger, cid).length === 3, DAY);
        await world.rpc('devnet_setRpc', mode, null, null);
        await world.stepTo((await world.height()) + LASTS, DAY / 4);
        await world.rpc('devnet_setRpc', 'normal', null, null);
        await world.stepTo((await world.height()) + DAY);
        assert.equal(bought(await world.ledger(), cid).length, 3, `orders after ${mode}`);
        const deals = (await world.entries('published', since)).map(({ dealId, provider }) => [dealId, provider]);
        assert.equal(deals.length, 3, `deals after ${mode}`);
        assert.equal((await world.entries('activated', since)).length, 3, `proven after ${mode}`);
        assert.deepEqual(await activeDeals(world, cid), deals, `on the contract after ${mode}`);
    }
}
