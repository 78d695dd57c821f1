// The DealStatus contract as somebody else's client sees it: calls by its ABI, and what the ledger has of its events.

import assert from 'node:assert/strict';
import { NONE, call, cidBytes, topic } from './eth.mjs';
import { DAY } from './lib.mjs';

const SUBMITTED = topic('SubmitAggregatorRequestWithRaaS(uint256,bytes,uint256,uint256,uint256)');
const COMPLETED = topic('CompleteAggregatorRequest(uint256,uint64)');

/** Asks the contract for copies of a CID; executed with the next tipset. */
export function submit(rpc, account, contract, cid, copies, repairAfter = DAY) {
    const data = call('submitRaaS(bytes,uint256,uint256,uint256)', cidBytes(cid), copies, repairAfter, 30 * DAY);
    return account.send(rpc, contract, data);
}

/** Tells the contract of a deal from the ledger, whose piece is the request's. */
export function complete(rpc, account, contract, request, { dealId, provider, pieceCid, pieceSize }) {
    const data = call(
        'complete(uint256,uint64,uint64,((uint64,bytes32[]),(uint64,bytes32[])),(bytes,uint64))',
        request, dealId, provider, [[0, NONE], [0, NONE]], [cidBytes(pieceCid), pieceSize],
    );
    return account.send(rpc, contract, data);
}

/** The deals of a CID that the contract calls active, as `[deal, provider]`, by deal. */
export async function activeDeals(world, cid) {
    const data = `0x${call('getActiveDeals(bytes)', cidBytes(cid)).toString('hex')}`;
    const answer = await world.rpc('eth_call', { to: await contractOf(world), data }, 'latest');
    const [, , ...words] = answer.slice(2).match(/.{64}/g).map((word) => Number(BigInt(`0x${word}`)));
    const deals = Array.from({ length: words.length / 2 }, (_, at) => words.slice(2 * at, 2 * at + 2));
    return deals.sort(([a], [b]) => a - b);
}

/** Epochs of the requests that the contract took, in the order of their ids. */
export const submitted = (ledger) => logs(ledger, SUBMITTED).map((entry) => entry.epoch);

/** The deals shown for a request, each once. */
export function attested(ledger, request) {
    const deals = logs(ledger, COMPLETED)
        .filter(({ topics }) => BigInt(topics[1]) === BigInt(request))
        .map(({ topics }) => Number(topics[2]));
    assert.equal(new Set(deals).size, deals.length, `a deal is attested twice for request ${request}: ${deals}`);
    return deals.sort((a, b) => a - b);
}

/** The node's own contract. */
export const contractOf = async (world) => (await world.get('/v1/node')).body.contract;

const logs = (ledger, event) => ledger.filter((entry) => entry.kind === 'log' && entry.topics[0] === event);

/** Deploys a contract whose requests `aggregators` may complete; its address and block. */
export async function deploy(world, admin, aggregators) {
    const signed = ['--network', world.rpcUrl, '--key-file', await world.keyFile(admin), '--yes', '--json'];
    const contract = async (...args) => {
        const { code, stdout, stderr } = await world.command('contract', ...args, ...signed);
        assert.equal(code, 0, stderr);
        return JSON.parse(stdout);
    };
    const { address, fromBlock } = await contract('deploy', '--aggregator', 'nobody');
    for (const { address: account } of aggregators) await contract('grant', address, 'aggregator', account);
    return { address, fromBlock };
}
