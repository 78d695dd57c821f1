//! Versions, signatures, attempts, money.

use crate::support::{active, get, held, on_chain, ordered, proposal, put, report, signed, slot, store};
use raas_core::health::Health;
use raas_core::ids::{DealId, OrderId, ProviderId};
use raas_core::order::OrderState;
use raas_core::units::{AttoFil, Epoch};
use raas_node::store::{Attempt, Error, Happened, StoredProposal};

fn attempt(order: OrderId, outcome: &str) -> Attempt {
    Attempt {
        holding: None,
        order: Some(order),
        provider: Some(ProviderId::new(1_000)),
        what: "propose".to_owned(),
        outcome: outcome.to_owned(),
        detail: "HTTP 503".to_owned(),
        at: Epoch(120),
        at_unix: 1_200,
    }
}

#[tokio::test]
async fn signing_stores_the_bytes_and_the_state_together_or_not_at_all() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    let planned = get(&store, order).await;
    assert_eq!((planned.version, planned.slots, planned.proposal), (1, vec![slot(holding, 0)], None));

    assert_eq!(store.sign_order(order, 9, &proposal(order, 1)).await.unwrap(), None);
    assert_eq!(store.order_by_secret("secret-1-1").await.unwrap(), None, "a stale signature leaves nothing");
    assert_eq!(store.sign_order(order, 1, &proposal(order, 1)).await.unwrap(), Some(2));
    let stored = get(&store, order).await;
    assert_eq!(stored.order.state, OrderState::Signed(signed(order, 1)));
    assert_eq!((stored.version, stored.proposal), (2, Some(proposal(order, 1))));
    assert_eq!(store.sign_order(order, 1, &proposal(order, 2)).await.unwrap(), None, "run twice");

    assert_eq!(store.sign_order(order, 2, &proposal(order, 2)).await.unwrap(), Some(3));
    assert_eq!(get(&store, order).await.proposal, Some(proposal(order, 2)), "the newest attempt");
    for attempt in [1, 2] {
        let found = store.order_by_secret(&format!("secret-{order}-{attempt}")).await.unwrap();
        assert_eq!(found.map(|found| found.id), Some(order), "every signed deal may still be pulled for");
    }
}

#[tokio::test]
async fn no_two_proposals_share_a_cid_a_uuid_or_a_secret() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let first = ordered(&store, holding, 0, 1, 1_000).await;
    let second = ordered(&store, holding, 1, 1, 1_001).await;
    store.sign_order(first, 1, &proposal(first, 1)).await.unwrap();
    let (mine, hers) = (proposal(second, 1), proposal(first, 1));
    let mut same_cid = mine.clone();
    same_cid.signed.proposal_cid = hers.signed.proposal_cid.clone();
    let same_uuid = StoredProposal { uuid: hers.uuid, ..mine.clone() };
    let same_secret = StoredProposal { secret: hers.secret.clone(), ..mine.clone() };
    for (double, of_cid) in [(same_cid, true), (same_uuid, false), (same_secret, false)] {
        let error = store.sign_order(second, 1, &double).await.unwrap_err();
        assert!(matches!(error, Error::ProposalReused(_) | Error::IdentityReused(_)), "{error}");
        assert_eq!(matches!(error, Error::ProposalReused(_)), of_cid, "{error}");
        assert_eq!(get(&store, second).await.order.state, OrderState::Planned, "rolled back");
    }
    assert_eq!(store.sign_order(second, 1, &mine).await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_stale_write_changes_nothing_but_its_attempt_is_kept() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    store.sign_order(order, 1, &proposal(order, 1)).await.unwrap();
    let delivered = OrderState::Delivered(signed(order, 1));
    assert_eq!(
        store.set_order(order, 2, &delivered, Some(&attempt(order, "uncertain"))).await.unwrap(),
        Some(3)
    );
    let accepted = OrderState::Accepted(signed(order, 1));
    assert_eq!(store.set_order(order, 2, &accepted, Some(&attempt(order, "done"))).await.unwrap(), None);
    assert_eq!(get(&store, order).await.order.state, delivered);
    store.add_attempt(&attempt(order, "failed")).await.unwrap();
    let kept = store.attempts_of_holding(holding, 2).await.unwrap();
    assert_eq!(kept.iter().map(|a| a.outcome.as_str()).collect::<Vec<_>>(), ["failed", "done"]);
    assert_eq!(kept[0], Attempt { holding: Some(holding), ..attempt(order, "failed") });
}

#[tokio::test]
async fn a_closed_order_never_changes() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, order, OrderState::Expired).await;
    let version = get(&store, order).await.version;
    assert_eq!(store.set_order(order, version, &active(5), None).await.unwrap(), None);
    assert_eq!(store.sign_order(order, version, &proposal(order, 1)).await.unwrap(), None);
    assert_eq!(get(&store, order).await.order.state, OrderState::Expired);
    assert!(store.open_orders().await.unwrap().is_empty());
    assert!(store.order(OrderId(99)).await.unwrap().is_none());
}

#[tokio::test]
async fn reserved_and_spent_follow_the_states() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let one = AttoFil(10_000);
    let money = || async { (store.reserved().await.unwrap(), store.spent_since(Epoch(100)).await.unwrap()) };
    let first = ordered(&store, holding, 0, 1, 1_000).await;
    let second = ordered(&store, holding, 1, 1, 1_001).await;
    assert_eq!(money().await, (one.times(2), one.times(2)));
    put(&store, first, OrderState::RejectedWatched(signed(first, 1))).await;
    assert_eq!(money().await.0, one.times(2), "a rejected proposal can still be published");
    put(&store, first, OrderState::Expired).await;
    assert_eq!(money().await, (one, one));
    put(&store, second, active(5)).await;
    assert_eq!(money().await, (AttoFil::ZERO, one), "the market holds it now");
    assert_eq!(store.spent_since(Epoch(101)).await.unwrap(), AttoFil::ZERO);
    let mut round = report(200);
    round.adopted = vec![raas_node::store::Adopted {
        holding,
        order: crate::support::found(1, 1_009, 77),
        proposal: None,
    }];
    store.apply_round(&round).await.unwrap();
    assert_eq!(money().await, (AttoFil::ZERO, one), "others paid for an adopted copy");
}

#[tokio::test]
async fn the_log_tells_changes_of_state_and_health_only() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let order = ordered(&store, holding, 0, 1, 1_000).await;
    put(&store, order, active(5)).await;
    put(&store, order, OrderState::Active(on_chain(5, Health::Proven, 300))).await;
    put(&store, order, OrderState::Active(on_chain(5, Health::Suspect, 301))).await;
    let changes: Vec<_> = store
        .events_of_holding(holding, 50)
        .await
        .unwrap()
        .into_iter()
        .filter_map(|(_, event)| match event.what {
            Happened::OrderChanged { from, to, deal, health, .. } => Some((from, to, deal, health)),
            _ => None,
        })
        .collect();
    let change = |from: &str, health| (from.to_owned(), "active".to_owned(), Some(DealId(5)), Some(health));
    assert_eq!(changes, [change("planned", Health::Proven), change("active", Health::Suspect)]);
}
