import assert from 'node:assert/strict';
import { attested, contractOf, submit } from './deal-status.mjs';
import { DAY, payload } from './lib.mjs';

export const title = 'endpoints that lie for 3 days start nothing, and afterwards everything goes on';

// What the node says that it waits for, to programs and to people.
const MODES = {
    stale: { hold: 'head_old', says: /nothing is started: .* older than the clock/ },
    down: { hold: 'no_endpoint', says: /nothing is started: no chain endpoint answers/ },
    forgetDeals: { hold: 'contradiction', says: /nothing is started: an endpoint denies what was seen/ },
    forgetDeals32: { hold: 'contradiction', says: /nothing is started: an endpoint denies what was seen/ },
    // Hidden logs hide nothing: the contract's state tells that something happened, and the receipts what.
    emptyLogs: { hold: undefined, says: /3 of 3 proven/ },
};
const STRIDE = DAY / 2;

export async function run(world) {
    await world.startNode();
    const cid = await world.store(payload(), { replicas: 3, repairAfter: 0 });
    const [{ dealId }] = await world.activated(3);
    await world.stepTo((await world.height()) + 200);
    // Somebody else keeps the same content by the contract, over an endpoint that tells the truth.
    const rpc = await world.endpoint('honest');
    const user = await world.account('user');
    const contract = await contractOf(world);
    await submit(rpc, user, contract, cid, 3, 1);
    await world.activated(6);
    await world.stepTo((await world.height()) + 200);
    const shown = attested(await world.ledger(), 2);
    assert.equal(shown.length, 3);
    let jobs = 2;

    for (const [mode, { hold, says }] of Object.entries(MODES)) {
        const since = (await world.height()) + 1;
        await world.rpc('devnet_setRpc', mode, null, null);
        await world.stepTo(since + DAY, STRIDE);
        // A node that starts knows no more than its store, and must not believe the lie either.
        if (mode !== 'down') {
            await world.stopNode();
            await world.startNode();
        }
        // A request on the contract that the node cannot see now.
        await submit(rpc, user, contract, cid, 3, 1);
        jobs += 1;
        await world.stepTo(since + 3 * DAY, STRIDE);
        assert.deepEqual(await world.entries('proposed', since), [], `proposals while ${mode}`);
        assert.deepEqual(await world.entries('balanceAdded', since), [], `money moved while ${mode}`);
        const why = await world.get(`/v1/holdings/${cid}/why`);
        assert.equal(why.status, 200);
        assert.equal(why.body.hold?.hold, hold, `what it waits for while ${mode}`);
        const told = await world.command('why', cid);
        assert.equal(told.code, 0, told.stderr);
        assert.match(told.stdout, says);
        if (mode === 'emptyLogs') assert.equal(why.body.contract_waits, null, 'the cursor waits behind hidden logs');

        await world.rpc('devnet_setRpc', 'normal', null, null);
        const honest = await world.height();
        const other = await world.store(payload(), { replicas: 3 });
        jobs += 1;
        await world.activated(3, honest);
        await world.stepTo((await world.height()) + 200);
        const proposals = await world.entries('proposed', since);
        assert.equal(proposals.length, 3, `proposals for the payload after ${mode}`);
        assert.ok(proposals.every((proposal) => proposal.label === other), `labels after ${mode}`);
        const after = await world.get(`/v1/holdings/${cid}/why`);
        assert.equal(after.body.hold, null, `a hold after ${mode}`);
        assert.equal(after.body.contract_waits, null, `the event cursor waits after ${mode}`);
        assert.equal((await world.get('/v1/jobs')).body.jobs.length, jobs, `jobs after ${mode}`);
        assert.deepEqual(attested(await world.ledger(), jobs - 1), shown, `the request made while ${mode}`);
    }
    const { body } = await world.get(`/api/deal_status?cid=${cid}`);
    assert.equal(body.currentActiveDeals.length, 6);
    assert.ok(body.currentActiveDeals.some((deal) => deal.dealId === dealId));
}
