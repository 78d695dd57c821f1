//! The checked-in DealStatus on the devnet.

use crate::server::{Say, gateway, proxy};
use crate::support::{Net, PROVIDER, done, pool};
use alloy_primitives::U256;
use alloy_sol_types::SolCall;
use raas_clients::evm::{AbiKind, DealStatus, DealStatusAbi as Abi, Policy};
use raas_clients::rpc::EndpointConfig;
use raas_core::ids::{DealId, JobId, OwnerId, RequestId};
use raas_core::ports::{Asked, Broadcast, Contract, DealList, Effect, Lane, TxIntent, Wallet, Witness};
use raas_core::units::{Epoch, PaddedSize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn requests_and_completions_are_read_as_they_were_made() {
    let mut net = Net::funded().await;
    let from = net.round().await.head;
    let contract = net.deploy().await;
    assert!(contract.code_hash().await.expect("an answer").is_some());
    let nothing = DealStatus::new(net.pool.clone(), [0x11; 20].into());
    assert_eq!(nothing.code_hash().await, Ok(None));

    let (stored, deal, _) = net.active_deal().await;
    let cid = stored.terms.root.cid().to_bytes();
    let submit =
        |target| TxIntent::Submit { job: JobId(1), cid: cid.clone(), target, repair: 2_880, renew: 86_400 };
    let nonce = net.wallet.chain_nonce(Lane::Evm).await.expect("a nonce");
    let tx = done(net.wallet.prepare(&submit(3), nonce, None).await);
    // The answer is lost on the way; the same bytes again show that they arrived.
    net.set_rpc("dropReply", Some("eth_sendRawTransaction"), Some(1)).await;
    assert!(matches!(net.wallet.broadcast(Lane::Evm, &tx).await, Broadcast::Uncertain(_)));
    assert_eq!(net.wallet.broadcast(Lane::Evm, &tx).await, Broadcast::AlreadyKnown);
    net.advance(3).await;
    let inclusion = net.wallet.included(Lane::Evm, &tx.hash).await.expect("an answer").expect("executed");
    assert!(inclusion.success);
    assert_eq!(net.wallet.broadcast(Lane::Evm, &tx).await, Broadcast::NonceTooLow);
    assert_eq!(net.wallet.chain_nonce(Lane::Evm).await, Ok(nonce + 1));

    let complete = TxIntent::Complete {
        contract: None,
        request: RequestId(1),
        market: None,
        deal,
        provider: PROVIDER,
        piece: stored.terms.piece,
        size: stored.terms.size,
        within: None,
        proof: Vec::new(),
    };
    assert!(net.execute(&complete).await.success);
    net.advance(30).await;
    let round = net.round().await;
    let to = round.eth_block;
    let window = contract.window(&round, from, to).await.expect("a window");
    assert_eq!((window.request_count, window.witness), (Some(1), Witness::State));
    assert_eq!(window.unexplained, [], "the log of each change is there");
    let [request] = window.requests.as_slice() else { panic!("{window:?}") };
    assert_eq!((request.request, &request.cid), (RequestId(1), &cid));
    assert_eq!(request.asked, Asked::Policy([3, 2_880, 86_400]));
    assert_eq!(request.transaction, tx.hash);
    assert_eq!(request.block, inclusion.block);
    assert_eq!(request.owner, OwnerId(format!("0x{}", hex::encode(net.wallet.eth_address()))));
    let [completion] = window.completions.as_slice() else { panic!("{window:?}") };
    assert_eq!((completion.request, completion.deal), (RequestId(1), deal));

    assert_eq!(contract.deals_of(&cid, to).await, Ok(vec![(deal, PROVIDER)]));
    // Many lists are one call.
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let counting = proxy(
        net.devnet.rpc_url(),
        Arc::new(move |call: &Value| {
            counted.fetch_add(usize::from(call["method"] == "eth_call"), Ordering::SeqCst);
            Say::Pass
        }),
    )
    .await;
    let counting = EndpointConfig::new(counting.parse().expect("a URL"));
    let behind = DealStatus::new(pool(&[counting], 1), contract.address());
    let cids = [vec![7; 36], cid.clone(), vec![8; 36]];
    let told = vec![(deal, PROVIDER)];
    let lists = [vec![], told.clone(), vec![]].map(|list| Ok(DealList::from(list)));
    assert_eq!(behind.deals_of_each(&cids, to).await, lists);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(contract.active_deals(&cid).await, Ok(vec![(deal, PROVIDER)]));
    assert_eq!(contract.expiring_deals(&cid, 10).await, Ok(vec![]));
    assert_eq!(contract.expiring_deals(&cid, 600_000).await, Ok(vec![(deal, PROVIDER)]));
    let before = Epoch(inclusion.block.0 - 1);
    assert_eq!(contract.deals_of(&cid, before).await, Ok(vec![]), "views are read at their block");
    assert_eq!(contract.request_count(before).await, Ok(Some(0)));

    // Logs that the index leaves out are found by the state and in the receipts.
    net.set_rpc("emptyLogs", Some("eth_getLogs"), None).await;
    assert_eq!(contract.window(&round, from, to).await.expect("a window"), window);
    net.set_rpc("normal", None, None).await;
    // More than one query, and not yet executed blocks.
    let wide = contract.window(&round, Epoch(to.0 - 4_500), to).await.expect("a window");
    assert_eq!(wide.requests, window.requests);
    assert!(contract.window(&round, from, Epoch(to.0 + 100_000)).await.is_err());
    // The views tell the request as its event did, but for its transaction.
    let viewed = contract.requests_by_view(RequestId(1), RequestId(1), to).await.expect("an answer");
    let [viewed] = viewed.as_deref().expect("views") else { panic!("one") };
    assert_eq!((&viewed.cid, &viewed.owner, viewed.asked), (&request.cid, &request.owner, request.asked));
    assert_eq!(viewed.transaction, "");
    assert_eq!(contract.requests_by_view(RequestId(9), RequestId(9), to).await, Ok(None));
}

#[tokio::test]
async fn a_refusal_of_the_contract_is_told_before_anything_is_signed() {
    let mut net = Net::funded().await;
    let submit = TxIntent::Submit { job: JobId(1), cid: vec![1], target: 0, repair: 1, renew: 1 };
    assert!(matches!(net.wallet.prepare(&submit, 0, None).await, Effect::Failed(_)), "no contract yet");
    net.deploy().await;
    match net.wallet.prepare(&submit, 1, None).await {
        Effect::Failed(reason) => assert!(reason.contains("InvalidTarget"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// A contract that behaves as the reference was found to (contracts/test/reference): it is recognised, its requests
/// are read though it has no count, and a piece that is a whole deal is not sent to it.
#[tokio::test]
async fn a_reference_deployment_is_read_without_trust() {
    let mut net = Net::funded().await;
    let from = net.round().await.head;
    let code = include_str!("../vectors/reference-behaviour.hex").trim().parse().expect("hex");
    let address = net.create(code).await;
    let contract = DealStatus::new(net.pool.clone(), address);
    assert_eq!(contract.kind().await, Ok(AbiKind::Reference));
    net.wallet = net.wallet.clone().with_contracts(vec![(address, AbiKind::Reference)]);
    let submit = |cid: u8| TxIntent::Submit {
        job: JobId(1),
        cid: vec![cid; 3],
        target: 1,
        repair: 2_880,
        renew: 2_880,
    };
    for cid in [1, 2, 1] {
        assert!(net.execute(&submit(cid)).await.success);
    }
    let complete = TxIntent::Complete {
        contract: None,
        request: RequestId(1),
        market: None,
        deal: DealId(5),
        provider: PROVIDER,
        piece: "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq".parse().expect("a piece"),
        size: PaddedSize::new(1 << 20).expect("a size"),
        within: None,
        proof: Vec::new(),
    };
    match net.wallet.prepare(&complete, 9, None).await {
        Effect::Failed(why) => assert!(why.contains("aggregate"), "{why}"),
        other => panic!("{other:?}"),
    }
    net.advance(30).await;
    let round = net.round().await;
    let to = round.eth_block;
    let window = contract.window(&round, from, to).await.expect("a window");
    let cids: Vec<&[u8]> = window.requests.iter().map(|seen| seen.cid.as_slice()).collect();
    assert_eq!(cids, [[1; 3], [2; 3], [1; 3]]);
    assert_eq!(window.request_count, None);
    assert_eq!(
        contract.cids_by_request(to).await,
        Ok(Some([1, 2, 1].map(|cid| vec![cid; 3]).to_vec())),
        "each request's CID, in order, also without its event"
    );
    assert_eq!(contract.deals_of(&[1; 3], to).await, Ok(vec![]));
    let each = contract.deals_of_each(&[vec![1; 3], vec![2; 3]], to).await;
    assert_eq!(
        each,
        [Ok(DealList::default()), Ok(DealList::default())],
        "which has no such view: each for itself"
    );
    // Ours is told from it.
    let ours = net.deploy().await;
    assert_eq!(ours.kind().await, Ok(AbiKind::Raas));
}

/// What an owner changes or closes is read as it stands.
#[tokio::test]
async fn changed_and_closed_requests_are_read_as_they_stand() {
    let mut net = Net::funded().await;
    let from = net.round().await.head;
    let contract = net.deploy().await;
    let submit = TxIntent::Submit { job: JobId(1), cid: vec![1; 3], target: 3, repair: 10, renew: 20 };
    for _ in 0..2 {
        assert!(net.execute(&submit).await.success);
    }
    let policy = Policy { target: 5, repairThreshold: 30, renewThreshold: 40, endsAt: 9_000_000 };
    net.calls(contract.address(), Abi::updateRequestCall { id: U256::from(1), policy }.abi_encode()).await;
    net.calls(contract.address(), Abi::cancelRequestCall { id: U256::from(2) }.abi_encode()).await;
    net.advance(30).await;
    let round = net.round().await;
    let to = round.eth_block;
    let window = contract.window(&round, from, to).await.expect("a window");
    assert_eq!(window.requests.len(), 2);
    let [changed, closed] = window.standing.as_slice() else { panic!("{window:?}") };
    assert_eq!((changed.request, changed.raas), (RequestId(1), Some([5, 30, 40])));
    assert_eq!((changed.ends_at, changed.open), (Some(Epoch(9_000_000)), true));
    assert_eq!((closed.request, closed.open), (RequestId(2), false));
}

/// Logs of more than 300 blocks are too many; a view at an odd block is a null round; owners are not told.
fn narrow(call: &Value) -> Option<Value> {
    let number = |value: &Value| {
        value.as_str().and_then(|text| i64::from_str_radix(text.trim_start_matches("0x"), 16).ok())
    };
    match call["method"].as_str()? {
        "eth_getLogs" => {
            let filter = &call["params"][0];
            let width = number(&filter["toBlock"])? - number(&filter["fromBlock"])?;
            let message = "filter matches too many events, try a more restricted filter";
            (width > 300).then(|| json!({"error": {"code": 1, "message": message}}))
        }
        "eth_call" => number(&call["params"][1]).filter(|block| block % 2 == 1).map(|block| {
            let message = format!("requested epoch was a null round ({block})");
            json!({"error": {"code": 12, "message": message, "data": block}})
        }),
        _ => None,
    }
}

#[tokio::test]
async fn a_narrow_endpoint_is_asked_for_less_at_a_time() {
    let mut net = Net::funded().await;
    let from = net.round().await.head;
    let contract = net.deploy().await;
    let submit =
        |cid: u8| TxIntent::Submit { job: JobId(1), cid: vec![cid], target: 1, repair: 2_880, renew: 2_880 };
    for cid in [1, 2] {
        assert!(net.execute(&submit(cid)).await.success);
        net.advance(900).await;
    }
    let url = gateway(net.devnet.rpc_url(), narrow).await;
    let narrow = pool(&[EndpointConfig::new(url.parse().expect("a URL"))], 1);
    let narrow = DealStatus::new(narrow, contract.address());
    let round = net.round().await;
    let to = round.eth_block;
    for to in [to, Epoch(to.0 - 1)] {
        let window = narrow.window(&round, from, to).await.expect("a window");
        assert_eq!(window, contract.window(&round, from, to).await.expect("a window"));
        assert_eq!((window.requests.len(), window.request_count), (2, Some(2)));
    }
}
