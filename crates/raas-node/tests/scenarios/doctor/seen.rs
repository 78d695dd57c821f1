//! Troubles that are really there, and the doctor who looks: on a devnet with its node, and on the same devnet as a
//! network with value, whose own methods are hidden.

use super::{only, troubles};
use crate::harness::{Foreign, Proxy, Scene, Setting};
use raas_clients::key::Key;
use raas_clients::wallet::keystore::{self, Passphrase};
use raas_core::units::AttoFil;
use raas_node::config::{Config, EndpointSetting};
use raas_node::node::doctor::{Code, Examine, Finding, Level, examine};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;

const DAY: i64 = 2_880;
/// Where the devnet's head is when it begins.
const START: i64 = 5_000_000;

/// What is found without a node, or with the one at `node`.
async fn look(config: &Config, node: Option<String>) -> Vec<Finding> {
    examine(config, &Examine { devnet_port: 0, node }).await.expect("findings")
}

/// Kinds of trouble that `changed` adds to `before`.
fn new(before: &[Finding], changed: &[Finding]) -> BTreeSet<Code> {
    let codes = |findings: &[Finding]| -> BTreeSet<Code> {
        troubles(findings).into_iter().map(|finding| finding.code).collect()
    };
    codes(changed).difference(&codes(before)).copied().collect()
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).expect("a file");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
}

/// A port on which nothing listens.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound").port()
}

#[expect(clippy::disallowed_methods, reason = "the genesis of a network whose time is the wall's")]
fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A devnet whose head is `behind` epochs behind this machine's clock, as two endpoints of a network with value show it,
/// and a configuration of which nothing is wrong but what has to be on one machine.
async fn with_value(behind: i64) -> (Scene, [Proxy; 2], Config) {
    let elapsed = u64::try_from(START + behind).expect("positive") * 30;
    let genesis = wall() - elapsed;
    let setting = Setting::new().devnet(|devnet| devnet.genesis_unix = Some(genesis));
    let scene = setting.devnet_only().await;
    let proxies =
        [Proxy::before(&scene.devnet.rpc_url()).await, Proxy::before(&scene.devnet.rpc_url()).await];
    proxies.iter().for_each(Proxy::hide_control);
    let mut config = scene.config.clone();
    config.network = Some(proxies[0].url());
    config.chain.endpoints = proxies.iter().map(|proxy| EndpointSetting::Url(proxy.url())).collect();
    config.chain.agree = 2;
    config.deals.providers = ["f01000", "f01002", "f01003"].map(str::to_owned).to_vec();
    let port = free_port().await;
    config.listen.data = ([127, 0, 0, 1], port).into();
    config.listen.public_url = Some(format!("http://127.0.0.1:{port}"));
    let key = Key::from_bytes(&[7; 32]).expect("a key");
    let text = keystore::encrypt(&key, &Passphrase::new("right".to_owned()), 1, &[3; 64]);
    config.wallet.key_file = Some(scene.scratch().join("node.json"));
    config.wallet.passphrase_file = Some(scene.scratch().join("node.pass"));
    write(&scene.scratch().join("node.json"), &text, 0o600);
    write(&scene.scratch().join("node.pass"), "right\n", 0o600);
    let accounts = [key.native_address().to_string(), format!("{:#x}", key.eth_address())];
    for address in accounts {
        scene.rpc("devnet_fund", json!([address, AttoFil::fil(5).to_string()])).await;
    }
    scene.advance(1).await;
    (scene, proxies, config)
}

