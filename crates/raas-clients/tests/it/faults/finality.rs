//! Heads that fall, chains that stand still, upgrades.

use super::{before, chain_of, error, is, look, true_epoch};
use crate::server::Say;
use crate::support::{Net, PROVIDER, control, endpoint, pool};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest as _};
use cid::Cid;
use cid::multihash::Multihash;
use raas_clients::rpc::Call;
use raas_core::endpoint::{Alarm, alarms};
use raas_core::gate::{self, Hold};
use raas_core::observation::{DealSeen, LivesSeen, NotSeen, ProviderSeen, SectorSeen};
use raas_core::ports::{Chain as _, Look};
use raas_core::units::Epoch;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn fault_40_a_head_that_falls_is_followed_and_finality_that_changes_is_held() {
    let net = Net::start().await;
    let first = net.round().await;
    net.advance(40).await;
    let second = net.round().await;
    let at = |round: &raas_core::observation::Round| Some((round.tipset.clone(), round.height));
    // On: what is final now holds what was.
    let on = Look { expected: None, last: at(&first) };
    assert_eq!(net.chain.pin(&on).await.expect("a pin").round, second);
    // Back: the same chain, not as far.
    let later = Net::start().await;
    later.advance(80).await;
    let beyond = later.round().await;
    let back = Look { expected: None, last: at(&beyond) };
    let behind = Hold::Behind { finalized: second.height, seen: beyond.height };
    assert_eq!(net.chain.pin(&back).await, Err(behind));
    // The head fell by two, and finality with it: what was final stays so.
    control(&net.pool, "devnet_reorg", json!([4, { "missing": 2 }])).await;
    let fell = Look { expected: None, last: at(&second) };
    let stays = net.chain.pin(&fell).await.expect("a pin").round;
    assert_eq!((&stays.tipset, stays.eth_block), (&second.tipset, second.eth_block));
    assert!(stays.head < second.head);
    net.advance(3).await;
    let second = net.round().await;
    // Another tipset at a height that was final: nothing goes on until an admin looked.
    let lost = ("bafy2bzacednothere".to_owned(), first.height);
    let rewritten = Look { expected: None, last: Some(lost) };
    assert_eq!(net.chain.pin(&rewritten).await, Err(Hold::Rewritten { height: first.height }));
    let same = Look { expected: None, last: Some(("bafy2bzacednothere".to_owned(), second.height)) };
    assert_eq!(net.chain.pin(&same).await, Err(Hold::Rewritten { height: second.height }), "fault 11, too");
}

#[tokio::test]
async fn fault_41_a_chain_that_stands_still_is_told_from_an_endpoint_that_does() {
    let net = Net::start().await;
    let head = net.round().await.head;
    let ends = [before(&net, |_| Say::Pass).await, endpoint(&net.devnet)];
    control(&net.pool, "devnet_nullRounds", json!([840])).await;
    net.advance(840).await;
    let look = look(&net).await;
    let expected = look.expected.expect("set");
    let both = chain_of(&pool(&ends, 2));
    assert_eq!(both.pin(&look).await, Err(Hold::ChainStalled { head, expected }));
    let alone = net.chain.pin(&look).await;
    assert_eq!(alone, Err(Hold::HeadOld { head, expected }), "one alone cannot know");
    net.advance(1).await;
    let on = both.pin(&self::look(&net).await).await.expect("it goes on by itself");
    assert!(on.round.head > head);
    // The clock of faults is the finalized height, which stood still too.
    assert!(on.round.height <= head);
}

#[tokio::test]
async fn fault_41_finality_that_stands_still_is_said_and_then_holds() {
    let net = Net::start().await;
    let stuck: Value =
        net.pool.read(Call::new("Filecoin.ChainGetFinalizedTipSet", vec![])).await.expect("a tipset");
    let height = Epoch(stuck["Height"].as_i64().expect("a height"));
    let end = before(&net, move |call| match call["method"].as_str() {
        Some("Filecoin.ChainGetFinalizedTipSet") => Say::Own(json!({"result": stuck})),
        Some("eth_getBlockByNumber") => error(1, "no such tag here"),
        _ => Say::Pass,
    })
    .await;
    let chain = chain_of(&pool(&[end], 1));
    net.advance(100).await;
    let pin = chain.pin(&look(&net).await).await.expect("a pin");
    let judged = |pin: &raas_core::ports::Pin, now| {
        gate::judge(pin.round.head, pin.round.height, now, pin.round.agreed, pin.wanted)
    };
    assert_eq!(judged(&pin, true_epoch(&net).await), None, "slow is no reason to stop");
    let alarm = alarms(&chain.endpoints(), 2);
    assert!(
        alarm.iter().any(|alarm| matches!(alarm, Alarm::FinalityLags { epochs, .. } if *epochs > 60)),
        "{alarm:?}"
    );
    net.advance(1_000).await;
    let pin = chain.pin(&look(&net).await).await.expect("a pin");
    let head = pin.round.head;
    assert_eq!(judged(&pin, true_epoch(&net).await), Some(Hold::FinalityStalled { finalized: height, head }));
}

