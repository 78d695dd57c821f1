//! A store written by the first version, as text in `vectors/`, is read as what was put into it.
//!
//! A later version keeps this file and its fixture, and adds its own beside it. The fixture is made anew, only
//! while version 1 is unreleased, with `RAAS_TEST_STORE=new.db cargo test -p raas-node --test store --
//! --ignored write_the_fixture` and `sqlite3 new.db .dump`.

use crate::support::{
    CONTRACT, MUCH, active, cid, commitment, found, get, held, job, on_chain, order_action, ordered, parts,
    policy, proposal, put, report, request_job, signed,
};
use raas_core::fleet::{Ask, Trip};
use raas_core::gate::Hold;
use raas_core::health::{Fault, Health, HealthRecord, LossReason, UnknownReason};
use raas_core::holding::Completes;
use raas_core::ids::{ActorId, DealId, HoldingId, OperatorId, OwnerId, ProviderId, RequestId, SectorNumber};
use raas_core::observation::{NotSeen, ProviderOnChain};
use raas_core::order::{Cause, OnChain, OrderState};
use raas_core::plan::{Action, Reason};
use raas_core::policy::{Duties, KeepLocal};
use raas_core::ports::{CompletionSeen, Fees, Lane, SignedTx, TxIntent};
use raas_core::units::{AttoFil, Epoch, Epochs};
use raas_node::store::{
    Adopted, Attempt, Committed, GasDay, NewJob, Sighting, SightingState, StepKind, StepOutcome, Store,
    TxSubmit, Upload,
};
use serde_json::json;
use std::path::PathBuf;

/// Every format in every variant that the store can be made to hold.
async fn fill(store: &Store) {
    store.bind_network("devnet", "bafygenesis").await.unwrap();
    jobs(store).await;
    let holding = held(store, 1).await;
    orders(store, holding).await;
    rounds(store, holding).await;
    wallet(store).await;
    the_rest(store, holding).await;
}

async fn jobs(store: &Store) {
    let mut narrow = policy(3);
    narrow.ends_at = Some(Epoch(2_000_000));
    narrow.placement.allow = vec![ProviderId::new(1_000)];
    narrow.placement.deny = vec![ProviderId::new(1_009)];
    narrow.keep_local = KeepLocal::UntilProven(2);
    let on_chain = Some(TxSubmit { cid: vec![1, 0x70, 0xff], target: 3, repair: 2_880, renew: 86_400 });
    let keyed = NewJob {
        policy: narrow,
        duties: Duties { renew: true, ..Duties::default() },
        on_chain,
        idempotency_key: Some("k".to_owned()),
        ..job(2)
    };
    let (id, _) = parts(store.register_job(&keyed).await.unwrap());
    store.stop_job(id).await.unwrap();
    let upload = NewJob { source: raas_node::store::JobSource::Upload, ..job(2) };
    store.register_job(&upload).await.unwrap();
    let seen = [request_job(1, 4, "0xabc")];
    let done = [CompletionSeen { request: RequestId(4), deal: DealId(900), block: Epoch(91) }];
    store.apply_window(CONTRACT, &json!({"next": 91, "highest": 4}), &seen, &done).await.unwrap();
}