/// Another node's data listener is no better than anything else, and a port that is taken is told where nothing runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_listener_of_another_node_is_not_taken_for_this_ones() {
    let (mine, other) = (Setting::new().start().await, Setting::new().start().await);
    let findings = look(&mine.config, Some(mine.admin())).await;
    assert_eq!(only(&findings, Code::UrlAnswers).subject, mine.data());
    // Its own address leads to the other node.
    let mut config = mine.config.clone();
    config.listen.public_url = Some(other.data());
    config.listen.data = ([127, 0, 0, 1], free_port().await).into();
    let nobody = format!("http://127.0.0.1:{}", free_port().await);
    let findings = look(&config, Some(nobody.clone())).await;
    let found = only(&findings, Code::UrlOtherNode);
    assert!(found.subject == other.data() && found.fix.contains("listen.data"), "{found:?}");
    assert!(!findings.iter().any(|found| found.code == Code::UrlAnswers), "{findings:#?}");
    // A program that is no node has the port.
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    config.listen.data = taken.local_addr().expect("bound");
    config.listen.public_url = None;
    tokio::spawn(async move {
        while let Ok((stream, _)) = taken.accept().await {
            drop(stream);
        }
    });
    let findings = look(&config, Some(nobody.clone())).await;
    let found = only(&findings, Code::PortTaken);
    assert!(found.subject == config.listen.data.to_string() && found.found.contains("in use"), "{found:?}");
    // This very node has it, and was not found where it was looked for.
    config.listen.data = mine.data().trim_start_matches("http://").parse().expect("an address");
    let findings = look(&config, Some(nobody)).await;
    assert!(only(&findings, Code::PortTaken).found.contains("--node"), "{findings:#?}");
    mine.end().await;
    other.end().await;
}

/// Whatever makes up for it, one that hides logs is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_hide_logs_or_limit_too_much_are_named_with_their_cause() {
    let scene = Setting::new().start().await;
    let (cid, _) = scene.upload_only(crate::harness::small(7)).await;
    let user = Foreign::arrive(&scene, 14).await;
    user.submit(&scene.contract(), &cid, 1, 2_880, 86_400).await;
    scene.advance(40).await;
    let at = |name: &str| EndpointSetting::Url(format!("{}/{name}", scene.devnet.rpc_url()));
    let set = async |name: &str, behaviour: Value| {
        scene.rpc("devnet_setEndpoint", json!([name, behaviour])).await;
    };
    let with = |names: &[&str]| {
        let mut config = scene.config.clone();
        config.chain.endpoints = names.iter().map(|name| at(name)).collect();
        config
    };
    set("good", json!({})).await;
    set("mute", json!({ "faults": [{ "mode": "emptyLogs", "method": "eth_getLogs" }] })).await;
    set("cut", json!({ "faults": [{ "mode": "truncateLogs", "method": "eth_getLogs", "keep": 0 }] })).await;
    let findings = look(&with(&["good"]), Some(scene.admin())).await;
    assert_eq!(only(&findings, Code::EndpointLogsWhole).level, Level::Ok);
    for name in ["mute", "cut"] {
        for names in [&[name][..], &["good", name], &[name, "good"]] {
            let findings = look(&with(names), Some(scene.admin())).await;
            let found = only(&findings, Code::EndpointHidesLogs);
            assert!(found.found.contains("leaves out") && found.level == Level::Problem, "{found:?}");
            assert!(found.fix.contains("take it out"), "{found:?}");
            // Its state and receipts, or the other endpoint, make up for it: the contract's events are read all the same.
            assert_eq!(only(&findings, Code::LogsVouched).level, Level::Ok);
        }
    }
    set("busy", json!({ "faults": [{ "mode": "http" }] })).await;
    let findings = look(&with(&["busy"]), Some(scene.admin())).await;
    let found = only(&findings, Code::EndpointBusy);
    assert!(found.found.contains("429") && found.fix.contains("calls_per_second"), "{found:?}");
    for (status, code) in
        [(401, Code::EndpointRefuses), (403, Code::EndpointRefuses), (404, Code::EndpointStrange)]
    {
        set("odd", json!({ "faults": [{ "mode": "http", "status": status }] })).await;
        let findings = look(&with(&["odd"]), Some(scene.admin())).await;
        assert!(only(&findings, code).found.contains(&status.to_string()), "{findings:#?}");
    }
    set("page", json!({ "faults": [{ "mode": "garbage" }] })).await;
    let findings = look(&with(&["page"]), Some(scene.admin())).await;
    assert!(only(&findings, Code::EndpointStrange).fix.contains("/rpc/v1"));
    set("short", json!({ "lookback": 300, "finalityLag": 20 })).await;
    let findings = look(&with(&["short"]), Some(scene.admin())).await;
    let found = only(&findings, Code::EndpointStateShort);
    assert!(found.found.contains("lookback is 2") && found.fix.contains("at least a day"), "{found:?}");
    scene.end().await;
}

