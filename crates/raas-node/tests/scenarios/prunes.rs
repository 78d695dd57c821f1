//! A list of the contract that is full of deals that are over stands in nobody's way.

use crate::harness::{Foreign, Scene, Setting, small};
use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use raas_clients::evm::DealStatusAbi as Abi;
use raas_core::cid::DataCid;
use raas_node::config::DeploymentSection;
use std::collections::BTreeSet;

/// What our contract lists for one CID at most.
const FULL: u64 = 64;

async fn listed(scene: &Scene, contract: &str, cid: &str) -> BTreeSet<u64> {
    let data: DataCid = cid.parse().expect("a CID");
    let call = Abi::dealsOfCall { cids: vec![Bytes::from(data.cid().to_bytes())] };
    let lists = scene.eth_call_at(contract, &call).await;
    lists.iter().flatten().map(|deal| deal.dealId).collect()
}

/// What fills the list.
#[derive(Clone, Copy)]
enum Filled {
    Deals,
    Sectors,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_list_of_ended_deals_is_pruned_and_the_nodes_own_deals_are_shown() {
    is_pruned(Filled::Deals).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_list_of_pieces_in_dead_sectors_is_pruned_too() {
    is_pruned(Filled::Sectors).await;
}

/// The list fills up while the node's own deals are on their way, so that the node finds out by the contract's refusal.
async fn is_pruned(with: Filled) {
    let mut scene = Setting::new().devnet_only().await;
    let other = Foreign::arrive(&scene, 11).await;
    let (contract, from_block) = other.deploy_for_node(&scene).await;
    other.grant_aggregator(&scene, contract, other.wallet.eth_address()).await;
    let address = contract.to_string();
    scene.config.deployments = vec![DeploymentSection {
        address: address.clone(),
        from_block,
        skip_to_block: None,
        abi: "raas".to_owned(),
    }];
    scene.start_node().await;
    let (cid, piece) = scene.upload_only(small(70)).await;
    let user = Foreign::arrive(&scene, 12).await;
    user.submit(&address, &cid, 2, 2_880, 86_400).await;
    scene.advance(2).await;
    // Somebody else's, for the same CID, and closed again: the deals stay listed.
    other.submit(&address, &cid, 1, 2_880, 86_400).await;
    scene.advance(2).await;
    scene
        .until("the node has orders on their way", 2_880, async || {
            scene.ledger().await.proposals().len() >= 2
        })
        .await;
    match with {
        Filled::Deals => other.completes_with_bulk(&scene, &address, 2, FULL).await,
        Filled::Sectors => other.completes_with_sectors(&scene, &address, 2, FULL).await,
    }
    other.cancels(&scene, &address, 2).await;
    assert_eq!(listed(&scene, &address, &cid).await.len(), FULL as usize, "full");

    scene.until_proven(&cid, &piece, 2).await;
    let own: BTreeSet<u64> = scene.ledger().await.deals(&piece).into_keys().collect();
    let shown = async || {
        let all = scene.ledger().await.completions(&address);
        all.into_iter().filter(|(request, _)| *request == 1).map(|(_, deal)| deal).collect::<BTreeSet<_>>()
    };
    scene.until("the node's deals are shown", 2_880, async || own.is_subset(&shown().await)).await;
    scene.until_idle().await;

    assert_eq!(shown().await, own, "each, and nothing else");
    assert_eq!(listed(&scene, &address, &cid).await, own, "what is over is off the list");
    let ledger = scene.ledger().await;
    let pruned = ledger.calls(&hex::encode(Abi::pruneDealsCall::SELECTOR));
    assert!(matches!(pruned[..], [(_, true)]), "once: {pruned:?}");
    // Nothing is done again, and no deal of strangers became a copy.
    let before = ledger.acts();
    scene.pass(5_000).await;
    assert_eq!(scene.ledger().await.acts(), before, "at rest");
    assert_eq!(shown().await, own);
    assert_eq!(scene.standing(&cid).await["proven"], 2);
    let why = scene.why(&cid).await;
    let adopted = why["seen_on_contract"].as_array().expect("deals").iter();
    let adopted: BTreeSet<u64> =
        adopted.filter(|seen| seen["state"] == "adopted").filter_map(|seen| seen["deal"].as_u64()).collect();
    assert!(adopted.is_subset(&own), "{adopted:?}");
    scene.end().await;
}
