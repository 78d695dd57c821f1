import assert from 'node:assert/strict';
import { DAY, payload } from './lib.mjs';

export const title = 'endpoints that lie for 3 days start nothing, and afterwards everything goes on';

// What the node says that it waits for.
const MODES = {
    stale: { hold: 'head_old' },
    down: { hold: 'no_endpoint' },
    forgetDeals: { hold: 'contradiction' },
    forgetDeals32: { hold: 'contradiction' },
    emptyLogs: { hold: undefined },
};
const STRIDE = DAY / 2;

export async function run(world) {
    await world.startNode();
    const cid = await world.store(payload(), { replicas: 3, repairAfter: 0 });
    const [{ dealId }] = await world.activated(3);
    await world.stepTo((await world.height()) + 200);
    let jobs = 1;

    for (const [mode, { hold }] of Object.entries(MODES)) {
        const since = (await world.height()) + 1;
        await world.rpc('devnet_setRpc', mode, null, null);
        await world.stepTo(since + DAY, STRIDE);
        // A node that starts knows no more than its store, and must not believe the lie either.
        if (mode !== 'down') {
            await world.stopNode();
            await world.startNode();
        }
        if (mode === 'emptyLogs') {
            // A request on the contract whose event is hidden.
            const answer = await world.post('/api/register_job', { cid, jobType: 'renew', renewBefore: 30 * DAY });
            assert.equal(answer.status, 201, JSON.stringify(answer.body));
            jobs += 1;
        }
        await world.stepTo(since + 3 * DAY, STRIDE);
        assert.deepEqual(await world.entries('proposed', since), [], `proposals while ${mode}`);
        assert.deepEqual(await world.entries('balanceAdded', since), [], `money moved while ${mode}`);
        const why = await world.get(`/v1/holdings/${cid}/why`);
        assert.equal(why.status, 200);
        assert.equal(why.body.hold?.hold, hold, `what it waits for while ${mode}`);
        // The contract's state tells that something happened, and the receipts what: hidden logs hide nothing.
        if (mode === 'emptyLogs') assert.equal(why.body.contract_waits, null, 'the event cursor waits behind hidden logs');

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
    }
    const { body } = await world.get(`/api/deal_status?cid=${cid}`);
    assert.equal(body.currentActiveDeals.length, 3);
    assert.ok(body.currentActiveDeals.some((deal) => deal.dealId === dealId));
}
