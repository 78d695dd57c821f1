//! Builders. Provider `n` is run by operator `n / 10`, so 1000 and 1001 are one operator's.

use raas_core::cid::{Commitment, DataCid};
use raas_core::fleet::{Ask, Breaker, Fleet, Money, Pace, Provider, Rules};
use raas_core::health::{Fault, Health, HealthRecord, LossReason, Term, UnknownReason};
use raas_core::holding::{Attestation, Completes, Holding, Piece, PieceSlots, Slot};
use raas_core::ids::{
    ActorId, ContractAddress, DealId, HoldingId, OperatorId, OrderId, OwnerId, ProviderId, RequestAt,
    RequestId, SectorNumber,
};
use raas_core::observation::{NotSeen, Round};
use raas_core::order::{Cause, OnChain, Order, OrderState, ReplicaRef, Signed};
use raas_core::policy::{Duties, KeepLocal, Placement, Policy, Replicas};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};

pub const DAY: i64 = 2_880;
/// Finalized lags behind head by this much.
pub const LAG: i64 = 900;
/// The height most tables are judged at.
pub const NOW: i64 = 1_000_000;
/// A term's end far from any renewal window at [`NOW`].
pub const FAR: i64 = NOW + 400 * DAY;

pub fn round(height: i64) -> Round {
    Round {
        tipset: format!("tipset-{height}"),
        height: Epoch(height),
        eth_block: Epoch(height - 1),
        head: Epoch(height + LAG),
        agreed: 2,
        asked: 2,
    }
}

pub fn rules() -> Rules {
    Rules::default()
}

pub fn operator_of(provider: u64) -> OperatorId {
    OperatorId(ActorId(provider / 10))
}

pub fn provider(number: u64) -> Provider {
    Provider {
        id: ProviderId::new(number),
        operator: operator_of(number),
        ask: Some(Ask {
            price: AttoFil(10),
            size_min: PaddedSize::new(128).expect("a size"),
            size_max: PaddedSize::MAX,
        }),
        in_flight: 0,
        capacity: 1_000_000,
        failures: 0,
        backs_off_until: None,
        healthy: true,
    }
}

/// `count` providers of as many operators: 1000, 1010, 1020, …
pub fn providers(count: u64) -> Vec<Provider> {
    (0..count).map(|n| provider(1_000 + 10 * n)).collect()
}

/// A fleet that limits nothing.
pub fn fleet(providers: Vec<Provider>) -> Fleet {
    Fleet {
        providers,
        money: Money { available: AttoFil(u128::MAX), ..Money::default() },
        breaker: Breaker::default(),
        pace: Pace { started: 0, cap: u32::MAX, next_window: Epoch(NOW + LAG + 10) },
        released_started: 0,
    }
}

pub fn policy() -> Policy {
    Policy {
        replicas: Replicas { min: 2, target: 3, max: 4 },
        renew_before: Epochs::days(30),
        repair_after: Epochs::days(1),
        duration: Epochs::days(540),
        start_delay: Epochs::days(3),
        ends_at: None,
        placement: Placement { allow: vec![], deny: vec![], price_max: AttoFil(100) },
        keep_local: KeepLocal::Always,
    }
}

pub fn commitment(number: u64) -> Commitment {
    let mut root = [0_u8; 32];
    root[..8].copy_from_slice(&number.to_be_bytes());
    Commitment(root)
}

pub fn cid(number: u64) -> DataCid {
    commitment(number).piece_cid_v1().to_string().parse().expect("a CID")
}

/// A holding of one local piece with `target` empty slots.
/// A request of a contract that takes whole deals, with what it shows already.
pub fn attestation(request: u64, done: &[u64]) -> Attestation {
    let at = RequestAt { contract: ContractAddress([0xc0; 20]), request: RequestId(request) };
    let done = done.iter().map(|deal| DealId(*deal)).collect();
    Attestation { at, completes: Some(Completes::Direct), done, told: Vec::new() }
}

pub fn holding(number: u64) -> Holding {
    let policy = policy();
    let slots = (0..policy.replicas.target).map(|index| Slot { index, generations: vec![] }).collect();
    let piece = Piece {
        commitment: commitment(number),
        size: PaddedSize::new(1 << 20).expect("a size"),
        car_bytes: 1_000_000,
        local: true,
        retrievable: false,
        within: None,
        packed: None,
    };
    Holding {
        id: HoldingId(number),
        owner: OwnerId::local(),
        cid: cid(number),
        duties: Duties::ALL,
        policy,
        pieces: vec![PieceSlots { piece, slots, spares: vec![] }],
        attestations: vec![],
        unserved: vec![],
        since: Epoch(NOW),
        open: true,
    }
}

