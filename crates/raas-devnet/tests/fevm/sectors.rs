//! FIP-0109 on the shipped bytecode: a provider's notification records sector, piece and size, and nobody else's does.

use crate::bench::piece_cid;
use crate::network::{CID, Network};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolError, SolEvent, SolValue, sol};
use raas_core::units::PaddedSize;
use raas_devnet::codec::{CommP, piece_cid_v1};
use raas_devnet::fevm::SendError;
use raas_devnet::world::{Command, Notified, Outcome};
use serde_json::json;

const PROVIDER: u64 = 1_000;
/// The first deal id of a sector's piece.
const FIRST: u64 = 1 << 63;
const DEAD: u8 = 0;

sol! {
    struct Path { uint64 index; bytes32[] path; }
    struct Proof { Path subtree; Path index; }
    struct Verifier { bytes commPc; uint64 sizePc; }
    struct Told { uint64 dealId; uint64 providerId; uint64 marketActorId; }
    event SectorPieceRecorded(
        uint64 indexed dealId, uint64 indexed providerId, uint256 indexed id,
        uint64 sector, bytes pieceCid, uint64 size, int64 minimumCommitmentEpoch
    );
    error NotAMiner(address caller);
    function handle_filecoin_method(uint64 method, uint64 codec, bytes params) returns (uint32, uint64, bytes);
    function sectorMarket() returns (uint64);
    function sectorOf(uint64 market, uint64 dealId) returns (uint64 provider, uint64 sector, uint8 status);
    function complete(uint256 id, uint64 market, uint64 dealId, uint64 provider, Proof proof, Verifier data);
    function getAllDeals(bytes cid, uint64 start, uint64 count) returns (Told[]);
    function getActiveDealsPage(bytes cid, uint256 start, uint256 count) returns (Told[]);
}

struct Piece {
    digest: [u8; 32],
    size: PaddedSize,
}

impl Piece {
    fn new(number: u8) -> Self {
        let piece = CommP::of(&[number; 1_000]);
        Self { digest: piece.commitment.0, size: piece.padded_size }
    }
}

/// Onboards one piece whose miner tells `contract` of it with `payload`; the sector and the answers.
fn onboard(network: &mut Network, piece: &Piece, contract: Address, payload: &str) -> (u64, Vec<Notified>) {
    let order = json!({ "provider": PROVIDER, "pieces": [{
        "cid": piece_cid_v1(raas_devnet::codec::Commitment(piece.digest)).to_string(), "size": piece.size.get(),
        "notify": [{ "address": contract.to_string(), "payload": payload }],
    }] });
    let command = Command::Onboard(serde_json::from_value(order).unwrap());
    match network.world.apply(command).unwrap() {
        Outcome::Onboarded { sector, notified, .. } => {
            network.advance(2);
            (sector.0, notified)
        }
        other => panic!("{other:?}"),
    }
}

/// The pieces that the contract accepted, by its answer.
fn accepted(notified: &[Notified]) -> Vec<Vec<bool>> {
    let [one] = notified else { panic!("one contract: {notified:?}") };
    assert_eq!(one.exit, 0, "{one:?}");
    let output: Bytes = one.output.parse().unwrap();
    let (exit, codec, answer) = <(u32, u64, Bytes)>::abi_decode_params(&output).unwrap();
    assert_eq!((exit, codec), (0, 0x51));
    raas_devnet::codec::from_cbor(&answer).unwrap()
}

fn ask<C: SolCall>(network: &Network, contract: Address, call: &C) -> C::Return {
    C::abi_decode_returns(&network.world.eth_call(contract, call.abi_encode()).unwrap()).unwrap()
}

fn recorded(network: &mut Network, contract: Address) -> Vec<serde_json::Value> {
    let from = format!("{:#x}", network.head() - 100);
    let topics = [SectorPieceRecorded::SIGNATURE_HASH];
    let filter = json!({ "address": contract, "fromBlock": from, "topics": topics });
    network.rpc("eth_getLogs", json!([filter])).unwrap().as_array().unwrap().clone()
}

