//! What is judged of what was looked at: for each kind of finding a look that has it, the thing it must name, and the
//! fix.

use super::{only, troubles};
use alloy_primitives::Address as EthAddress;
use raas_clients::evm::{AbiKind, LogsSeen};
use raas_clients::filecoin::Identity;
use raas_core::endpoint::{EndpointSeen, Standing};
use raas_core::forecast::Urgency;
use raas_core::gate::Hold;
use raas_core::ids::{OperatorId, ProviderId};
use raas_core::observation::{ProviderOnChain, Round};
use raas_core::ports::{Lane, Pin, Witness};
use raas_core::units::{AttoFil, Epoch};
use raas_node::node::doctor::looked::{
    Account, Address, Answer, Clock, Contract, Contracts, Disk, Endpoint, Follows, Key, KeyTrouble, Listener,
    Looked, Node, NodeAlarm, Pinned, Providers, Rights, Running, Silence, Unwritable, Voices, Wallet,
};
use raas_node::node::doctor::{Code, Level, judge};
use std::collections::BTreeSet;
use std::time::Duration;

const NOW: i64 = 100_000;
const CONTRACT: &str = "0x1111111111111111111111111111111111111111";
const KEY: &str = "/keys/node.json";
const URL: &str = "http://node.example:1338";

/// How much must be named, and by which fix it is mended.
struct Row {
    code: Code,
    change: fn(&mut Looked),
    names: &'static [&'static str],
    fix: &'static [&'static str],
}

const fn row(
    code: Code,
    change: fn(&mut Looked),
    names: &'static [&'static str],
    fix: &'static [&'static str],
) -> Row {
    Row { code, change, names, fix }
}

fn identity() -> Identity {
    Identity {
        network_name: "calibrationnet".to_owned(),
        chain_id: 314_159,
        genesis_cid: "bafygenesis".to_owned(),
        genesis_unix: 0,
        block_delay_secs: 30,
    }
}

fn endpoint(name: &str) -> Endpoint {
    let seen = EndpointSeen {
        name: name.to_owned(),
        standing: Standing::Good,
        head: Some(Epoch(NOW)),
        latest: Some(Epoch(NOW - 1)),
        safe: Some(Epoch(NOW - 20)),
        finalized: Some(Epoch(NOW - 20)),
        socket: Some(true),
        not_offered: vec!["Filecoin.StateMinerFaults".to_owned()],
        state_epochs: Some(2_880),
        log_blocks: Some(500),
        calls_per_second: None,
    };
    Endpoint {
        name: name.to_owned(),
        identity: Ok(identity()),
        seen: Some(seen),
        socket: Some(Ok(())),
        logs: Some(LogsSeen::Whole),
        took: Duration::from_millis(200),
    }
}

fn contract() -> Contract {
    let account = EthAddress::repeat_byte(7);
    Contract {
        address: CONTRACT.to_owned(),
        abi: AbiKind::Raas,
        from_block: Epoch(5),
        from_named: true,
        code: Ok(Some("0xc0de".to_owned())),
        count: Some(Ok(Some(12))),
        newest: Some(Ok(Witness::State)),
        oldest_gone: true,
        rights: Some(Ok(Rights {
            kind: AbiKind::Raas,
            paused: false,
            successor: None,
            completes: Some((account, true)),
        })),
    }
}

fn provider(id: u64) -> (ProviderId, Option<Result<ProviderOnChain, String>>) {
    let found = ProviderOnChain {
        provider: ProviderId::new(id),
        operator: OperatorId(raas_core::ids::ActorId(id + 100)),
        sector_bytes: 1 << 35,
        urls: vec![format!("http://sp{id}.example")],
    };
    (ProviderId::new(id), Some(Ok(found)))
}