async fn orders(store: &Store, holding: HoldingId) {
    let closed = ordered(store, holding, 0, 1, 1_000).await;
    put(store, closed, OrderState::Expired).await;
    let lost = ordered(store, holding, 0, 1, 1_001).await;
    put(store, lost, active(50)).await;
    let reason = LossReason::Terminated;
    put(store, lost, OrderState::Lost { on_chain: on_chain(50, Health::Lost(reason), 300), reason }).await;
    let repair = Cause::Repair { of: lost };
    let why = Reason::Suspect { of: lost, since: Epoch(250), repair_after: Epochs::days(1) };
    let mut action = order_action(holding, 0, 1, 1_002, repair);
    if let Action::Order { reason, .. } = &mut action {
        *reason = why;
    }
    let committed = store.commit_intents(&[action], Epoch(301), 1_301, MUCH).await.unwrap();
    let [Committed::Ordered(repairing)] = committed[..] else { panic!("{committed:?}") };
    let version = get(store, repairing).await.version;
    store.sign_order(repairing, version, &proposal(repairing, 1)).await.unwrap();

    let suspect = ordered(store, holding, 1, 1, 1_003).await;
    let fault = Fault { since: Epoch(290), first_round: Epoch(295), last_round: Epoch(300) };
    let health = HealthRecord {
        health: Health::Suspect,
        fault: Some(fault),
        proven_at: Some(Epoch(280)),
        at: Epoch(300),
    };
    let sick = OnChain { sector: Some(SectorNumber(7)), health, ..on_chain(51, Health::Pending, 0) };
    put(store, suspect, OrderState::Active(sick)).await;
    let renewing = order_action(holding, 1, 1, 1_004, Cause::Renew { of: suspect });
    let committed = store.commit_intents(&[renewing], Epoch(302), 1_302, MUCH).await.unwrap();
    let [Committed::Ordered(renewal)] = committed[..] else { panic!("{committed:?}") };
    put(store, renewal, OrderState::Delivered(signed(renewal, 1))).await;
    put(store, renewal, OrderState::RejectedWatched(signed(renewal, 1))).await;

    let place = |provider| ordered(store, holding, 2, 1, provider);
    let cancelled = place(1_005).await;
    put(store, cancelled, OrderState::Cancelled).await;
    let ended = place(1_006).await;
    put(store, ended, OrderState::Ended(on_chain(52, Health::Ended, 400))).await;
    let unknown = place(1_007).await;
    let blind = Health::Unknown(UnknownReason::NotSeen(NotSeen::RpcFailed));
    put(store, unknown, OrderState::Published(on_chain(53, blind, 401))).await;
    let other = held(store, 3).await;
    let accepted = ordered(store, other, 0, 3, 1_000).await;
    put(store, accepted, OrderState::Accepted(signed(accepted, 2))).await;
    let delivered = ordered(store, other, 1, 3, 1_001).await;
    put(store, delivered, OrderState::Delivered(signed(delivered, 1))).await;
    ordered(store, other, 2, 3, 1_002).await;
    let attempt = Attempt {
        holding: None,
        order: Some(renewal),
        provider: Some(ProviderId::new(1_004)),
        what: "propose".to_owned(),
        outcome: "rejected".to_owned(),
        detail: "price too low".to_owned(),
        at: Epoch(303),
        at_unix: 1_303,
    };
    store.add_attempt(&attempt).await.unwrap();
}

async fn rounds(store: &Store, holding: HoldingId) {
    let mut report = report(300);
    report.hold = Some(Hold::HeadOld { head: Epoch(1_190), expected: Epoch(1_200) });
    report.adopted = vec![Adopted { holding, order: found(1, 1_500, 900), proposal: None }];
    report.sightings = vec![(cid(1), DealId(900), SightingState::Adopted)];
    report.breaker.fleet = Some(Trip { since: Epoch(290), released_at: Some(Epoch(295)) });
    report.breaker.providers.insert(ProviderId::new(1_003), Trip { since: Epoch(1), released_at: None });
    store.apply_round(&report).await.unwrap();
    let unverified = Sighting { cid: cid(1), of: None, deal: DealId(901), state: SightingState::Unverified };
    store.add_sightings(&[unverified]).await.unwrap();
}

async fn wallet(store: &Store) {
    let intent = TxIntent::Complete {
        contract: None,
        request: RequestId(4),
        market: None,
        deal: DealId(51),
        provider: ProviderId::new(1_003),
        piece: commitment(1),
        size: crate::support::size(),
        within: None,
        proof: Vec::new(),
    };
    let complete = store.plan_tx(&intent, "complete").await.unwrap();
    let escrow = store.plan_tx(&TxIntent::AddBalance { amount: MUCH }, "escrow").await.unwrap();
    let form = SignedTx {
        raw: vec![0, 1, 255],
        hash: "0xfeed".to_owned(),
        fees: Fees { fee_cap: AttoFil(u128::MAX), premium: AttoFil(1) },
        gas_max: AttoFil::ZERO,
        cancels: false,
    };
    let gas = GasDay::unlimited(Epoch(0));
    store.store_signed_tx(complete, 1, 12, &form, &json!({"state": "stored"}), gas).await.unwrap();
    store.set_tx(escrow, 1, &json!({"state": "replaced"}), false).await.unwrap();
}

