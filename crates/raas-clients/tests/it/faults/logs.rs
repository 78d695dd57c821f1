//! The contract's events behind endpoints that leave some out.

use super::{before, config, error, is};
use crate::server::Say;
use crate::support::{Net, control, endpoint, pool};
use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolEvent as _;
use raas_clients::evm::{DealStatus, DealStatusAbi};
use raas_clients::rpc::{Call, CallError, Pool};
use raas_core::ids::JobId;
use raas_core::observation::{NotSeen, Round};
use raas_core::ports::{Chain as _, Contract as _, TxIntent, Witness};
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

/// Every way to cut a span in two, the null heights among them: nothing fails, is lost or told twice.
async fn cut_everywhere(contract: &DealStatus, round: &Round, from: Epoch) {
    let (mut low, mut high) = (0, 0);
    for edge in from.0..round.eth_block.0 {
        let before = contract.window(round, from, Epoch(edge)).await.expect("up to the edge");
        let behind = contract.window(round, Epoch(edge + 1), round.eth_block).await.expect("from the edge");
        assert_eq!(before.requests.len() + behind.requests.len(), 1, "{edge}");
        low += before.requests.len();
        high += behind.requests.len();
    }
    assert!(low > 0 && high > 0, "edges on both sides of the request");
}

/// The request's own tipset has null rounds before and behind it.
async fn between_nulls(net: &mut Net) -> (DealStatus, Epoch) {
    let contract = net.deploy().await;
    net.advance(30).await;
    let from = net.round().await.head;
    control(&net.pool, "devnet_nullRounds", json!([3])).await;
    net.advance(3).await;
    let submit = TxIntent::Submit { job: JobId(1), cid: vec![1], target: 1, repair: 2_880, renew: 2_880 };
    assert!(net.execute(&submit).await.success);
    control(&net.pool, "devnet_nullRounds", json!([3])).await;
    net.advance(40).await;
    (contract, from)
}

#[tokio::test]
async fn fault_39_a_node_that_tells_the_block_before_for_a_null_round_doubles_nothing() {
    let mut net = Net::funded().await;
    let (contract, from) = between_nulls(&mut net).await;
    let round = net.round().await;
    // As Forest did: no error 12, but the tipset before.
    let fault = json!([{ "mode": "nullRoundAsPrevious" }]);
    control(&net.pool, "devnet_setEndpoint", json!(["old", { "faults": fault }])).await;
    let old = config(&format!("{}/old", net.devnet.rpc_url()));
    let by_state = DealStatus::new(pool(std::slice::from_ref(&old), 1), contract.address());
    cut_everywhere(&by_state, &round, from).await;
    // Without state its receipts are read block by block, the same ones three times and more.
    let faults = json!([{ "mode": "nullRoundAsPrevious" }, { "mode": "unsupported", "method": "Filecoin.StateGetActor" }]);
    control(&net.pool, "devnet_setEndpoint", json!(["older", { "faults": faults }])).await;
    let older = config(&format!("{}/older", net.devnet.rpc_url()));
    let by_receipts = DealStatus::new(pool(std::slice::from_ref(&older), 1), contract.address());
    let window = by_receipts.window(&round, from, round.eth_block).await.expect("a window");
    assert_eq!((window.requests.len(), window.witness), (1, Witness::Receipts));
    cut_everywhere(&by_receipts, &round, from).await;
    // Beside one that says it as it is.
    let both = DealStatus::new(pool(&[old, endpoint(&net.devnet)], 2), contract.address());
    cut_everywhere(&both, &round, from).await;
}

