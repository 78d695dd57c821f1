//! Deals by the million: they read like any other deal, cost nothing each, and can go wrong one by one.

use crate::network::{BOOST, Network};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use raas_core::ids::{DealId, ProviderId, SectorNumber};
use raas_devnet::{
    codec::{Bitfield, from_cbor, to_cbor},
    ledger::Fact,
    world::{BulkMade, BulkOrder, Command, CommandError, FAULT_MAX_AGE, Outcome, Sectors, bulk_piece},
};
use serde_json::{Value, json};

const PROVEN: u64 = 5_000;

fn order(provider: ProviderId, count: u64) -> BulkOrder {
    BulkOrder {
        provider,
        count,
        first_piece: 40,
        piece_size: 8 << 30,
        deals_per_sector: 2,
        duration: 600_000,
        pending: 0,
        seal_in: None,
        client: None,
    }
}

fn make(network: &mut Network, order: BulkOrder) -> BulkMade {
    match network.apply(Command::Bulk(order)) {
        Outcome::Bulk(made) => made,
        other => panic!("{other:?}"),
    }
}

/// Every partition of a provider, by deadline, as `StateMinerPartitions` shows them.
pub fn partitions(network: &mut Network, provider: &str) -> Vec<Value> {
    (0..48)
        .map(|deadline| network.ask("Filecoin.StateMinerPartitions", json!([provider, deadline, null])))
        .collect()
}

fn numbers(runs: &Value) -> Vec<u64> {
    let runs: Vec<u64> = serde_json::from_value(runs.clone()).unwrap();
    Bitfield::from_runs(&runs).unwrap().iter().collect()
}

#[test]
fn bulk_deals_read_like_any_other() {
    let mut network = Network::new();
    let (own, _) = network.active(BOOST, 1);
    network.advance(1);
    let made = make(&mut network, order(BOOST, PROVEN));
    assert_eq!((made.first_deal.0, made.proven, made.sectors), (own.0 + 1, PROVEN, PROVEN / 2));
    let last = made.first_deal.0 + PROVEN - 1;
    let deal = network.ask("Filecoin.StateMarketStorageDeal", json!([last, null]));
    assert_eq!(deal["Proposal"]["PieceCID"]["/"], bulk_piece(40 + PROVEN - 1).to_string());
    assert_eq!(deal["Proposal"]["EndEpoch"], made.end);
    assert_eq!(deal["State"]["SectorStartEpoch"], made.start);
    assert_eq!(deal["State"]["SectorNumber"], made.first_sector.0 + PROVEN / 2 - 1);
    let (exit, ret) = network.getter("GetDealActivation", DealId(last));
    assert_eq!((exit, ret), (0, json!(STANDARD.encode(to_cbor(&(made.start, -1_i64)).unwrap()))));
    assert_eq!(network.getter("GetDealActivation", DealId(last + 1)).0, 17);
    let counts = network.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null]));
    assert_eq!(counts["Live"], PROVEN / 2 + 1);
    let next = network.ask("Filecoin.StateReadState", json!(["f05", null]))["State"]["NextID"].clone();
    assert_eq!(next, last + 1);
    // The next ordinary deal and sector follow.
    let (after, sector) = network.active(BOOST, 2);
    assert_eq!(after.0, last + 1);
    assert_eq!(sector.0, made.first_sector.0 + PROVEN / 2);
}

#[test]
fn sectors_are_scattered_and_each_is_where_its_location_says() {
    let mut network = Network::new();
    let made = make(&mut network, order(BOOST, PROVEN));
    let shown = partitions(&mut network, "f01000");
    let mut all: Vec<u64> = Vec::new();
    for (deadline, partitions) in shown.iter().enumerate() {
        for (index, partition) in partitions.as_array().unwrap().iter().enumerate() {
            let members = numbers(&partition["AllSectors"]);
            assert_eq!(partition["LiveSectors"], partition["AllSectors"]);
            assert_eq!(partition["ActiveSectors"], partition["AllSectors"]);
            assert_eq!(partition["FaultySectors"], json!([0]));
            assert!(members.windows(2).all(|pair| pair[1] - pair[0] > 1), "neighbours are elsewhere");
            let some = members[members.len() / 2];
            let place = network.ask("Filecoin.StateSectorPartition", json!(["f01000", some, null]));
            assert_eq!(place, json!({ "Deadline": deadline, "Partition": index }));
            all.extend(members);
        }
    }
    all.sort_unstable();
    assert_eq!(all, (made.first_sector.0..made.first_sector.0 + made.sectors).collect::<Vec<_>>());
}

