import assert from 'node:assert/strict';
import { DAY, payload, prices } from './lib.mjs';

export const title = 'a budget for 2 of 3 copies buys 2 and waits; raised, it buys the third';

const DURATION = 180 * DAY;

export async function run(world) {
    const cheapest = (await prices(world, DURATION)).slice(0, 3);
    const budget = cheapest.reduce((sum, cost) => sum + cost) - 1n;
    await world.startNode({ RAAS__BUDGET__TOTAL_ATTOFIL: String(budget) });

    const cid = await world.store(payload(), { replicas: 3, duration: DURATION });
    await world.activated(2);
    await world.stepTo((await world.height()) + 6 * DAY);
    assert.equal((await world.entries('proposed')).length, 2, 'proposals within the budget');
    const plan = await world.get(`/v1/holdings/${cid}/plan`);
    assert.match(JSON.stringify(plan.body.holdings), /budget/, 'the plan says that it waits for budget');

    await world.stopNode();
    await world.startNode({ RAAS__BUDGET__TOTAL_ATTOFIL: String(budget + 1n) });
    const deals = await world.activated(3);
    await world.stepTo((await world.height()) + DAY);
    assert.equal((await world.entries('proposed')).length, 3, 'proposals after the budget was raised');
    assert.equal(new Set(deals.map((deal) => deal.operator)).size, 3, 'operators');
}
