import assert from 'node:assert/strict';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DAY, payload } from './lib.mjs';

export const title = 'on a full disk uploads and jobs are refused, leave nothing, and all goes on once there is room';

const MIB = 1 << 20;
/** Nothing stays free of so small a disk: it is to be full to the last byte. */
const ALL_OF_IT = { RAAS__STORE__RESERVE_MIB: '0' };

/** A small file system at `place` that only the node sees, and that ends with it; nothing where this user may not. */
function small(place, size) {
    const inside = ['unshare', '-rm', 'sh', '-c', `mount -t tmpfs -o size=${size} tmpfs ${place} && exec "$0" "$@"`];
    return spawnSync(inside[0], [...inside.slice(1), 'true']).status === 0 ? inside : undefined;
}

export async function run(world) {
    await forBytes(world);
    await forTheStore(world.beside('store'));
}

async function forBytes(world) {
    const pieces = join(world.dir, 'node', 'pieces');
    await mkdir(pieces, { recursive: true });
    const inside = small(pieces, '8m');
    if (!inside) {
        console.log('SKIPPED no-room: a full disk needs a small file system, and this user may not mount one');
        return;
    }
    await world.startNode(ALL_OF_IT, { inside });
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

/** The whole data directory is full: the store cannot be written either. */
async function forTheStore(world) {
    const directory = join(world.dir, 'node');
    await mkdir(directory, { recursive: true });
    const inside = small(directory, '24m');
    if (!inside) return;
    await world.startNode(ALL_OF_IT, { inside });
    const cid = await world.store(payload(), { replicas: 3 });
    await world.activated(3);
    const before = (await world.entries('proposed')).length;

    // The node's own view of its directory, from outside.
    const filler = join('/proc', String(world.node.child.pid), 'root', directory, 'filler');
    await writeFile(filler, Buffer.alloc(32 * MIB)).catch((error) => assert.equal(error.code, 'ENOSPC'));
    const refused = await world.post('/api/register_job', { cid, jobType: 'all', replicas: 3 });
    assert.equal(refused.status, 503, JSON.stringify(refused.body));
    assert.match(refused.body.error, /disk .* full; free some space/);
    for (let day = 0; day < 3; day += 1) {
        await world.advance(DAY);
        await world.get('/v1/node');
        await fetch(`${world.admin}/v1/node/quiesce`, { method: 'POST' });
    }
    const held = await world.get('/readyz');
    assert.equal(held.status, 503, JSON.stringify(held.body));
    assert.deepEqual(held.body.hold, { hold: 'pass_failed', disk_full: true });
    const why = await world.command('why', cid);
    assert.match(why.stdout, /the disk of the data directory is full/);

    await rm(filler);
    await world.quiesce();
    assert.equal((await world.get('/readyz')).status, 200);
    assert.equal((await world.get('/v1/jobs')).body.jobs.length, 1, 'what was refused is not there');
    const second = await world.store(payload(), { replicas: 3 });
    await world.stepUntil('six proposals', (ledger) => {
        const proposals = ledger.filter(({ kind }) => kind === 'proposed');
        return new Set(proposals.map(({ proposalCid }) => proposalCid)).size >= before + 3;
    }, 4 * DAY);
    assert.notEqual(second, cid);
}