/// A node on a network with value of which nothing is wrong.
fn well() -> Looked {
    let round = Round {
        tipset: "bafytipset".to_owned(),
        height: Epoch(NOW - 20),
        eth_block: Epoch(NOW - 21),
        head: Epoch(NOW),
        agreed: 2,
        asked: 2,
    };
    let account =
        |lane, address: &str| Account { lane, address: address.to_owned(), balance: Ok(AttoFil::fil(5)) };
    let address = |host: &str| Address { host: host.to_owned(), plain: false, here: false };
    Looked {
        network: "calibration".to_owned(),
        devnet: false,
        voices: Voices {
            agree: 2,
            chain_id: Some(314_159),
            known: Some(identity()),
            addresses: vec![address("one.example"), address("two.example")],
            endpoints: vec![endpoint("one.example"), endpoint("two.example")],
        },
        pinned: Some(Pinned { expected: Epoch(NOW), pin: Ok(Pin { round, wanted: 2 }) }),
        clock: Some(Clock::Wall {
            epoch: Epoch(NOW),
            epoch_seconds: 30,
            heads: vec![Epoch(NOW), Epoch(NOW - 1)],
        }),
        disk: Disk {
            folder: "/data".to_owned(),
            writable: Ok(()),
            remote: None,
            free: Ok(500 << 30),
            reserve: 1 << 30,
            open_store: None,
            damaged: ("/data/pieces/quarantine".to_owned(), 0),
        },
        wallet: Wallet {
            key: Key::File { path: KEY.to_owned(), opens: Ok(true) },
            accounts: vec![account(Lane::Native, "f1native"), account(Lane::Evm, "0xevm")],
        },
        contracts: Contracts { wrong: None, named: true, list: vec![contract()] },
        providers: Providers {
            wrong: None,
            list: vec![provider(1_000), provider(1_001), provider(1_002)],
            copies: 3,
        },
        listener: Listener { url: Some(URL.to_owned()), answer: Some(Answer::Ours), taken: None },
        node: Node::Runs(Box::new(Running {
            at: "http://127.0.0.1:1337".to_owned(),
            version: "0.1.0".to_owned(),
            network: "calibrationnet".to_owned(),
            hold: None,
            eth_block: Some(Epoch(NOW - 21)),
            alarms: Vec::new(),
            follows: vec![Follows {
                address: CONTRACT.to_owned(),
                abi: "raas".to_owned(),
                from_block: Epoch(5),
                waits: None,
                read_to: Some(Epoch(NOW - 21)),
            }],
            public_url: URL.to_owned(),
            listener: Some("this".to_owned()),
        })),
    }
}

fn seen(looked: &mut Looked) -> &mut EndpointSeen {
    looked.voices.endpoints[0].seen.as_mut().expect("seen")
}

fn first(looked: &mut Looked) -> &mut Contract {
    &mut looked.contracts.list[0]
}

fn rights(looked: &mut Looked) -> &mut Rights {
    first(looked).rights.as_mut().expect("asked").as_mut().expect("told")
}

fn running(looked: &mut Looked) -> &mut Running {
    match &mut looked.node {
        Node::Runs(running) => running,
        other => panic!("{other:?}"),
    }
}

fn silence(looked: &mut Looked, silence: Silence) {
    looked.voices.endpoints[0].identity = Err(silence);
}

fn key(looked: &mut Looked, trouble: KeyTrouble) {
    looked.wallet.key = Key::File { path: KEY.to_owned(), opens: Err(trouble) };
}

fn money(looked: &mut Looked, urgency: Urgency, days: u64) {
    let why = format!("escrow and f1 account, for deals: lasts for {days} days");
    running(looked).alarms.push(NodeAlarm::MoneyEnds { urgency, why });
}

