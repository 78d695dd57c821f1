//! What native answers say, method by method.

use crate::network::{BOOST, Network};
use raas_devnet::{Config, world::Command};
use serde_json::{Value, json};

#[test]
fn a_miner_s_info_names_its_operator_and_its_server() {
    let mut network = Network::new();
    let shared =
        ["f01000", "f01001", "f01002"].map(|id| network.ask("Filecoin.StateMinerInfo", json!([id, null])));
    assert_eq!(shared[0]["Owner"], shared[1]["Owner"], "two miners of one operator");
    assert_ne!(shared[0]["Owner"], shared[2]["Owner"]);
    assert_ne!(shared[0]["PeerId"], shared[1]["PeerId"]);
    assert!(shared[0]["PeerId"].as_str().unwrap().starts_with("Qm"));
    assert_eq!(shared[0]["Multiaddrs"], Value::Null, "a world without servers");
    assert_eq!(shared[0]["SectorSize"], 34_359_738_368_u64);
    let stranger =
        network.call("Filecoin.StateMinerInfo", json!(["f01900", null])).expect_err("no such actor");
    assert!(stranger.message.contains("actor not found"));
}

#[test]
fn unknown_addresses_have_their_own_error() {
    let mut network = Network::new();
    let stranger = raas_devnet::codec::SecretKey::from_seed(b"nobody").address().to_string();
    let error = network.call("Filecoin.StateLookupID", json!([stranger, null])).expect_err("no actor");
    assert_eq!((error.code, error.message.as_str()), (11, "actor not found"));
    assert_eq!(network.ask("Filecoin.WalletBalance", json!([stranger])), "0");
}

#[test]
fn proving_deadlines_hold_together() {
    let mut network = Network::new();
    network.advance(1_234);
    let shown = network.ask("Filecoin.StateMinerProvingDeadline", json!(["f01003", null]));
    let field = |name: &str| shown[name].as_i64().unwrap();
    assert_eq!(field("CurrentEpoch"), network.clock());
    assert_eq!(field("Open"), field("PeriodStart") + field("Index") * 60);
    assert!((field("Open")..field("Close")).contains(&field("CurrentEpoch")));
    assert_eq!((field("Challenge"), field("FaultCutoff")), (field("Open") - 20, field("Open") - 70));
}

