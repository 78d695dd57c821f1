//! Copies without deals: what a miner told the contract of, and what the verified registry has claims for.

use crate::harness::{Foreign, Proxy, Scene, Setting, sha256_counter, small};
use alloy_primitives::Bytes;
use raas_clients::evm::Frc0087Abi as Frc;
use raas_core::cid::DataCid;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const DAY: i64 = 2_880;
/// The first id that the contract gives by itself.
const FIRST: u64 = 1 << 63;
/// What a small file's piece has.
const SIZE: u64 = 2_048;
/// What the smallest piece has that DataCap can be spent on.
const MIB: u64 = 1 << 20;
const PAY: &str = "/v1/wallet/transactions";

/// A sector of `provider` with one piece; `told` are contracts with requests.
async fn onboard(scene: &Scene, provider: u64, piece: &Value) -> u64 {
    let made = scene.rpc("devnet_onboard", json!([format!("f0{provider}"), { "pieces": [piece] }])).await;
    for told in made["notified"].as_array().into_iter().flatten() {
        assert_eq!(told["exit"], 0, "{made}");
    }
    made["sector"].as_u64().expect("a sector")
}

/// The orders of `cid` that are not deals, as `why` tells them.
async fn in_sectors(scene: &Scene, cid: &str) -> Vec<Value> {
    let why = scene.why(cid).await;
    let orders = why["holdings"][0]["orders"].as_array().expect("orders").clone();
    orders
        .into_iter()
        .filter(|order| order["dealId"].is_null() && order["cause"]["cause"] == "adopt")
        .collect()
}

async fn size_of(scene: &Scene, cid: &str) -> u64 {
    scene.why(cid).await["holdings"][0]["pieces"][0]["size"].as_u64().expect("a size")
}

/// A payment that sets a mebibyte of DataCap aside for `piece` at `provider`.
async fn allocate(scene: &Scene, piece: &str, provider: u64) -> Value {
    let expiration = scene.now().await + 1_000;
    json!({ "do": "allocate", "allocation": {
        "provider": provider, "piece": piece, "size": MIB, "term_min": 518_400, "term_max": 5_259_485,
        "expiration": expiration,
    } })
}

/// The number of an allocation that the node's account makes by a message of its own lane.
async fn allocated(scene: &Scene, piece: &str, provider: u64) -> u64 {
    let wanted = allocate(scene, piece, provider).await;
    let poor = scene.pay(PAY, "poor", &wanted).await;
    assert!(poor.status == 409 && poor.refusal().contains("0 bytes of DataCap"), "{}", poor.body);
    scene.rpc("devnet_datacap", json!([scene.node_account(), 2 * MIB])).await;
    scene.advance(2).await;
    let mut short = wanted.clone();
    short["allocation"]["term_min"] = json!(100);
    let short = scene.pay(PAY, "short", &short).await;
    assert!(short.status == 400 && short.text("field") == "allocation.term_min", "{}", short.body);
    previewed(scene, &wanted["allocation"]).await;
    let first = scene.pay(PAY, "once", &wanted).await.expect(200);
    let again = scene.pay(PAY, "once", &wanted).await.expect(200);
    assert_eq!((&first["intent"]["intent"], &again["new"]), (&json!("allocate"), &json!(false)));
    scene.until_idle().await;
    let listed = scene.get(&format!("{PAY}?id={}", first["transaction"])).await.expect(200);
    assert_eq!(listed["transactions"][0]["state"], "final", "{listed}");
    let datacap = scene.get("/v1/wallet/datacap").await.expect(200);
    assert_eq!(datacap["bytes"], json!(MIB.to_string()));
    let waiting = datacap["allocations"].as_array().expect("a list");
    assert_eq!(waiting.len(), 1, "once: {datacap}");
    assert_eq!((&waiting[0]["provider"], &waiting[0]["piece"]), (&json!(provider), &json!(piece)));
    // Nothing hinders a second one, so that it is said before.
    scene.rpc("devnet_datacap", json!([scene.node_account(), MIB])).await;
    scene.advance(2).await;
    let mut dry = wanted.clone();
    dry["dry_run"] = json!(true);
    let again = scene.pay(PAY, "dry", &dry).await.expect(200);
    assert_eq!(again["datacap"]["same_waiting"], json!([waiting[0]["id"]]), "{again}");
    let mut nobody = dry;
    nobody["allocation"]["provider"] = json!(9_999_999);
    let nobody = scene.pay(PAY, "nobody", &nobody).await;
    assert!(nobody.status == 400 && nobody.text("field") == "allocation.provider", "{}", nobody.body);
    waiting[0]["id"].as_u64().expect("a number")
}

