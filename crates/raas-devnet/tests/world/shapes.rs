//! The shape of every native answer: names, kinds, encodings.

use crate::network::{BOOST, Network};
use raas_devnet::{Config, world::Command};
use serde_json::{Value, json};

/// Checks an answer against a pattern: strings name kinds, objects name all fields, a list's one element is the
/// pattern of each.
fn fits(value: &Value, pattern: &Value, place: &str) {
    match pattern {
        Value::String(kind) => {
            let fits = match kind.as_str() {
                "int" => value.is_i64() || value.is_u64(),
                "text" => value.is_string(),
                "bool" => value.is_boolean(),
                "null" => value.is_null(),
                "any" => true,
                "decimal" => value.as_str().is_some_and(|text| text.parse::<u128>().is_ok()),
                "id" => value.as_str().is_some_and(|text| text.starts_with("t0")),
                "cid" => value["/"].as_str().is_some_and(|text| text.parse::<cid::Cid>().is_ok()),
                other => panic!("no such kind {other}"),
            };
            assert!(fits, "{place} is {value}, not {kind}");
        }
        Value::Object(fields) => {
            let got: Vec<&String> =
                value.as_object().unwrap_or_else(|| panic!("{place} is {value}")).keys().collect();
            let want: Vec<&String> = fields.keys().collect();
            assert_eq!(got, want, "{place}");
            for (name, pattern) in fields {
                fits(&value[name], pattern, &format!("{place}.{name}"));
            }
        }
        Value::Array(of) => {
            for (index, value) in
                value.as_array().unwrap_or_else(|| panic!("{place} is {value}")).iter().enumerate()
            {
                fits(value, &of[0], &format!("{place}[{index}]"));
            }
        }
        _ => panic!("{place} has no pattern"),
    }
}

