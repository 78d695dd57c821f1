// Runs the scenarios: `node run.mjs RAAS_BINARY [NAME...]`. Each has a devnet and a node of its own.

import { resolve } from 'node:path';
import { World } from './lib.mjs';

// Long ones first, so that none is left alone at the end.
const NAMES = [
    'storms', 'kills', 'lies', 'lies-midway', 'same-seed', 'renews-twice', 'providers', 'same-roots', 'renews',
    'hedges', 'repairs', 'lost-answers', 'edges', 'lost-at-once', 'adopts', 'requests', 'two-owners', 'comes-back', 'money', 'escrow',
    'stores-three', 'no-room', 'cut-uploads', 'bad-input', 'wrong-start', 'late-fields',
];
// They wait for rounds and rests more than they compute.
const AT_ONCE = 3;

const [binary, ...wanted] = process.argv.slice(2);
if (!binary) {
    console.error('usage: node run.mjs RAAS_BINARY [NAME...]');
    process.exit(2);
}

process.setMaxListeners(0);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

let passed = 0;
let failed = 0;

async function scenario(name) {
    const { title, run } = await import(`./${name}.mjs`);
    const world = new World(resolve(binary));
    const started = Date.now();
    const seconds = () => ((Date.now() - started) / 1000).toFixed(1);
    try {
        await world.start();
        await run(world);
        passed += 1;
        console.log(`scenario ${name}: ok (${seconds()} s) ${title}`);
    } catch (error) {
        failed += 1;
        const log = world.node ? `\nthe node said last:\n${world.node.log().slice(-4000)}` : '';
        console.log(`scenario ${name}: FAILED (${seconds()} s) ${title}\n${error.stack}${log}`);
    } finally {
        await world.end();
    }
}

const queue = wanted.length > 0 ? wanted : NAMES;
async function worker() {
    for (let name = queue.shift(); name; name = queue.shift()) await scenario(name);
}
await Promise.all(Array.from({ length: AT_ONCE }, worker));
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
