import assert from 'node:assert/strict';
import { DAY, bought, money, payload } from './lib.mjs';

export const title = 'a call that acts though its answer is lost is made once: 3 deals, each paid once';

const CALLS = ['eth_sendRawTransaction', 'Filecoin.MpoolPush'];

export async function run(world) {
    await world.startNode();
    for (const method of CALLS) {
        for (const count of [1, null]) {
            const since = (await world.height()) + 1;
            await world.rpc('devnet_setRpc', 'dropReply', method, count);
            const cid = await world.store(payload(), { replicas: 3 });
            await world.activated(3, since);
            await world.rpc('devnet_setRpc', 'normal', null, null);
            await world.stepTo((await world.height()) + DAY);
            const what = `while answers to ${method} are lost ${count ?? 'always'}`;
            const ledger = (await world.ledger()).filter((entry) => entry.epoch >= since);
            assert.equal(bought(ledger, cid).length, 3, `orders ${what}`);
            assert.equal(ledger.filter((entry) => entry.kind === 'published').length, 3, `deals ${what}`);
            const { added, cost } = money(ledger);
            assert.equal(added, cost, `escrow ${what}`);
        }
    }
}
