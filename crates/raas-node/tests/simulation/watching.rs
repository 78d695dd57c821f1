//! Named faults of watching, over the same engine and world: what cron takes without a word, a provider that cannot be
//! read, many copies of one provider failing at once.

use crate::run::Run;
use crate::shared::Rpc;
use raas_core::health::{Health, LossReason, UnknownReason};
use raas_core::ids::{DealId, ProviderId};
use raas_core::observation::NotSeen;
use raas_core::order::OrderState;
use raas_core::plan::WaitFor;
use raas_devnet::ledger::Fact;
use raas_devnet::world::{Command, Sectors};
use raas_node::store::{Happened, TroubleKind};

const DAY: i64 = 2_880;

fn test(body: impl AsyncFnOnce()) {
    let runtime = crate::runtime();
    runtime.block_on(body());
}

/// `count` holdings, all of their copies proven.
async fn kept(seed: u64, count: usize) -> Run {
    let mut run = Run::new(seed).await.expect("a run");
    for _ in 0..count {
        run.store(Some(false)).await.expect("stored");
    }
    for _ in 0..2_000 {
        run.settle().await.expect("at rest");
        if run.short().is_empty() {
            // The judge sees the head, the node what is final.
            run.advance(60);
            run.settle().await.expect("at rest");
            return run;
        }
        run.wait();
    }
    panic!("{:?} are not kept", run.short());
}

/// Deals of `provider` with their state and health, as the API tells them.
async fn copies(run: &Run, provider: ProviderId) -> Vec<(DealId, OrderState)> {
    let mut found = Vec::new();
    for holding in run.engine.store().holdings().await.expect("readable") {
        for stored in run.engine.orders_of_holding(holding.id).await.expect("readable") {
            if let Some(on_chain) = stored.order.state.on_chain()
                && stored.order.provider == provider
            {
                found.extend(on_chain.replica.deal().map(|deal| (deal, stored.order.state.clone())));
            }
        }
    }
    found
}

fn health(state: &OrderState) -> Option<Health> {
    state.on_chain().map(|on_chain| on_chain.health.health)
}

/// The provider with the most active copies.
async fn largest(run: &Run) -> ProviderId {
    let ids: Vec<ProviderId> = run.shared.world().miners().map(|(id, _)| id).collect();
    let mut best = (0, ids[0]);
    for id in ids {
        let active = copies(run, id).await.iter().filter(|(_, state)| state.is_active()).count();
        best = best.max((active, id));
    }
    best.1
}

#[test]
fn fault_07_what_cron_terminates_without_an_event_is_found_within_a_proving_period_of_its_finality() {
    test(async || {
        let mut run = kept(3, 2).await;
        let provider = largest(&run).await;
        let fault = Command::Fault(Sectors { provider, sectors: None });
        run.shared.world().apply(fault).expect("a fault");
        let lag = run.shared.world().config().finality_lag;
        let mut ended = None;
        for _ in 0..400 {
            run.wait();
            run.settle().await.expect("at rest");
            let world = run.shared.world();
            let cron = world.ledger.since(0).iter().find_map(|entry| match &entry.fact {
                Fact::Terminated { deal_id, provider: at, by_cron: true, .. } if *at == provider => {
                    Some((*deal_id, entry.epoch))
                }
                _ => None,
            });
            if cron.is_some() {
                ended = cron;
                break;
            }
        }
        let (deal, epoch) = ended.expect("after 42 days of faults cron terminates");
        let told = run.shared.world().actor_events(epoch - 5, epoch + 5).count();
        assert_eq!(told, 0, "nothing tells of it");
        let until = epoch + lag + DAY;
        while run.shared.clock().0 < until {
            run.advance(60.min(until - run.shared.clock().0));
            run.settle().await.expect("at rest");
        }
        let copies = copies(&run, provider).await;
        let (_, state) = copies.iter().find(|(other, _)| *other == deal).expect("the order of the deal");
        let lost = OrderState::Lost {
            on_chain: *state.on_chain().expect("on chain"),
            reason: LossReason::Terminated,
        };
        assert_eq!(*state, lost, "two witnesses at a finalized tipset");
    });
}

