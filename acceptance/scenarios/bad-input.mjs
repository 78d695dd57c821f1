import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
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
const MULTIPART = 'multipart/form-data; boundary=b';
const PART = 'content-disposition: form-data';
// How the bytes of an upload come.
const FORMS = [
    { type: 'application/octet-stream', start: '' },
    {
        type: MULTIPART,
        start: `--b\r\n${PART}; name="file"; filename="x"\r\n\r\n`,
    },
];
const ROUTES = ['/api/register_job', '/register_job', '/api/register_jobs', '/register_jobs', '/v1/jobs'];

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
    const files = () => readdir(join(world.dir, 'node', 'pieces'), { recursive: true });
    const kept = await files();

    for (const route of ROUTES) {
        for (const [field, wrong] of WRONG) {
            const entries = fieldsOf(wrong, cid);
            const json = JSON.stringify(Object.fromEntries(entries));
            await refused(world, route, json, 'application/json', field);
            await refused(world, route, `{"job":${json}}`, 'application/json', field);
            if (entries.every(([, value]) => value !== null)) {
                const form = new URLSearchParams(entries.map(([key, value]) => [key, String(value)]));
                await refused(world, route, form.toString(), 'application/x-www-form-urlencoded', field);
                const parts = entries.map(([key, value]) => `--b\r\n${PART}; name="${key}"\r\n\r\n${value}\r\n`);
                await refused(world, route, `${parts.join('')}--b--\r\n`, MULTIPART, field);
            }
        }
        for (const body of ['', 'x', '[]', 'null', '{"job":7}', '{"cid":']) {
            await refused(world, route, body, 'application/json', '');
        }
    }

    const other = await world.upload(payload(), { cid });
    assert.ok([400, 409, 422].includes(other.status), `a wrong CID for an upload: ${other.status}`);
    assert.match(other.body.error, /cid/i);
    for (const form of FORMS) await truncated(world.admin, form);
    assert.deepEqual(await files(), kept, 'files of refused uploads');

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
    const said = JSON.parse(text);
    const why = route.startsWith('/v1') ? said.detail : said.error;
    assert.ok(typeof why === 'string' && why.includes(field), sent);
}

// Promises more bytes than it sends; the answer, if there is one, is a refusal.
async function truncated(admin, { type, start }) {
    const { hostname, port } = new URL(admin);
    const socket = connect(Number(port), hostname);
    let answer = '';
    await new Promise((resolve, reject) => {
        socket.on('error', reject);
        socket.on('close', resolve);
        socket.on('data', (chunk) => { answer += chunk; });
        socket.end(
            `POST /api/uploadFile HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: ${type}\r\n`
            + `content-length: 100000\r\n\r\n${start}only this`,
        );
    });
    assert.match(answer, /^(HTTP\/1\.1 400 |$)/, answer);
}
