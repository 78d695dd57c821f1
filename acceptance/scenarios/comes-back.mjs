import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DAY, payload } from './lib.mjs';

export const title = 'without a local copy the bytes come from a provider that does not lie';

export async function run(world) {
    await world.startNode();
    const bytes = payload();
    const cid = await world.store(bytes, { replicas: 3, keepLocal: 'never' });
    const deals = await world.activated(3);
    await world.stepTo((await world.height()) + DAY);

    await world.rpc('devnet_setProvider', `f0${deals[0].provider}`, 'wrongBytes', null);
    await world.rpc('devnet_setProvider', `f0${deals[1].provider}`, 'noUnsealed', null);
    const output = join(world.dir, 'back.bin');
    const got = await world.command('get', cid, '-o', output, '--json');
    assert.equal(got.code, 0, got.stderr);
    assert.ok(bytes.equals(await readFile(output)), 'the bytes differ');
    const { source } = JSON.parse(got.stdout);
    assert.match(JSON.stringify(source), new RegExp(`f0${deals[2].provider}`), 'the source is the honest provider');
}
