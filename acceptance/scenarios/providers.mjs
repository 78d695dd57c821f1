import assert from 'node:assert/strict';
import { DAY, payload } from './lib.mjs';

export const title = 'a provider that misbehaves costs one more proposal at most, and there are 3 copies in the end';

// Who misbehaves once, and how many deals of a payload are on chain at most in the end. Providers that were caught are
// left alone for a while, so it is not always the same one.
const MODES = {
    offline: { provider: 1000, published: 3 },
    dropReply: { provider: 1002, published: 3 },
    rejectThenPublish: { provider: 1002, published: 4 },
    acceptAndVanish: { provider: 1003, published: 3 },
    neverSeal: { provider: 1004, published: 4 },
    reject: { provider: 1000, published: 3 },
};

export async function run(world) {
    await world.startNode();
    for (const [mode, { provider, published }] of Object.entries(MODES)) {
        const since = (await world.height()) + 1;
        await world.rpc('devnet_setProvider', `f0${provider}`, mode, 1);
        const cid = await world.store(payload(), { replicas: 3 });
        await world.stepTo(since + 4 * DAY);
        const ledger = (await world.ledger()).filter((entry) => entry.epoch >= since);
        const of = (kind) => ledger.filter((entry) => entry.kind === kind);
        const proposals = of('proposed');
        if (mode !== 'offline') {
            assert.ok(proposals.some((entry) => entry.provider === provider), `f0${provider} was asked while ${mode}`);
        }
        assert.ok(proposals.every((entry) => entry.label === cid), `proposals for others with ${mode}`);
        assert.ok(proposals.length <= 4, `${proposals.length} proposals with ${mode}`);
        const operators = new Set(of('activated').map((deal) => deal.operator));
        assert.ok(operators.size >= 3, `${operators.size} operators with ${mode}`);
        assert.ok(of('published').length <= published, `${of('published').length} published with ${mode}`);
        await world.rpc('devnet_setProvider', `f0${provider}`, 'normal', null);
    }
}
