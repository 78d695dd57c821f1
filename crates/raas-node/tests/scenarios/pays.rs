//! Money that is short is a wait; a deal that somebody else made is not bought again.

use crate::harness::{Foreign, Scene, Setting, sha256_counter, small};
use serde_json::{Value, json};

/// attoFIL of one epoch of 2 KiB (padded) at the asks of f01000, f01002 and f01003, rounded up as providers do; a
/// term has 518,400 epochs.
const TWO_COPIES: u128 = (1_908 + 2_099) * 518_400;
const FIL: u128 = 1_000_000_000_000_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_for_two_of_three_copies_buys_two_and_the_third_follows_a_top_up() {
    let reserve = 150 * FIL;
    let setting = Setting::new().config(|config| {
        config.budget.wallet_reserve_attofil = reserve.to_string();
    });
    let mut scene = setting.devnet_only().await;
    let node = scene.node_account();
    // More than the least a devnet node starts with, so that it is not filled up.
    let money = (reserve + TWO_COPIES + 1_000).to_string();
    scene.rpc("devnet_fund", json!([node, money])).await;
    scene.advance(2).await;
    scene.start_node().await;
    let (cid, piece) = scene.upload(small(70)).await;
    scene.until_proven(&cid, &piece, 2).await;
    scene.pass(5 * 2_880).await;
    assert_eq!(scene.ledger().await.proposals().len(), 2);
    assert_eq!(scene.standing(&cid).await["proven"], 2);
    let why = scene.why(&cid).await;
    let waits = why["holdings"][0]["waits"].as_array().expect("waits").clone();
    let budget: Vec<&Value> = waits.iter().filter(|wait| wait["for_"]["waiting_for"] == "budget").collect();
    let [wait] = budget.as_slice() else { panic!("one wait for money: {why}") };
    let amount = |field: &str| wait["for_"][field].as_str().and_then(|text| text.parse::<u128>().ok());
    assert!(amount("needed") > amount("available"), "{wait}");
    assert_eq!(wait["wake"]["wake"], "on_budget");

    scene.rpc("devnet_fund", json!([node, FIL.to_string()])).await;
    scene.advance(2).await;
    scene.until_proven(&cid, &piece, 3).await;
    scene.until_idle().await;
    assert_eq!(scene.ledger().await.proposals().len(), 3);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deal_that_an_aggregator_completes_by_itself_is_adopted_and_not_bought_again() {
    adopts(false).await;
}

/// Whose DataCap paid for it is nothing to the node: it reads the flag back and keeps it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verified_deal_of_an_aggregator_is_adopted_and_kept_as_such() {
    adopts(true).await;
}

async fn adopts(verified: bool) {
    let mut scene = Setting::new().devnet_only().await;
    let aggregator = Foreign::arrive(&scene, 11).await;
    let (contract, block) = aggregator.deploy_for_node(&scene).await;
    scene.config.contract.address = Some(format!("{contract:#x}"));
    scene.config.contract.from_block = Some(block);
    scene.start_node().await;
    // DataCap is spent on a MiB and more.
    let bytes = if verified { sha256_counter("verified", 700_000) } else { small(71) };
    let (cid, piece) = scene.upload_only(bytes).await;
    let car = scene.car(&cid).await;

    // The aggregator makes a deal for the very piece, a user asks for two copies, the aggregator completes one.
    let deal = match verified {
        true => aggregator.makes_verified_deal(&scene, car, 1_000).await,
        false => aggregator.makes_deal(&scene, car, 1_000).await,
    };
    let told = scene.rpc("Filecoin.StateMarketStorageDeal", json!([deal.deal, null])).await;
    assert_eq!(told["Proposal"]["VerifiedDeal"], verified);
    let user = Foreign::arrive(&scene, 12).await;
    let contract = format!("{contract:#x}");
    user.submit(&contract, &cid, 2, 2_880, 86_400).await;
    scene.advance(1).await;
    aggregator.completes(&contract, 1, &deal).await;
    // Both are final when the node looks: a node that had seen the request alone would have bought two.
    scene.advance(50).await;
    scene.until_proven(&cid, &piece, 2).await;
    scene.until_idle().await;
    let ledger = scene.ledger().await;
    assert_eq!(ledger.deals(&piece).len(), 2, "the aggregator's and one of the node's");
    let providers: Vec<u64> = ledger.deals(&piece).values().map(|deal| deal.operator).collect();
    assert_ne!(providers[0], providers[1]);
    let deals: Vec<(u64, u64)> = ledger.deals(&piece).keys().map(|deal| (1, *deal)).collect();
    assert_eq!(ledger.completions(&contract), deals, "each attested once, by whoever made it");
    let why = scene.why(&cid).await;
    assert_eq!(why["seen_on_contract"].as_array().map(Vec::len), Some(2));
    let flags = keeps_proposals(&scene, &piece).await;
    assert_eq!(flags, [verified, false], "the aggregator's, and the node's own");
    scene.end().await;
}

/// Both proposals are kept whole: after a termination the market tells nothing of the deal any more.
/// Whether the adopted one is verified, and the other.
async fn keeps_proposals(scene: &Scene, piece: &str) -> [bool; 2] {
    let orders = async || {
        let jobs = scene.get("/v1/jobs").await.expect(200);
        let job = scene.get(&format!("/v1/jobs/{}", jobs["jobs"][0]["id"])).await.expect(200);
        job["orders"].as_array().expect("orders").clone()
    };
    let before = orders().await;
    assert_eq!(before.len(), 2);
    for order in &before {
        let told = scene.rpc("Filecoin.StateMarketStorageDeal", json!([order["dealId"], null])).await;
        let (told, kept) = (&told["Proposal"], &order["proposal"]);
        for (on_chain, field) in [
            ("PieceSize", "pieceSize"),
            ("VerifiedDeal", "verifiedDeal"),
            ("Label", "label"),
            ("StartEpoch", "startEpoch"),
            ("EndEpoch", "endEpoch"),
            ("StoragePricePerEpoch", "storagePricePerEpoch"),
            ("ProviderCollateral", "providerCollateral"),
            ("ClientCollateral", "clientCollateral"),
        ] {
            assert_eq!(told[on_chain], kept[field], "{field} of {kept}");
        }
        let number = |address: &Value| address.as_str().map(|text| text[1..].to_owned());
        assert_eq!(number(&told["Client"]), number(&kept["client"]), "{kept}");
        assert_eq!(number(&told["Provider"]), number(&kept["provider"]), "{kept}");
        assert_eq!(told["PieceCID"]["/"], kept["pieceCid"]);
        assert_eq!(order["dealId"], kept["dealId"]);
    }
    let adopted = before.iter().find(|order| order["cause"]["cause"] == "adopt").expect("an adopted copy");
    let ledger = scene.ledger().await;
    let deal = ledger.deals(piece)[&adopted["dealId"].as_u64().expect("a deal")].clone();
    scene.rpc("devnet_terminate", json!([deal.provider, [deal.sector]])).await;
    scene.pass(60).await;
    let gone = scene.try_rpc("Filecoin.StateMarketStorageDeal", json!([adopted["dealId"], null])).await;
    assert!(gone.is_err(), "the market has forgotten it");
    let after = orders().await;
    let kept = after.iter().find(|order| order["order"] == adopted["order"]).expect("the same order");
    assert_eq!((&kept["state"], &kept["proposal"]), (&json!("lost"), &adopted["proposal"]));
    let other = before.iter().find(|order| order["order"] != adopted["order"]).expect("the node's own");
    [adopted, other].map(|order| order["proposal"]["verifiedDeal"].as_bool().expect("a flag"))
}