/// A holding whose slots hold these generations.
pub fn holding_with(number: u64, slots: Vec<Vec<Order>>) -> Holding {
    let mut holding = holding(number);
    for (slot, mut generations) in holding.pieces[0].slots.iter_mut().zip(slots) {
        for order in &mut generations {
            order.piece = commitment(number);
        }
        slot.generations = generations;
    }
    holding
}

pub fn order(id: u64, provider: u64, cause: Cause, state: OrderState) -> Order {
    Order {
        id: OrderId(id),
        piece: commitment(1),
        size: PaddedSize::new(1 << 20).expect("a size"),
        within: None,
        provider: ProviderId::new(provider),
        operator: operator_of(provider),
        cause,
        price_per_epoch: AttoFil(1),
        duration: Epochs::days(540),
        planned_at: Epoch(NOW - 10 * DAY),
        state,
    }
}

pub fn on_chain(id: u64, end: i64, health: HealthRecord) -> OnChain {
    let term = Term { start: Epoch(end - 540 * DAY), end: Epoch(end) };
    let replica = ReplicaRef::Deal(DealId(id + 500_000));
    OnChain { replica, term, sector: Some(SectorNumber(id)), health }
}

fn record(health: Health) -> HealthRecord {
    HealthRecord { health, fault: None, proven_at: Some(Epoch(NOW - 60)), at: Epoch(NOW) }
}

pub fn replica(id: u64, provider: u64, end: i64, health: HealthRecord) -> Order {
    order(id, provider, Cause::Replicate, OrderState::Active(on_chain(id, end, health)))
}

pub fn proven(id: u64, provider: u64, end: i64) -> Order {
    replica(id, provider, end, record(Health::Proven))
}

pub fn unknown(id: u64, provider: u64, end: i64) -> Order {
    replica(id, provider, end, record(Health::Unknown(UnknownReason::NotSeen(NotSeen::RpcFailed))))
}

/// Suspect since `since`, first seen so at `first_round`, last at [`NOW`].
pub fn suspect(id: u64, provider: u64, since: i64, first_round: i64) -> Order {
    let fault = Fault { since: Epoch(since), first_round: Epoch(first_round), last_round: Epoch(NOW) };
    replica(id, provider, FAR, HealthRecord { fault: Some(fault), ..record(Health::Suspect) })
}

/// Suspect for longer than the policy's patience.
pub fn sick(id: u64, provider: u64) -> Order {
    suspect(id, provider, NOW - 2 * DAY, NOW - 2 * DAY)
}

pub fn lost(id: u64, provider: u64) -> Order {
    let reason = LossReason::Terminated;
    let on_chain = on_chain(id, FAR, record(Health::Lost(reason)));
    order(id, provider, Cause::Replicate, OrderState::Lost { on_chain, reason })
}

pub fn never_activated(id: u64, provider: u64, cause: Cause) -> Order {
    let reason = LossReason::NeverActivated;
    let record = HealthRecord { proven_at: None, ..record(Health::Lost(reason)) };
    order(id, provider, cause, OrderState::Lost { on_chain: on_chain(id, FAR, record), reason })
}

pub fn ended(id: u64, provider: u64) -> Order {
    order(id, provider, Cause::Replicate, OrderState::Ended(on_chain(id, NOW - 10, record(Health::Ended))))
}

pub fn published(id: u64, provider: u64) -> Order {
    let mut on_chain = on_chain(id, FAR, HealthRecord::pending(Epoch(NOW)));
    on_chain.term.start = Epoch(NOW + DAY);
    on_chain.sector = None;
    order(id, provider, Cause::Replicate, OrderState::Published(on_chain))
}

pub fn signed(id: u64, start: i64) -> Signed {
    Signed {
        attempt: 1,
        proposal_cid: format!("proposal-{id}"),
        term: Term { start: Epoch(start), end: Epoch(start + 540 * DAY) },
    }
}

pub fn renews(of: u64) -> Cause {
    Cause::Renew { of: OrderId(of) }
}

pub fn repairs(of: u64) -> Cause {
    Cause::Repair { of: OrderId(of) }
}
