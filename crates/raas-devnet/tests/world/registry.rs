//! DataCap from the verifier to a claim: balances, allocations, and what the registry refuses.

use crate::network::{BOOST, CURIO, Network};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cid::Cid;
use raas_core::{ids::SectorNumber, units::AttoFil};
use raas_devnet::{
    codec::{Address, TokenAmount, from_cbor, to_cbor},
    world::{Command, CommandError, OnboardOrder, Outcome, ReorgOrder, StateAt, bulk_piece},
};
use serde_bytes::ByteBuf;
use serde_json::{Value, json};

const TRANSFER: u64 = 80_475_954;
const EXTEND: u64 = 1_752_273_514;
const REMOVE_ALLOCATIONS: u64 = 2_421_068_268;
const REMOVE_CLAIMS: u64 = 2_873_373_899;
pub const MIB: u64 = 1 << 20;
/// 180 days.
const TERM: i64 = 518_400;

/// How many of a batch went well, and the exit codes of the others by their place.
type Batch = (u64, Vec<(u64, i64)>);
/// `[provider, data, size, term_min, term_max, expiration]`
pub type Request = (u64, Cid, u64, i64, i64, i64);

pub fn tokens(bytes: u64) -> TokenAmount {
    TokenAmount(AttoFil(u128::from(bytes) * 10_u128.pow(18)))
}

/// A good request at `provider` for bulk piece `number`, that expires in `expires` epochs.
pub fn request(network: &Network, provider: u64, number: u64, expires: i64) -> Request {
    (provider, bulk_piece(number), MIB, TERM, 2 * TERM, network.clock() + expires)
}

pub fn transfer(
    to: u64,
    amount: TokenAmount,
    requests: &[Request],
    extensions: &[(u64, u64, i64)],
) -> Vec<u8> {
    let data = ByteBuf::from(to_cbor(&(requests, extensions)).unwrap());
    to_cbor(&(Address::id(to), amount, data)).unwrap()
}

/// Sends a message of the client to an actor; its exit code and return.
pub fn send(network: &mut Network, to: u64, method: u64, params: Vec<u8>) -> (i64, Vec<u8>) {
    let mut signed = network.message(method, AttoFil::ZERO, params);
    signed.message.to = Address::id(to);
    signed.signature = network.client.sign(&signed.message.signing_bytes().unwrap());
    let cid = network.push(&signed).unwrap();
    network.advance(2);
    let head = network.world.chain().head();
    let receipt = network.world.find_message(&cid, head).unwrap();
    (receipt.exit, receipt.ret.clone())
}

/// A network whose client has `mib` MiB of DataCap.
pub fn with_datacap(mib: u64) -> Network {
    let mut network = Network::new();
    let address = network.client.address().to_string();
    network.apply(Command::Datacap { address, bytes: mib * MIB });
    network.advance(2);
    network
}

pub fn allocate(network: &mut Network, requests: &[Request]) -> Vec<u64> {
    let size = requests.iter().map(|request| request.2).sum();
    let (exit, ret) = send(network, 7, TRANSFER, transfer(6, tokens(size), requests, &[]));
    assert_eq!(exit, 0);
    let (_, _, told): (TokenAmount, TokenAmount, ByteBuf) = from_cbor(&ret).unwrap();
    let (_, _, ids): (Value, Value, Vec<u64>) = from_cbor(&told).unwrap();
    ids
}

fn allocate_one(network: &mut Network, provider: u64, number: u64, expires: i64) -> Vec<u64> {
    let wanted = request(network, provider, number, expires);
    allocate(network, &[wanted])
}

pub fn onboard(network: &Network, provider: u64, number: u64, id: u64, duration: i64) -> OnboardOrder {
    let client = network.client.address().to_string();
    let piece = json!({
        "cid": bulk_piece(number).to_string(), "size": MIB, "allocation": { "client": client, "id": id },
    });
    serde_json::from_value(json!({ "provider": provider, "pieces": [piece], "duration": duration })).unwrap()
}

/// Proves a sector with bulk piece `number`, which claims an allocation of it.
pub fn prove(network: &mut Network, provider: u64, number: u64, id: u64, duration: i64) -> SectorNumber {
    let order = onboard(network, provider, number, id, duration);
    match network.apply(Command::Onboard(order)) {
        Outcome::Onboarded { sector, .. } => sector,
        other => panic!("{other:?}"),
    }
}

