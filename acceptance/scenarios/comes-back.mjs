import assert from 'node:assert/strict';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DAY, payload } from './lib.mjs';

export const title = 'without a local copy the bytes come from a provider that has them; one that lies is left alone';

export async function run(world) {
    await world.startNode();
    const bytes = payload();
    const cid = await world.store(bytes, { replicas: 3, keepLocal: 'never' });
    const deals = await world.activated(3);
    await world.stepTo((await world.height()) + DAY);

    await world.rpc('devnet_setProvider', `f0${deals[0].provider}`, 'wrongBytes', null);
    await world.rpc('devnet_setProvider', `f0${deals[1].provider}`, 'noUnsealed', null);
    const { source } = await comesBack(world, cid, bytes);
    assert.match(JSON.stringify(source), new RegExp(`f0${deals[2].provider}`), `the source is the honest provider: ${JSON.stringify(source)}`);

    const { attempts } = (await world.get(`/v1/holdings/${cid}/why`)).body.holdings[0];
    const outcomes = deals.map(({ provider }) => attempts
        .find((attempt) => attempt.what === 'fetch' && attempt.provider === provider)?.outcome);
    assert.deepEqual(outcomes, ['wrong_bytes', 'failed', 'done'], JSON.stringify(attempts));
    const since = (await world.height()) + 1;
    const next = payload();
    const other = await world.store(next, { replicas: 3 });
    const elsewhere = await world.activated(3, since);
    assert.ok(!elsewhere.some(({ provider }) => provider === deals[0].provider), 'nothing more for the one that lied');
    await world.stepTo((await world.height()) + 200);

    // Deleted behind the node's back.
    const pieces = join(world.dir, 'node', 'pieces');
    const entries = await readdir(pieces, { withFileTypes: true });
    for (const file of entries.filter((entry) => entry.isFile())) await rm(join(pieces, file.name));
    await comesBack(world, other, next);
    assert.equal((await world.entries('proposed')).length, 6, 'reading orders nothing');
}

/** Gets a file by the CLI and compares it; what the CLI says of it. */
async function comesBack(world, cid, bytes) {
    const output = join(world.dir, `${cid}.bin`);
    const got = await world.command('get', cid, '-o', output, '--json');
    assert.equal(got.code, 0, got.stderr);
    assert.ok(bytes.equals(await readFile(output)), 'the bytes differ');
    return JSON.parse(got.stdout);
}