/// Endpoints, chain, clock.
const CHAIN: &[Row] = &[
    row(Code::EndpointServes, |l| drop(l.voices.endpoints.pop()), &["calibrationnet", "314159"], &[]),
    row(
        Code::EndpointSilent,
        |l| silence(l, Silence::Dead("connection refused".to_owned())),
        &["one.example", "connection refused"],
        &["URL", "reachable", "firewall"],
    ),
    row(
        Code::EndpointBusy,
        |l| silence(l, Silence::Busy("the endpoint did not answer: HTTP status 429".to_owned())),
        &["one.example", "HTTP status 429"],
        &["calls_per_second", "a token with a larger share", "another endpoint"],
    ),
    row(
        Code::EndpointRefuses,
        |l| silence(l, Silence::Refused("HTTP status 401 (code 401)".to_owned())),
        &["one.example", "401"],
        &["token_file"],
    ),
    row(
        Code::EndpointStrange,
        |l| silence(l, Silence::Strange("unreadable answer: expected value at line 1".to_owned())),
        &["one.example", "unreadable answer"],
        &["/rpc/v1"],
    ),
    row(
        Code::EndpointSlow,
        |l| l.voices.endpoints[0].took = Duration::from_millis(5_100),
        &["one.example", "takes 5.1 s"],
        &["nearer"],
    ),
    row(
        Code::EndpointThrottles,
        |l| seen(l).calls_per_second = Some(1),
        &["one.example", "429", "1 a second"],
        &["calls_per_second", "another endpoint"],
    ),
    row(Code::EndpointLogsWhole, |l| drop(l.voices.endpoints.pop()), &["one.example", "receipts"], &[]),
    row(
        Code::EndpointHidesLogs,
        |l| {
            l.voices.endpoints[0].logs = Some(LogsSeen::LeftOut { block: Epoch(99_970), count: 55 });
        },
        &["one.example", "leaves out 55 logs of block 99970"],
        &["take it out", "validate-backfill"],
    ),
    row(
        Code::EndpointHidesEvents,
        |l| l.voices.endpoints[0].logs = Some(LogsSeen::Unexplained { block: Epoch(99_970) }),
        &["one.example", "changed in block 99970"],
        &["second endpoint", "take out"],
    ),
    row(
        Code::EndpointForeign,
        |l| {
            let other = Identity { network_name: "mainnet".to_owned(), chain_id: 314, ..identity() };
            l.voices.endpoints[0].identity = Ok(other);
        },
        &["one.example", "serves mainnet", "314"],
        &["chain.endpoints", "calibration"],
    ),
    row(
        Code::EndpointPlainText,
        |l| l.voices.addresses[0].plain = true,
        &["one.example", "plain text"],
        &["https", "wss"],
    ),
    row(
        Code::EndpointStale,
        |l| seen(l).standing = Standing::Off { head: Epoch(9_000), expected: Epoch(NOW) },
        &["one.example", "9000", "100000"],
        &["in sync", "chain.endpoints"],
    ),
    row(
        Code::EndpointFinality,
        |l| drop(l.voices.endpoints.pop()),
        &["one.example", "latest 1, safe 20, finalized 20"],
        &[],
    ),
    row(
        Code::EndpointFinalityLags,
        |l| seen(l).finalized = Some(Epoch(NOW - 61)),
        &["one.example", "finalized 61 epochs"],
        &["F3"],
    ),
    row(
        Code::EndpointLacks,
        |l| seen(l).not_offered.push("Filecoin.StateCall".to_owned()),
        &["one.example", "Filecoin.StateCall", "lost from unknown"],
        &["an endpoint that offers it"],
    ),
    row(
        Code::EndpointLacksLittle,
        |l| drop(l.voices.endpoints.pop()),
        &["one.example", "StateMinerFaults"],
        &[],
    ),
    row(Code::EndpointState, |l| drop(l.voices.endpoints.pop()), &["one.example", "2880 epochs"], &[]),
    row(
        Code::EndpointStateShort,
        |l| seen(l).state_epochs = Some(100),
        &["one.example", "lookback is 100 epochs", "fall 900 back"],
        &["at least a day (2880 epochs)", "api-max-lookback"],
    ),
    row(
        Code::EndpointStateShort,
        |l| {
            seen(l).state_epochs = Some(10);
            seen(l).finalized = Some(Epoch(NOW - 30));
        },
        &["one.example", "lookback is 10 epochs", "finality lies 30 back", "nothing final can be read"],
        &["at least a day (2880 epochs)"],
    ),
    row(Code::EndpointNoLogs, |l| seen(l).log_blocks = Some(0), &["one.example", "no logs"], &["log index"]),
    row(Code::EndpointFewLogs, |l| drop(l.voices.endpoints.pop()), &["one.example", "500 blocks"], &[]),
    row(Code::SocketOpens, |l| drop(l.voices.endpoints.pop()), &["one.example", "WebSocket opens"], &[]),
    row(
        Code::SocketFails,
        |l| l.voices.endpoints[0].socket = Some(Err("refused".to_owned())),
        &["one.example", "WebSocket", "refused"],
        &["remove the WebSocket"],
    ),
    row(
        Code::TooFewVoices,
        |l| l.voices.agree = 3,
        &["chain.agree = 3", "2 endpoints"],
        &["name 1 more", "chain.agree = 2"],
    ),
    row(
        Code::OneVoice,
        |l| l.voices.agree = 1,
        &["chain.agree = 1", "believed"],
        &["three endpoints", "chain.agree = 2"],
    ),
    row(Code::Agreement, |_| (), &["2 of 2"], &[]),
    row(
        Code::OneHost,
        |l| l.voices.addresses[1].host = "one.example".to_owned(),
        &["one host"],
        &["different operators"],
    ),
    row(Code::Finalized, |_| (), &["head 100000", "finalized 99980", "2 of 2"], &[]),
    row(
        Code::ChainHolds,
        |l| l.pinned.as_mut().expect("asked").pin = Err(Hold::NoEndpoint),
        &["no chain endpoint answers"],
        &["endpoints above"],
    ),
    row(Code::ClockRight, |_| (), &["epoch 100000", "+0"], &[]),
    row(Code::ClockDevnet, |l| l.clock = Some(Clock::Devnet), &["the devnet's own"], &[]),
    row(
        Code::ClockBehind,
        |l| {
            let heads = vec![Epoch(NOW), Epoch(NOW - 1)];
            l.clock = Some(Clock::Wall { epoch: Epoch(NOW - 100), epoch_seconds: 30, heads });
        },
        &["3000 s behind"],
        &["clock right", "chrony"],
    ),
    row(
        Code::ClockAhead,
        |l| {
            let heads = vec![Epoch(NOW), Epoch(NOW)];
            l.clock = Some(Clock::Wall { epoch: Epoch(NOW + 100), epoch_seconds: 30, heads });
        },
        &["3000 s ahead of all 2 endpoints"],
        &["clock right", "chrony"],
    ),
];