/// DataCap of an account as f07 tells it, in bytes.
fn balance(network: &mut Network, account: &Address) -> u64 {
    let (exit, ret) = network.actor_call("f07", "Balance", &to_cbor(account).unwrap());
    assert_eq!(exit, 0);
    let amount: TokenAmount = from_cbor(&STANDARD.decode(ret.as_str().unwrap()).unwrap()).unwrap();
    u64::try_from(amount.0.0 / 10_u128.pow(18)).unwrap()
}

#[test]
fn datacap_is_given_set_aside_claimed_and_burnt() {
    let mut network = with_datacap(5);
    let (client, id) = (network.client.address(), network.client_id().0);
    let status = |network: &mut Network| {
        network.ask("Filecoin.StateVerifiedClientStatus", json!([client.to_string(), null]))
    };
    assert_eq!(status(&mut network), json!((5 * MIB).to_string()));
    let requests = [request(&network, 1_000, 1, 100), request(&network, 1_000, 2, 200)];
    let (exit, ret) = send(&mut network, 7, TRANSFER, transfer(6, tokens(2 * MIB), &requests, &[]));
    // What is left, what the registry holds, and [[2, []], [0, []], [1, 2]].
    let told = ByteBuf::from(hex::decode("83820280820080820102").unwrap());
    assert_eq!((exit, ret), (0, to_cbor(&(tokens(3 * MIB), tokens(2 * MIB), told)).unwrap()));
    assert_eq!(status(&mut network), json!((3 * MIB).to_string()));
    let allocation = network.ask("Filecoin.StateGetAllocation", json!([client.to_string(), 2, null]));
    let expected = json!({
        "Client": id, "Provider": 1_000, "Data": { "/": bulk_piece(2).to_string() }, "Size": MIB,
        "TermMin": TERM, "TermMax": 2 * TERM, "Expiration": requests[1].5,
    });
    assert_eq!(allocation, expected);
    let all = network.ask("Filecoin.StateGetAllocations", json!([client.to_string(), null]));
    assert_eq!((all["2"].clone(), all.as_object().unwrap().len()), (expected, 2));
    assert_eq!(network.ask("Filecoin.StateGetAllAllocations", json!([null])), all);

    // Whoever may not claim it does not, and nothing has changed then.
    for (order, why) in [
        (onboard(&network, 1_002, 2, 2, TERM), "of this provider"),
        (onboard(&network, 1_000, 1, 2, TERM), "of this piece"),
        (onboard(&network, 1_000, 2, 3, TERM), "that waits"),
        (onboard(&network, 1_000, 2, 2, 3 * TERM), "as its term says"),
    ] {
        let error = network.world.apply(Command::Onboard(order)).expect_err(why);
        assert!(error.to_string().contains(why), "{error}");
    }
    let sector = prove(&mut network, 1_000, 2, 2, TERM);
    let at = network.clock();
    network.advance(1);
    assert!(network.ask("Filecoin.StateGetAllocation", json!([client.to_string(), 2, null])).is_null());
    let claim = network.ask("Filecoin.StateGetClaim", json!(["f01000", 2, null]));
    let expected = json!({
        "Client": id, "Provider": 1_000, "Data": { "/": bulk_piece(2).to_string() }, "Size": MIB,
        "TermMin": TERM, "TermMax": 2 * TERM, "TermStart": at, "Sector": sector,
    });
    assert_eq!(claim, expected);
    assert_eq!((balance(&mut network, &client), balance(&mut network, &Address::id(6))), (3 * MIB, MIB));
    let again = onboard(&network, 1_000, 2, 2, TERM);
    assert!(network.world.apply(Command::Onboard(again)).is_err(), "it is claimed once");
}

