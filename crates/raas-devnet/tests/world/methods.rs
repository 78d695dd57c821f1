//! Every native method that is served answers in its recorded shape: names, kinds, encodings. A method that is served
//! and stands in no row of the table fails the test.

use crate::{
    network::{BOOST, Network},
    registry::{allocate, prove, request, with_datacap},
};
use raas_core::units::AttoFil;
use raas_devnet::{
    codec::to_cbor,
    rpc::{RpcError, methods},
    world::{Command, Sectors},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Checks an answer against a pattern: strings name kinds, objects name all fields, a list's one element is the
/// pattern of each. A kind that ends with `?` may be null, a list that is a pattern has at least one element.
fn fits(value: &Value, pattern: &Value, place: &str) {
    match pattern {
        Value::String(kind) => {
            if kind.ends_with('?') && value.is_null() {
                return;
            }
            let fits = match kind.trim_end_matches('?') {
                "int" => value.is_i64() || value.is_u64(),
                "text" => value.is_string(),
                "bool" => value.is_boolean(),
                "null" => value.is_null(),
                "decimal" => value.as_str().is_some_and(|text| text.parse::<u128>().is_ok()),
                "id" => value.as_str().is_some_and(|text| text.starts_with("t0")),
                "address" => value.as_str().is_some_and(|text| text.starts_with('t')),
                "eth" => value.as_str().is_some_and(|text| text.starts_with("0x") && text.len() == 42),
                "base64" => value.as_str().is_some_and(is_base64),
                "cid" => is_link(value),
                "object" => value.is_object(),
                "empty" => *value == json!({}) || *value == json!([]),
                other => panic!("no such kind {other}"),
            };
            assert!(fits, "{place} is {value}, not {kind}");
        }
        Value::Object(fields) => {
            let got = value.as_object().unwrap_or_else(|| panic!("{place} is {value}"));
            let got: BTreeSet<&String> = got.keys().collect();
            assert_eq!(got, fields.keys().collect(), "{place}");
            for (name, pattern) in fields {
                fits(&value[name], pattern, &format!("{place}.{name}"));
            }
        }
        Value::Array(of) => {
            let values = value.as_array().unwrap_or_else(|| panic!("{place} is {value}"));
            assert!(!values.is_empty(), "{place} is empty, so that nothing is known of its elements");
            for (index, value) in values.iter().enumerate() {
                fits(value, &of[0], &format!("{place}[{index}]"));
            }
        }
        _ => panic!("{place} has no pattern"),
    }
}

fn is_base64(text: &str) -> bool {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.decode(text).is_ok()
}

fn is_link(value: &Value) -> bool {
    let only = value.as_object().is_some_and(|fields| fields.len() == 1);
    only && value["/"].as_str().is_some_and(|text| text.parse::<cid::Cid>().is_ok())
}

/// What a row expects.
enum Expected {
    Shape(Value),
    /// Code and the beginning of the text.
    Error(i64, &'static str),
}

/// Shapes that several methods share.
struct Shapes {
    block: Value,
    tipset: Value,
    message: Value,
    receipt: Value,
    invocation: Value,
    sector: Value,
    claim: Value,
    allocation: Value,
}

impl Shapes {
    fn new() -> Self {
        let proof = json!({ "VRFProof": "base64" });
        let signature = json!({ "Type": "int", "Data": "base64" });
        let block = json!({
            "Miner": "id", "Ticket": proof, "ElectionProof": { "WinCount": "int", "VRFProof": "base64" },
            "BeaconEntries": "null", "WinPoStProof": "null", "Parents": ["cid"], "ParentWeight": "decimal",
            "Height": "int", "ParentStateRoot": "cid", "ParentMessageReceipts": "cid", "Messages": "cid",
            "BLSAggregate": signature, "Timestamp": "int", "BlockSig": signature, "ForkSignaling": "int",
            "ParentBaseFee": "decimal",
        });
        let message = json!({
            "Version": "int", "To": "address", "From": "address", "Nonce": "int", "Value": "decimal",
            "GasLimit": "int", "GasFeeCap": "decimal", "GasPremium": "decimal", "Method": "int",
            "Params": "base64?", "CID": "cid",
        });
        let receipt =
            json!({ "ExitCode": "int", "Return": "base64?", "GasUsed": "int", "EventsRoot": "null" });
        let invocation = json!({
            "MsgCid": "cid", "Msg": message, "MsgRct": receipt,
            "GasCost": {
                "Message": "cid", "GasUsed": "decimal", "BaseFeeBurn": "decimal", "OverEstimationBurn": "decimal",
                "MinerPenalty": "decimal", "MinerTip": "decimal", "Refund": "decimal", "TotalCost": "decimal",
            },
            "ExecutionTrace": { "Msg": message, "MsgRct": receipt, "GasCharges": "empty", "Subcalls": "null" },
            "Error": "text", "Duration": "int",
        });
        let sector = json!({
            "SectorNumber": "int", "SealProof": "int", "SealedCID": "cid", "Activation": "int",
            "Expiration": "int", "DealWeight": "decimal", "VerifiedDealWeight": "decimal",
            "InitialPledge": "decimal", "ExpectedDayReward": "null", "ExpectedStoragePledge": "null",
            "PowerBaseEpoch": "int", "ReplacedDayReward": "null", "SectorKeyCID": "null", "Flags": "int",
            "DailyFee": "decimal",
        });
        let claim = json!({
            "Provider": "int", "Client": "int", "Data": "cid", "Size": "int", "TermMin": "int", "TermMax": "int",
            "TermStart": "int", "Sector": "int",
        });
        let allocation = json!({
            "Client": "int", "Provider": "int", "Data": "cid", "Size": "int", "TermMin": "int", "TermMax": "int",
            "Expiration": "int",
        });
        let tipset = json!({ "Cids": ["cid"], "Blocks": [block], "Height": "int" });
        Self { block, tipset, message, receipt, invocation, sector, claim, allocation }
    }
}

/// What the calls name.
struct Left {
    client: String,
    deal: u64,
    sector: u64,
    start: i64,
    head: Value,
    before: Value,
    sent: Value,
}

/// A network in which something of everything has happened: deal, claim, allocation, fault, messages.
fn lived() -> (Network, Left) {
    let mut network = with_datacap(3);
    let start = network.clock();
    let (deal, sector) = network.active(BOOST, 1);
    let requests = [1, 2].map(|number| request(&network, 1_000, number, 5_000));
    let ids = allocate(&mut network, &requests);
    prove(&mut network, 1_000, 1, ids[0], 518_400);
    network.advance(3_000);
    network.apply(Command::Fault(Sectors { provider: BOOST, sectors: Some(vec![sector]) }));
    network.advance(3_000);
    network.apply(Command::Recover(Sectors { provider: BOOST, sectors: Some(vec![sector]) }));
    network.advance(1);
    let before = network.ask("Filecoin.ChainHead", json!([]))["Cids"].clone();
    let sent = network.send(0, AttoFil(5), Vec::new()).unwrap();
    let sent = json!({ "/": sent.to_string() });
    network.advance(2);
    network.send(0, AttoFil(6), Vec::new()).unwrap();
    let head = network.ask("Filecoin.ChainHead", json!([]))["Cids"].clone();
    let left = Left {
        client: network.client.address().to_string(),
        deal: deal.0,
        sector: sector.0,
        start,
        head,
        before,
        sent,
    };
    (network, left)
}

#[test]
fn every_native_method_has_its_recorded_shape_and_counts_its_parameters() {
    let (mut network, left) = lived();
    let mut seen = BTreeSet::new();
    let rows = chain_rows(&network, &left)
        .into_iter()
        .chain(state_rows(&mut network, &left))
        .chain(message_rows(&mut network, &left));
    for (method, params, expected) in rows.collect::<Vec<_>>() {
        let name = format!("Filecoin.{method}");
        match (network.call(&name, params.clone()), expected) {
            (Ok(answer), Expected::Shape(shape)) => fits(&answer, &shape, method),
            (Err(error), Expected::Error(code, text)) => {
                assert!(error.code == code && error.message.starts_with(text), "{method}: {error}");
            }
            (answer, _) => panic!("{method}{params} answers {answer:?}"),
        }
        let mut more = params.as_array().unwrap().clone();
        more.extend([Value::Null, Value::Null]);
        let refused: RpcError = network.call(&name, Value::Array(more)).expect_err(method);
        assert_eq!(refused.code, -32602, "{method}: {refused}");
        seen.insert(method);
    }
    let served: BTreeSet<&str> = methods().collect();
    assert_eq!(seen, served, "a row for each method that is served, and no other");
}

type Row = (&'static str, Value, Expected);

fn shape(method: &'static str, params: Value, shape: Value) -> Row {
    (method, params, Expected::Shape(shape))
}

fn chain_rows(network: &Network, left: &Left) -> Vec<Row> {
    let Shapes { block, tipset, message, receipt, .. } = Shapes::new();
    let key = &left.head;
    let height = network.clock() - 10;
    let included = network.world.chain().key(network.clock() - 1);
    let included: Vec<Value> = included.iter().map(|cid| json!({ "/": cid.to_string() })).collect();
    let messages = json!([{ "Cid": "cid", "Message": message }]);
    let step = json!([{ "Type": "text", "Val": tipset }]);
    let named = json!([{ "name": "text", "params": "empty" }]);
    vec![
        shape("ChainHead", json!([]), tipset.clone()),
        shape("ChainGetFinalizedTipSet", json!([]), tipset.clone()),
        shape("ChainGetGenesis", json!([]), genesis(&tipset)),
        shape("ChainGetTipSet", json!([key]), tipset.clone()),
        shape("ChainGetTipSetByHeight", json!([height, key]), tipset.clone()),
        shape("ChainGetTipSetAfterHeight", json!([height, null]), tipset),
        shape("ChainGetBlock", json!([key[0]]), block),
        shape("ChainGetPath", json!([left.before, key]), step),
        shape("ChainGetParentMessages", json!([key[0]]), messages.clone()),
        shape("ChainGetParentReceipts", json!([key[0]]), json!([receipt])),
        shape("ChainGetMessagesInTipset", json!([included]), messages),
        (
            "ChainGetEvents",
            json!([left.sent]),
            Expected::Error(1, "failed to load events: ipld: could not find"),
        ),
        ("ChainNotify", json!([]), Expected::Error(-32601, "method 'Filecoin.ChainNotify' not supported")),
        shape("Discover", json!([]), json!({ "openrpc": "text", "info": "object", "methods": named })),
        shape(
            "Version",
            json!([]),
            json!({ "Version": "text", "APIVersion": "int", "BlockDelay": "int", "Agent": "text" }),
        ),
        ("F3GetLatestCertificate", json!([]), Expected::Error(4, "f3 is disabled")),
        ("F3GetCertificate", json!([1]), Expected::Error(4, "f3 is disabled")),
        ("F3GetPowerTableByInstance", json!([1]), Expected::Error(4, "f3 is disabled")),
    ]
}

/// Genesis has no parents.
fn genesis(tipset: &Value) -> Value {
    let mut genesis = tipset.clone();
    genesis["Blocks"][0]["Parents"] = json!("empty");
    genesis["Blocks"][0]["ParentWeight"] = json!("decimal");
    genesis
}

fn state_rows(network: &mut Network, left: &Left) -> Vec<Row> {
    let Shapes { sector: info, claim, allocation, .. } = Shapes::new();
    let Left { client, deal, sector, head: key, .. } = left;
    let miner = "f01000";
    let head = network.ask("Filecoin.StateGetActor", json!([miner, null]))["Head"].clone();
    let place = network.ask("Filecoin.StateSectorPartition", json!([miner, sector, null]));
    let power = json!({ "RawBytePower": "decimal", "QualityAdjPower": "decimal" });
    let actor = |delegated: &str| json!({ "Code": "cid", "Head": "cid", "Nonce": "int", "Balance": "decimal", "DelegatedAddress": delegated });
    let partition = json!({
        "AllSectors": ["int"], "FaultySectors": ["int"], "RecoveringSectors": ["int"], "LiveSectors": ["int"],
        "ActiveSectors": ["int"],
    });
    vec![
        shape("StateNetworkName", json!([]), json!("text")),
        shape("StateNetworkVersion", json!([null]), json!("int")),
        shape(
            "StateGetNetworkParams",
            json!([]),
            json!({
                "NetworkName": "text", "BlockDelaySecs": "int", "ConsensusMinerMinPower": "decimal",
                "PreCommitChallengeDelay": "int", "ForkUpgradeParams": "object", "Eip155ChainID": "int",
                "GenesisTimestamp": "int",
            }),
        ),
        shape("StateLookupID", json!([client, null]), json!("id")),
        ("StateLookupID", json!(["f099999", null]), Expected::Error(11, "actor not found")),
        shape("StateAccountKey", json!([client, null]), json!("address")),
        shape("StateGetActor", json!([client, null]), actor("null")),
        shape("WalletBalance", json!([client]), json!("decimal")),
        shape(
            "EthAddressToFilecoinAddress",
            json!(["0x52963ef50e27e06d72d59fcb4f3c2a687be3cfef"]),
            json!("address"),
        ),
        shape("FilecoinAddressToEthAddress", json!([client]), json!("eth")),
        shape("ChainReadObj", json!([head]), json!("base64")),
        shape("ChainHasObj", json!([head]), json!("bool")),
        shape(
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
        (
            "StateMarketStorageDeal",
            json!([7, null]),
            Expected::Error(1, "deal 7 not found - deal may not have"),
        ),
        shape(
            "StateMarketBalance",
            json!([client, null]),
            json!({ "Escrow": "decimal", "Locked": "decimal" }),
        ),
        shape(
            "StateDealProviderCollateralBounds",
            json!([2_097_152, false, null]),
            json!({ "Min": "decimal", "Max": "decimal" }),
        ),
        shape(
            "StateReadState",
            json!([miner, null]),
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
        shape("StateListMiners", json!([null]), json!(["id"])),
        shape(
            "StateMinerInfo",
            json!([miner, null]),
            json!({
                "Owner": "id", "Worker": "id", "NewWorker": "text", "ControlAddresses": "null",
                "WorkerChangeEpoch": "int", "PeerId": "text", "Multiaddrs": "null", "WindowPoStProofType": "int",
                "SectorSize": "int", "WindowPoStPartitionSectors": "int", "ConsensusFaultElapsed": "int",
                "PendingOwnerAddress": "null", "Beneficiary": "id",
                "BeneficiaryTerm": { "Quota": "decimal", "UsedQuota": "decimal", "Expiration": "int" },
                "PendingBeneficiaryTerm": "null",
            }),
        ),
        shape(
            "StateMinerPower",
            json!([miner, null]),
            json!({ "MinerPower": power, "TotalPower": power, "HasMinPower": "bool" }),
        ),
        shape(
            "StateMinerSectorCount",
            json!(["t01000", null]),
            json!({ "Live": "int", "Active": "int", "Faulty": "int" }),
        ),
        shape("StateMinerFaults", json!([miner, null]), json!(["int"])),
        shape("StateMinerRecoveries", json!([miner, null]), json!(["int"])),
        shape(
            "StateMinerProvingDeadline",
            json!([miner, null]),
            json!({
                "CurrentEpoch": "int", "PeriodStart": "int", "Index": "int", "Open": "int", "Close": "int",
                "Challenge": "int", "FaultCutoff": "int", "WPoStPeriodDeadlines": "int", "WPoStProvingPeriod": "int",
                "WPoStChallengeWindow": "int", "WPoStChallengeLookback": "int", "FaultDeclarationCutoff": "int",
            }),
        ),
        shape(
            "StateMinerDeadlines",
            json!([miner, null]),
            json!([{ "PostSubmissions": ["int"], "DisputableProofCount": "int", "DailyFee": "decimal" }]),
        ),
        shape("StateMinerPartitions", json!([miner, place["Deadline"], null]), json!([partition])),
        shape("StateMinerSectors", json!([miner, null, null]), json!([info])),
        shape("StateMinerActiveSectors", json!([miner, null]), json!([info])),
        shape("StateSectorGetInfo", json!([miner, sector, null]), info),
        shape("StateSectorGetInfo", json!([miner, 99, null]), json!("null")),
        shape(
            "StateSectorExpiration",
            json!([miner, sector, null]),
            json!({ "OnTime": "int", "Early": "int" }),
        ),
        ("StateSectorExpiration", json!([miner, 99, null]), Expected::Error(1, "failed to find sector")),
        shape(
            "StateSectorPartition",
            json!([miner, sector, null]),
            json!({ "Deadline": "int", "Partition": "int" }),
        ),
        ("StateAllMinerFaults", json!([null]), Expected::Error(1, "fixme")),
        shape("StateGetClaims", json!([miner, null]), json!({ "1": claim })),
        shape("StateGetClaim", json!([miner, 1, null]), claim.clone()),
        shape("StateGetClaim", json!([miner, 2, null]), json!("null")),
        shape("StateGetAllClaims", json!([null]), json!({ "1": claim })),
        shape("StateGetAllocations", json!([client, null]), json!({ "2": allocation })),
        shape("StateGetAllocation", json!([client, 2, null]), allocation.clone()),
        shape("StateGetAllocation", json!([client, 1, null]), json!("null")),
        shape("StateGetAllAllocations", json!([null]), json!({ "2": allocation })),
        shape("StateGetAllocationForPendingDeal", json!([deal, null]), json!("null")),
        shape("StateVerifiedClientStatus", json!([client, null]), json!("decimal")),
        shape("StateVerifiedClientStatus", json!([miner, null]), json!("null")),
    ]
}

fn message_rows(network: &mut Network, left: &Left) -> Vec<Row> {
    let Shapes { message, receipt, invocation, .. } = Shapes::new();
    let Left { client, head: key, sent, start, .. } = left;
    let call = json!({
        "Version": 0, "To": "f05", "From": "f099", "Nonce": 0, "Value": "0", "GasLimit": 0, "GasFeeCap": "0",
        "GasPremium": "0", "Method": 2_567_238_399_u64, "Params": "GGQ=",
    });
    let found = json!({
        "Message": "cid", "Receipt": receipt, "ReturnDec": "null", "TipSet": ["cid"], "Height": "int",
    });
    let entry = json!({ "Flags": "int", "Key": "text", "Codec": "int", "Value": "base64" });
    let event = json!({
        "entries": [entry], "emitter": "id", "reverted": "bool", "height": "int", "tipsetKey": ["cid"],
        "msgCid": "cid",
    });
    let unsent = network.message(0, AttoFil(7), Vec::new());
    let withdrawal =
        to_cbor(&(&network.client.address(), raas_devnet::codec::TokenAmount(AttoFil(5)))).unwrap();
    let withdrawal = {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        STANDARD.encode(withdrawal)
    };
    let pooled =
        json!({ "Message": message, "Signature": { "Type": "int", "Data": "base64" }, "CID": "cid" });
    vec![
        shape("StateCall", json!([call, key]), invocation.clone()),
        shape("StateReplay", json!([key, sent]), invocation),
        shape("StateSearchMsg", json!([key, sent, -1, true]), found.clone()),
        shape("StateSearchMsg", json!([key, key[0], -1, true]), json!("null")),
        shape("StateWaitMsg", json!([sent, 0, -1, true]), found),
        ("StateWaitMsg", json!([sent, 901, -1, true]), Expected::Error(1, "confidence 901")),
        shape(
            "StateDecodeParams",
            json!(["f05", 3, withdrawal, null]),
            json!({ "ProviderOrClientAddress": "address", "Amount": "decimal" }),
        ),
        (
            "StateDecodeParams",
            json!(["f05", 99, null, null]),
            Expected::Error(1, "getting params type: unknown method 99"),
        ),
        shape("MpoolPending", json!([null]), json!([pooled])),
        shape("MpoolGetNonce", json!([client]), json!("int")),
        shape("MpoolPush", json!([unsent]), json!("cid")),
        shape("GasEstimateGasPremium", json!([10, client, 0, null]), json!("decimal")),
        shape("GasEstimateMessageGas", json!([unsent.message, { "MaxFee": "0" }, null]), message),
        shape(
            "GetActorEventsRaw",
            json!([{ "fromHeight": start, "toHeight": start + 2_000 }]),
            json!([event]),
        ),
        shape(
            "GetActorEventsRaw",
            json!([{ "fromHeight": start - 100, "toHeight": start - 90 }]),
            json!("null"),
        ),
        (
            "SubscribeActorEventsRaw",
            json!([{}]),
            Expected::Error(-32601, "method 'Filecoin.SubscribeActorEventsRaw' not supported"),
        ),
    ]
}
