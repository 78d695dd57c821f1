import assert from 'node:assert/strict';
import { payload } from './lib.mjs';

export const title = 'a field behind the file is refused by name, never ignored';

export async function run(world) {
    await world.startNode();
    const bytes = payload();
    const { body: { cid } } = await world.upload(bytes, { deal: 'false' });
    for (const [field, value] of [['deal', 'false'], ['cid', cid], ['cid', 'nonsense'], ['replicas', '0'], ['x', '1']]) {
        const answer = await late(world, bytes, field, value);
        assert.equal(answer.status, 400, `${field}=${value} after the file: ${JSON.stringify(answer.body)}`);
        assert.ok(answer.body.error.includes(field));
    }
    const { body: { jobs } } = await world.get('/v1/jobs');
    assert.equal(jobs.length, 0, 'jobs');
}

function late(world, bytes, field, value) {
    const form = new FormData();
    form.append('file', new Blob([bytes]), 'payload.bin');
    form.append(field, value);
    return world.send('/api/uploadFile', form);
}