/// Disk, key, money.
const MACHINE: &[Row] = &[
    row(Code::DiskRoom, |_| (), &["/data", "500 GiB"], &[]),
    row(Code::DiskReserve, |l| l.disk.free = Ok((1 << 30) - 1), &["store.reserve_mib = 1024"], &["lower"]),
    row(
        Code::DiskDamaged,
        |l| l.disk.damaged.1 = 2,
        &["/data/pieces/quarantine", "2 damaged"],
        &["/v1/store"],
    ),
    row(Code::DiskLow, |l| l.disk.free = Ok((10 << 30) - 1), &["/data", "9 GiB"], &["make room", "data_dir"]),
    row(
        Code::DiskFull,
        |l| l.disk.free = Ok((256 << 20) - 1),
        &["/data", "255 MiB", "store stops"],
        &["make room", "data_dir"],
    ),
    row(
        Code::DiskUnwritable,
        |l| l.disk.writable = Err(Unwritable::Forbidden("Permission denied".to_owned())),
        &["/data", "Permission denied"],
        &["right to write", "data_dir"],
    ),
    row(
        Code::DiskUnwritable,
        |l| l.disk.writable = Err(Unwritable::ReadOnly("Read-only file system".to_owned())),
        &["/data", "Read-only file system"],
        &["mount", "data_dir"],
    ),
    row(
        Code::DiskUnwritable,
        |l| l.disk.writable = Err(Unwritable::Full("No space left on device".to_owned())),
        &["/data", "No space left"],
        &["df -i", "data_dir"],
    ),
    row(
        Code::DiskUnwritable,
        |l| l.disk.writable = Err(Unwritable::Other("Input/output error".to_owned())),
        &["/data", "Input/output error"],
        &["dmesg", "data_dir"],
    ),
    row(
        Code::DiskRemote,
        |l| l.disk.remote = Some("NFS"),
        &["/data", "NFS", "not safe"],
        &["a disk of this machine"],
    ),
    row(
        Code::DiskUnknown,
        |l| l.disk.free = Err("Input/output error".to_owned()),
        &["/data", "Input/output error"],
        &["the disk is there"],
    ),
    row(
        Code::StoreOpenToOthers,
        |l| l.disk.open_store = Some("/data/raas.sqlite".to_owned()),
        &["/data/raas.sqlite", "other users"],
        &["chmod 600 /data/raas.sqlite"],
    ),
    row(
        Code::KeyUnnamed,
        |l| l.wallet.key = Key::Unnamed,
        &["no key is named"],
        &["wallet.key_file", "raas wallet new", "wallet.signer_socket"],
    ),
    row(
        Code::KeyToBeMade,
        |l| l.wallet.key = Key::ToBeMade { path: "/data/wallet.key".to_owned() },
        &["/data/wallet.key", "first start"],
        &[],
    ),
    row(Code::KeyOpens, |_| (), &[KEY], &[]),
    row(
        Code::KeyPlain,
        |l| l.wallet.key = Key::File { path: KEY.to_owned(), opens: Ok(false) },
        &[KEY, "not encrypted"],
        &["raas wallet import /keys/node.json --to FILE"],
    ),
    row(
        Code::KeyOpenToOthers,
        |l| key(l, KeyTrouble::OpenToOthers("/keys/node.pass".to_owned())),
        &["/keys/node.pass", "other users"],
        &["chmod 600 /keys/node.pass"],
    ),
    row(
        Code::KeyUnreadable,
        |l| key(l, KeyTrouble::Unreadable("the file /keys/node.json: permission denied".to_owned())),
        &[KEY, "permission denied"],
        &["this user may read it"],
    ),
    row(
        Code::KeyNone,
        |l| key(l, KeyTrouble::NoKey("neither 64 hex digits nor a key file".to_owned())),
        &[KEY, "neither 64 hex digits"],
        &["wallet.key_file", "raas wallet new"],
    ),
    row(
        Code::KeyLocked,
        |l| key(l, KeyTrouble::Locked("the passphrase is wrong".to_owned())),
        &[KEY, "the passphrase is wrong"],
        &["wallet.passphrase_file", "mode 600"],
    ),
    row(
        Code::SignerAway,
        |l| {
            let answers = Err("no such socket".to_owned());
            l.wallet.key = Key::Signer { path: "/run/raas.sock".to_owned(), answers };
        },
        &["/run/raas.sock", "no such socket"],
        &["raas wallet signer --key-file FILE --socket PATH"],
    ),
    row(
        Code::Funded,
        |l| drop(l.wallet.accounts.pop()),
        &["f1native", "pays for deals", "5000000000000000000"],
        &[],
    ),
    row(
        Code::MoneyLow,
        |l| l.wallet.accounts[0].balance = Ok(AttoFil(AttoFil::fil(1).0 - 1)),
        &["f1native", "pays for deals", "999999999999999999"],
        &["send FIL to f1native"],
    ),
    row(
        Code::BalanceUnread,
        |l| l.wallet.accounts[1].balance = Err("timed out".to_owned()),
        &["0xevm", "timed out"],
        &["endpoints above"],
    ),
];

