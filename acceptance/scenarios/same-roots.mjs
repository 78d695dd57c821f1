import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createWriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { activeDeals } from './deal-status.mjs';
import { request } from './lib.mjs';

export const title = "300 MiB and a directory of mixed files have Kubo's roots, and 3 copies that the contract lists";

// Made by npm ipfs-unixfs-importer 17.1.1 with Kubo's profile `unixfs-v1-2025`.
const ROOT_300_MIB = 'bafybeic4ot5rxntkfhgaua2b2emrvelgkdy4b4hrlyurmia7dmwdizdkcy';
const ROOT_MIXED = 'bafybeibdfvtvs7t3il4cv42mcm6vyrl3o756djscvu2ahlhu3tos6umkg4';

const MIB = 1 << 20;
const REPOSITORY = new URL('../../', import.meta.url);
const VECTORS = new URL('crates/raas-piece/tests/vectors/', REPOSITORY);
const MIXED = {
    LICENSE: new URL('LICENSE-APACHE', REPOSITORY),
    'pieces/aggregates.json': new URL('pieces/aggregates.json', VECTORS),
    'pieces/commp-upstream.json': new URL('pieces/commp-upstream.json', VECTORS),
    'pieces/go-random.bin': new URL('pieces/go-random-1337-prefix-64KiB.bin', VECTORS),
    'unixfs/directories.json': new URL('unixfs/directories.json', VECTORS),
};

export async function run(world) {
    await world.startNode();
    const large = join(world.dir, '300-mib');
    await pipeline(numberedChunks(300), createWriteStream(large));
    const mixed = join(world.dir, 'mixed');
    for (const [name, from] of Object.entries(MIXED)) {
        await mkdir(dirname(join(mixed, name)), { recursive: true });
        await copyFile(from, join(mixed, name));
    }
    await writeFile(join(mixed, 'unixfs/nothing'), '');

    for (const [path, root] of [[large, ROOT_300_MIB], [mixed, ROOT_MIXED]]) {
        const { code, stdout, stderr } = await world.command('upload', path, '--json');
        assert.equal(code, 0, stderr);
        assert.equal(JSON.parse(stdout).cid, root, path);
    }
    await world.activated(6);
    await world.stepTo((await world.height()) + 300);

    const published = await world.entries('published');
    const active = new Set((await world.entries('activated')).map(({ dealId }) => dealId));
    assert.equal((await world.entries('proposed')).length, 6, 'proposals');
    for (const root of [ROOT_300_MIB, ROOT_MIXED]) {
        const deals = published.filter(({ label }) => label === root);
        assert.equal(deals.length, 3, `deals of ${root}`);
        assert.ok(deals.every(({ dealId }) => active.has(dealId)), `all proven: ${root}`);
        assert.equal(new Set(deals.map(({ operator }) => operator)).size, 3, `operators of ${root}`);
        const onContract = deals.map(({ dealId, provider }) => [dealId, provider]);
        assert.deepEqual(await activeDeals(world, root), onContract, `active for the contract: ${root}`);
    }
    const license = await request(`${world.data}/ipfs/${ROOT_MIXED}/LICENSE`);
    assert.equal(license.status, 200);
    assert.ok((await readFile(MIXED.LICENSE)).equals(license.body), 'a file of the directory');
}

/** The first MiB of the SHA-256 counter stream of `raas-scenarios`, its first eight bytes replaced by a number. */
function* numberedChunks(count) {
    const blocks = Array.from({ length: MIB / 32 }, (_, block) => createHash('sha256')
        .update('raas-scenarios').update(littleEndian(block)).digest());
    const base = Buffer.concat(blocks);
    for (let number = 0; number < count; number += 1) {
        const chunk = Buffer.from(base);
        littleEndian(number).copy(chunk);
        yield chunk;
    }
}

function littleEndian(number) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(number));
    return bytes;
}