#[tokio::test]
async fn fault_42_an_upgrade_epoch_is_a_state_of_its_own_and_passes() {
    let net = Net::funded().await;
    let (_, deal, _) = net.active_deal().await;
    let round = net.round().await;
    let upgrading = Arc::new(AtomicBool::new(true));
    let forks = upgrading.clone();
    let end = before(&net, move |call| {
        let explicit = is(call, "Filecoin.StateCall") || is(call, "Filecoin.StateMarketStorageDeal");
        if explicit && forks.load(Ordering::SeqCst) {
            let text =
                "required historical state unavailable: refusing explicit call due to state fork at epoch 7";
            return error(-32002, text);
        }
        Say::Pass
    })
    .await;
    let chain = chain_of(&pool(&[end], 1));
    assert_eq!(chain.pin(&Look::default()).await, Err(Hold::Upgrade { epoch: round.height }));
    assert_eq!(
        chain.deals(&round, &[deal]).await,
        [DealSeen::NotSeen(NotSeen::MissingState)],
        "never a loss"
    );
    net.advance(1).await;
    upgrading.store(false, Ordering::SeqCst);
    let next = chain.pin(&Look::default()).await.expect("the next tipset will do");
    assert!(next.round.height > round.height);
    assert!(matches!(chain.deals(&next.round, &[deal]).await.as_slice(), [DealSeen::Present(_)]));
}

/// After an upgrade actors have other codes, and their states may have another shape. The codes are nobody's business;
/// a shape that is not known says nothing.
#[tokio::test]
async fn fault_42_unknown_actor_codes_change_nothing_and_unknown_states_are_unknown() {
    let net = Net::funded().await;
    let (_, deal, sector) = net.active_deal().await;
    let round = net.round().await;
    let recoded = before(&net, |call| {
        fn another(mut actor: Value) -> Value {
            actor["Code"] = json!({"/": "bafk2bzaceunknownunknownunknownunknown"});
            actor
        }
        if is(call, "Filecoin.StateGetActor") { Say::Changed(another) } else { Say::Pass }
    })
    .await;
    let chain = chain_of(&pool(&[recoded], 1));
    assert!(matches!(chain.deals(&round, &[deal]).await.as_slice(), [DealSeen::Present(_)]));
    assert_eq!(chain.sectors(&round, PROVIDER, &[sector]).await, [SectorSeen::Live]);
    assert_eq!(chain.lives(&round, PROVIDER, &[sector]).await, LivesSeen::All);

    // The endpoint itself does not know the new code.
    let ignorant = before(&net, |call| {
        let state = ["StateCall", "StateMarketStorageDeal", "StateMiner", "StateSector"];
        if state.iter().any(|name| call["method"].as_str().is_some_and(|method| method.contains(name))) {
            return error(1, "failed to load market actor: unknown actor code bafk2bzaceunknown");
        }
        Say::Pass
    })
    .await;
    let chain = chain_of(&pool(&[ignorant], 1));
    assert!(matches!(chain.deals(&round, &[deal]).await.as_slice(), [DealSeen::NotSeen(_)]));
    assert!(matches!(chain.sectors(&round, PROVIDER, &[sector]).await[..], [SectorSeen::NotSeen(_)]));
    assert!(matches!(chain.provider_seen(&round, PROVIDER, &[sector], &[]).await, ProviderSeen::NotSeen(_)));
    assert!(matches!(chain.lives(&round, PROVIDER, &[sector]).await, LivesSeen::NotSeen(_)));

    // A market that answers in another shape, and a miner whose state has one.
    let state = serde_ipld_dagcbor::to_vec(&vec![1_u64, 2, 3]).expect("CBOR");
    let digest: [u8; 32] = Blake2b::<U32>::digest(&state).into();
    let name = Cid::new_v1(0x71, Multihash::wrap(0xb220, &digest).expect("a hash")).to_string();
    let block = BASE64.encode(&state);
    let reshaped = before(&net, move |call| {
        fn another(mut answer: Value) -> Value {
            answer["MsgRct"]["Return"] = json!(BASE64.encode([0x84, 1, 2, 3, 4]));
            answer
        }
        let miner = call["params"][0] == PROVIDER.to_string().as_str();
        match call["method"].as_str().unwrap_or_default() {
            "Filecoin.StateCall" => Say::Changed(another),
            "Filecoin.StateMarketStorageDeal" => Say::Changed(|deal| json!({"Deal": deal})),
            "Filecoin.StateMinerPartitions" | "Filecoin.StateMinerDeadlines" => {
                error(-32601, "method not found")
            }
            "Filecoin.StateGetActor" if miner => Say::Own(json!({"result": { "Head": {"/": name.clone()} }})),
            "Filecoin.ChainReadObj" if call["params"][0]["/"] == name.as_str() => {
                Say::Own(json!({"result": block.clone()}))
            }
            _ => Say::Pass,
        }
    })
    .await;
    let chain = chain_of(&pool(&[reshaped], 1));
    let seen = chain.deals(&round, &[deal]).await;
    assert!(matches!(seen.as_slice(), [DealSeen::NotSeen(_)]), "{seen:?}");
    let lives = chain.lives(&round, PROVIDER, &[sector]).await;
    assert!(matches!(lives, LivesSeen::NotSeen(_)), "{lives:?}");
}