#[test]
fn event_queries_filter_by_type_client_and_emitter() {
    let mut network = Network::new();
    let from = network.clock();
    let (deal, _) = network.active(BOOST, 1);
    network.advance(1);
    let to = network.clock();
    let query = |fields: Value, addresses: Value| json!([{ "fromHeight": from, "toHeight": to, "fields": fields, "addresses": addresses }]);
    let published = json!({ "$type": [{ "codec": 81, "value": "bmRlYWwtcHVibGlzaGVk" }] });
    let found = network.ask("Filecoin.GetActorEventsRaw", query(published, json!(["f05"])));
    assert_eq!(found.as_array().unwrap().len(), 1);
    let event = &found[0];
    assert_eq!((&event["emitter"], &event["reverted"]), (&json!("t05"), &json!(false)));
    let keys: Vec<&str> =
        event["entries"].as_array().unwrap().iter().map(|entry| entry["Key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["$type", "id", "client", "provider"]);
    assert_eq!(
        event["entries"][1],
        json!({ "Flags": 3, "Key": "id", "Codec": 81, "Value": "GGQ=" }),
        "{deal}"
    );
    let client = network.client_id().0;
    let mine = |id: u64| {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let value = STANDARD.encode(raas_devnet::codec::to_cbor(&id).unwrap());
        json!({ "client": [{ "codec": 81, "value": value }] })
    };
    let found = network.ask("Filecoin.GetActorEventsRaw", query(mine(client), json!([])));
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert!(network.ask("Filecoin.GetActorEventsRaw", query(mine(client + 1), json!([]))).is_null());
    let sectors = network.ask("Filecoin.GetActorEventsRaw", query(json!({}), json!(["f01000"])));
    assert_eq!(sectors.as_array().unwrap().len(), 2, "precommitted and activated");
    let wide = json!([{ "fromHeight": from - 3_000, "toHeight": to }]);
    let error = network.call("Filecoin.GetActorEventsRaw", wide).expect_err("too wide");
    assert!(error.message.contains("too large (maximum: 2880)"));
    let both = json!([{ "fromHeight": from, "toHeight": to, "tipsetKey": event["tipsetKey"] }]);
    let error = network.call("Filecoin.GetActorEventsRaw", both).expect_err("contradiction");
    assert_eq!(error.message, "cannot specify both TipSetKey and FromHeight/ToHeight");
    let robust = query(json!({}), json!([network.client.address().to_string()]));
    let error = network.call("Filecoin.GetActorEventsRaw", robust).expect_err("robust address");
    assert!(error.message.contains("ID or Delegated"));
    let only = json!([{ "tipsetKey": event["tipsetKey"] }]);
    assert_eq!(network.ask("Filecoin.GetActorEventsRaw", only).as_array().unwrap().len(), 1);
}

#[test]
fn the_network_version_gates_the_registry_and_leaves_the_market() {
    for (version, exit) in [(28, 25), (29, 18)] {
        let mut network = Network::with(&Config { network_version: version, ..Config::default() });
        assert_eq!(network.ask("Filecoin.StateNetworkVersion", json!([null])), version);
        assert_eq!(network.actor_call("f06", "ExtendClaimTerms", &[0x80]).0, exit);
        network.active(BOOST, 1);
    }
}

#[test]
fn a_way_on_one_branch_is_told_step_by_step_and_a_message_is_replayed() {
    let mut network = Network::new();
    let before = network.ask("Filecoin.ChainHead", json!([]))["Cids"].clone();
    network.apply(Command::NullRounds { count: 2 });
    network.advance(5);
    let after = network.ask("Filecoin.ChainHead", json!([]))["Cids"].clone();
    let heights = |way: &serde_json::Value, kind: &str| -> Vec<i64> {
        let steps = way.as_array().unwrap();
        assert!(steps.iter().all(|step| step["Type"] == kind), "{way}");
        steps.iter().map(|step| step["Val"]["Height"].as_i64().unwrap()).collect()
    };
    let way = network.ask("Filecoin.ChainGetPath", json!([before, after]));
    let up = heights(&way, "apply");
    assert!(up.is_sorted() && up.len() == 3, "null rounds are no steps: {up:?}");
    let mut down = heights(&network.ask("Filecoin.ChainGetPath", json!([after, before])), "revert");
    down.reverse();
    assert_eq!(down, up);
    assert_eq!(network.ask("Filecoin.ChainGetPath", json!([after, after])), json!([]));

    let (deal, _) = network.active(BOOST, 1);
    network.advance(1);
    let head = network.ask("Filecoin.ChainHead", json!([]))["Height"].as_i64().unwrap();
    let included = (head - 200..head).rev().find_map(|height| {
        let tipset = network.ask("Filecoin.ChainGetTipSetByHeight", json!([height, null]));
        let messages = network.ask("Filecoin.ChainGetMessagesInTipset", json!([tipset["Cids"]]));
        messages.as_array().unwrap().first().cloned()
    });
    let message = included.unwrap_or_else(|| panic!("no message, though deal {deal} was made"));
    let replayed = network.ask("Filecoin.StateReplay", json!([null, message["Cid"]]));
    assert_eq!((&replayed["MsgCid"], &replayed["MsgRct"]["ExitCode"]), (&message["Cid"], &json!(0)));
    assert_eq!(replayed["Msg"]["CID"], message["Message"]["CID"]);
}

#[test]
fn gas_is_estimated_so_that_the_message_passes() {
    let mut network = Network::new();
    let from = network.client.address();
    let message = json!({ "Version": 0, "To": "f099", "From": from.to_string(), "Nonce": 0, "Value": "5",
        "GasLimit": 0, "GasFeeCap": "0", "GasPremium": "0", "Method": 0, "Params": null });
    let filled = network.ask("Filecoin.GasEstimateMessageGas", json!([message, { "MaxFee": "0" }, null]));
    let mut message: raas_devnet::codec::Message = serde_json::from_value(filled).unwrap();
    message.nonce = network.world.next_nonce(network.client_id());
    let signature = network.client.sign(&message.signing_bytes().unwrap());
    let signed = raas_devnet::codec::SignedMessage { message, signature };
    let cid = network.ask("Filecoin.MpoolPush", json!([signed]));
    network.apply(Command::Advance { epochs: 2 });
    let found = network.ask("Filecoin.StateSearchMsg", json!([null, cid, -1, true]));
    assert_eq!(found["Receipt"]["ExitCode"], 0);
}

/// The wire examples of the FIP-0112 methods and of GetDealActivation.
#[test]
fn params_and_returns_match_known_bytes() {
    use raas_devnet::codec::to_cbor;
    assert_eq!(hex::encode(to_cbor(&(17_u64,)).unwrap()), "8111");
    let aux = serde_bytes::ByteBuf::from(to_cbor(&(5_i64, 6_i64)).unwrap());
    assert_eq!(hex::encode(to_cbor(&(1_u8, &aux)).unwrap()), "820143820506");
    assert_eq!(hex::encode(to_cbor(&(17_u64, 1_u8, &aux)).unwrap()), "83110143820506");
    let mut network = Network::new();
    let unknown = network.actor_call("f01000", "GenerateSectorLocation", &to_cbor(&(999_u64,)).unwrap());
    assert_eq!(unknown, (0, json!("ggBDgiAg")), "dead, at no deadline and no partition");
    let nowhere = serde_bytes::ByteBuf::from(to_cbor(&(-1_i64, -1_i64)).unwrap());
    let half = serde_bytes::ByteBuf::from(to_cbor(&(-1_i64, 0_i64)).unwrap());
    for (status, aux, expected) in [
        (0_u8, &nowhere, (0, json!("9Q=="))),
        (1, &nowhere, (0, json!("9A=="))),
        (0, &half, (16, Value::Null)),
    ] {
        let params = to_cbor(&(999_u64, status, aux)).unwrap();
        assert_eq!(network.actor_call("f01000", "ValidateSectorStatus", &params), expected);
    }
    let elsewhere = to_cbor(&(999_u64, 1_u8, &aux)).unwrap();
    assert_eq!(network.actor_call("f01000", "ValidateSectorStatus", &elsewhere).0, 17);
    assert_eq!(network.actor_call("f01000", "GetNominalSectorExpiration", &to_cbor(&999_u64).unwrap()).0, 17);
    assert_eq!(network.actor_call("f05", "NoSuchMethod", &[]).0, 22);
    assert_eq!(network.actor_call("f05", "GetDealTerm", &[0x61, 0x61]).0, 21);
}
