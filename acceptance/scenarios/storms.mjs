import assert from 'node:assert/strict';
import { DAY, bought, payload } from './lib.mjs';

export const title = "of 300 holdings one provider's losses are repaired at a pace, and suspects wait for the breaker";

const HOLDINGS = 300;
const HOUR = 120;
// Repairs of lost copies within an hour.
const PER_HOUR = 100;

export async function run(world) {
    world.pace = HOUR / 4;
    await world.startNode({ RAAS__DEALS__REPAIRS_PER_WINDOW: String(PER_HOUR) });
    const cids = new Set();
    for (let stored = 0; stored < HOLDINGS; stored += 1) {
        const { body: { cid } } = await world.upload(payload(1_000), { deal: 'false' });
        const job = await world.post('/v1/jobs', { cid, replicas: 3, repairAfter: DAY });
        assert.equal(job.status, 201, JSON.stringify(job.body));
        cids.add(cid);
    }
    const orders = async (since) => bought((await world.ledger()).filter(({ epoch }) => epoch >= since));
    const complete = (ledger) => copies(ledger, cids).every((count) => count === 3);
    const whole = (what) => world.stepUntil(what, complete, 10 * DAY);
    await whole('3 copies of everything');
    await world.stepTo((await world.height()) + HOUR);
    assert.equal((await world.entries('proposed')).length, 3 * HOLDINGS, 'proposals at first');

    // A provider loses everything for good: that is never stopped, but paced.
    let since = (await world.height()) + 1;
    const gone = await largest(world);
    await world.rpc('devnet_terminate', `f0${gone}`, null);
    await world.happens('the losses', (entry) => entry.kind === 'terminated', 10);
    const lost = (await world.entries('terminated', since)).length;
    assert.ok(lost > PER_HOUR, `${lost} copies lost`);
    await whole('3 copies of everything again');
    let repairs = await orders(since);
    assert.equal(repairs.length, lost, 'one order for each loss');
    inTime(repairs, since, (hours) => PER_HOUR * (hours + 1));
    await world.stepTo((await world.height()) + HOUR);

    // Another one turns faulty as a whole: its suspects wait a day for the breaker, though their patience is over.
    const faulty = await largest(world);
    assert.notEqual(faulty, gone);
    since = (await world.height()) + 1;
    await world.rpc('devnet_fault', `f0${faulty}`, null);
    const breaker = async () => (await world.get('/v1/node')).body.breaker;
    let tripped;
    for (const limit = since + 3 * DAY; !tripped; tripped = (await breaker()).providers[faulty]) {
        assert.ok((await world.step(limit)) < limit, `the breaker of f0${faulty} did not trip`);
    }
    assert.equal((await breaker()).fleet, null, 'one operator is no storm of the fleet');
    await world.stepTo(tripped.since + DAY);
    assert.deepEqual(await orders(since), [], 'suspects wait');

    // Then they are repaired, at first slowly.
    await whole('3 copies of everything elsewhere');
    repairs = await orders(since);
    const suspects = (await world.entries('activated', since)).length;
    assert.equal(repairs.length, suspects, 'one order for each suspect');
    assert.ok(suspects > PER_HOUR, `${suspects} suspects`);
    inTime(repairs, tripped.since + DAY, (hours) => 2 ** (hours + 1) - 2);
}

/** Of what started since an epoch, no more than `allowed` in its first so many hours. */
function inTime(orders, since, allowed) {
    orders.forEach(({ epoch }, before) => {
        const hours = Math.floor((epoch - since) / HOUR) + 1;
        assert.ok(before < allowed(hours), `${before + 1} orders in ${hours} hours`);
    });
}

/** How many live copies each CID has. */
function copies(ledger, cids) {
    const labels = new Map();
    const sectors = new Map();
    const faulty = new Set();
    for (const entry of ledger) {
        const sector = `${entry.provider}/${entry.sector}`;
        if (entry.kind === 'published') labels.set(entry.dealId, entry.label);
        else if (entry.kind === 'activated') sectors.set(entry.dealId, sector);
        else if (entry.kind === 'terminated') sectors.delete(entry.dealId);
        else if (entry.kind === 'faulted') faulty.add(sector);
    }
    const live = [...sectors].filter(([, sector]) => !faulty.has(sector));
    const byCid = counts(live, ([deal]) => labels.get(deal));
    return [...cids].map((cid) => byCid.get(cid) ?? 0);
}

function counts(list, key) {
    const found = new Map();
    for (const one of list) found.set(key(one), (found.get(key(one)) ?? 0) + 1);
    return found;
}

async function largest(world) {
    const deals = ({ sectors }) => sectors.reduce((sum, sector) => sum + (sector.deals?.length ?? 0), 0);
    const [first] = (await world.rpc('devnet_providers')).sort((a, b) => deals(b) - deals(a));
    return Number(first.id.slice(2));
}