/// Contracts.
const CONTRACTS: &[Row] = &[
    row(
        Code::ContractMisnamed,
        |l| l.contracts.wrong = Some("contract.address: \"0x12\" is no address".to_owned()),
        &["contract.address", "0x12"],
        &["configuration"],
    ),
    row(
        Code::ContractNone,
        |l| l.contracts = Contracts { wrong: None, named: false, list: Vec::new() },
        &["none is named"],
        &[],
    ),
    row(
        Code::ContractToBeDeployed,
        |l| {
            l.contracts = Contracts { wrong: None, named: false, list: Vec::new() };
            l.devnet = true;
        },
        &["deploys one"],
        &[],
    ),
    row(
        Code::ContractFromZero,
        |l| first(l).from_named = false,
        &[CONTRACT, "block 0"],
        &["contract.from_block"],
    ),
    row(Code::ContractCode, |_| (), &[CONTRACT, "0xc0de"], &[]),
    row(
        Code::ContractMissing,
        |l| first(l).code = Ok(None),
        &[CONTRACT, "no contract at this address"],
        &["contract.address", "network"],
    ),
    row(
        Code::ContractUnread,
        |l| first(l).code = Err("not offered".to_owned()),
        &[CONTRACT, "not offered"],
        &["eth_getCode"],
    ),
    row(Code::ContractCounts, |_| (), &[CONTRACT, "12 requests"], &[]),
    row(
        Code::ContractCountless,
        |l| {
            first(l).count = Some(Ok(None));
            first(l).oldest_gone = false;
            first(l).abi = AbiKind::Reference;
            rights(l).kind = AbiKind::Reference;
        },
        &[CONTRACT, "does not count"],
        &["two endpoints", "whole history"],
    ),
    row(
        Code::ContractYoung,
        |l| {
            first(l).count = Some(Ok(None));
            first(l).oldest_gone = false;
        },
        &[CONTRACT, "younger than what is final"],
        &[],
    ),
    row(
        Code::ContractUnasked,
        |l| first(l).count = Some(Err("timed out".to_owned())),
        &[CONTRACT, "timed out"],
        &["endpoints above"],
    ),
    row(Code::LogsVouched, |_| (), &[CONTRACT, "vouch for its logs"], &[]),
    row(
        Code::LogsVouched,
        |l| first(l).newest = Some(Ok(Witness::Endpoints(2))),
        &[CONTRACT, "2 endpoints tell the same logs"],
        &[],
    ),
    row(
        Code::LogsUnvouched,
        |l| first(l).newest = Some(Ok(Witness::None)),
        &[CONTRACT, "nothing vouches"],
        &["second endpoint", "StateGetActor", "eth_getBlockReceipts"],
    ),
    row(
        Code::LogsUnread,
        |l| first(l).newest = Some(Err("contradiction".to_owned())),
        &[CONTRACT, "contradiction"],
        &["eth_getLogs"],
    ),
    row(Code::HistoryByViews, |_| (), &[CONTRACT, "block 5", "views"], &[]),
    row(
        Code::HistoryCidsOnly,
        |l| {
            first(l).count = Some(Ok(None));
            first(l).abi = AbiKind::Reference;
            rights(l).kind = AbiKind::Reference;
        },
        &[CONTRACT, "block 5", "CIDs"],
        &["whole history"],
    ),
    row(
        Code::HistoryGone,
        |l| {
            first(l).count = Some(Ok(None));
            first(l).abi = AbiKind::Frc0087;
            rights(l).kind = AbiKind::Frc0087;
        },
        &[CONTRACT, "block 5", "cannot read"],
        &["whole history", "contract.skip_to_block"],
    ),
    row(
        Code::ContractOtherKind,
        |l| rights(l).kind = AbiKind::Reference,
        &[CONTRACT, "generation reference", "followed as raas"],
        &["abi to \"reference\""],
    ),
    row(
        Code::ContractPaused,
        |l| rights(l).paused = true,
        &[CONTRACT, "is paused"],
        &["raas contract pause 0x1111111111111111111111111111111111111111 --off"],
    ),
    row(
        Code::ContractSucceeded,
        |l| rights(l).successor = Some(EthAddress::repeat_byte(0x22)),
        &[CONTRACT, "0x2222222222222222222222222222222222222222"],
        &["[[deployments]]"],
    ),
    row(Code::MayComplete, |_| (), &[CONTRACT, "0x0707070707070707070707070707070707070707"], &[]),
    row(
        Code::MayNotComplete,
        |l| rights(l).completes = Some((EthAddress::repeat_byte(7), false)),
        &[CONTRACT, "does not let 0x0707070707070707070707070707070707070707"],
        &["raas contract grant 0x1111111111111111111111111111111111111111 aggregator 0x0707"],
    ),
    row(
        Code::RightsUnread,
        |l| first(l).rights = Some(Err("timed out".to_owned())),
        &[CONTRACT, "timed out"],
        &["endpoints above"],
    ),
];

