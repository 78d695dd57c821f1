import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { DAY, payload } from './lib.mjs';

export const title = 'wrong fields are refused by name, and nothing of them stays';

// The field that is named in the answer, and what is sent besides a good CID.
const WRONG = [
    ['cid', { cid: 'nonsense' }],
    ['cid', { cid: '' }],
    ['cid', { cid: 5 }],
    ['cid', { cid: null }],
    ['replicationTarget', { replicationTarget: 0 }],
    ['replicationTarget', { replicationTarget: -1 }],
    ['replicationTarget', { replicationTarget: 1.5 }],
    ['replicationTarget', { replicationTarget: '18446744073709551616' }],
    ['replicationTarget', { replicationTarget: 2 ** 64 }],
    ['replicas', { replicas: 0 }],
    ['replicas', { replicas: 'three' }],
    ['epochs', { epochs: -4 }],
    ['renewBefore', { renewBefore: -1 }],
    ['renewBefore', { renewBefore: 270 * DAY }],
    ['repairAfter', { repairAfter: 'soon' }],
    ['duration', { duration: 179 * DAY }],
    ['duration', { duration: 1279 * DAY }],
    ['endDate', { endDate: '2001-01-01' }],
    ['endDate', { endDate: 'tomorrow' }],
    ['jobType', { jobType: 'everything' }],
    ['aggregator', { aggregator: 'nobody' }],
    ['replicationtarget', { replicationtarget: 3 }],
    ['__proto__', JSON.parse('{"__proto__": 1}')],
];
const ROUTES = ['/api/register_job', '/register_job'];

function fieldsOf(wrong, cid) {
    return Object.entries({ cid, jobType: 'all', ...wrong }).concat(
        Object.hasOwn(wrong, '__proto__') ? [['__proto__', 1]] : [],
    );
}

export async function run(world) {
    await world.startNode();
    const stored = await world.upload(payload(), { deal: 'false' });
    assert.equal(stored.status, 201, JSON.stringify(stored.body));
    const { cid } = stored.body;
    const before = (await world.ledger()).length;

    for (const route of ROUTES) {
        for (const [field, wrong] of WRONG) {
            const entries = fieldsOf(wrong, cid);
            const json = JSON.stringify(Object.fromEntries(entries));
            await refused(world, route, json, 'application/json', field);
            await refused(world, route, `{"job":${json}}`, 'application/json', field);
            if (entries.every(([, value]) => value !== null)) {
                const form = new URLSearchParams(entries.map(([key, value]) => [key, String(value)]));
                await refused(world, route, form.toString(), 'application/x-www-form-urlencoded', field);
            }
        }
        for (const body of ['', 'x', '[]', 'null', '{"job":7}', '{"cid":']) {
            await refused(world, route, body, 'application/json', '');
        }
    }

    const other = await world.upload(payload(), { cid });
    assert.ok([400, 409, 422].includes(other.status), `a wrong CID for an upload: ${other.status}`);
    assert.match(other.body.error, /cid/i);
    await truncated(world.admin);

    await world.stepTo((await world.height()) + DAY);
    assert.deepEqual((await world.get('/v1/jobs')).body.jobs, []);
    const happened = (await world.ledger()).slice(before);
    assert.deepEqual(happened, [], 'the chain saw something');
}

async function refused(world, route, body, type, field) {
    const response = await fetch(world.admin + route, { method: 'POST', headers: { 'content-type': type }, body });
    const text = await response.text();
    const sent = `${route} ${type} ${body}: ${response.status} ${text}`;
    assert.equal(response.status, 400, sent);
    const { error } = JSON.parse(text);
    assert.ok(typeof error === 'string' && error.includes(field), sent);
}

// Promises more bytes than it sends.
async function truncated(admin) {
    const { hostname, port } = new URL(admin);
    const part = '--b\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\n';
    const socket = connect(Number(port), hostname);
    await new Promise((resolve, reject) => {
        socket.on('error', reject);
        socket.on('close', resolve);
        socket.resume();
        socket.end(
            `POST /api/uploadFile HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: multipart/form-data; boundary=b\r\n`
            + `content-length: 100000\r\n\r\n${part}only this`,
        );
    });
}
