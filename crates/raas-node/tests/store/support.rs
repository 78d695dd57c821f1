//! Builders: small numbers in, whole values out.

use raas_core::cid::{Commitment, DataCid};
use raas_core::fleet::Breaker;
use raas_core::health::{Health, HealthRecord, Term};
use raas_core::holding::Completes;
use raas_core::ids::{
    ActorId, ContractAddress, DealId, HoldingId, OperatorId, OrderId, OwnerId, ProviderId, RequestAt,
    RequestId,
};
use raas_core::observation::Round;
use raas_core::order::{Cause, OnChain, Order, OrderState, ReplicaRef, Signed, SlotRef};
use raas_core::plan::{Action, Priority, Reason};
use raas_core::policy::{Duties, KeepLocal, Placement, Policy, Replicas};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};
use raas_node::store::{
    Committed, JobSource, NewJob, NewPiece, Registered, RoundReport, Store, StoredOrder, StoredProposal,
};
use std::collections::{BTreeMap, BTreeSet};

pub const MUCH: AttoFil = AttoFil::fil(1_000);
pub const CONTRACT: ContractAddress =
    ContractAddress([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0c, 0x0d, 0xe5]);

/// A store of a node that follows [`CONTRACT`].
pub async fn store() -> Store {
    let store = Store::in_memory_with_id("test", [7; 16]).await.unwrap();
    store.set_deployments(&[(CONTRACT, Completes::Direct)]).await.unwrap();
    store
}

/// A request of [`CONTRACT`].
pub fn at(request: u64) -> RequestAt {
    RequestAt { contract: CONTRACT, request: RequestId(request) }
}

pub fn cid(number: u64) -> DataCid {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    let hash = cid::multihash::Multihash::<64>::wrap(0x12, &digest).unwrap();
    DataCid::normalise(&cid::Cid::new_v1(0x70, hash)).unwrap()
}

pub fn commitment(number: u64) -> Commitment {
    let mut root = [0; 32];
    root[..8].copy_from_slice(&number.to_be_bytes());
    Commitment(root)
}

pub fn size() -> PaddedSize {
    PaddedSize::new(1 << 20).unwrap()
}

pub fn policy(target: u32) -> Policy {
    Policy {
        replicas: Replicas { min: 1, target, max: target },
        renew_before: Epochs::days(30),
        repair_after: Epochs::days(1),
        duration: Epochs::days(540),
        start_delay: Epochs::days(3),
        ends_at: None,
        placement: Placement { allow: vec![], deny: vec![], price_max: AttoFil(100) },
        keep_local: KeepLocal::Always,
    }
}

/// A job of the local owner for CID `number`, three copies, all duties.
pub fn job(number: u64) -> NewJob {
    NewJob {
        owner: OwnerId::local(),
        cid: cid(number),
        duties: Duties::ALL,
        policy: policy(3),
        source: JobSource::Api,
        on_chain: None,
        position: None,
        at: Epoch(100),
        at_unix: 1_000,
        idempotency_key: None,
    }
}

/// A job that came as `request` of the contract.
pub fn request_job(number: u64, request: u64, transaction: &str) -> NewJob {
    let source = JobSource::Contract {
        contract: CONTRACT,
        request: RequestId(request),
        transaction: transaction.to_owned(),
        block: Epoch(90),
        policy_known: true,
    };
    NewJob { owner: OwnerId("0xcaller".to_owned()), source, ..job(number) }
}

pub fn piece(number: u64) -> NewPiece {
    NewPiece {
        root: cid(number),
        commitment: commitment(number),
        size: size(),
        car_bytes: 900_000,
        payload_bytes: 890_000,
    }
}

pub fn parts(registered: Registered) -> (raas_core::ids::JobId, HoldingId) {
    match registered {
        Registered::Created { job, holding } | Registered::AlreadyExists { job, holding } => (job, holding),
    }
}

/// A holding of CID `number` whose bytes are there.
pub async fn held(store: &Store, number: u64) -> HoldingId {
    store.record_piece(&piece(number)).await.unwrap();
    parts(store.register_job(&job(number)).await.unwrap()).1
}

pub fn slot(holding: HoldingId, index: u32) -> SlotRef {
    SlotRef { holding, index }
}

