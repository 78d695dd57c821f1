import assert from 'node:assert/strict';
import { DAY, payload } from './lib.mjs';

export const title = 'a terminated copy is replaced at once, a faulty one after repairAfter, a short fault never';

const REPAIR_AFTER = 3 * DAY;
// From a finalized fact to the proposal: finality of the devnet, rounds, and the escrow's transaction.
const SOON = 120;

export async function run(world) {
    await world.startNode();
    await world.store(payload(), { replicas: 3, repairAfter: REPAIR_AFTER });
    const [lost, faulty, third] = await world.activated(3);
    await world.stepTo((await world.height()) + 200);

    let since = await world.height();
    await world.rpc('devnet_terminate', `f0${lost.provider}`, null);
    const [replacement] = await world.activated(1, since);
    await world.stepTo((await world.height()) + 3 * DAY);
    const terminated = (await world.entries('terminated', since))[0];
    let proposals = await world.entries('proposed', since);
    assert.equal(proposals.length, 1, 'proposals after a termination');
    assert.ok(proposals[0].epoch <= terminated.epoch + SOON, 'repaired late after a termination');
    assert.ok(![lost, faulty, third].some((deal) => deal.operator === replacement.operator), 'another operator');

    since = await world.height();
    const faults = (kind) => (ledger) => ledger.find((entry) => entry.kind === kind && entry.epoch >= since
        && entry.provider === faulty.provider);
    await world.rpc('devnet_fault', `f0${faulty.provider}`, null);
    const short = await world.stepUntil('the fault', faults('faulted'), 2 * DAY);
    await world.rpc('devnet_recover', `f0${faulty.provider}`, null);
    const recovery = await world.stepUntil('the recovery', faults('recovered'), 3 * DAY);
    assert.ok(recovery.epoch - short.epoch < REPAIR_AFTER, 'the fault was meant to be short');
    await world.stepTo((await world.height()) + 2 * REPAIR_AFTER);
    assert.equal((await world.entries('proposed', since)).length, 0, 'proposals after a short fault');

    since = await world.height() + 1;
    await world.rpc('devnet_fault', `f0${faulty.provider}`, null);
    const long = await world.stepUntil('the second fault', faults('faulted'), 2 * DAY);
    await world.stepTo(long.epoch + REPAIR_AFTER - 1);
    assert.equal((await world.entries('proposed', since)).length, 0, 'proposals before repairAfter');
    const [second] = await world.activated(1, since);
    await world.stepTo((await world.height()) + 3 * DAY);
    proposals = await world.entries('proposed', since);
    assert.equal(proposals.length, 1, 'proposals after a long fault');
    assert.ok(proposals[0].epoch <= long.epoch + REPAIR_AFTER + SOON, 'repaired late');
    const taken = [third, replacement, faulty].map((deal) => deal.operator);
    assert.ok(!taken.includes(second.operator), 'another operator again');
}
