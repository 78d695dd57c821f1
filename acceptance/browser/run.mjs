// Stored pages in a real browser: `node run.mjs RAAS_BINARY [CHROMIUM]`.
//
// The data listener serves what strangers stored, HTML too, on the machine where the admin API listens. A page must be
// shown as it was stored, with what lies beside it, and must not be able to act on the node, neither by a form, nor by
// a script, nor through a name that was bound to the node's address.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { World, payload } from '../scenarios/lib.mjs';

const BROWSER_MS = 60_000;
/** A name that a page's owner binds to the node's address. */
const REBOUND = 'pages.example';

const [binary, chromium = 'chromium'] = process.argv.slice(2);
if (!binary) {
    console.error('usage: node run.mjs RAAS_BINARY [CHROMIUM]');
    process.exit(2);
}

/** A page that shows what lies beside it, and tries to act on each of `targets`: by scripts, and by forms. */
const page = (targets, cid) => `<!doctype html>
<meta charset="utf-8">
<title>stored</title>
<link rel="stylesheet" href="style.css">
${targets.map((target, at) => `<iframe name="sink-${at}"></iframe>
<form method="post" action="${target}/register_job" target="sink-${at}"><input name="cid" value="${cid}"></form>`).join('\n')}
<ul id="seen"></ul>
<script type="module">
const say = (what, text) => {
    const line = document.createElement('li');
    line.id = what;
    line.textContent = text;
    document.querySelector('#seen').append(line);
};
const targets = ${JSON.stringify(targets)};
say('style', getComputedStyle(document.body).color);
say('beside', await (await fetch('data.json')).text());
for (const [at, target] of targets.entries()) {
    const job = new URLSearchParams({ cid: '${cid}' });
    await fetch(target + '/register_job', { method: 'POST', mode: 'no-cors', body: job }).catch(() => {});
    const read = fetch(target + '/v1/node').then((answer) => answer.text());
    say('read-' + at, await read.then(() => 'readable', () => 'hidden'));
    document.forms[at].submit();
}
// Time stands still for the page while something of it is on its way.
await new Promise((later) => { setTimeout(later, 1000); });
say('done', 'yes');
</script>
`;

async function dom(url, profile) {
    const flags = [
        '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
        '--disable-background-networking', '--disable-component-update', '--disable-sync',
        `--user-data-dir=${profile}`, `--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`,
        '--virtual-time-budget=10000', '--dump-dom',
    ];
    const { stdout } = await promisify(execFile)(chromium, [...flags, url], { timeout: BROWSER_MS });
    return stdout;
}

/** A server of somebody else, which takes what the page sends it: what reaches it was sent to the node as well. */
async function witness() {
    const seen = [];
    const server = createServer(async (request, answer) => {
        let body = '';
        for await (const chunk of request) body += chunk;
        seen.push(`${request.method} ${request.url} ${body}`);
        answer.end('seen');
    });
    await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
    return { seen, url: `http://127.0.0.1:${server.address().port}`, server };
}

const other = await witness();
const world = new World(resolve(binary));
const scratch = await mkdtemp(join(tmpdir(), 'raas-browser-'));
let failed = 0;

async function check(name, title, run) {
    const started = Date.now();
    try {
        await run();
        console.log(`browser ${name}: ok (${((Date.now() - started) / 1000).toFixed(1)} s) ${title}`);
    } catch (error) {
        failed += 1;
        console.log(`browser ${name}: FAILED ${title}\n${error.stack}`);
    }
}

try {
    await world.start();
    await world.startNode();
    const victim = (await world.upload(payload(), { deal: 'false' })).body.cid;
    const site = join(scratch, 'site');
    await mkdir(site);
    const targets = [world.admin, world.admin.replace('127.0.0.1', REBOUND), other.url];
    await writeFile(join(site, 'index.html'), page(targets, victim));
    await writeFile(join(site, 'style.css'), 'body { color: rgb(1, 2, 3); }');
    await writeFile(join(site, 'data.json'), '{"beside":"the page"}');
    const stored = await world.command('--json', 'upload', '--no-deal', site);
    assert.equal(stored.code, 0, stored.stderr);
    const { cid } = JSON.parse(stored.stdout);
    const port = new URL(world.data).port;

    for (const [name, host] of [['own-address', '127.0.0.1'], ['rebound-name', REBOUND]]) {
        await check(name, `a stored page at ${host} is shown and cannot act`, async () => {
            const profile = join(scratch, name);
            const shown = await dom(`http://${host}:${port}/ipfs/${cid}/index.html`, profile);
            const line = (id) => shown.match(new RegExp(`<li id="${id}">([^<]*)</li>`))?.[1];
            assert.equal(line('done'), 'yes', shown);
            assert.equal(line('style'), 'rgb(1, 2, 3)');
            assert.equal(line('beside'), '{"beside":"the page"}');
            assert.equal(line('read-0'), 'hidden');
            assert.equal(line('read-1'), 'hidden');
            const { body } = await world.get('/v1/jobs');
            assert.deepEqual(body.jobs, [], 'nothing was registered');
            const sent = other.seen.splice(0).filter((line) => line === `POST /register_job cid=${victim}`);
            assert.equal(sent.length, 2, 'the browser did send it, by the script and by the form');
        });
    }
} finally {
    other.server.close();
    await world.end();
    await rm(scratch, { recursive: true, force: true });
}
process.exit(failed === 0 ? 0 : 1);
