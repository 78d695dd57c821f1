import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { payload, request } from './lib.mjs';

export const title = 'a CAR that is cut off, by its end or by its sender, is refused and leaves nothing behind';

const WAIT_MS = 60_000;

/** Files of the node's pieces, those being written included. */
async function left(world) {
    const files = await readdir(join(world.dir, 'node', 'pieces'), { recursive: true, withFileTypes: true });
    return files.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

/** Nothing of any upload is here: no file, no job, and nothing to be collected later. */
async function nothingIsLeft(world, what) {
    // Whoever is gone is noticed a moment later.
    for (const until = Date.now() + WAIT_MS; (await left(world)).length > 0 && Date.now() < until;) await pause(50);
    assert.deepEqual(await left(world), [], what);
    assert.deepEqual((await world.get('/v1/jobs')).body.jobs, [], what);
    assert.deepEqual((await world.get('/v1/store/pieces')).body.pieces, [], what);
}

/** Sends the head of an upload and a part of what it promises, and is gone. */
async function vanish(world, head, bytes) {
    const { hostname, port } = new URL(world.admin);
    const socket = connect(Number(port), hostname);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    // The node closes its side when it notices; that is no failure of ours.
    socket.on('error', () => {});
    const lines = ['POST /api/uploadFile?format=car HTTP/1.1', `host: ${hostname}:${port}`, ...head, '', ''];
    await new Promise((resolve) => { socket.write(Buffer.concat([Buffer.from(lines.join('\r\n')), bytes]), resolve); });
    // So that some of it is on the disk by then.
    for (const until = Date.now() + WAIT_MS; (await left(world)).length === 0 && Date.now() < until;) await pause(10);
    assert.notDeepEqual(await left(world), [], 'it is being written');
    socket.destroy();
}

export async function run(world) {
    await world.startNode();
    const source = join(world.dir, 'payload');
    const path = join(world.dir, 'payload.car');
    await writeFile(source, payload(5_000_000));
    const packed = await world.command('--json', 'piece', 'car', source, '-o', path);
    assert.equal(packed.code, 0, packed.stderr);
    const { root } = JSON.parse(packed.stdout);
    const car = await readFile(path);
    const half = car.subarray(0, car.length / 2);
    const upload = (bytes) => request(`${world.admin}/api/uploadFile?format=car`, { method: 'POST', body: bytes });

    // Sent to its end with a good length: only the CAR itself tells that it is not whole.
    for (const [what, bytes] of [['within a block', half], ['within its last block', car.subarray(0, -1)], ['within its header', car.subarray(0, 30)]]) {
        const { status, body } = await upload(bytes);
        assert.equal(status, 400, `${what}: ${JSON.stringify(body)}`);
        assert.equal(body.field, 'file', what);
        assert.match(body.error, /not a good CAR.*(ends|truncated|cut|end of)/i, what);
        await nothingIsLeft(world, what);
    }
    // Between two blocks it is a good CAR of a DAG that is not whole: 59 bytes of header, then a block of 1 MiB behind its length and CID.
    const section = 3 + 36 + (1 << 20);
    const between = await upload(car.subarray(0, 59 + 2 * section));
    assert.equal(between.status, 400, JSON.stringify(between.body));
    assert.match(between.body.error, /not a good CAR/);
    await nothingIsLeft(world, 'between two blocks');

    const chunk = (bytes) => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
    await vanish(world, [`content-length: ${car.length}`], half);
    await nothingIsLeft(world, 'a sender that is gone');
    await vanish(world, ['transfer-encoding: chunked'], chunk(half));
    await nothingIsLeft(world, 'a sender of chunks that is gone');
    // What was sent is whole, but its sender never said so.
    await vanish(world, ['transfer-encoding: chunked'], chunk(car));
    await nothingIsLeft(world, 'a sender that is gone before it said that this was all');
    const boundary = ['--b', 'content-disposition: form-data; name="file"; filename="x.car"', 'content-type: application/vnd.ipld.car', '', ''].join('\r\n');
    await vanish(world, ['content-type: multipart/form-data; boundary=b', `content-length: ${car.length + 1000}`], Buffer.concat([Buffer.from(boundary), half]));
    await nothingIsLeft(world, 'a sender of a form that is gone');

    const whole = await upload(car);
    assert.equal(whole.status, 201, JSON.stringify(whole.body));
    assert.equal(whole.body.cid, root, 'the same CAR, whole, is taken');
}