/// Before it is sent, the command line shows all that an allocation takes and grants.
async fn previewed(scene: &Scene, wanted: &Value) {
    let number = |field: &str| wanted[field].to_string();
    let (admin, token) = (scene.admin(), scene.config.data_dir.join("wallet.token"));
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_raas"));
    command.args(["--node", &admin, "wallet", "allocate", "--dry-run", "--size", &number("size")]);
    command.args(["--provider", &format!("f0{}", wanted["provider"]), "--piece"]);
    command.args([wanted["piece"].as_str().expect("a CID"), "--expiration", &number("expiration")]);
    let output = command.arg("--token-file").arg(token).output().await.expect("it runs");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    for words in [
        format!("{} bytes", 2 * MIB),
        format!("{MIB} bytes"),
        format!("f0{}, operator f0", wanted["provider"]),
        wanted["piece"].as_str().expect("a CID").to_owned(),
        "518400 epochs (180 d) to 5259485 epochs (1826 d)".to_owned(),
        format!("epoch {}", wanted["expiration"]),
        "gas at most".to_owned(),
    ] {
        assert!(shown.contains(&words), "{words:?} in {shown}");
    }
}

/// Request 1 wants two copies. One is in a sector already, and its miner has told the contract so: one is bought.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_miner_told_the_contract_counts_is_shown_and_is_replaced() {
    let scene = Setting::new().start().await;
    let contract = scene.contract();
    let (cid, piece) = scene.upload_only(small(71)).await;
    let user = Foreign::arrive(&scene, 12).await;
    user.submit(&contract, &cid, 2, DAY, 86_400).await;
    scene.advance(2).await;
    let told = json!([{ "address": contract, "payload": "0x01" }]);
    let sector = onboard(&scene, 1_002, &json!({ "cid": piece, "size": SIZE, "notify": told })).await;
    // Somebody else's bytes, told for the same request: nobody's copy.
    let other = raas_devnet::codec::CommP::of(&[9; 1_000]);
    let stray = raas_devnet::codec::piece_cid_v1(other.commitment).to_string();
    onboard(&scene, 1_003, &json!({ "cid": stray, "size": 1_024, "notify": told })).await;
    // The node sees request and pieces in one look.
    scene.advance(40).await;
    scene
        .until("both copies are proven", 10 * DAY, async || {
            let why = scene.get(&format!("/v1/holdings/{cid}/why")).await;
            why.body["holdings"][0]["standing"]["proven"] == json!(2)
        })
        .await;
    assert_eq!(size_of(&scene, &cid).await, SIZE);
    scene.until_idle().await;
    let bought: Vec<u64> = scene.ledger().await.deals(&piece).into_keys().collect();
    assert_eq!(bought.len(), 1, "the other copy is there");
    let shown: BTreeSet<(u64, u64)> = scene.ledger().await.completions(&contract).into_iter().collect();
    assert_eq!(shown, BTreeSet::from([(1, bought[0]), (1, FIRST)]), "both, each under its own id");
    let data: DataCid = cid.parse().expect("a CID");
    let all = Frc::getAllDealsCall { cid: Bytes::from(data.cid().to_bytes()), startIndex: 0, count: 10 };
    let listed = scene.eth_call(&all).await;
    let markets: BTreeSet<bool> = listed.iter().map(|deal| deal.marketActorId == 5).collect();
    assert_eq!((listed.len(), markets), (2, BTreeSet::from([false, true])), "{listed:?}");
    let found = in_sectors(&scene, &cid).await;
    let [copy] = found.as_slice() else { panic!("one copy without a deal: {found:?}") };
    assert_eq!(
        (&copy["sector"], &copy["minerId"], &copy["health"]["health"]),
        (&json!(sector), &json!(1_002), &json!("proven"))
    );
    assert_ne!(copy["slots"], json!([]), "it fills a place");
    let why = scene.why(&cid).await;
    let states: BTreeSet<(String, String)> = why["seen_on_contract"]
        .as_array()
        .expect("deals")
        .iter()
        .map(|seen| (seen["deal"].to_string(), seen["state"].as_str().expect("a state").to_owned()))
        .collect();
    let expected = [
        (format!("\"{FIRST}\""), "adopted"),
        (format!("\"{}\"", FIRST + 1), "unverified"),
        (bought[0].to_string(), "adopted"),
    ];
    assert_eq!(states, expected.map(|(deal, state)| (deal, state.to_owned())).into());

    // A fault of its sector is seen; nothing is bought for it before its time.
    scene.rpc("devnet_fault", json!([1_002, [sector]])).await;
    scene
        .until("the fault is seen", 3 * DAY, async || scene.standing(&cid).await["suspect"] == json!(1))
        .await;
    scene.rpc("devnet_recover", json!([1_002, [sector]])).await;
    scene
        .until("it is proven again", 3 * DAY, async || scene.standing(&cid).await["proven"] == json!(2))
        .await;
    assert_eq!(scene.ledger().await.proposals().len(), 1);

    // Its end is seen twice before it counts as lost, and it is replaced by a deal.
    scene.rpc("devnet_terminate", json!([1_002, [sector]])).await;
    scene.until_proven(&cid, &piece, 2).await;
    scene.until_idle().await;
    let found = in_sectors(&scene, &cid).await;
    assert_eq!((&found[0]["state"], found.len()), (&json!("lost"), 1));
    assert_eq!(scene.ledger().await.completions(&contract).len(), 3);
    let before = scene.ledger().await.acts();
    scene.pass(2 * DAY).await;
    assert_eq!(scene.ledger().await.acts(), before, "at rest");
    scene.end().await;
}