#[test]
fn one_sector_of_a_batch_faults_and_dies_after_42_silent_days() {
    let mut network = Network::new();
    let made = make(&mut network, BulkOrder { duration: 1_000_000, ..order(BOOST, 1_000) });
    network.advance(2_880);
    let lost = SectorNumber(made.first_sector.0 + 77);
    network.apply(Command::Fault(Sectors { provider: BOOST, sectors: Some(vec![lost]) }));
    network.advance(2_882);
    assert_eq!(network.ask("Filecoin.StateMinerFaults", json!(["f01000", null])), json!([lost.0, 1]));
    let counts = network.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null]));
    assert_eq!(counts, json!({ "Live": 500, "Active": 499, "Faulty": 1 }));
    let deals = [made.first_deal.0 + 154, made.first_deal.0 + 155];
    assert_eq!(
        network.getter("GetDealActivation", DealId(deals[0])).0,
        0,
        "the market knows nothing of faults"
    );
    let before = network.clock();
    network.advance(FAULT_MAX_AGE);
    for deal in deals {
        assert_eq!(network.getter("GetDealActivation", DealId(deal)).0, 32);
    }
    assert_eq!(network.getter("GetDealActivation", DealId(deals[0] - 1)).0, 0);
    assert_eq!(network.getter("GetDealActivation", DealId(deals[1] + 1)).0, 0);
    let terminated =
        network.facts().iter().filter(|fact| matches!(fact, Fact::Terminated { by_cron: true, .. })).count();
    assert_eq!(terminated, 2);
    let now = network.clock();
    let mut from = before;
    while from < now {
        let to = (from + 2_880).min(now - 1);
        assert_eq!(network.event_types(from, to), Vec::<String>::new(), "cron is silent");
        from = to + 1;
    }
}

#[test]
fn a_share_of_a_provider_is_terminated_by_message() {
    let mut network = Network::new();
    make(&mut network, order(BOOST, 2_000));
    let drawn = network.world.share_of_sectors(BOOST, 10_000).unwrap();
    assert_eq!(drawn.len(), 10);
    let gaps: Vec<u64> = drawn.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.iter().all(|gap| *gap == 100), "{gaps:?}");
    network.apply(Command::Terminate(Sectors { provider: BOOST, sectors: Some(drawn) }));
    network.advance(2);
    let counts = network.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null]));
    assert_eq!(counts["Live"], 990);
    let clock = network.clock();
    let types = network.event_types(clock - 2, clock - 1);
    assert_eq!(types.iter().filter(|kind| *kind == "sector-terminated").count(), 10);
    assert_eq!(types.iter().filter(|kind| *kind == "deal-terminated").count(), 20);
}

#[test]
fn pending_deals_wait_or_are_sealed_when_told() {
    let mut network = Network::new();
    let made = make(&mut network, BulkOrder { pending: 10, seal_in: Some(30), ..order(BOOST, 100) });
    assert_eq!((made.proven, made.pending), (90, 10));
    let first = DealId(made.first_deal.0 + 90);
    let pending = json!(STANDARD.encode(to_cbor(&(-1_i64, -1_i64)).unwrap()));
    assert_eq!(network.getter("GetDealActivation", first), (0, pending.clone()));
    network.advance(31);
    assert_ne!(network.getter("GetDealActivation", first), (0, pending.clone()));
    let never = make(&mut network, BulkOrder { pending: 5, ..order(BOOST, 5) });
    network.advance(8_000);
    assert_eq!(network.getter("GetDealActivation", never.first_deal), (0, pending));
    network.advance(90_000);
    assert_eq!(network.getter("GetDealActivation", never.first_deal).0, 32, "cleaned up");
}