#[test]
fn a_provider_that_cannot_be_read_is_unknown_in_one_row_and_nothing_is_ordered() {
    test(async || {
        let mut run = kept(5, 4).await;
        let provider = largest(&run).await;
        let before = run.engine.store().open_orders().await.expect("readable");
        let events = run.engine.store().events(0, 100_000).await.expect("readable").len();
        run.shared.set_rpc(Rpc::Blind(provider));
        for _ in 0..3 {
            run.advance(10);
            run.settle().await.expect("at rest");
        }
        let unseen = Health::Unknown(UnknownReason::NotSeen(NotSeen::RpcFailed));
        let blind = copies(&run, provider).await;
        assert!(blind.len() > 1, "{blind:?}");
        assert!(blind.iter().all(|(_, state)| health(state) == Some(unseen)), "{blind:?}");
        assert_eq!(run.engine.store().open_orders().await.expect("readable"), before, "nothing is written");
        assert_eq!(run.engine.store().events(0, 100_000).await.expect("readable").len(), events);
        let waits = waits(&run).await;
        assert!(waits.iter().any(|wait| matches!(wait, WaitFor::Unknown { .. })), "{waits:?}");
        let incidents = run.engine.store().incidents(9).await.expect("readable");
        let shown: Vec<_> = incidents.iter().map(|i| (i.kind, i.provider, i.closed_at)).collect();
        assert_eq!(shown, [(TroubleKind::Unseen, provider, None)]);

        run.shared.set_rpc(Rpc::Normal);
        run.advance(10);
        run.settle().await.expect("at rest");
        let seen = copies(&run, provider).await;
        assert!(seen.iter().all(|(_, state)| health(state) == Some(Health::Proven)), "{seen:?}");
        let incidents = run.engine.store().incidents(9).await.expect("readable");
        assert!(incidents.iter().all(|incident| incident.closed_at.is_some()), "{incidents:?}");
    });
}

async fn waits(run: &Run) -> Vec<WaitFor> {
    let mut waits = Vec::new();
    for holding in run.engine.store().holdings().await.expect("readable") {
        let plan = run.engine.explain(&holding).await.expect("explained");
        waits.extend(plan.waits.into_iter().map(|wait| wait.for_));
    }
    waits
}

#[test]
fn all_copies_of_one_provider_failing_are_one_incident_one_line_and_one_breaker() {
    test(async || {
        let mut run = kept(8, 40).await;
        let provider = largest(&run).await;
        let many = copies(&run, provider).await.iter().filter(|(_, state)| state.is_active()).count();
        assert!(many >= 20, "{many} copies at {provider}");
        let ordered = run.engine.store().open_orders().await.expect("readable").len();
        let events = run.engine.store().events(0, 1_000_000).await.expect("readable").len();
        run.shared.world().apply(Command::Fault(Sectors { provider, sectors: None })).expect("a fault");
        // Each sector turns faulty at its own deadline; nobody looks before all have.
        run.advance(DAY + 60);
        run.settle().await.expect("at rest");
        let suspect = copies(&run, provider).await;
        let suspect = suspect.iter().filter(|(_, state)| health(state) == Some(Health::Suspect)).count();
        assert_eq!(suspect, many);
        let told = run.engine.store().events(0, 1_000_000).await.expect("readable");
        let told: Vec<_> = told.into_iter().skip(events).map(|(_, event)| event.what).collect();
        let [Happened::ReplicasChanged { replicas, .. }] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(*replicas as usize, many);
        let incidents = run.engine.store().incidents(9).await.expect("readable");
        let [incident] = incidents.as_slice() else { panic!("{incidents:?}") };
        assert_eq!(
            (incident.kind, incident.provider, incident.worst as usize),
            (TroubleKind::Faulty, provider, many)
        );
        assert!(run.engine.store().breaker().await.expect("readable").providers.contains_key(&provider));
        // After the patience, and before the breaker's day is over, nobody but the breaker holds them.
        let mut waits = waits(&run).await;
        for _ in 0..20 {
            if !waits.iter().any(|wait| matches!(wait, WaitFor::Patience { .. })) {
                break;
            }
            run.advance(60);
            run.settle().await.expect("at rest");
            waits = self::waits(&run).await;
        }
        let held = waits
            .iter()
            .filter(|wait| matches!(wait, WaitFor::Breaker { provider: Some(at) } if *at == provider));
        assert!(held.count() > many / 2, "{waits:?}");
        assert_eq!(
            run.engine.store().open_orders().await.expect("readable").len(),
            ordered,
            "nothing is ordered"
        );
    });
}

#[test]
fn a_restart_goes_on_where_the_last_process_was() {
    test(async || {
        let mut run = kept(13, 4).await;
        let provider = largest(&run).await;
        run.shared.world().apply(Command::Fault(Sectors { provider, sectors: None })).expect("a fault");
        run.advance(DAY + 60);
        run.settle().await.expect("at rest");
        let before = (copies(&run, provider).await, waits(&run).await);
        run.restart().await.expect("a new process");
        run.settle().await.expect("at rest");
        assert_eq!((copies(&run, provider).await, waits(&run).await), before);
        // The fault was seen by the process before: this one may repair at its first round.
        let ordered = run.engine.store().open_orders().await.expect("readable").len();
        run.restart().await.expect("a new process");
        run.advance(DAY);
        run.settle().await.expect("at rest");
        assert!(run.engine.store().open_orders().await.expect("readable").len() > ordered, "repaired");
    });
}