#[test]
fn every_method_answers_in_its_shape() {
    let mut network = Network::new();
    let (deal, sector) = network.active(BOOST, 1);
    network.advance(1);
    let client = network.client.address().to_string();
    let vote = json!({ "VRFProof": "text" });
    let block = json!({
        "Miner": "id", "Ticket": vote, "ElectionProof": { "WinCount": "int", "VRFProof": "text" },
        "BeaconEntries": "any", "WinPoStProof": "any", "Parents": ["cid"], "ParentWeight": "decimal",
        "Height": "int", "ParentStateRoot": "cid", "ParentMessageReceipts": "cid", "Messages": "cid",
        "BLSAggregate": { "Type": "int", "Data": "text" }, "Timestamp": "int",
        "BlockSig": { "Type": "int", "Data": "text" }, "ForkSignaling": "int", "ParentBaseFee": "decimal",
    });
    let tipset = json!({ "Cids": ["cid"], "Blocks": [block], "Height": "int" });
    let power = json!({ "RawBytePower": "decimal", "QualityAdjPower": "decimal" });
    let piece = raas_devnet::world::bulk_piece(1).to_string();
    let verified =
        json!({ "provider": 1_000, "pieces": [{ "cid": piece, "size": 1 << 30, "client": client }] });
    network.apply(Command::Onboard(serde_json::from_value(verified).unwrap()));
    network.advance(1);
    let claim = json!({
        "Provider": "int", "Client": "int", "Data": "cid", "Size": "int", "TermMin": "int", "TermMax": "int",
        "TermStart": "int", "Sector": "int",
    });
    let place = network.ask("Filecoin.StateSectorPartition", json!(["f01000", sector, null]));
    let partition = json!({
        "AllSectors": ["int"], "FaultySectors": ["int"], "RecoveringSectors": ["int"], "LiveSectors": ["int"],
        "ActiveSectors": ["int"],
    });
    let info = json!({
        "SectorNumber": "int", "SealProof": "int", "SealedCID": "cid", "Activation": "int", "Expiration": "int",
        "DealWeight": "decimal", "VerifiedDealWeight": "decimal", "InitialPledge": "decimal",
        "ExpectedDayReward": "null", "ExpectedStoragePledge": "null", "PowerBaseEpoch": "int",
        "ReplacedDayReward": "null", "SectorKeyCID": "null", "Flags": "int", "DailyFee": "decimal",
    });
    let miner_head = network.ask("Filecoin.StateGetActor", json!(["f01000", null]))["Head"].clone();
    let key = network.ask("Filecoin.ChainHead", json!([]))["Cids"].clone();
    let cases = [
        ("ChainHead", json!([]), tipset.clone()),
        ("ChainGetTipSet", json!([key]), tipset.clone()),
        ("ChainGetTipSetByHeight", json!([5_000_001, key]), tipset.clone()),
        ("ChainGetTipSetAfterHeight", json!([5_000_001, null]), tipset.clone()),
        ("ChainGetFinalizedTipSet", json!([]), tipset.clone()),
        ("ChainGetGenesis", json!([]), tipset),
        ("ChainGetBlock", json!([key[0]]), block),
        ("ChainGetMessagesInTipset", json!([key]), json!([{ "Cid": "cid", "Message": "any" }])),
        (
            "Discover",
            json!([]),
            json!({ "openrpc": "text", "info": "any", "methods": [{ "name": "text", "params": "any" }] }),
        ),
        ("GasEstimateGasPremium", json!([10, client, 0, null]), json!("decimal")),
        ("StateNetworkName", json!([]), json!("text")),
        ("StateNetworkVersion", json!([null]), json!("int")),
        (
            "StateGetNetworkParams",
            json!([]),
            json!({
                "NetworkName": "text", "BlockDelaySecs": "int", "ConsensusMinerMinPower": "decimal",
                "PreCommitChallengeDelay": "int", "ForkUpgradeParams": "any", "Eip155ChainID": "int",
                "GenesisTimestamp": "int",
            }),
        ),
        ("StateLookupID", json!([client, null]), json!("id")),
        ("StateAccountKey", json!([client, null]), json!("text")),
        (
            "StateGetActor",
            json!([client, null]),
            json!({ "Code": "cid", "Head": "cid", "Nonce": "int", "Balance": "decimal", "DelegatedAddress": "null" }),
        ),
        ("WalletBalance", json!([client]), json!("decimal")),
        (
            "StateMarketStorageDeal",
            json!([deal, key]),
            json!({
                "Proposal": {
                    "PieceCID": "cid", "PieceSize": "int", "VerifiedDeal": "bool", "Client": "id", "Provider": "id",
                    "Label": "text", "StartEpoch": "int", "EndEpoch": "int", "StoragePricePerEpoch": "decimal",
                    "ProviderCollateral": "decimal", "ClientCollateral": "decimal",
                },
                "State": {
                    "SectorNumber": "int", "SectorStartEpoch": "int", "LastUpdatedEpoch": "int", "SlashEpoch": "int",
                },
            }),
        ),
        ("StateMarketBalance", json!([client, null]), json!({ "Escrow": "decimal", "Locked": "decimal" })),
        (
            "StateDealProviderCollateralBounds",
            json!([2_097_152, false, null]),
            json!({ "Min": "decimal", "Max": "decimal" }),
        ),
        ("StateListMiners", json!([null]), json!(["id"])),
        (
            "StateMinerPower",
            json!(["f01000", null]),
            json!({ "MinerPower": power, "TotalPower": power, "HasMinPower": "bool" }),
        ),
        (
            "StateMinerSectorCount",
            json!(["t01000", null]),
            json!({ "Live": "int", "Active": "int", "Faulty": "int" }),
        ),
        ("StateMinerFaults", json!(["f01000", null]), json!(["int"])),
        ("StateMinerRecoveries", json!(["f01000", null]), json!(["int"])),
        (
            "StateSectorExpiration",
            json!(["f01000", sector, null]),
            json!({ "OnTime": "int", "Early": "int" }),
        ),
        (
            "StateSectorPartition",
            json!(["f01000", sector, null]),
            json!({ "Deadline": "int", "Partition": "int" }),
        ),
        ("StateSectorGetInfo", json!(["f01000", 99, null]), json!("null")),
        ("MpoolGetNonce", json!([client]), json!("int")),
        ("MpoolPending", json!([null]), json!(["any"])),
        ("StateGetAllocationForPendingDeal", json!([deal, null]), json!("null")),
        ("StateGetClaims", json!(["f01000", null]), json!({ "1": claim })),
        ("StateGetClaim", json!(["f01000", 1, null]), claim.clone()),
        ("StateGetAllClaims", json!([null]), json!({ "1": claim })),
        ("StateMinerPartitions", json!(["f01000", place["Deadline"], null]), json!([partition])),
        (
            "StateMinerDeadlines",
            json!(["f01000", null]),
            json!([{ "PostSubmissions": ["int"], "DisputableProofCount": "int", "DailyFee": "decimal" }]),
        ),
        ("StateMinerSectors", json!(["f01000", null, null]), json!([info])),
        ("StateMinerActiveSectors", json!(["f01000", null]), json!([info])),
        ("StateSectorGetInfo", json!(["f01000", sector, null]), info.clone()),
        ("ChainReadObj", json!([miner_head]), json!("text")),
        ("ChainHasObj", json!([miner_head]), json!("bool")),
        (
            "StateReadState",
            json!(["f01000", null]),
            json!({
                "Balance": "decimal",
                "Code": "cid",
                "State": {
                    "Info": "cid", "PreCommitDeposits": "decimal", "LockedFunds": "decimal", "VestingFunds": "null",
                    "FeeDebt": "decimal", "InitialPledge": "decimal", "PreCommittedSectors": "cid",
                    "PreCommittedSectorsCleanUp": "cid", "AllocatedSectors": "cid", "Sectors": "cid",
                    "ProvingPeriodStart": "int", "CurrentDeadline": "int", "Deadlines": "cid",
                    "EarlyTerminations": ["int"], "DeadlineCronActive": "bool",
                },
            }),
        ),
    ];
    for (method, params, shape) in cases {
        let answer = network.ask(&format!("Filecoin.{method}"), params.clone());
        fits(&answer, &shape, method);
        // One parameter more is refused, whatever the method.
        let mut more = params.as_array().unwrap().clone();
        more.push(Value::Null);
        let error = network.call(&format!("Filecoin.{method}"), Value::Array(more)).expect_err(method);
        assert_eq!(error.code, -32602, "{method}");
    }
}

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
    assert_eq!(sectors.as_array().unwrap().len(), 1);
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
    for (version, exit) in [(28, 17), (29, 18)] {
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