async fn the_rest(store: &Store, holding: HoldingId) {
    let provider = ProviderOnChain {
        provider: ProviderId::new(1_000),
        operator: OperatorId(ActorId(11_000)),
        sector_bytes: 32 << 30,
        urls: vec!["https://sp.example".to_owned()],
    };
    let size = crate::support::size();
    let ask = Ask { price: AttoFil(5), size_min: size, size_max: size };
    store.put_provider(&provider, Some(&ask), Epoch(300)).await.unwrap();
    store.provider_failed(provider.provider, "silence", Epoch(364)).await.unwrap();
    store.set_retrieved(commitment(1), Epoch(299)).await.unwrap();
    store.wake_step(&StepKind::Probe { holding, piece: commitment(1) }).await.unwrap();
    let evict = Action::Evict {
        holding,
        piece: commitment(1),
        reason: Reason::CopiesProven { proven: 3, needed: 3 },
    };
    store.commit_intents(&[evict], Epoch(303), 1_303, MUCH).await.unwrap();
    let [step] = store.claim_due(0, 1).await.unwrap().try_into().unwrap();
    store.finish_step(step.id, &StepOutcome::Parked { why: "poison".to_owned() }).await.unwrap();
    let upload = Upload {
        id: "00ff".to_owned(),
        owner: OwnerId::local(),
        state: json!({"state": "packed", "bytes": 890_000}),
        root: Some(cid(1)),
        job: None,
    };
    store.put_upload(&upload).await.unwrap();
    store.put_meta("views/1", "299").await.unwrap();
}

/// All that can be read of a store, as text.
async fn everything(store: &Store) -> String {
    let mut all = Vec::new();
    macro_rules! read {
        ($($call:expr),+ $(,)?) => { $( all.push(format!("{}: {:#?}", stringify!($call), $call.await.unwrap())); )+ };
    }
    for number in 1..=4 {
        let holding = HoldingId(number);
        read!(
            store.holding(holding),
            store.orders_of_holding(holding),
            store.jobs_of_holding(holding),
            store.attempts_of_holding(holding, 99),
            store.sightings_of_cid(&cid(number)),
            store.piece_of_root(&cid(number)),
        );
    }
    read!(
        store.holdings(),
        store.open_orders(),
        store.open_txs(None),
        store.tx(raas_node::store::TxId(1)),
        store.tx(raas_node::store::TxId(3)),
        store.floor(Lane::Evm),
        store.cursor(CONTRACT),
        store.contract_events(CONTRACT),
        store.trail(),
        store.last_round(),
        store.breaker(),
        store.events_read_to(),
        store.providers(),
        store.steps(99),
        store.parked(),
        store.upload("00ff"),
        store.meta("views/1"),
        store.reserved(),
        store.spent_since(Epoch(0)),
        store.events(0, 999),
        store.bind_network("devnet", "bafygenesis"),
    );
    all.join("\n")
}

#[tokio::test]
async fn the_first_version_is_read_as_it_was_written() {
    let fresh = crate::support::store().await;
    fill(&fresh).await;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql(include_str!("vectors/store_v1.sql")).execute(&pool).await.unwrap();
    pool.close().await;
    let old = Store::open(&path, "test").await.unwrap();
    // As a node does when it starts.
    old.set_deployments(&[(CONTRACT, Completes::Direct)]).await.unwrap();
    assert_eq!(old.store_id(), [7; 16]);
    assert_eq!(old.fence(), 2);
    let (old, fresh) = (everything(&old).await, everything(&fresh).await);
    assert!(fresh.contains("RejectedWatched"), "the fixture has its variants");
    for (old, fresh) in old.lines().zip(fresh.lines()) {
        assert_eq!(old, fresh);
    }
    assert_eq!(old.len(), fresh.len());
}

#[tokio::test]
#[ignore = "writes a fixture; see the module's header"]
async fn write_the_fixture() {
    let path = PathBuf::from(std::env::var_os("RAAS_TEST_STORE").expect("where to write it"));
    let store = Store::open(&path, "fixture").await.unwrap();
    fill(&store).await;
    store.close().await;
}