#[test]
fn what_the_registry_would_not_take_changes_nothing() {
    let mut network = with_datacap(3);
    let good = request(&network, 1_000, 1, 100);
    let one = |change: fn(&mut Request)| {
        let mut bad = good;
        change(&mut bad);
        transfer(6, tokens(MIB), &[bad], &[])
    };
    let half = TokenAmount(AttoFil(tokens(MIB).0.0 - 1));
    let cases: Vec<(&str, Vec<u8>, i64)> = vec![
        ("to somebody else", transfer(1_000, tokens(MIB), &[good], &[]), 18),
        ("more than there is", transfer(6, tokens(4 * MIB), &[good], &[]), 19),
        ("no whole bytes", transfer(6, half, &[good], &[]), 16),
        ("more than it asks for", transfer(6, tokens(2 * MIB), &[good], &[]), 16),
        ("nothing that can be read", to_cbor(&(Address::id(6), tokens(MIB), ByteBuf::new())).unwrap(), 21),
        ("no parameters", Vec::new(), 21),
        ("too small", one(|bad| bad.2 = MIB / 2), 16),
        ("too short", one(|bad| bad.3 = TERM - 1), 16),
        ("too long", one(|bad| bad.4 = 5_259_486), 16),
        ("no term", one(|bad| bad.4 = TERM - 1), 16),
        ("expired", one(|bad| bad.5 -= 200), 16),
        ("expires too late", one(|bad| bad.5 += 172_800), 16),
        ("no miner", one(|bad| bad.0 = 99), 16),
        ("no such claim", transfer(6, tokens(MIB), &[], &[(1_000, 9, TERM)]), 17),
    ];
    for (what, params, exit) in cases {
        assert_eq!(send(&mut network, 7, TRANSFER, params), (exit, Vec::new()), "{what}");
    }
    let client = network.client.address();
    assert_eq!(balance(&mut network, &client), 3 * MIB);
    assert_eq!(network.ask("Filecoin.StateGetAllAllocations", json!([null])), json!({}));
    assert_eq!(send(&mut network, 6, 9_999_999_999, vec![0x80]).0, 22, "no such method");
    assert_eq!(send(&mut network, 7, 3_621_052_141, vec![0x80]).0, 19, "nobody has an allowance");
    let params = to_cbor(&(client, TokenAmount(AttoFil(u128::from(MIB))))).unwrap();
    assert_eq!(send(&mut network, 6, 4, params).0, 17, "the client is no verifier");
    let grant = |bytes| Command::Datacap { address: "f099".to_owned(), bytes };
    for bytes in [MIB - 1, 1 << 61] {
        let error = network.world.apply(grant(bytes)).expect_err("refused");
        assert!(matches!(error, CommandError::Bulk { field: "bytes", .. }), "{error}");
    }
}

#[test]
fn unclaimed_datacap_comes_back_when_anybody_removes_the_allocation() {
    let mut network = with_datacap(4);
    let (client, id) = (network.client.address(), network.client_id().0);
    let requests =
        [1, 2, 3].map(|number| request(&network, 1_000, number, if number == 3 { 5_000 } else { 50 }));
    assert_eq!(allocate(&mut network, &requests), [1, 2, 3]);
    let remove = |network: &mut Network, ids: &[u64]| {
        let params = to_cbor(&(id, ids)).unwrap();
        let (exit, ret) = send(network, 6, REMOVE_ALLOCATIONS, params);
        assert_eq!(exit, 0);
        let (considered, (done, failed), back): (Vec<u64>, Batch, TokenAmount) = from_cbor(&ret).unwrap();
        (considered, done, failed, u64::try_from(back.0.0).unwrap())
    };
    assert_eq!(remove(&mut network, &[1, 9]), (vec![1, 9], 0, vec![(0, 18), (1, 17)], 0), "not yet, never");
    network.advance_to(requests[0].5 + 1);
    let late = onboard(&network, 1_000, 1, 1, TERM);
    let error = network.world.apply(Command::Onboard(late)).expect_err("too late");
    assert!(error.to_string().contains("has not expired"), "{error}");
    assert_eq!(remove(&mut network, &[]), (vec![1, 2], 2, vec![], 2 * MIB), "all that have expired");
    assert_eq!((balance(&mut network, &client), balance(&mut network, &Address::id(6))), (3 * MIB, MIB));
    let left = network.ask("Filecoin.StateGetAllocations", json!([client.to_string(), null]));
    assert_eq!(left.as_object().unwrap().keys().collect::<Vec<_>>(), ["3"]);
    assert_eq!(allocate_one(&mut network, 1_000, 4, 50), [4], "a number is given once");
}