/// The epoch by this machine's clock.
fn wall_epoch(scene: &Scene) -> i64 {
    let genesis = scene.devnet.read(|world| world.config().genesis_unix());
    i64::try_from((wall() - genesis) / 30).expect("a small number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_network_with_value_needs_is_missed_where_it_is_missing() {
    let (scene, _proxies, config) = with_value(2).await;
    let well = look(&config, None).await;
    // Two endpoints of two operators, and an address that others reach, are more than one machine has.
    let unavoidable = BTreeSet::from([Code::OneHost, Code::UrlPrivate]);
    assert_eq!(new(&[], &well), unavoidable, "{:#?}", troubles(&well));
    // No node runs: the data listener's port was borrowed, and its address led back to it.
    assert_eq!(only(&well, Code::UrlAnswers).level, Level::Ok);
    assert_eq!(only(&well, Code::NodeAway).level, Level::Ok);
    assert!(only(&well, Code::ClockRight).found.contains("epoch"));

    let scratch = |name: &str| scene.scratch().join(name);
    let named = |path: PathBuf| path.display().to_string();
    let foreign = scene.devnet.rpc_url().trim_end_matches("/rpc/v1").to_owned();
    let nowhere = format!("http://127.0.0.1:{}", free_port().await);
    write(&scratch("other.pass"), "wrong\n", 0o600);
    write(&scratch("open.json"), "{}", 0o644);
    write(&scratch("open.pass"), "right\n", 0o644);
    write(&scratch("garbage.key"), "nonsense", 0o600);
    write(&scratch("plain.key"), &"07".repeat(32), 0o600);
    std::fs::create_dir_all(scratch("store")).expect("a folder");
    write(&scratch("store").join("raas.sqlite"), "", 0o644);

    type Change = Box<dyn Fn(&mut Config)>;
    let key = |name: &str| -> Change {
        let path = scratch(name);
        Box::new(move |config| config.wallet.key_file = Some(path.clone()))
    };
    let pass = |name: &str| -> Change {
        let path = scratch(name);
        Box::new(move |config| config.wallet.passphrase_file = Some(path.clone()))
    };
    let url = |url: &str| -> Change {
        let url = url.to_owned();
        Box::new(move |config| config.listen.public_url = Some(url.clone()))
    };
    let store = scratch("store");
    let socket = scratch("no.sock");
    let cases: Vec<(Code, Change, String)> = vec![
        (Code::KeyOpenToOthers, key("open.json"), named(scratch("open.json"))),
        (Code::KeyOpenToOthers, pass("open.pass"), named(scratch("open.pass"))),
        (Code::KeyLocked, pass("other.pass"), named(scratch("node.json"))),
        (Code::KeyUnreadable, key("none.json"), named(scratch("none.json"))),
        (Code::KeyNone, key("garbage.key"), named(scratch("garbage.key"))),
        (Code::KeyPlain, key("plain.key"), named(scratch("plain.key"))),
        (Code::KeyUnnamed, Box::new(|config| config.wallet.key_file = None), "no key is named".to_owned()),
        (
            Code::SignerAway,
            Box::new(move |config| {
                config.wallet.key_file = None;
                config.wallet.signer_socket = Some(socket.clone());
            }),
            named(scratch("no.sock")),
        ),
        (Code::ProvidersNone, Box::new(|config| config.deals.providers.clear()), "none".to_owned()),
        (
            Code::OperatorsFew,
            Box::new(|config| drop(config.deals.providers.pop())),
            "2 operators for 3 copies".to_owned(),
        ),
        (
            Code::ProvidersMisnamed,
            Box::new(|config| config.deals.providers.push("x".to_owned())),
            "deals.providers".to_owned(),
        ),
        (Code::UrlUnset, Box::new(|config| config.listen.public_url = None), "public_url".to_owned()),
        (Code::UrlSilent, url(&nowhere), nowhere.clone()),
        (Code::UrlForeign, url(&foreign), foreign.clone()),
        (Code::OneVoice, Box::new(|config| config.chain.agree = 1), "chain.agree = 1".to_owned()),
        (Code::TooFewVoices, Box::new(|config| config.chain.agree = 3), "chain.agree = 3".to_owned()),
        (
            Code::StoreOpenToOthers,
            Box::new(move |config| config.data_dir.clone_from(&store)),
            "raas.sqlite".to_owned(),
        ),
        (Code::DiskFull, Box::new(|config| config.data_dir = "/proc/raas".into()), "/proc/raas".to_owned()),
        (
            Code::ContractMisnamed,
            Box::new(|config| config.contract.address = Some("0x12".to_owned())),
            "contract.address".to_owned(),
        ),
    ];
    let well_since = wall_epoch(&scene);
    for (code, change, name) in cases {
        // However long the cases take, the head keeps up with the wall.
        let passed = wall_epoch(&scene) - well_since;
        let behind = START + 1 + passed - scene.now().await;
        if behind > 0 {
            scene.advance(behind).await;
        }
        let mut sick = config.clone();
        change(&mut sick);
        let findings = look(&sick, None).await;
        let found = only(&findings, code);
        assert!(format!("{} {}", found.subject, found.found).contains(&name), "{name}: {found:?}");
        assert!(!found.fix.is_empty(), "{found:?}");
        let mut others = new(&well, &findings);
        others.remove(&code);
        // Where nothing is written there is no room either.
        others.remove(&Code::DiskUnwritable);
        assert!(others.is_empty(), "{code:?} alone, not {others:?}");
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_wrong_is_told_from_a_chain_that_is() {
    // The chain is an hour and more further than this machine's time.
    let (scene, _proxies, config) = with_value(-130).await;
    let findings = look(&config, None).await;
    let found = only(&findings, Code::ClockBehind);
    let seconds: u64 =
        found.found.split(' ').find_map(|word| word.parse().ok()).expect("a number of seconds");
    assert!((3_600..4_200).contains(&seconds) && found.fix.contains("chrony"), "{found:?}");
    assert!(only(&findings, Code::ChainHolds).fix.contains("clock right"));
    scene.end().await;
    // All endpoints are an hour behind it, alike.
    let (scene, proxies, config) = with_value(130).await;
    let findings = look(&config, None).await;
    let found = only(&findings, Code::ClockAhead);
    assert!(found.found.contains("all 2 endpoints") && found.fix.contains("chrony"), "{found:?}");
    assert!(only(&findings, Code::ChainHolds).found.contains("stands still"));
    // One of them alone may be the one that is behind.
    proxies[1].set_open(false);
    let findings = look(&config, None).await;
    assert!(!findings.iter().any(|found| found.code == Code::ClockAhead), "{findings:#?}");
    assert!(findings.iter().any(|found| found.code == Code::EndpointSilent), "{findings:#?}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_are_away_foreign_stale_or_poor_are_named() {
    let mut scene = Setting::new().devnet_only().await;
    let proxy = Proxy::before(&scene.devnet.rpc_url()).await;
    scene.config.network = Some(proxy.url());
    scene.start_node().await;
    let well = look(&scene.config, Some(scene.admin())).await;
    assert!(troubles(&well).is_empty(), "{:#?}", troubles(&well));
    for code in [Code::ClockDevnet, Code::NodeRuns, Code::UrlAnswers, Code::MayComplete, Code::KeyOpens] {
        assert_eq!(only(&well, code).level, Level::Ok);
    }

    let other = Setting::new().seed(2).devnet_only().await;
    let away = format!("http://127.0.0.1:{}/rpc/v1", free_port().await);
    let mut sick = scene.config.clone();
    sick.chain.endpoints = [proxy.url(), other.devnet.rpc_url(), away].map(EndpointSetting::Url).to_vec();
    sick.chain.agree = 2;
    proxy.decide(|call| {
        let poor =
            ["Filecoin.StateMinerSectorCount", "eth_getLogs"].iter().any(|method| call["method"] == *method);
        poor.then(|| json!({"error": {"code": -32601, "message": "method not found"}}))
    });
    sick.contract.address = Some("0x1111111111111111111111111111111111111111".to_owned());
    sick.deals.providers = vec!["f01000".to_owned(), "f099999".to_owned()];
    let findings = look(&sick, None).await;
    for (code, words) in [
        (Code::EndpointSilent, "did not answer"),
        (Code::EndpointForeign, "serves raas-devnet"),
        (Code::EndpointLacks, "does not offer Filecoin.StateMinerSectorCount"),
        (Code::EndpointNoLogs, "gives no logs"),
        (Code::ChainHolds, "agree on a finalized tipset"),
        (Code::ContractUnread, "its code could not be read"),
        (Code::ProviderUnread, "could not be read"),
        (Code::OperatorsFew, "1 operators for 3 copies"),
    ] {
        let found = only(&findings, code);
        assert!(found.found.contains(words) && found.level == Level::Problem, "{found:?}");
    }
    proxy.decide(|_| None);

    // A head that stands still, of one endpoint and of the only one.
    scene.rpc("devnet_setEndpoint", json!(["late", { "behind": 300 }])).await;
    let mut late = scene.config.clone();
    late.chain.endpoints = vec![
        EndpointSetting::Url(proxy.url()),
        EndpointSetting::Url(format!("{}/late", scene.devnet.rpc_url())),
    ];
    let found = look(&late, None).await;
    assert!(only(&found, Code::EndpointStale).found.contains("its head is"), "{found:#?}");
    scene.set_rpc("stale").await;
    scene.advance(100).await;
    let stale = look(&scene.config, None).await;
    assert!(only(&stale, Code::ChainHolds).found.contains("is older than the clock"));
    scene.set_rpc("normal").await;

    // Money that is gone.
    proxy.decide(|call| (call["method"] == "Filecoin.WalletBalance").then(|| json!({ "result": "5" })));
    let poor = look(&scene.config, None).await;
    let found = only(&poor, Code::MoneyLow);
    assert!(found.found.contains("has 5 attoFIL") && found.fix.contains(&scene.node_account()), "{found:?}");
    scene.end().await;
    other.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_is_paused_closed_foreign_or_none_is_named() {
    let scene = Setting::new().start().await;
    scene.until_idle().await;
    let (contract, rpc) = (scene.contract(), scene.devnet.rpc_url());
    let key = scene.config.wallet.key_file.clone().expect("a key file").display().to_string();
    // Of a contract that is not named the running node tells; its admin is the node's own key here.
    let pause = async |more: &[&str]| {
        let args = ["contract", "pause", &contract, "--network", &rpc, "--key-file", &key, "--yes"];
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_raas"));
        let output = command.args(args).args(more).output().await.expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    pause(&[]).await;
    let findings = look(&scene.config, Some(scene.admin())).await;
    let found = only(&findings, Code::ContractPaused);
    assert_eq!(found.subject, contract);
    assert!(found.fix.contains(&format!("raas contract pause {contract} --off")), "{found:?}");
    pause(&["--off"]).await;
    let findings = look(&scene.config, Some(scene.admin())).await;
    assert!(!findings.iter().any(|found| found.code == Code::ContractPaused), "{findings:#?}");

    let admin = Foreign::arrive(&scene, 13).await;
    let (closed, block) = admin.deploy(&scene).await;
    let at = |address: String| {
        let mut config = scene.config.clone();
        config.contract.address = Some(address);
        config.contract.from_block = Some(block);
        config
    };
    let found = look(&at(closed.to_string()), None).await;
    let found = only(&found, Code::MayNotComplete);
    let account = scene.node_eth_address();
    assert!(
        found.fix.contains(&format!("raas contract grant {closed:#x} aggregator {account}")),
        "{found:?}"
    );
    let reference = admin.reference(&scene).await;
    let found = look(&at(reference.to_string()), None).await;
    let found = only(&found, Code::ContractOtherKind);
    assert_eq!(found.fix, "set its abi to \"reference\"");
    let found = look(&at("0x1111111111111111111111111111111111111111".to_owned()), None).await;
    assert!(only(&found, Code::ContractMissing).fix.contains("contract.address"));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_that_ends_in_30_7_or_1_days_is_told_with_what_helps() {
    let mut scene = Setting::new().start().await;
    let (cid, _) = scene.kept(110).await;
    let wallet = scene.get("/v1/wallet").await.expect(200);
    let spent = wallet["limits"][0]["used"]["attofil"].as_str().expect("an amount").to_owned();
    let ends = |why: &Value| -> i64 {
        let orders = why["holdings"][0]["orders"].as_array().expect("orders").clone();
        orders.iter().filter_map(|order| order["endEpoch"].as_i64()).min().expect("an end")
    };
    let end = ends(&scene.why(&cid).await);
    scene.stop_node().await;
    // All of the budget is spent, and renewals are foreseen 89 days before the end.
    scene.config.budget.total_attofil = spent;
    scene.config.policy.renew_before_epochs = 89 * DAY;
    scene.start_node().await;
    let due = end - 89 * DAY;
    for (before, code) in [
        (40 * DAY, None),
        (30 * DAY, Some(Code::MoneyEndsMonth)),
        (7 * DAY, Some(Code::MoneyEndsWeek)),
        (DAY, Some(Code::MoneyEndsDay)),
    ] {
        scene.advance(due - before - scene.now().await).await;
        scene.quiesce().await;
        let findings = look(&scene.config, Some(scene.admin())).await;
        let told: Vec<Code> = findings
            .iter()
            .map(|found| found.code)
            .filter(|code| matches!(code, Code::MoneyEndsMonth | Code::MoneyEndsWeek | Code::MoneyEndsDay))
            .collect();
        assert_eq!(told, Vec::from_iter(code), "{before} epochs before");
        if let Some(code) = code {
            let found = only(&findings, code);
            assert!(found.found.contains("budget.total_attofil"), "{found:?}");
            assert!(found.fix.contains("budget.total_attofil"), "{found:?}");
        }
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_another_one_or_none_is_told() {
    let scene = Setting::new().start().await;
    let other = Setting::new().devnet(|devnet| devnet.network_name = "elsewhere".to_owned()).start().await;
    let findings = look(&scene.config, Some(other.admin())).await;
    assert!(only(&findings, Code::NodeForeign).found.contains("elsewhere"));
    let findings = look(&scene.config, Some(scene.data())).await;
    assert!(only(&findings, Code::NodeUnread).fix.contains("--node"));
    let nobody = format!("http://127.0.0.1:{}", free_port().await);
    let findings = look(&scene.config, Some(nobody.clone())).await;
    assert_eq!(only(&findings, Code::NodeAway).subject, nobody);
    other.end().await;
    scene.end().await;
}
