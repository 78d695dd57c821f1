import assert from 'node:assert/strict';
import { attested, contractOf, submit, submitted } from './deal-status.mjs';
import { DAY, bought, payload } from './lib.mjs';

export const title = 'two owners who ask for the same CID in one epoch get 3 copies each';

export async function run(world) {
    await world.startNode();
    const contract = await contractOf(world);
    const owners = [await world.account('user'), await world.account('other')];
    const { body: { cid } } = await world.upload(payload(), { deal: 'false' });
    const rpc = world.rpc.bind(world);
    for (const owner of owners) await submit(rpc, owner, contract, cid, 3);
    await world.advance(1);
    const [first, second] = submitted(await world.ledger());
    assert.equal(first, second, 'both requests in one epoch');

    await world.activated(6);
    await world.stepTo((await world.height()) + DAY);
    const ledger = await world.ledger();
    assert.equal(bought(ledger, cid).length, 6, 'orders');
    const deals = ledger.filter((entry) => entry.kind === 'published');
    assert.equal(deals.length, 6, 'deals');
    const operators = new Map(deals.map(({ dealId, operator }) => [dealId, operator]));
    const shown = [attested(ledger, 1), attested(ledger, 2)];
    for (const [at, own] of shown.entries()) {
        assert.equal(own.length, 3, `deals shown for request ${at + 1}`);
        assert.equal(new Set(own.map((dealId) => operators.get(dealId))).size, 3, `operators of request ${at + 1}`);
    }
    assert.equal(new Set(shown.flat()).size, 6, 'no deal is shown for both');
}
