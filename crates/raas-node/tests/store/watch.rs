//! The feed of touched holdings, the narrow rows, health in bulk, incidents, imports.

use crate::support::{active, cid, found, get, held, job, on_chain, ordered, piece, put, report, store};
use raas_core::health::{Fault, Health, HealthRecord, LossReason};
use raas_core::ids::{DealId, HoldingId, OrderId, ProviderId, SectorNumber};
use raas_core::observation::{NotSeen, ProviderView, Unseen};
use raas_core::order::{OnChain, OrderState};
use raas_core::units::Epoch;
use raas_node::store::{Happened, Import, Mark, ReplicaChange, Store, Trouble, TroubleKind, Watched};

/// Numbers of the feed after `after`, and their holdings.
async fn touched(store: &Store, after: i64) -> (Vec<i64>, Vec<HoldingId>) {
    store.touched(after).await.unwrap().into_iter().unzip()
}

async fn watched(store: &Store) -> Vec<Watched> {
    let mut rows = Vec::new();
    store.each_watched(&mut |row| rows.push(row)).await.unwrap();
    rows
}

fn living(deal: u64, sector: u64, health: Health) -> OnChain {
    let mut on_chain = on_chain(deal, health, 200);
    on_chain.sector = Some(SectorNumber(sector));
    on_chain
}

#[tokio::test]
async fn whatever_touches_a_holding_is_in_the_feed_until_it_is_planned() {
    let store = store().await;
    let first = held(&store, 1).await;
    let second = held(&store, 2).await;
    let (seqs, holdings) = touched(&store, 0).await;
    assert_eq!(holdings, [first, second]);
    store.save_wakes(&[(first, Some(Epoch(500))), (second, None)], &seqs).await.unwrap();
    assert_eq!(touched(&store, 0).await.1, []);
    assert_eq!(store.wakes().await.unwrap(), [(first, Some(Epoch(500))), (second, None)]);

    let order = ordered(&store, second, 0, 2, 1_000).await;
    let (seqs, holdings) = touched(&store, 0).await;
    assert_eq!(holdings, [second], "an order");
    put(&store, order, active(5)).await;
    let (later, holdings) = touched(&store, seqs[0]).await;
    assert_eq!(
        (holdings.as_slice(), later > seqs),
        ([second].as_slice(), true),
        "touched again: a new number"
    );
    store.save_wakes(&[], &seqs).await.unwrap();
    assert_eq!(touched(&store, 0).await.1, [second], "what came after the plan was made stays");
    store.save_wakes(&[], &later).await.unwrap();

    store.set_local(crate::support::commitment(1), false).await.unwrap();
    assert_eq!(touched(&store, 0).await.1, [first], "bytes");
    store.stop_job(raas_core::ids::JobId(2)).await.unwrap();
    assert_eq!(touched(&store, 0).await.1, [first, second], "a job");
}

#[tokio::test]
async fn narrow_rows_follow_the_states() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    assert_eq!(watched(&store).await, []);
    put(&store, order, OrderState::Published(on_chain(5, Health::Pending, 200))).await;
    let [row] = watched(&store).await.try_into().unwrap();
    assert_eq!((row.mark, row.sector, row.places, row.deal), (Mark::Pending, None, 1, Some(DealId(5))));
    let fault = Fault { since: Epoch(190), first_round: Epoch(200), last_round: Epoch(200) };
    let sick = OnChain {
        health: HealthRecord { fault: Some(fault), ..living(5, 7, Health::Suspect).health },
        ..living(5, 7, Health::Suspect)
    };
    put(&store, order, OrderState::Active(sick)).await;
    let [row] = watched(&store).await.try_into().unwrap();
    assert_eq!((row.mark, row.sector), (Mark::Suspect, Some(SectorNumber(7))));
    assert_eq!(row.fault, Some((Epoch(190), Epoch(200))));
    assert_eq!(row.end, sick.term.end);
    assert_eq!(store.watched_of(&[holding]).await.unwrap(), [row]);
    let mut round = report(201);
    round.adopted = vec![raas_node::store::Adopted { holding, order: found(1, 1_500, 70), proposal: None }];
    store.apply_round(&round).await.unwrap();
    let places: Vec<u32> = watched(&store).await.iter().map(|row| row.places).collect();
    assert_eq!(places, [1, 0], "a spare fills no place");
    put(&store, order, OrderState::Ended(sick)).await;
    assert_eq!(watched(&store).await.len(), 1, "what is over is not watched");
    assert_eq!(store.watched_of(&[holding]).await.unwrap()[0].mark, Mark::Unwatched);
}

#[tokio::test]
async fn a_hundred_replicas_of_one_provider_change_in_one_write_and_one_line() {
    let store = store().await;
    let mut orders: Vec<(OrderId, HoldingId)> = Vec::new();
    for number in 1..=100 {
        let holding = held(&store, number).await;
        let order = ordered(&store, holding, 0, number, 1_000).await;
        put(&store, order, OrderState::Active(living(number, number, Health::Proven))).await;
        orders.push((order, holding));
    }
    let lines = store.events(0, 9_999).await.unwrap().len();
    let change = |(order, holding): &(OrderId, HoldingId), version| ReplicaChange {
        order: *order,
        version,
        holding: *holding,
        provider: ProviderId::new(1_000),
        from: Health::Proven,
        to: OrderState::Active(living(order.0, order.0, Health::Suspect)),
    };
    let mut round = report(300);
    round.replicas = orders.iter().map(|order| change(order, 2)).collect();
    round.replicas.push(change(&orders[0], 2));
    round.replicas[7].version = 1;
    assert_eq!(store.apply_round(&round).await.unwrap().skipped, [orders[7].0], "stale ones are named");
    assert_eq!(get(&store, orders[0].0).await.order.state.on_chain().unwrap().health.health, Health::Suspect);
    assert_eq!(get(&store, orders[7].0).await.order.state.on_chain().unwrap().health.health, Health::Proven);
    let told: Vec<Happened> =
        store.events(0, 9_999).await.unwrap().into_iter().skip(lines).map(|(_, event)| event.what).collect();
    let [Happened::ReplicasChanged { provider, from, to, replicas }] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert_eq!((*provider, *from, *to), (ProviderId::new(1_000), Health::Proven, Health::Suspect));
    assert!(*replicas >= 99, "{replicas}");

    let mut round = report(301);
    round.replicas = vec![ReplicaChange {
        from: Health::Suspect,
        to: OrderState::Active(living(1, 1, Health::Proven)),
        ..change(&orders[0], 3)
    }];
    store.apply_round(&round).await.unwrap();
    let last = store.events_of_holding(orders[0].1, 1).await.unwrap();
    assert!(matches!(last[0].1.what, Happened::OrderChanged { .. }), "few are told singly");
}