/// Providers, the data listener, the running node.
const OTHERS: &[Row] = &[
    row(
        Code::ProvidersNone,
        |l| l.providers.list.clear(),
        &["none is named"],
        &["deals.providers", "f01000"],
    ),
    row(
        Code::ProvidersMisnamed,
        |l| l.providers.wrong = Some("deals.providers: \"x\" is no miner actor".to_owned()),
        &["deals.providers", "\"x\""],
        &["configuration"],
    ),
    row(
        Code::ProviderFound,
        |l| {
            l.providers.list.truncate(1);
            l.providers.copies = 1;
        },
        &["f01000", "operator f01100", "http://sp1000.example"],
        &[],
    ),
    row(
        Code::ProviderNoAddress,
        |l| {
            if let Some(Ok(found)) = &mut l.providers.list[0].1 {
                found.urls.clear();
            }
        },
        &["f01000", "no HTTP address"],
        &["announce", "leave it out"],
    ),
    row(
        Code::ProviderUnread,
        |l| {
            l.providers.list[0].1 = Some(Err("actor not found".to_owned()));
            l.providers.copies = 2;
        },
        &["f01000", "actor not found"],
        &["miner actor exists"],
    ),
    row(
        Code::OperatorsFew,
        |l| l.providers.list.truncate(2),
        &["2 operators for 3 copies"],
        &["deals.providers", "policy.replicas_target"],
    ),
    row(
        Code::UrlUnset,
        |l| l.listener = Listener { url: None, answer: None, taken: None },
        &["listen.public_url is not set"],
        &["listen.public_url", "listen.data"],
    ),
    row(
        Code::UrlPrivate,
        |l| l.listener.url = Some("http://192.168.0.7:1338".to_owned()),
        &["192.168.0.7", "providers refuse it"],
        &["listen.public_url", "from outside"],
    ),
    row(Code::UrlAnswers, |_| (), &[URL, "data listener"], &[]),
    row(
        Code::UrlSilent,
        |l| l.listener.answer = Some(Answer::Silent("connection refused".to_owned())),
        &[URL, "does not answer", "connection refused"],
        &["firewall", "listen.data"],
    ),
    row(
        Code::UrlForeign,
        |l| l.listener.answer = Some(Answer::Other("it answers 404".to_owned())),
        &[URL, "something else", "404"],
        &["listen.public_url", "forwarding"],
    ),
    row(
        Code::UrlOtherNode,
        |l| l.listener.answer = Some(Answer::OtherNode("one on mainnet".to_owned())),
        &[URL, "another raas node", "mainnet"],
        &["listen.public_url", "listen.data"],
    ),
    row(
        Code::PortTaken,
        |l| {
            let taken = ("0.0.0.0:1338".to_owned(), "Address already in use".to_owned());
            l.listener.taken = Some(taken);
        },
        &["0.0.0.0:1338", "already in use"],
        &["listen.data", "ss -ltnp"],
    ),
    row(
        Code::UrlToBeBound,
        |l| {
            l.devnet = true;
            l.listener = Listener { url: None, answer: None, taken: None };
        },
        &["once the node runs"],
        &[],
    ),
    row(
        Code::NodeAway,
        |l| l.node = Node::Away { at: "http://127.0.0.1:1337".to_owned() },
        &["http://127.0.0.1:1337", "none runs there"],
        &[],
    ),
    row(Code::NodeRuns, |_| (), &["http://127.0.0.1:1337", "0.1.0", "calibrationnet"], &[]),
    row(
        Code::NodeForeign,
        |l| {
            let (at, network) = ("http://127.0.0.1:1337".to_owned(), "mainnet".to_owned());
            l.node = Node::Foreign { at, network };
        },
        &["http://127.0.0.1:1337", "mainnet"],
        &["--node"],
    ),
    row(
        Code::NodeUnread,
        |l| {
            let (at, why) = ("http://127.0.0.1:1337".to_owned(), "status 404".to_owned());
            l.node = Node::Unread { at, why };
        },
        &["http://127.0.0.1:1337", "status 404"],
        &["--node"],
    ),
    row(
        Code::NodeWaits,
        |l| {
            let why = "the node waits for a chain endpoint".to_owned();
            l.node = Node::Waits { why, listener: None };
        },
        &["waits for a chain endpoint"],
        &["endpoints above"],
    ),
    row(
        Code::NodeHolds,
        |l| running(l).hold = Some(Hold::Contradiction),
        &["http://127.0.0.1:1337", "denies what was seen finalized"],
        &["take that endpoint out"],
    ),
    row(
        Code::AccountHalted,
        |l| {
            let why = "nonce 4 was used elsewhere".to_owned();
            running(l).alarms.push(NodeAlarm::AccountHalted { account: Lane::Evm, why });
        },
        &["evm", "nonce 4 was used elsewhere"],
        &["who else has the key", "raas wallet release evm"],
    ),
    row(
        Code::StoreRestored,
        |l| running(l).alarms.push(NodeAlarm::StoreRestored { until: Epoch(110_000) }),
        &["backup", "110000"],
        &["raas wallet release restored"],
    ),
    row(
        Code::StepSetAside,
        |l| running(l).alarms.push(NodeAlarm::StepSetAside { why: "it died three times".to_owned() }),
        &["it died three times"],
        &["raas job retry"],
    ),
    row(
        Code::GasTooDear,
        |l| running(l).alarms.push(NodeAlarm::GasTooDear { why: "wallet.gas_max_attofil".to_owned() }),
        &["wallet.gas_max_attofil"],
        &["raise the cap"],
    ),
    row(
        Code::MoneyEndsMonth,
        |l| money(l, Urgency::Month, 30),
        &["f1 account", "30 days"],
        &["send FIL", "budget.total_attofil"],
    ),
    row(
        Code::MoneyEndsWeek,
        |l| money(l, Urgency::Week, 7),
        &["f1 account", "7 days"],
        &["send FIL", "budget.total_attofil"],
    ),
    row(
        Code::MoneyEndsDay,
        |l| money(l, Urgency::Day, 1),
        &["f1 account", "1 days"],
        &["send FIL", "budget.total_attofil"],
    ),
    row(
        Code::EventsStuck,
        |l| running(l).follows[0].waits = Some("blocks 5 to 9 are older than any keeps".to_owned()),
        &[CONTRACT, "blocks 5 to 9"],
        &["contract.skip_to_block"],
    ),
    row(
        Code::EventsBehind,
        |l| running(l).follows[0].read_to = Some(Epoch(NOW - 21 - 121)),
        &[CONTRACT, "121 blocks behind"],
        &["catches up", "eth_getLogs"],
    ),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    CHAIN.iter().chain(MACHINE).chain(CONTRACTS).chain(OTHERS)
}

