import assert from 'node:assert/strict';
import { attested, complete, deploy, submit } from './deal-status.mjs';
import { DAY, liveAfterEach, payload } from './lib.mjs';

export const title = 'deals that an aggregator completes by itself are adopted: nothing is ordered, and they are kept';

export async function run(world) {
    const rpc = world.rpc.bind(world);
    const aggregator = await world.account('aggregator');
    const user = await world.account('user');
    const node = await world.account('node');
    const { address, fromBlock } = await deploy(world, aggregator, [aggregator, node]);

    // The aggregator has means of its own: another node, with a contract of its own.
    const bytes = payload();
    const elsewhere = world.beside('aggregator');
    await elsewhere.startNode();
    const cid = await elsewhere.store(bytes, { replicas: 3 });
    await elsewhere.activated(3);
    await elsewhere.stepTo((await world.height()) + 200);
    await elsewhere.stopNode();
    const deals = await world.entries('published');
    const before = await world.ledger();

    await world.startNode({
        RAAS__CONTRACT__ADDRESS: address,
        RAAS__CONTRACT__FROM_BLOCK: String(fromBlock),
        RAAS__WALLET__KEY_FILE: await world.keyFile(node),
    });
    assert.equal((await world.upload(bytes, { deal: 'false' })).body.cid, cid);
    const since = (await world.height()) + 1;
    await submit(rpc, user, address, cid, 3);
    await world.advance(1);
    for (const deal of deals) await complete(rpc, aggregator, address, 1, deal);
    // All of it is final before the node looks: one that saw the request alone would have bought copies.
    await world.advance(50);
    await world.stepTo(since + 5 * DAY);
    const ids = deals.map(({ dealId }) => dealId);
    assert.deepEqual(await world.entries('proposed', since), [], 'nothing is ordered');
    assert.deepEqual(await world.entries('balanceAdded', since), [], 'nothing is paid');
    const after = (await world.ledger()).slice(before.length);
    assert.deepEqual(attested(after, 1), ids, 'each deal is shown once');
    const status = await world.get(`/api/deal_status?cid=${cid}`);
    assert.deepEqual(status.body.currentActiveDeals.map(({ dealId }) => dealId).sort((a, b) => a - b), ids);

    // Adopted is more than counted: one that is lost is replaced.
    await world.rpc('devnet_terminate', `f0${deals[0].provider}`, null);
    const [replacement] = await world.activated(1, since);
    await world.stepTo((await world.height()) + DAY);
    assert.equal((await world.entries('proposed', since)).length, 1, 'one order for the lost copy');
    assert.ok(!deals.some(({ operator }) => operator === replacement.operator), 'on another operator');
    assert.equal(liveAfterEach(await world.ledger()).at(-1).live.length, 3, 'live copies');
}