#[tokio::test]
async fn replicas_that_are_lost_together_leave_their_places_each_with_a_line() {
    let store = store().await;
    let mut round = report(300);
    let mut all = Vec::new();
    for number in 1..=30_u64 {
        let holding = held(&store, number).await;
        let order = ordered(&store, holding, 0, number, 1_000).await;
        let on_chain = living(number, number, Health::Proven);
        put(&store, order, OrderState::Active(on_chain)).await;
        let to = OrderState::Lost { on_chain, reason: LossReason::Terminated };
        let (provider, from) = (ProviderId::new(1_000), Health::Proven);
        round.replicas.push(ReplicaChange { order, version: 2, holding, provider, from, to });
        all.push((order, holding));
    }
    round.replicas[4].version = 1;
    assert_eq!(store.apply_round(&round).await.unwrap().skipped, [all[4].0]);
    for (at, (order, holding)) in all.into_iter().enumerate() {
        let held = store.holding(holding).await.unwrap().unwrap();
        let [generation] = held.pieces[0].slots[0].generations.as_slice() else { panic!("one generation") };
        assert_eq!(generation.state.is_closed(), at != 4, "{at}");
        assert_eq!(watched(&store).await.iter().any(|row| row.order == order), at == 4);
        let last = store.events_of_holding(holding, 1).await.unwrap();
        let Happened::OrderChanged { from, to, deal, .. } = &last[0].1.what else { panic!("{last:?}") };
        assert_eq!((to == "lost", deal.is_some()), (at != 4, true), "{from} to {to}");
        if at != 4 {
            // Its place is free.
            ordered(&store, holding, 0, at as u64 + 1, 1_001).await;
        }
    }
}

#[tokio::test]
async fn a_providers_trouble_is_one_incident_from_first_to_last() {
    let store = store().await;
    let provider = ProviderId::new(1_000);
    let note = async |height, kind, replicas| {
        let mut round = report(height);
        round.troubles = vec![Trouble { provider, kind, replicas }];
        store.apply_round(&round).await.unwrap();
    };
    note(300, TroubleKind::Faulty, 100_000).await;
    note(310, TroubleKind::Faulty, 60).await;
    note(311, TroubleKind::Lost, 5_000).await;
    note(311, TroubleKind::Lost, 2_000).await;
    let open = store.incidents(9).await.unwrap();
    let shown: Vec<_> = open.iter().map(|i| (i.kind, i.opened_at.0, i.replicas, i.worst)).collect();
    assert_eq!(shown, [(TroubleKind::Faulty, 300, 60, 100_000), (TroubleKind::Lost, 311, 7_000, 7_000)]);
    note(400, TroubleKind::Faulty, 0).await;
    note(4_000, TroubleKind::Lost, 1).await;
    let all = store.incidents(9).await.unwrap();
    assert_eq!(all.len(), 3, "a loss long after is another incident: {all:?}");
    assert_eq!(all.iter().filter(|incident| incident.closed_at.is_none()).count(), 1);
}

#[tokio::test]
async fn views_of_providers_are_kept() {
    let store = store().await;
    let unseen = Unseen { reason: NotSeen::RpcFailed, since: Epoch(1), at: Epoch(2) };
    let view = ProviderView { faults_at: Some(Epoch(9)), lives_at: None, unseen: Some(unseen) };
    for faults_at in [Some(Epoch(9)), Some(Epoch(10))] {
        let mut round = report(10);
        round.views = vec![(ProviderId::new(7), ProviderView { faults_at, ..view })];
        store.apply_round(&round).await.unwrap();
    }
    let kept = store.views().await.unwrap();
    assert_eq!(kept, [(ProviderId::new(7), ProviderView { faults_at: Some(Epoch(10)), ..view })]);
}

#[tokio::test]
async fn an_import_is_whole_or_nothing() {
    let store = store().await;
    let import = |number: u64, deals: [u64; 2]| Import {
        job: job(number),
        piece: piece(number),
        copies: deals.map(|deal| found(number, 1_000 + deal, deal)).to_vec(),
    };
    let holdings = store.import(&[import(1, [5, 6]), import(2, [7, 8])]).await.unwrap();
    let view = store.holding(holdings[0]).await.unwrap().unwrap();
    assert_eq!(view.cid, cid(1));
    assert!(!view.pieces[0].piece.local, "the bytes are elsewhere");
    assert_eq!(view.pieces[0].slots.iter().filter(|slot| slot.current().is_some()).count(), 2);
    assert!(store.import(&[import(3, [9, 10]), import(4, [11, 5])]).await.is_err(), "a deal that is known");
    assert_eq!(store.holdings().await.unwrap().len(), 2);
    assert_eq!(store.open_orders().await.unwrap().len(), 4);
}
