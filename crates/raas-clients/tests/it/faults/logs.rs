//! The contract's events behind endpoints that leave some out.

use super::{before, error, is};
use crate::server::Say;
use crate::support::{Net, control, endpoint, pool};
use raas_clients::evm::DealStatus;
use raas_clients::rpc::Pool;
use raas_core::ids::JobId;
use raas_core::observation::NotSeen;
use raas_core::ports::{Contract as _, TxIntent, Witness};
use raas_core::units::Epoch;
use serde_json::{Value, json};

/// A contract with one request and one completion.
async fn followed(net: &mut Net) -> (DealStatus, Epoch) {
    let from = net.round().await.head;
    let contract = net.deploy().await;
    let submit = TxIntent::Submit { job: JobId(1), cid: vec![1], target: 1, repair: 2_880, renew: 2_880 };
    assert!(net.execute(&submit).await.success);
    net.advance(30).await;
    (contract, from)
}

fn no_logs(call: &Value) -> Say {
    if is(call, "eth_getLogs") { Say::Own(json!({"result": []})) } else { Say::Pass }
}

fn no_logs_and_no_receipts(call: &Value) -> Say {
    if is(call, "eth_getBlockReceipts") { Say::Own(json!({"result": []})) } else { no_logs(call) }
}

fn no_logs_and_no_state(call: &Value) -> Say {
    if is(call, "Filecoin.StateGetActor") { error(-32601, "method not found") } else { no_logs(call) }
}

fn nothing_to_check_by(call: &Value) -> Say {
    if is(call, "eth_getBlockReceipts") {
        error(-32601, "method not found")
    } else {
        no_logs_and_no_state(call)
    }
}

#[tokio::test]
async fn fault_05_empty_logs_for_a_block_with_logs_are_found_out() {
    let mut net = Net::funded().await;
    let (contract, from) = followed(&mut net).await;
    let round = net.round().await;
    let to = round.eth_block;
    let whole = contract.window(&round, from, to).await.expect("a window");
    assert_eq!((whole.requests.len(), whole.witness), (1, Witness::State));
    let at = |pool: &Pool| DealStatus::new(pool.clone(), contract.address());

    // Alone: the state says that something happened, the receipts say what.
    let alone = before(&net, no_logs).await;
    let window = at(&pool(std::slice::from_ref(&alone), 1)).window(&round, from, to).await.expect("a window");
    assert_eq!(window, whole);
    // Without state, the receipts of every block.
    let stateless = before(&net, no_logs_and_no_state).await;
    let window = at(&pool(&[stateless], 1)).window(&round, from, to).await.expect("a window");
    assert_eq!((window.requests, window.witness), (whole.requests.clone(), Witness::Receipts));
    // Without both nothing vouches for it, so that the cursor stays.
    let bare = before(&net, nothing_to_check_by).await;
    let window = at(&pool(&[bare], 1)).window(&round, from, to).await.expect("a window");
    assert_eq!((window.requests.len(), window.witness), (0, Witness::None));
    // With receipts that hide it too, the change is told, and the count finds the request.
    let liar = before(&net, no_logs_and_no_receipts).await;
    let window = at(&pool(&[liar], 1)).window(&round, from, to).await.expect("a window");
    assert_eq!(window.unexplained.len(), 2, "the deployment and the request: {window:?}");
    assert_eq!((window.requests.len(), window.request_count), (0, Some(1)));

    // Beside an honest one: what one tells and the other's receipts have counts twice.
    let ends = [alone, endpoint(&net.devnet)];
    for wanted in [1, 2] {
        let window = at(&pool(&ends, wanted)).window(&round, from, to).await.expect("a window");
        assert_eq!((&window.requests, window.witness), (&whole.requests, Witness::Endpoints(2)), "{wanted}");
    }
    // One that hides its receipts too is not outvoted where both are wanted: nothing is concluded.
    let ends = [before(&net, no_logs_and_no_receipts).await, endpoint(&net.devnet)];
    let window = at(&pool(&ends, 2)).window(&round, from, to).await;
    assert_eq!(window, Err(NotSeen::Contradiction));
}

/// Logs of more than 300 blocks are too many, and the last log of each answer is left out without a word.
fn truncating(call: &Value) -> Say {
    fn all_but_one(result: Value) -> Value {
        let Value::Array(mut logs) = result else { return result };
        logs.pop();
        Value::Array(logs)
    }
    if !is(call, "eth_getLogs") {
        return Say::Pass;
    }
    let number = |value: &Value| {
        value
            .as_str()
            .and_then(|text| i64::from_str_radix(text.trim_start_matches("0x"), 16).ok())
            .unwrap_or(0)
    };
    let filter = &call["params"][0];
    if number(&filter["toBlock"]) - number(&filter["fromBlock"]) > 300 {
        return error(-32005, "block range exceeds maximum of 300 (got more)");
    }
    Say::Changed(all_but_one)
}

#[tokio::test]
async fn fault_38_a_narrow_or_truncating_endpoint_leaves_nothing_out() {
    let mut net = Net::funded().await;
    let (contract, from) = followed(&mut net).await;
    for cid in [2, 3] {
        let submit =
            TxIntent::Submit { job: JobId(1), cid: vec![cid], target: 1, repair: 2_880, renew: 2_880 };
        assert!(net.execute(&submit).await.success);
        net.advance(700).await;
    }
    let round = net.round().await;
    let whole = contract.window(&round, from, round.eth_block).await.expect("a window");
    assert_eq!(whole.requests.len(), 3);
    let end = before(&net, truncating).await;
    let narrow = DealStatus::new(pool(&[end], 1), contract.address());
    let window = narrow.window(&round, from, round.eth_block).await.expect("a window");
    assert_eq!((&window.requests, window.request_count), (&whole.requests, Some(3)));
    // One that finds every range too wide holds up nobody.
    let never = before(&net, |call| {
        if is(call, "eth_getLogs") {
            error(-32005, "block range exceeds maximum of 0 (got 1)")
        } else {
            Say::Pass
        }
    })
    .await;
    let both = DealStatus::new(pool(&[never, endpoint(&net.devnet)], 1), contract.address());
    let window = both.window(&round, from, round.eth_block).await.expect("a window");
    assert_eq!((window.requests, window.witness), (whole.requests, Witness::State));
}

#[tokio::test]
async fn fault_39_null_rounds_at_the_edges_of_a_range_are_passed_over() {
    let mut net = Net::funded().await;
    let (contract, from) = followed(&mut net).await;
    control(&net.pool, "devnet_nullRounds", json!([4])).await;
    net.advance(60).await;
    let round = net.round().await;
    let whole = contract.window(&round, from, round.eth_block).await.expect("a window");
    assert_eq!(whole.requests.len(), 1);
    // Every edge, the four null heights among them: no window fails and none loses or doubles a request.
    let mut met = 0;
    for edge in from.0..round.eth_block.0 {
        let edge = Epoch(edge);
        let (low, high) = (
            contract.window(&round, from, edge).await.expect("up to the edge"),
            contract.window(&round, Epoch(edge.0 + 1), round.eth_block).await.expect("from the edge"),
        );
        assert_eq!(low.requests.len() + high.requests.len(), 1, "{edge}");
        met += low.requests.len();
    }
    assert!(met > 0);
}