/// An order of piece `number` for one place, at price 10 per epoch for 1,000 epochs.
pub fn order_action(holding: HoldingId, index: u32, number: u64, provider: u64, cause: Cause) -> Action {
    Action::Order {
        slots: vec![slot(holding, index)],
        pieces: vec![],
        cause,
        piece: commitment(number),
        size: size(),
        within: None,
        provider: ProviderId::new(provider),
        operator: OperatorId(ActorId(provider + 10_000)),
        price_per_epoch: AttoFil(10),
        duration: Epochs::new(1_000).unwrap(),
        start_delay: Epochs::days(3),
        reason: Reason::SlotEmpty,
        priority: Priority::Normal,
    }
}

pub async fn commit(store: &Store, action: Action) -> Committed {
    store.commit_intents(&[action], Epoch(100), 1_000, MUCH).await.unwrap().remove(0)
}

/// A planned order for an empty place.
pub async fn ordered(store: &Store, holding: HoldingId, index: u32, number: u64, provider: u64) -> OrderId {
    match commit(store, order_action(holding, index, number, provider, Cause::Replicate)).await {
        Committed::Ordered(order) => order,
        other => panic!("not ordered: {other:?}"),
    }
}

pub async fn get(store: &Store, order: OrderId) -> StoredOrder {
    store.order(order).await.unwrap().unwrap()
}

/// Writes `state` over whatever version is stored.
pub async fn put(store: &Store, order: OrderId, state: OrderState) {
    let version = get(store, order).await.version;
    assert_eq!(store.set_order(order, version, &state, None).await.unwrap(), Some(version + 1));
}

pub fn term() -> Term {
    Term { start: Epoch(9_000), end: Epoch(1_500_000) }
}

pub fn signed(order: OrderId, attempt: u32) -> Signed {
    Signed { attempt, proposal_cid: format!("bafyproposal{order}-{attempt}"), term: term() }
}

pub fn proposal(order: OrderId, attempt: u32) -> StoredProposal {
    let mut uuid = [0; 16];
    uuid[..8].copy_from_slice(&order.0.to_be_bytes());
    uuid[15] = attempt as u8;
    StoredProposal {
        signed: signed(order, attempt),
        uuid,
        bytes: vec![0x82, order.0 as u8, attempt as u8],
        secret: format!("secret-{order}-{attempt}"),
        next_deal: DealId(40),
    }
}

pub fn on_chain(deal: u64, health: Health, at: i64) -> OnChain {
    let record = HealthRecord { health, ..HealthRecord::pending(Epoch(at)) };
    OnChain { replica: ReplicaRef::Deal(DealId(deal)), term: term(), sector: None, health: record }
}

pub fn active(deal: u64) -> OrderState {
    OrderState::Active(on_chain(deal, Health::Proven, 100))
}

/// A copy found on chain, of piece `number`.
pub fn found(number: u64, provider: u64, deal: u64) -> Order {
    Order {
        id: OrderId(0),
        piece: commitment(number),
        size: size(),
        within: None,
        provider: ProviderId::new(provider),
        operator: OperatorId(ActorId(provider + 10_000)),
        cause: Cause::Adopt,
        price_per_epoch: AttoFil(7),
        duration: Epochs::new(1_000).unwrap(),
        planned_at: Epoch(100),
        state: active(deal),
    }
}

pub fn round(height: i64) -> Round {
    Round {
        tipset: format!("bafytipset{height}"),
        height: Epoch(height),
        eth_block: Epoch(height - 1),
        head: Epoch(height + 900),
        agreed: 2,
        asked: 2,
    }
}

/// A round in which nothing changed.
pub fn report(height: i64) -> RoundReport {
    RoundReport {
        proposals: Vec::new(),
        round: round(height),
        hold: None,
        orders: vec![],
        replicas: vec![],
        turning: BTreeMap::new(),
        turned_before: BTreeSet::new(),
        views: vec![],
        troubles: vec![],
        adopted: vec![],
        sightings: vec![],
        told: vec![],
        breaker: Breaker::default(),
        events_read_to: Epoch(height),
        deals_read_to: None,
    }
}