#[test]
fn what_is_well_has_no_trouble() {
    let findings = judge(&well());
    assert!(troubles(&findings).is_empty(), "{:#?}", troubles(&findings));
    // On a devnet one voice is enough, a plain key is, and addresses of this machine are.
    let mut devnet = well();
    devnet.devnet = true;
    devnet.voices.agree = 1;
    devnet.wallet.key = Key::File { path: KEY.to_owned(), opens: Ok(false) };
    devnet.listener.url = Some("http://127.0.0.1:1338".to_owned());
    let findings = judge(&devnet);
    assert!(troubles(&findings).is_empty(), "{:#?}", troubles(&findings));
}

#[test]
fn every_kind_of_finding_names_the_thing_and_its_fix() {
    for Row { code, change, names, fix } in rows() {
        let mut looked = well();
        change(&mut looked);
        let findings = judge(&looked);
        let found = findings.iter().find(|finding| finding.code == *code);
        let found = found.unwrap_or_else(|| panic!("no {code:?} in {findings:#?}"));
        let told = format!("{} {}", found.subject, found.found);
        for name in *names {
            assert!(told.contains(name), "{code:?} names {name}: {told}");
        }
        for word in *fix {
            assert!(found.fix.contains(word), "{code:?} is mended by {word}: {}", found.fix);
        }
        assert_eq!((found.level, found.area), (code.level(), code.area()));
        assert_eq!(found.level == Level::Ok, found.fix.is_empty(), "{found:?}");
        assert_eq!(found.level == Level::Ok, fix.is_empty(), "{code:?}: the table's fix");
        if found.level != Level::Ok {
            only(&findings, *code);
            let before = judge(&well());
            assert!(!before.iter().any(|other| other.code == *code), "{code:?} is there anyway");
        }
    }
}

