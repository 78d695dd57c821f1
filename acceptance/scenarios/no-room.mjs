import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DAY, payload } from './lib.mjs';

export const title = 'on a full disk an upload is refused, leaves nothing, and the next one that has room is kept';

const MIB = 1 << 20;

export async function run(world) {
    const pieces = join(world.dir, 'node', 'pieces');
    await mkdir(pieces, { recursive: true });
    // A small file system that only the node sees, and that ends with it.
    const inside = ['unshare', '-rm', 'sh', '-c', `mount -t tmpfs -o size=8m tmpfs ${pieces} && exec "$0" "$@"`];
    if (spawnSync(inside[0], [...inside.slice(1), 'true']).status !== 0) {
        console.log('SKIPPED no-room: a full disk needs a small file system, and this user may not mount one');
        return;
    }
    await world.startNode({}, { inside });
    const full = await world.upload(payload(12 * MIB));
    assert.equal(full.status, 503, JSON.stringify(full.body));
    assert.match(full.body.error, /disk/);
    assert.deepEqual((await world.get('/v1/jobs')).body.jobs, [], 'jobs');

    // Had anything stayed, there would be no room for this one.
    const large = await world.upload(payload(6 * MIB), { deal: 'false' });
    assert.equal(large.status, 201, JSON.stringify(large.body));
    await world.store(payload(), { replicas: 3 });
    await world.activated(3);
    await world.stepTo((await world.height()) + DAY);
    assert.equal((await world.entries('proposed')).length, 3, 'proposals');
}
