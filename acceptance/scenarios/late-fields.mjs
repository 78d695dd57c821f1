import assert from 'node:assert/strict';
import { payload } from './lib.mjs';

export const title = 'fields of an upload hold before and after the file';

export async function run(world) {
    await world.startNode();
    const bytes = payload();
    const { body: { cid } } = await world.upload(bytes, { deal: 'false' });
    const { body: { cid: other } } = await world.upload(payload(), { deal: 'false' });

    const kept = await late(world, bytes, 'deal', 'false');
    assert.equal(kept.status, 201, JSON.stringify(kept.body));
    assert.equal(kept.body.job, null, 'deal=false after the file');
    const same = await late(world, bytes, 'cid', cid);
    assert.equal(same.status, 201, JSON.stringify(same.body));
    const wrong = [['cid', other], ['cid', 'nonsense'], ['deal', 'perhaps'], ['replicas', '0'], ['x', '1']];
    for (const [field, value] of wrong) {
        const answer = await late(world, bytes, field, value);
        assert.equal(answer.status, 400, `${field}=${value} after the file: ${JSON.stringify(answer.body)}`);
        assert.ok(answer.body.error.includes(field));
    }
    const { body: { jobs } } = await world.get('/v1/jobs');
    assert.equal(jobs.length, 1, 'jobs');
}

function late(world, bytes, field, value) {
    const form = new FormData();
    form.append('file', new Blob([bytes]), 'payload.bin');
    form.append(field, value);
    return world.send('/api/uploadFile', form);
}