#[tokio::test]
async fn fault_39_a_null_round_as_latest_is_passed_over_and_reading_goes_on() {
    let mut net = Net::funded().await;
    let (contract, from) = between_nulls(&mut net).await;
    let before_nulls = net.round().await;
    // The newest rounds are null: the head stands, and the tags name no block.
    control(&net.pool, "devnet_nullRounds", json!([4])).await;
    net.advance(4).await;
    let tagless = before(&net, |call| {
        let tag = call["params"][0].as_str().is_some_and(|block| !block.starts_with("0x"));
        if is(call, "eth_getBlockByNumber") && tag { Say::Own(json!({"result": null})) } else { Say::Pass }
    })
    .await;
    let look = super::look(&net).await;
    for end in [endpoint(&net.devnet), tagless] {
        let only = pool(&[end], 1);
        let chain = super::chain_of(&only);
        let round = chain.pin(&look).await.expect("a head that is four epochs old will do").round;
        assert!(round.height >= before_nulls.height && round.eth_block < round.height, "{round:?}");
        let contract = DealStatus::new(only, contract.address());
        let window = contract.window(&round, from, round.eth_block).await.expect("a window");
        assert_eq!(window.requests.len(), 1);
    }
    net.advance(30).await;
    let later = net.round().await;
    assert!(later.eth_block > before_nulls.eth_block);
    assert_eq!(contract.window(&later, from, later.eth_block).await.expect("a window").requests.len(), 1);
}

/// A contract that tells n completions when it is called with the number n in one word, each with the next id, and
/// reverts at everything else.
fn chatty() -> Bytes {
    let topic = hex::encode(DealStatusAbi::CompleteAggregatorRequest::SIGNATURE_HASH);
    let code = format!(
        "3660201460\
         0b57600080fd5b60003560005\
         45b8115604c5780807f{topic}60006000a3600101\
         90600190039060125\
         65b60005500"
    );
    assert_eq!(code.len(), 2 * 0x51);
    format!("6051600c60003960516000f3{code}").parse().expect("hex")
}

#[tokio::test]
async fn fault_38_more_than_2880_epochs_and_10000_logs_are_all_read_once() {
    const CALLS: u64 = 11;
    const EACH: u64 = 1_000;
    let net = Net::funded().await;
    let from = net.round().await.head;
    let address = net.create(chatty()).await;
    let say = async |count: u64| net.calls(address, U256::from(count).to_be_bytes_vec()).await;
    for _ in 0..CALLS {
        say(EACH).await;
    }
    net.advance(2_900).await;
    say(10).await;
    net.advance(60).await;
    let round = net.round().await;
    let to = round.eth_block;
    assert!(to.0 - from.0 > 2_880);
    // An endpoint refuses so wide a range, and so many results in a narrower one.
    for (first, last, words) in [(from.0, to.0, "range exceeds"), (from.0, from.0 + 1_000, "too many events")]
    {
        let filter = json!({ "fromBlock": format!("{first:#x}"), "toBlock": format!("{last:#x}"), "address": address });
        let refused: Result<Value, CallError> = net.pool.read(Call::new("eth_getLogs", vec![filter])).await;
        assert!(matches!(&refused, Err(CallError::TooMuch(text)) if text.contains(words)), "{refused:?}");
    }
    // Older ones leave out what is over their limit without a word, and some over a limit that nobody knows.
    let unlimited = |keep: u64| {
        json!({
            "logRange": 1_000_000, "logResults": 1_000_000,
            "faults": [{ "mode": "truncateLogs", "method": "eth_getLogs", "keep": keep }],
        })
    };
    control(&net.pool, "devnet_setEndpoint", json!(["older", unlimited(10_000)])).await;
    control(&net.pool, "devnet_setEndpoint", json!(["odd", unlimited(700)])).await;
    let named = |name: &str| config(&format!("{}/{name}", net.devnet.rpc_url()));
    for end in [endpoint(&net.devnet), named("older"), named("odd")] {
        let contract = DealStatus::new(pool(&[end], 1), address);
        let window = contract.window(&round, from, to).await.expect("a window");
        let told: Vec<u64> = window.completions.iter().map(|seen| seen.deal.0).collect();
        assert_eq!(told, Vec::from_iter(0..CALLS * EACH + 10), "each once and in order");
        assert_ne!(window.witness, Witness::None);
    }
}