#[test]
fn a_batch_ends_as_one() {
    let mut network = Network::new();
    let made = make(&mut network, order(BOOST, 1_000));
    network.advance(made.end - network.clock() - 5_000);
    assert_eq!(network.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null]))["Live"], 500);
    network.advance(5_000 + 2 * 2_880);
    let counts = network.ask("Filecoin.StateMinerSectorCount", json!(["f01000", null]));
    assert_eq!(counts, json!({ "Live": 0, "Active": 0, "Faulty": 0 }));
    assert_eq!(network.getter("GetDealActivation", made.first_deal).0, 0, "ended and not settled");
    for partition in
        partitions(&mut network, "f01000").iter().flat_map(|list| list.as_array().unwrap().clone())
    {
        assert_eq!(partition["LiveSectors"], json!([0]));
    }
}

#[test]
fn six_hundred_providers_hold_a_million_deals_and_epochs_pass_as_before() {
    let mut network = Network::new();
    let Outcome::Providers(providers) =
        network.apply(Command::AddProviders { count: 600, operators: Some(270) })
    else {
        panic!("no providers")
    };
    assert_eq!(providers.len(), 600);
    for (provider, index) in providers.iter().zip(0_u64..) {
        let order = BulkOrder {
            first_piece: index % 200 * 1_667,
            piece_size: 32 << 30,
            deals_per_sector: 1,
            ..order(*provider, 1_667)
        };
        make(&mut network, order);
    }
    let before = network.world.steps();
    network.advance(3 * 2_880);
    assert!(network.world.steps() - before < 10, "empty epochs are free");
    let last =
        network.ask("Filecoin.StateReadState", json!(["f05", null]))["State"]["NextID"].as_u64().unwrap() - 1;
    assert_eq!(network.getter("GetDealActivation", DealId(last)).0, 0);
    let owner = |network: &mut Network, id: &str| {
        network.ask("Filecoin.StateMinerInfo", json!([id, null]))["Owner"].clone()
    };
    assert_eq!(owner(&mut network, "f02000"), owner(&mut network, "f02270"));
    assert_ne!(owner(&mut network, "f02000"), owner(&mut network, "f02001"));
}

