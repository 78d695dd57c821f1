import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

export const title = 'a taken port and an unknown or wrong key end the node at once, by name, with nothing made';

const FREE = '127.0.0.1:0';

// What must be named, and the file that has it.
const FILES = [
    ['netwrok', 'netwrok = "devnet"'],
    ['replicas_traget', '[policy]\nreplicas_traget = 3'],
    ['budgets', '[budgets]\ntotal_attofil = "1"'],
    ['policy: replicas', '[policy]\nreplicas_target = 0'],
    ['renew_before_epochs', '[policy]\nrenew_before_epochs = -1'],
    ['keep_local', '[policy]\nkeep_local = "sometimes"'],
    ['listen.admin', '[listen]\nadmin = "0.0.0.0:1337"'],
    ['contract.address', '[contract]\naddress = "0x12"'],
    ['deals.providers', '[deals]\nproviders = ["nobody"]'],
    ['budget.total_attofil', '[budget]\ntotal_attofil = "1.5"'],
];

export async function run(world) {
    const store = join(world.dir, 'node');
    const refused = async (what, named, ...args) => {
        const { code, stdout, stderr } = await world.command('up', ...args, '--data-dir', store);
        assert.ok(code === 1 || code === 2, `${what}: status ${code}`);
        assert.equal(stdout, '', what);
        for (const word of named) assert.ok(stderr.includes(word), `${what} does not name ${word}: ${stderr}`);
        assert.ok(!existsSync(join(store, 'raas.sqlite')), `${what} made a store`);
    };
    const before = await world.ledger();

    const taken = createServer();
    await new Promise((resolve) => { taken.listen(0, '127.0.0.1', resolve); });
    const { port } = taken.address();
    const at = `127.0.0.1:${port}`;
    const network = ['--network', world.rpcUrl];
    await refused('a taken port', ['listen.admin', String(port)], ...network, '--admin', at, '--data', FREE);
    await refused('a taken port', ['listen.data', String(port)], ...network, '--admin', FREE, '--data', at);
    taken.close();

    const file = join(world.dir, 'raas.toml');
    for (const [named, text] of FILES) {
        await writeFile(file, text);
        const listen = named === 'listen.admin' ? [] : ['--admin', FREE];
        await refused(text, [named], ...network, '--config', file, ...listen, '--data', FREE);
    }
    await refused('no network', ['--network', 'raas up --network devnet'], '--admin', FREE, '--data', FREE);

    assert.deepEqual(await world.ledger(), before, 'the chain saw something');
    await world.startNode();
    await world.quiesce();
    assert.equal((await world.get('/readyz')).status, 200, 'with all of it right the node starts');
}