#[test]
fn what_a_miner_tells_is_recorded_and_completes_a_request() {
    let mut network = Network::new();
    let contract = network.contract();
    let piece = Piece::new(9);
    // Request 1 in CBOR.
    let (sector, notified) = onboard(&mut network, &piece, contract, "0x01");
    assert_eq!(accepted(&notified), [[true]]);

    let logs = recorded(&mut network, contract);
    let [log] = logs.as_slice() else { panic!("one log: {logs:?}") };
    let topics: Vec<B256> = serde_json::from_value(log["topics"].clone()).unwrap();
    let data: Bytes = serde_json::from_value(log["data"].clone()).unwrap();
    let event = SectorPieceRecorded::decode_raw_log(topics, &data).unwrap();
    assert_eq!((event.dealId, event.providerId, event.id), (FIRST, PROVIDER, U256::from(1)));
    assert_eq!((event.sector, event.size), (sector, piece.size.get()));
    assert_eq!(event.pieceCid.to_vec(), piece_cid(&piece.digest));
    let receipt = network.rpc("eth_getTransactionReceipt", json!([log["transactionHash"]])).unwrap();
    assert_eq!(receipt["logs"], json!([log]), "the message's own");

    let none = || Path { index: 0, path: Vec::new() };
    let market = ask(&network, contract, &sectorMarketCall {});
    assert_ne!(market, 0);
    let call = completeCall {
        id: U256::from(1),
        market,
        dealId: FIRST,
        provider: PROVIDER,
        proof: Proof { subtree: none(), index: none() },
        data: Verifier { commPc: piece_cid(&piece.digest).into(), sizePc: piece.size.get() },
    };
    assert!(network.send(Some(contract), call.abi_encode()).2.exit.is_ok());
    let all = getAllDealsCall { cid: CID.into(), start: 0, count: 10 };
    let shown = ask(&network, contract, &all);
    let shown: Vec<_> = shown.iter().map(|deal| (deal.dealId, deal.providerId, deal.marketActorId)).collect();
    assert_eq!(shown, [(FIRST, PROVIDER, market)]);
    let active = getActiveDealsPageCall { cid: CID.into(), start: U256::ZERO, count: U256::from(10) };
    assert_eq!(ask(&network, contract, &active).len(), 1);

    // It is the sector's life that counts.
    let of = ask(&network, contract, &sectorOfCall { market, dealId: FIRST });
    assert_eq!((of.provider, of.sector), (PROVIDER, sector));
    assert_ne!(of.status, DEAD);
    let terminate = serde_json::from_value(json!({ "provider": PROVIDER, "sectors": [sector] })).unwrap();
    network.world.apply(Command::Terminate(terminate)).unwrap();
    network.advance(2);
    assert_eq!(ask(&network, contract, &sectorOfCall { market, dealId: FIRST }).status, DEAD);
    assert_eq!(ask(&network, contract, &active).len(), 0, "a dead sector holds nothing");
}

#[test]
fn what_is_for_no_open_request_is_refused_and_the_sector_stands() {
    let mut network = Network::new();
    let contract = network.contract();
    // Request 2, which there is not; and what is no CBOR number.
    for payload in ["0x02", "0x", "0x6131"] {
        let (_, notified) = onboard(&mut network, &Piece::new(8), contract, payload);
        assert_eq!(accepted(&notified), [[false]], "{payload}");
    }
    assert_eq!(recorded(&mut network, contract), Vec::<serde_json::Value>::new());
}

#[test]
fn a_caller_that_is_no_miner_is_refused() {
    let mut network = Network::new();
    let contract = network.contract();
    let call = handle_filecoin_methodCall { method: 2_034_386_435, codec: 0x51, params: vec![0x80].into() };
    let caller = network.key.address();
    match network.world.eth_send(&network.key, Some(contract), U256::ZERO, call.abi_encode()) {
        Err(SendError::WouldFail(failure)) => {
            assert_eq!(NotAMiner::abi_decode(&failure.data).unwrap().caller, caller);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_branch_tells_it_again_and_records_it_once() {
    let mut network = Network::new();
    let contract = network.contract();
    let (_, notified) = onboard(&mut network, &Piece::new(7), contract, "0x01");
    assert_eq!(accepted(&notified), [[true]]);
    let before = recorded(&mut network, contract);
    network.world.apply(Command::Reorg(serde_json::from_value(json!({ "depth": 4 })).unwrap())).unwrap();
    network.advance(2);
    let after = recorded(&mut network, contract);
    assert_eq!((before.len(), after.len()), (1, 1));
    assert_eq!(before[0]["data"], after[0]["data"]);
    assert_ne!(before[0]["blockHash"], after[0]["blockHash"], "in a tipset of the new branch");
}

#[test]
fn a_notification_that_names_no_contract_or_no_bytes_is_refused_by_field() {
    let mut network = Network::new();
    for (notify, field) in [
        (json!({ "address": "0x12", "payload": "0x01" }), "notify.address"),
        (json!({ "address": network.key.address().to_string(), "payload": "01" }), "notify.payload"),
    ] {
        let cid = piece_cid_v1(raas_devnet::codec::Commitment(Piece::new(6).digest)).to_string();
        let order =
            json!({ "provider": PROVIDER, "pieces": [{ "cid": cid, "size": 1 << 20, "notify": [notify] }] });
        let error =
            network.world.apply(Command::Onboard(serde_json::from_value(order).unwrap())).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
}
