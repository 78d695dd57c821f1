import assert from 'node:assert/strict';
import { attested, contractOf, submit, submitted } from './deal-status.mjs';
import { DAY, payload } from './lib.mjs';

export const title = "others' requests on the contract are served once each, also those made while the node was down";

export async function run(world) {
    await world.startNode();
    const contract = await contractOf(world);
    const user = await world.account('user');
    const other = await world.account('other');
    const rpc = world.rpc.bind(world);
    const cids = [];
    for (const bytes of [payload(), payload()]) cids.push((await world.upload(bytes, { deal: 'false' })).body.cid);
    const labels = async (cid) => (await world.entries('published')).filter(({ label }) => label === cid);
    const deals = async (cid, from = 0) => (await labels(cid)).slice(from).map(({ dealId }) => dealId);
    const shown = (request, count) => world.stepUntil(`${count} deals shown for request ${request}`, (ledger) => {
        const found = attested(ledger, request);
        return found.length >= count && found;
    }, 2 * DAY);
    const jobs = async () => (await world.get('/v1/jobs')).body.jobs;

    // Two in one epoch, while the node is down.
    await world.stopNode();
    await submit(rpc, user, contract, cids[0], 3);
    await submit(rpc, other, contract, cids[1], 3);
    await world.advance(2 * DAY);
    const [first, second, ...more] = submitted(await world.ledger());
    assert.equal(first, second, 'both requests in one epoch');
    assert.deepEqual(more, [], 'no other requests');
    await world.startNode();
    await world.activated(6);
    const found = [await shown(1, 3), await shown(2, 3)].sort(([a], [b]) => a - b);
    const made = [await deals(cids[0]), await deals(cids[1])].sort(([a], [b]) => a - b);
    assert.deepEqual(found, made, 'each request has the deals of its CID');
    assert.equal((await jobs()).length, 2, 'a job for each');

    // The same owner again: another job of the same holding, and nothing is bought.
    const own = await deals(cids[0]);
    await submit(rpc, user, contract, cids[0], 3);
    assert.deepEqual(await shown(3, 3), own, 'the same deals');
    await world.stepTo((await world.height()) + DAY);
    assert.equal((await world.entries('proposed')).length, 6, 'proposals after a second request');
    const ofOwner = (await jobs()).filter(({ cid }) => cid === cids[0]);
    assert.equal(ofOwner.length, 2, 'two jobs');
    assert.equal(new Set(ofOwner.map(({ holding }) => holding)).size, 1, 'in one holding');

    // Another owner of the same CID: copies of its own.
    await submit(rpc, other, contract, cids[0], 3);
    const separate = await shown(4, 3);
    await world.stepTo((await world.height()) + DAY);
    assert.deepEqual(separate, await deals(cids[0], 3), "deals of the other owner's own");
    assert.equal((await world.entries('proposed')).length, 9, "proposals after another owner's request");
    const all = (await jobs()).filter(({ cid }) => cid === cids[0]);
    assert.equal(all.length, 3);
    assert.equal(new Set(all.map(({ holding }) => holding)).size, 2, 'holdings');
    assert.equal(new Set(all.map(({ owner }) => owner)).size, 2, 'owners');
}