#[test]
fn claims_are_extended_by_their_client_or_with_datacap_and_removed_after_their_term() {
    let mut network = with_datacap(3);
    let ids = allocate_one(&mut network, BOOST.number(), 1, 100);
    prove(&mut network, 1_000, 1, ids[0], TERM);
    let start = network.clock();
    network.advance(2);
    let term = |network: &mut Network| {
        network.ask("Filecoin.StateGetClaim", json!(["f01000", 1, null]))["TermMax"].as_i64()
    };
    let terms = |claim: u64, max: i64| to_cbor(&(vec![(1_000_u64, claim, max)],)).unwrap();
    let (exit, ret) = send(&mut network, 6, EXTEND, terms(1, 2 * TERM + 5));
    assert_eq!((exit, hex::encode(ret)), (0, "820180".to_owned()));
    assert_eq!(term(&mut network), Some(2 * TERM + 5));
    for (params, told) in [
        (terms(1, 2 * TERM), "820081820010"),
        (terms(1, 5_259_486), "820081820010"),
        (terms(7, 2 * TERM), "820081820011"),
    ] {
        let (exit, ret) = send(&mut network, 6, EXTEND, params);
        assert_eq!((exit, hex::encode(ret).as_str()), (0, told));
    }
    // With DataCap beyond five years from its start, which is then burnt.
    network.advance(10);
    let beyond = 5_259_485 + network.clock() - start;
    let (exit, _) = send(&mut network, 7, TRANSFER, transfer(6, tokens(MIB), &[], &[(1_000, 1, beyond)]));
    assert_eq!((exit, term(&mut network)), (0, Some(beyond)));
    let client = network.client.address();
    assert_eq!((balance(&mut network, &client), balance(&mut network, &Address::id(6))), (MIB, 0));

    let remove =
        |network: &mut Network| send(network, 6, REMOVE_CLAIMS, to_cbor(&(1_000_u64, [1_u64])).unwrap()).1;
    assert_eq!(hex::encode(remove(&mut network)), "828101820081820012", "not before its end");
    network.advance_to(start + beyond);
    assert_eq!(hex::encode(remove(&mut network)), "828101820180");
    assert!(network.ask("Filecoin.StateGetClaim", json!(["f01000", 1, null])).is_null());
}

#[test]
fn version_29_freezes_the_registry_and_drops_what_waits() {
    let mut network = with_datacap(3);
    let requests = [request(&network, 1_000, 1, 5_000), request(&network, 1_000, 2, 5_000)];
    allocate(&mut network, &requests);
    prove(&mut network, 1_000, 1, 1, TERM);
    network.apply(Command::Upgrade);
    network.advance(2);
    let client = network.client.address().to_string();
    assert_eq!(network.ask("Filecoin.StateGetAllocations", json!([client, null])), json!({}));
    assert!(network.ask("Filecoin.StateGetAllocation", json!([client, 2, null])).is_null());
    assert!(network.ask("Filecoin.StateGetClaim", json!(["f01000", 1, null])).is_object(), "claims stay");
    let status = network.ask("Filecoin.StateVerifiedClientStatus", json!([client, null]));
    assert_eq!(status, json!(MIB.to_string()), "and so do balances");
    let more = transfer(6, tokens(MIB), &[request(&network, 1_000, 3, 100)], &[]);
    for (to, method, params) in [
        (7, TRANSFER, more),
        (6, EXTEND, vec![0x80]),
        (6, REMOVE_ALLOCATIONS, vec![0x80]),
        (6, REMOVE_CLAIMS, vec![0x80]),
    ] {
        assert_eq!(send(&mut network, to, method, params).0, 18);
    }
    let order = onboard(&network, 1_000, 2, 2, TERM);
    assert!(network.world.apply(Command::Onboard(order)).is_err());
    assert!(network.world.apply(Command::Datacap { address: client, bytes: MIB }).is_err());
}

#[test]
fn a_reorganisation_takes_allocations_and_claims_back_with_their_messages() {
    let mut network = with_datacap(3);
    network.advance(20);
    allocate_one(&mut network, CURIO.number(), 1, 100);
    prove(&mut network, CURIO.number(), 1, 1, TERM);
    network.advance(2);
    let sent = (network.clock() - 5..network.clock()).flat_map(|height| network.world.receipts_at(height));
    let message = sent.map(|receipt| (receipt.message.method, receipt.cid)).find(|sent| sent.0 == TRANSFER);
    let message = message.unwrap().1;
    let client = network.client_id();
    let order = ReorgOrder { depth: 6, drop: vec![message.to_string()], ..ReorgOrder::default() };
    network.apply(Command::Reorg(order));
    assert_eq!(network.world.registry.datacap(client, StateAt::NEWEST), 3 * MIB, "it was never sent");
    assert!(network.ask("Filecoin.StateGetClaims", json!(["f01002", null])).as_object().unwrap().is_empty());
    let ids = allocate_one(&mut network, CURIO.number(), 1, 100);
    assert_eq!(ids, [1], "numbers of the branch that was left are free again");
    network.apply(Command::Reorg(ReorgOrder { depth: 3, ..ReorgOrder::default() }));
    assert_eq!(network.world.registry.datacap(client, StateAt::NEWEST), 2 * MIB, "here it came back");
}
