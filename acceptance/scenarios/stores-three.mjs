import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { activeDeals } from './deal-status.mjs';
import { DAY, request } from './lib.mjs';

export const title = "the specification's calls in a row leave 3 deals, and the bytes come back";

export async function run(world) {
    await world.startNode();
    const bytes = await readFile(process.execPath).then((all) => all.subarray(0, 3_000_000));
    const stored = await world.upload(bytes);
    assert.equal(stored.status, 201);
    assert.equal(stored.body.bytes, bytes.length);
    const { cid } = stored.body;
    for (const jobType of ['replication', 'renew', 'repair']) {
        const answer = await world.post('/api/register_job', { cid, jobType, replicationTarget: 3, epochs: 4 * DAY });
        assert.equal(answer.status, 201, JSON.stringify(answer.body));
        assert.ok(answer.body.message);
    }

    const deals = await world.activated(3);
    await world.stepTo((await world.height()) + 2 * DAY);
    assert.equal((await world.entries('proposed')).length, 3, 'proposals');
    assert.equal((await world.entries('activated')).length, 3, 'deals');
    assert.equal(new Set(deals.map((deal) => deal.operator)).size, 3, 'operators');

    const { status, body } = await world.get(`/api/deal_status?cid=${cid}`);
    assert.equal(status, 200);
    const byNumber = (a, b) => a - b;
    assert.deepEqual(
        body.currentActiveDeals.map((deal) => deal.dealId).sort(byNumber),
        deals.map((deal) => deal.dealId).sort(byNumber),
    );
    const onContract = deals.map((deal) => [deal.dealId, deal.provider]).sort(([a], [b]) => a - b);
    assert.deepEqual(await activeDeals(world, cid), onContract);
    assert.equal(body.dealInfos.length, 3);
    assert.equal(Number(body.replicationTarget), 3);

    const back = await request(`${world.data}/ipfs/${cid}`);
    assert.equal(back.status, 200);
    assert.ok(bytes.equals(back.body), 'the bytes differ');
}
