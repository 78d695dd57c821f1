//! The catalogue of built-in actor events: which there are, with which fields, and how many one answer holds.

use crate::{
    network::{BOOST, CURIO, Network},
    registry::{allocate, prove, request, send, with_datacap},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use raas_devnet::{
    codec::{from_cbor, to_cbor},
    rpc::{Answer, Behaviour, Endpoint},
    world::{BulkOrder, Command, Sectors},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DEAL: &[&str] = &["id", "client", "provider"];
const ALLOCATION: &[&str] =
    &["id", "client", "provider", "piece-cid", "piece-size", "term-min", "term-max", "expiration"];
const CLAIM: &[&str] =
    &["id", "client", "provider", "piece-cid", "piece-size", "term-min", "term-max", "term-start", "sector"];

/// Emitter (none: a miner), type, and the fields after it in their order.
const CATALOGUE: &[(Option<&str>, &str, &[&str])] = &[
    (Some("t05"), "deal-published", DEAL),
    (Some("t05"), "deal-activated", DEAL),
    (Some("t05"), "deal-terminated", DEAL),
    (Some("t05"), "deal-completed", DEAL),
    (Some("t06"), "verifier-balance", &["verifier", "balance", "client"]),
    (Some("t06"), "allocation", ALLOCATION),
    (Some("t06"), "allocation-removed", ALLOCATION),
    (Some("t06"), "claim", CLAIM),
    (Some("t06"), "claim-updated", CLAIM),
    (Some("t06"), "claim-removed", CLAIM),
    (None, "sector-precommitted", &["sector"]),
    (None, "sector-activated", &["sector", "unsealed-cid", "piece-cid", "piece-size"]),
    (None, "sector-updated", &["sector", "unsealed-cid", "piece-cid", "piece-size"]),
    (None, "sector-terminated", &["sector"]),
];

/// Values of these keys are not indexed.
const KEY_ONLY: [&str; 6] = ["balance", "piece-size", "term-min", "term-max", "term-start", "expiration"];

/// Checks one event against the catalogue and answers its type.
fn check(event: &Value) -> String {
    let entries = event["entries"].as_array().unwrap();
    let value = |entry: &Value| STANDARD.decode(entry["Value"].as_str().unwrap()).unwrap();
    let kind: String = from_cbor(&value(&entries[0])).unwrap();
    let (emitter, _, fields) =
        CATALOGUE.iter().find(|(_, name, _)| *name == kind).unwrap_or_else(|| panic!("{kind} is unknown"));
    let told = event["emitter"].as_str().unwrap();
    assert!(emitter.map_or(told.starts_with("t01"), |emitter| told == emitter), "{kind} of {told}");
    let keys: Vec<&str> = entries.iter().map(|entry| entry["Key"].as_str().unwrap()).collect();
    assert_eq!(keys, [&["$type"], *fields].concat(), "{kind}");
    for (entry, key) in entries.iter().zip(keys) {
        let flags = if KEY_ONLY.contains(&key) { 1 } else { 3 };
        assert_eq!((&entry["Flags"], &entry["Codec"]), (&json!(flags), &json!(81)), "{kind}.{key}");
        let bytes = value(entry);
        let fits = match key {
            "$type" => from_cbor::<String>(&bytes).is_ok(),
            "piece-cid" | "unsealed-cid" => from_cbor::<cid::Cid>(&bytes).is_ok(),
            "balance" => from_cbor::<raas_devnet::codec::TokenAmount>(&bytes).is_ok(),
            _ => from_cbor::<u64>(&bytes).is_ok(),
        };
        assert!(fits, "{kind}.{key} is {}", hex::encode(bytes));
    }
    kind
}

/// All events between two heights, window by window.
fn all(network: &mut Network, from: i64, to: i64) -> Vec<Value> {
    let mut found = Vec::new();
    let mut at = from;
    while at <= to {
        let last = to.min(at + 2_880);
        let window = json!([{ "fromHeight": at, "toHeight": last }]);
        let events = network.ask("Filecoin.GetActorEventsRaw", window);
        found.extend(events.as_array().into_iter().flatten().cloned());
        at = last + 1;
    }
    found
}

#[test]
fn every_event_of_the_catalogue_is_emitted_with_its_fields() {
    let mut network = with_datacap(3);
    let from = network.clock() - 3;
    let client = network.client_id().0;
    // Deals: one that ends with its sector, one that is settled after its end.
    let (_, lost) = network.active(CURIO, 1);
    let (settled, _) = network.active(BOOST, 2);
    network.apply(Command::Terminate(Sectors { provider: CURIO, sectors: Some(vec![lost]) }));
    // DataCap: one allocation is claimed, extended and removed in the end, one never claimed.
    let requests = [request(&network, 1_002, 1, 200), request(&network, 1_002, 2, 200)];
    let ids = allocate(&mut network, &requests);
    let sector = prove(&mut network, 1_002, 1, ids[0], 518_400);
    let piece = json!({ "cid": raas_devnet::world::bulk_piece(9).to_string(), "size": 1 << 20 });
    let update = json!({ "provider": 1_002, "pieces": [piece], "update": sector });
    network.apply(Command::Onboard(serde_json::from_value(update).unwrap()));
    network.advance(300);
    let expired = to_cbor(&(client, [ids[1]])).unwrap();
    assert_eq!(send(&mut network, 6, 2_421_068_268, expired).0, 0);
    let terms = to_cbor(&(vec![(1_002_u64, ids[0], 1_100_000)],)).unwrap();
    assert_eq!(send(&mut network, 6, 1_752_273_514, terms).0, 0);
    let early = network.clock();
    let end = network.world.market().deal(settled, network.world.at_head()).unwrap().0.proposal.end.0;
    network.advance_to(end.max(early + 1_100_000) + 10_000);
    let expired = to_cbor(&(1_002_u64, [ids[0]])).unwrap();
    assert_eq!(send(&mut network, 6, 2_873_373_899, expired).0, 0);

    let to = network.clock() - 1;
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    for (from, to) in [(from, early), (end - 10, end + 10_000), (to - 10, to)] {
        kinds.extend(all(&mut network, from, to).iter().map(check));
    }
    let wanted: BTreeSet<String> = CATALOGUE.iter().map(|(_, kind, _)| (*kind).to_owned()).collect();
    assert_eq!(kinds, wanted);
}

/// 10,002 sectors end in two tipsets: one answer holds those of one tipset, however many, and no more than 10,000 of
/// several.
#[test]
fn more_than_ten_thousand_events_over_several_tipsets_are_refused() {
    let mut network = Network::new();
    let mut heights = Vec::new();
    for provider in [BOOST, CURIO] {
        let order = json!({
            "provider": provider, "count": 5_001, "firstPiece": 0, "pieceSize": 1 << 30, "dealsPerSector": 1,
            "duration": 1_555_200, "pending": 0,
        });
        network.apply(Command::Bulk(serde_json::from_value::<BulkOrder>(order).unwrap()));
        network.apply(Command::Terminate(Sectors { provider, sectors: None }));
        network.advance(1);
        heights.push(network.clock());
        network.advance(1);
    }
    network.advance(1);
    let types = json!({ "$type": [{ "codec": 81, "value": "cXNlY3Rvci10ZXJtaW5hdGVk" }] });
    let query = |from: i64, to: i64| json!([{ "fromHeight": from, "toHeight": to, "fields": types }]);
    let error =
        network.call("Filecoin.GetActorEventsRaw", query(heights[0], heights[1])).expect_err("too many");
    assert_eq!(error.message, "filter matches too many events, try a more restricted filter");
    // Sectors and their deals, all in one tipset.
    let one = json!([{ "fromHeight": heights[0], "toHeight": heights[0] }]);
    assert_eq!(network.ask("Filecoin.GetActorEventsRaw", one).as_array().unwrap().len(), 10_002);
    let half = network.ask("Filecoin.GetActorEventsRaw", query(heights[1], heights[1] + 1));
    assert_eq!(half.as_array().unwrap().len(), 5_001);
    // An endpoint may be narrower.
    let behaviour = Behaviour { log_results: Some(5_000), ..Behaviour::default() };
    let mut narrow = Endpoint::new(behaviour, network.clock());
    let answer =
        narrow.call(&mut network.world, "Filecoin.GetActorEventsRaw", &query(heights[0], heights[1]));
    assert!(matches!(answer, Answer::Json { result: Err(_), .. }), "{answer:?}");
}