/// A provider needs the request's id to name it, so the request comes first, and the node has bought its copies by then. Two
/// owners asked for the CID: each has the copy, and each request is shown it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_that_is_told_late_is_a_spare_and_is_shown_to_each_request_of_its_cid() {
    let scene = Setting::new().start().await;
    let contract = scene.contract();
    let (cid, piece) = scene.upload_only(small(73)).await;
    for number in [12, 13] {
        let user = Foreign::arrive(&scene, number).await;
        user.submit(&contract, &cid, 1, DAY, 86_400).await;
        scene.advance(2).await;
    }
    scene
        .until("each has a copy", 10 * DAY, async || scene.ledger().await.completions(&contract).len() == 2)
        .await;
    scene.until_idle().await;
    let used: BTreeSet<u64> = scene.ledger().await.deals(&piece).values().map(|deal| deal.provider).collect();
    let provider = (1_000..1_008).find(|provider| !used.contains(provider)).expect("a provider");
    // What nobody can be helped with stands before it in the contract's book.
    let told = |request: u8| json!([{ "address": contract, "payload": format!("0x{request:02x}") }]);
    let other = raas_devnet::codec::CommP::of(&[9; 1_000]);
    let stray = raas_devnet::codec::piece_cid_v1(other.commitment).to_string();
    onboard(&scene, provider, &json!({ "cid": stray, "size": 1_024, "notify": told(1) })).await;
    let both = json!([told(1)[0], told(2)[0]]);
    onboard(&scene, provider, &json!({ "cid": piece, "size": SIZE, "notify": both })).await;
    scene
        .until("both requests are shown it", 3 * DAY, async || {
            let shown = scene.ledger().await.completions(&contract);
            [1, 2].iter().all(|request| shown.contains(&(*request, FIRST + 1)))
        })
        .await;
    scene.until_idle().await;
    assert_eq!(scene.ledger().await.completions(&contract).len(), 4);
    assert_eq!(scene.ledger().await.proposals().len(), 2, "nothing was bought for it");
    let why = scene.why(&cid).await;
    for holding in why["holdings"].as_array().expect("two holdings") {
        let spares =
            holding["orders"].as_array().expect("orders").iter().filter(|order| order["slots"] == json!([]));
        assert_eq!(spares.count(), 1, "{holding}");
        assert_eq!(holding["standing"]["proven"], 2);
    }
    scene.end().await;
}