#[test]
fn every_kind_of_finding_is_in_the_table() {
    let shown: BTreeSet<Code> = rows().map(|row| row.code).collect();
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    assert_eq!(shown, all);
}

#[test]
fn every_hold_has_a_remedy() {
    let epoch = Epoch(1);
    let holds = [
        Hold::NoEndpoint,
        Hold::OtherNetwork,
        Hold::HeadOld { head: epoch, expected: epoch },
        Hold::HeadAhead { head: epoch, expected: epoch },
        Hold::ChainStalled { head: epoch, expected: epoch },
        Hold::FinalityStalled { finalized: epoch, head: epoch },
        Hold::Upgrade { epoch },
        Hold::Disagreement { agreed: 1, wanted: 2 },
        Hold::Behind { finalized: epoch, seen: epoch },
        Hold::Rewritten { height: epoch },
        Hold::Contradiction,
        Hold::Restored { until: epoch },
        Hold::PassFailed { disk_full: true },
        Hold::PassFailed { disk_full: false },
    ];
    let mut fixes = BTreeSet::new();
    for hold in holds {
        let mut looked = well();
        looked.pinned.as_mut().expect("asked").pin = Err(hold);
        running(&mut looked).hold = Some(hold);
        let findings = judge(&looked);
        for code in [Code::ChainHolds, Code::NodeHolds] {
            let found = only(&findings, code);
            assert!(found.found.contains(&hold.to_string()) && !found.fix.is_empty(), "{found:?}");
            fixes.insert(found.fix.clone());
        }
    }
    assert_eq!(fixes.len(), holds.len(), "each its own: {fixes:#?}");
}

/// What depends on an endpoint that does not answer is not looked at; everything else is judged all the same.
#[test]
fn what_needs_no_endpoint_is_judged_without_one() {
    let mut looked = well();
    for endpoint in &mut looked.voices.endpoints {
        (endpoint.identity, endpoint.seen) = (Err(Silence::Dead("refused".to_owned())), None);
    }
    (looked.pinned, looked.clock) = (None, None);
    looked.wallet.accounts.clear();
    key(&mut looked, KeyTrouble::OpenToOthers(KEY.to_owned()));
    looked.contracts.list.clear();
    for (_, found) in &mut looked.providers.list {
        *found = None;
    }
    looked.disk.free = Ok(1);
    looked.listener.answer = Some(Answer::Silent("refused".to_owned()));
    let findings = judge(&looked);
    let told: BTreeSet<Code> = troubles(&findings).into_iter().map(|finding| finding.code).collect();
    let wanted = [Code::EndpointSilent, Code::DiskFull, Code::KeyOpenToOthers, Code::UrlSilent];
    assert_eq!(told, BTreeSet::from(wanted), "{findings:#?}");
}