#[test]
fn orders_that_make_no_sense_name_the_field() {
    let mut network = Network::new();
    let slips = [
        ("count", BulkOrder { count: 0, ..order(BOOST, 1) }),
        ("pending", BulkOrder { pending: 2, ..order(BOOST, 1) }),
        ("pieceSize", BulkOrder { piece_size: 1_000, ..order(BOOST, 1) }),
        ("dealsPerSector", BulkOrder { deals_per_sector: 5, ..order(BOOST, 1) }),
        ("duration", BulkOrder { duration: 10, ..order(BOOST, 1) }),
        ("sealIn", BulkOrder { seal_in: Some(0), ..order(BOOST, 1) }),
    ];
    for (field, order) in slips {
        match network.world.apply(Command::Bulk(order)) {
            Err(CommandError::Bulk { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    let nobody = network.world.apply(Command::Bulk(order(ProviderId::new(9_999), 1)));
    assert!(matches!(nobody, Err(CommandError::UnknownProvider(_))));
}

/// Walks a miner's partitions by CID, as a client does that knows only the chain's shapes.
pub fn walk(network: &mut Network, provider: &str) -> Vec<Vec<Value>> {
    let head = network.ask("Filecoin.StateGetActor", json!([provider, null]))["Head"].clone();
    let mut read = |link: &Value| -> ipld_core::ipld::Ipld {
        let block = network.ask("Filecoin.ChainReadObj", json!([link]));
        let bytes = STANDARD.decode(block.as_str().unwrap()).unwrap();
        let cid = raas_devnet::codec::dag_cbor_blake2b(&bytes).to_string();
        assert_eq!(link["/"], cid, "a block is what its CID says");
        from_cbor(&bytes).unwrap()
    };
    let state = list(read(&head));
    assert_eq!(state.len(), 15);
    let due = list(list(read(&link(&state[12]))).remove(0));
    assert_eq!(due.len(), 48);
    due.iter()
        .map(|deadline| {
            let deadline = list(read(&link(deadline)));
            assert_eq!(deadline.len(), 13);
            let root = list(read(&link(&deadline[0])));
            let (width, height) = (number(&root[0]), number(&root[1]));
            assert_eq!(width, 3);
            let mut nodes = vec![root[3].clone()];
            for _ in 0..height {
                nodes = nodes
                    .into_iter()
                    .flat_map(|node| list(list(node).remove(1)))
                    .map(|child| read(&link(&child)))
                    .collect();
            }
            nodes.into_iter().flat_map(|node| list(list(node).remove(2))).map(partition).collect()
        })
        .collect()
}

fn list(value: ipld_core::ipld::Ipld) -> Vec<ipld_core::ipld::Ipld> {
    match value {
        ipld_core::ipld::Ipld::List(list) => list,
        other => panic!("{other:?} is no list"),
    }
}

fn link(value: &ipld_core::ipld::Ipld) -> Value {
    match value {
        ipld_core::ipld::Ipld::Link(cid) => json!({ "/": cid.to_string() }),
        other => panic!("{other:?} is no link"),
    }
}

fn number(value: &ipld_core::ipld::Ipld) -> i128 {
    match value {
        ipld_core::ipld::Ipld::Integer(number) => *number,
        other => panic!("{other:?} is no number"),
    }
}

/// The five sets of a partition as `StateMinerPartitions` prints what follows from them.
fn partition(value: ipld_core::ipld::Ipld) -> Value {
    let parts = list(value);
    assert_eq!(parts.len(), 11);
    let set = |index: usize| -> Vec<u64> {
        let ipld_core::ipld::Ipld::Bytes(bytes) = &parts[index] else { panic!("no bytes") };
        Bitfield::from_bytes(bytes).unwrap().iter().collect()
    };
    let (all, unproven, faults, recoveries, terminated) = (set(0), set(1), set(2), set(3), set(4));
    let live: Vec<u64> = all.iter().copied().filter(|number| !terminated.contains(number)).collect();
    let active = live.iter().copied().filter(|number| !faults.contains(number) && !unproven.contains(number));
    let runs = |numbers: Vec<u64>| json!(numbers.into_iter().collect::<Bitfield>().runs());
    json!({
        "AllSectors": runs(all.clone()),
        "FaultySectors": runs(faults.clone()),
        "RecoveringSectors": runs(recoveries),
        "ActiveSectors": runs(active.collect()),
        "LiveSectors": runs(live.clone()),
    })
}

#[test]
fn a_walk_by_cid_finds_what_the_methods_tell_and_unchanged_parts_keep_their_cids() {
    let mut network = Network::new();
    network.active(BOOST, 1);
    let made = make(&mut network, order(BOOST, 3_000));
    network.active(BOOST, 2);
    network.advance(3_000);
    let compare = |network: &mut Network| {
        let walked = walk(network, "f01000");
        let told = partitions(network, "f01000");
        for (walked, told) in walked.into_iter().zip(told) {
            assert_eq!(Value::Array(walked), told);
        }
    };
    compare(&mut network);
    let due = |network: &mut Network| -> Vec<Value> {
        let shown = network.ask("Filecoin.StateReadState", json!(["f01000", null]));
        let block = network.ask("Filecoin.ChainReadObj", json!([shown["State"]["Deadlines"]]));
        let deadlines: ipld_core::ipld::Ipld =
            from_cbor(&STANDARD.decode(block.as_str().unwrap()).unwrap()).unwrap();
        list(list(deadlines).remove(0)).iter().map(link).collect()
    };
    let before = due(&mut network);
    let sectors = [5, 6, 700].map(|index| SectorNumber(made.first_sector.0 + index)).to_vec();
    network.apply(Command::Fault(Sectors { provider: BOOST, sectors: Some(sectors[..2].to_vec()) }));
    network.apply(Command::Terminate(Sectors { provider: BOOST, sectors: Some(sectors[2..].to_vec()) }));
    // A whole proving period later the same window is open.
    network.advance(2_880);
    compare(&mut network);
    let after = due(&mut network);
    let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert_eq!(changed, 3, "three sectors, three deadlines");
    network.apply(Command::Recover(Sectors { provider: BOOST, sectors: Some(sectors[..1].to_vec()) }));
    network.advance(3);
    compare(&mut network);
    let unknown = json!([{ "/": "bafy2bzacecnamqgqmifpluoeldx7zzglxcljo6oja4vrmtj7432rphldpdmm2" }]);
    assert!(
        network
            .call("Filecoin.ChainReadObj", unknown.clone())
            .unwrap_err()
            .message
            .contains("could not find")
    );
    assert_eq!(network.ask("Filecoin.ChainHasObj", unknown), false);
}