/// The node sets DataCap aside, a miner claims it, and the copy is adopted. Claims are read where the registry still makes
/// them (network 28), and after it was frozen (29).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_counts_while_its_sector_lives_before_and_after_network_version_29() {
    let mut scene = Setting::new().devnet_only().await;
    let proxy = Proxy::before(&scene.devnet.rpc_url()).await;
    scene.config.network = Some(proxy.url());
    scene.start_node().await;
    let client = scene.node_account();
    let (cid, piece) = scene.upload(sha256_counter("claimed", 600_000)).await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    assert_eq!(size_of(&scene, &cid).await, MIB);
    let used: BTreeSet<u64> = scene.ledger().await.deals(&piece).values().map(|deal| deal.provider).collect();
    let free: Vec<u64> = (1_000..1_008).filter(|provider| !used.contains(provider)).collect();
    let id = allocated(&scene, &piece, free[0]).await;
    let verified = json!({ "cid": piece, "size": MIB, "allocation": { "client": client, "id": id } });
    let sector = onboard(&scene, free[0], &verified).await;
    scene.advance(2).await;
    let left = scene.get("/v1/wallet/datacap").await.expect(200);
    assert_eq!(
        (&left["bytes"], &left["allocations"]),
        (&json!((2 * MIB).to_string()), &json!([])),
        "claimed"
    );
    scene
        .until("the claim is found", 3 * DAY, async || scene.standing(&cid).await["proven"] == json!(4))
        .await;
    let found = in_sectors(&scene, &cid).await;
    assert_eq!(
        (&found[0]["sector"], &found[0]["slots"], found.len()),
        (&json!(sector), &json!([]), 1),
        "a spare"
    );
    scene.pass(2 * DAY).await;
    assert_eq!(in_sectors(&scene, &cid).await.len(), 1, "found again, it is the same copy");

    // The registry is frozen: what it says stays. The spare takes the place of a loss, and nothing is bought.
    scene.rpc("devnet_upgrade", json!([])).await;
    scene.advance(2).await;
    assert_eq!(scene.rpc("Filecoin.StateNetworkVersion", json!([null])).await, 29);
    let frozen = scene.pay(PAY, "frozen", &allocate(&scene, &piece, free[1]).await).await;
    assert!(frozen.status == 409 && frozen.refusal().contains("version 29"), "{}", frozen.body);
    let bought = scene.ledger().await.proposals().len();
    let lost = scene.ledger().await.deals(&piece).into_values().next().expect("a deal");
    scene.rpc("devnet_terminate", json!([lost.provider, [lost.sector]])).await;
    scene
        .until("it fills the place", 3 * DAY, async || {
            in_sectors(&scene, &cid).await[0]["slots"] != json!([])
        })
        .await;
    scene.pass(DAY).await;
    assert_eq!(scene.ledger().await.proposals().len(), bought);
    // The node forgets nothing in a restart, and a copy that ends with its sector is renewed by when that ends.
    scene.stop_node().await;
    scene.start_node().await;
    scene.quiesce().await;
    let end = in_sectors(&scene, &cid).await[0]["endEpoch"].as_i64().expect("an end");
    let longer = end + 200 * DAY;
    proxy.decide(move |call| {
        let params = &call["params"];
        let is_it = call["method"] == "Filecoin.StateSectorGetInfo" && params[1] == json!(sector);
        is_it.then(|| json!({"result": {"Activation": 1, "Expiration": longer}}))
    });
    scene
        .until("its miner has extended it", 2 * DAY, async || {
            in_sectors(&scene, &cid).await[0]["endEpoch"] == json!(longer)
        })
        .await;
    proxy.decide(|_| None);

    // A claim outlives its sector, and says nothing then.
    scene.rpc("devnet_terminate", json!([free[0], [sector]])).await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    scene.pass(2 * DAY).await;
    let claims = scene.rpc("Filecoin.StateGetClaims", json!([format!("f0{}", free[0]), null])).await;
    assert_eq!(claims.as_object().expect("claims").len(), 1, "{claims}");
    let found = in_sectors(&scene, &cid).await;
    assert_eq!((&found[0]["state"], found.len()), (&json!("lost"), 1));
    assert_eq!(scene.standing(&cid).await["proven"], 3);
    scene.end().await;
}
