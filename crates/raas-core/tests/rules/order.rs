//! The order machine: every state against every event.

use crate::model::build::{
    DAY, NOW, ended as ended_order, lost as lost_order, proven as proven_order, published as published_order,
    round, signed,
};
use proptest::prelude::*;
use raas_core::health::{Health, LossReason, Term, UnknownReason};
use raas_core::ids::DealId;
use raas_core::machine::order::{Effect, Event, Illegal, next};
use raas_core::observation::{DealSeen, NotSeen, SectorSeen};
use raas_core::order::{OrderState, ReplicaRef};
use raas_core::units::Epoch;

const START: i64 = NOW + 3 * DAY;

fn states() -> Vec<OrderState> {
    let signed = || signed(1, START);
    vec![
        OrderState::Planned,
        OrderState::Signed(signed()),
        OrderState::Delivered(signed()),
        OrderState::Accepted(signed()),
        OrderState::RejectedWatched(signed()),
        OrderState::Hedged(signed()),
        published_order(1, 1_000).state,
        proven_order(1, 1_000, NOW + 100 * DAY).state,
        OrderState::Expired,
        OrderState::Cancelled,
        lost_order(1, 1_000).state,
        ended_order(1, 1_000).state,
    ]
}

fn seen(deal: u64) -> Event {
    Event::SeenPublished { deal: DealId(deal), term: signed(1, START).term, height: Epoch(NOW) }
}

fn blind() -> Event {
    let deal = DealSeen::NotSeen(NotSeen::RpcFailed);
    let sector = SectorSeen::NotSeen(NotSeen::RpcFailed);
    Event::Observed { deal, sector, round: round(NOW + 1) }
}

fn in_its_sector(sector: SectorSeen) -> Event {
    Event::SectorObserved { sector, height: Epoch(NOW + 1) }
}

/// The state after each event, by name; `-` when the event is illegal.
#[test]
fn the_whole_table() {
    let events: Vec<Event> = vec![
        Event::Signed(signed(1, START)),
        Event::DeliverySent,
        Event::AcceptedByProvider,
        Event::RejectedByProvider,
        seen(500_001),
        Event::FinalizedAt(Epoch(START)),
        Event::FinalizedAt(Epoch(START + 1)),
        Event::Hedged,
        Event::Cancel,
        blind(),
        in_its_sector(SectorSeen::Live),
    ];
    let table = states().into_iter().map(|state| {
        let after = events.iter().map(|event| next(&state, event).map_or("-", |(state, _)| state.name()));
        format!("{}: {}", state.name(), after.collect::<Vec<_>>().join(" "))
    });
    let expected = [
        // signed delivered accepted rejected published final(start) final(start+1) hedged cancel blind sector
        "planned: signed - - - - planned planned - cancelled - -",
        "signed: signed delivered accepted rejected_watched published signed expired - - - -",
        "delivered: delivered delivered accepted rejected_watched published delivered expired - - - -",
        "accepted: accepted accepted accepted rejected_watched published accepted expired hedged - - -",
        "rejected_watched: rejected_watched rejected_watched rejected_watched rejected_watched published rejected_watched expired - - - -",
        "hedged: hedged hedged hedged rejected_watched published hedged expired hedged - - -",
        "published: - published published published published published published - - published -",
        "active: - active active active active active active - - active active",
        "expired: - expired expired expired published expired expired - - - -",
        "cancelled: - - - - - cancelled cancelled - cancelled - -",
        "lost: - lost lost lost lost lost lost - - lost lost",
        "ended: - ended ended ended ended ended ended - - ended ended",
    ];
    assert_eq!(table.collect::<Vec<_>>(), expected);
}

#[test]
fn effects_of_each_change() {
    let signed = || signed(1, START);
    let deal = DealId(500_001);
    let table: Vec<(OrderState, Event, Vec<Effect>)> = vec![
        (OrderState::Planned, Event::Signed(signed()), vec![Effect::Deliver]),
        (OrderState::Signed(signed()), Event::Signed(signed()), vec![Effect::Deliver]),
        (OrderState::Planned, Event::Cancel, vec![Effect::Release, Effect::Replan]),
        (OrderState::Signed(signed()), Event::DeliverySent, vec![Effect::AskStatus]),
        (OrderState::Delivered(signed()), Event::DeliverySent, vec![Effect::AskStatus]),
        (OrderState::Delivered(signed()), Event::AcceptedByProvider, vec![]),
        (OrderState::Accepted(signed()), Event::RejectedByProvider, vec![Effect::Replan]),
        (OrderState::Accepted(signed()), seen(deal.0), vec![Effect::Release]),
        (OrderState::RejectedWatched(signed()), seen(deal.0), vec![Effect::Release, Effect::Place { deal }]),
        (OrderState::Accepted(signed()), Event::Hedged, vec![Effect::Replan]),
        (OrderState::Hedged(signed()), seen(deal.0), vec![Effect::Release, Effect::Place { deal }]),
        (OrderState::Expired, seen(deal.0), vec![Effect::Release, Effect::Place { deal }]),
        (
            OrderState::RejectedWatched(signed()),
            Event::FinalizedAt(Epoch(START + 1)),
            vec![Effect::Release, Effect::Replan],
        ),
        (
            OrderState::Planned,
            Event::Adopted { deal, term: signed().term, height: Epoch(NOW) },
            vec![Effect::Release, Effect::Place { deal }],
        ),
    ];
    for (state, event, effects) in table {
        let (_, got) = next(&state, &event).expect("legal");
        assert_eq!(got, effects, "{} {event:?}", state.name());
    }
}

#[test]
fn what_would_cost_twice_is_an_error_of_its_own() {
    let other = signed(2, START);
    assert_eq!(
        next(&OrderState::Signed(signed(1, START)), &Event::Signed(other)),
        Err(Illegal::SignedTwice { first: "proposal-1".into(), second: "proposal-2".into() })
    );
    let published = published_order(1, 1_000).state;
    assert_eq!(
        next(&published, &seen(9)),
        Err(Illegal::SecondDeal { first: ReplicaRef::Deal(DealId(500_001)), second: DealId(9) })
    );
    let term = Term { start: Epoch(START), end: Epoch(START + 1) };
    let other_term = Event::SeenPublished { deal: DealId(9), term, height: Epoch(NOW) };
    assert_eq!(
        next(&OrderState::Accepted(signed(1, START)), &other_term),
        Err(Illegal::OtherTerm { deal: DealId(9) })
    );
    let message =
        next(&OrderState::Signed(signed(1, START)), &Event::Cancel).expect_err("money is a signature");
    assert_eq!(message.to_string(), "an order that is signed cannot be cancelled");
}

fn observed(
    state: &OrderState,
    activated: Option<i64>,
    sector: SectorSeen,
    height: i64,
) -> (OrderState, Vec<Effect>) {
    let deal = DealSeen::Present(Box::new(super::health::deal(activated)));
    next(state, &Event::Observed { deal, sector, round: round(height) }).expect("legal")
}

#[test]
fn a_replica_from_publication_to_its_end() {
    let start = published_order(1, 1_000).state;
    let (pending, effects) = observed(&start, None, SectorSeen::Live, NOW + 10);
    assert_eq!((pending.name(), effects), ("published", vec![]));
    assert_eq!(
        pending.on_chain().and_then(|on_chain| on_chain.sector),
        None,
        "it has none before it is active"
    );
    let (active, effects) = observed(&pending, Some(NOW + 15), SectorSeen::Live, NOW + 20);
    assert_eq!(active.name(), "active");
    assert_eq!(
        effects,
        [Effect::FirstProven { replica: ReplicaRef::Deal(DealId(500_001)), at: Epoch(NOW + 20) }]
    );
    assert_eq!(active.on_chain().and_then(|on_chain| on_chain.sector).map(|sector| sector.0), Some(7));
    let (faulty, effects) = observed(&active, Some(NOW + 15), SectorSeen::Faulty { since: None }, NOW + 30);
    assert_eq!((faulty.name(), effects), ("active", vec![]));
    let (again, effects) = observed(&faulty, Some(NOW + 15), SectorSeen::Live, NOW + 40);
    assert_eq!((again.name(), effects), ("active", vec![]), "first proven only once");
    let gone = |sector, height| {
        next(&again, &Event::Observed { deal: DealSeen::Gone, sector, round: round(height) }).expect("legal")
    };
    let (unsure, effects) = gone(SectorSeen::Live, NOW + 50);
    assert_eq!((unsure.name(), effects), ("active", vec![]), "one witness is none");
    let (lost, effects) = gone(SectorSeen::Dead, NOW + 50);
    assert!(matches!(lost, OrderState::Lost { reason: LossReason::Terminated, .. }));
    assert_eq!(effects, [Effect::Replan]);
    let end = again.on_chain().expect("on chain").term.end.0;
    assert_eq!(gone(SectorSeen::Live, end).0.name(), "ended");
    let (never, effects) = observed(&start, None, SectorSeen::Live, NOW + DAY + 1);
    assert!(matches!(never, OrderState::Lost { reason: LossReason::NeverActivated, .. }));
    assert_eq!(effects, [Effect::Replan]);
}

#[test]
fn a_copy_first_seen_faulty_is_active_and_not_yet_proven() {
    let (state, effects) =
        observed(&published_order(1, 1_000).state, Some(NOW), SectorSeen::Faulty { since: None }, NOW + 10);
    assert_eq!((state.name(), effects), ("active", vec![]));
    assert_eq!(state.on_chain().map(|on_chain| on_chain.health.health), Some(Health::Suspect));
}

#[test]
fn a_replica_seen_in_its_sector_alone_changes_its_health_and_nothing_else() {
    let proven = proven_order(1, 1_000, NOW + 100 * DAY).state;
    for (sector, health) in [
        (SectorSeen::Live, Health::Proven),
        (SectorSeen::Faulty { since: None }, Health::Suspect),
        (SectorSeen::Dead, Health::Unknown(UnknownReason::OneWitness)),
    ] {
        let (after, effects) = next(&proven, &in_its_sector(sector)).expect("legal");
        let (before, after) = (proven.on_chain().expect("on chain"), after.on_chain().expect("on chain"));
        assert_eq!((after.health.health, after.health.at, effects), (health, Epoch(NOW + 1), vec![]));
        assert_eq!((after.replica, after.term, after.sector), (before.replica, before.term, before.sector));
    }
    for closed in [lost_order(1, 1_000).state, ended_order(1, 1_000).state] {
        assert_eq!(next(&closed, &in_its_sector(SectorSeen::Live)), Ok((closed.clone(), vec![])));
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1_u64..3).prop_map(|id| Event::Signed(signed(id, START))),
        Just(Event::DeliverySent),
        Just(Event::AcceptedByProvider),
        Just(Event::RejectedByProvider),
        (1_u64..3).prop_map(seen),
        (NOW..START + 9).prop_map(|height| Event::FinalizedAt(Epoch(height))),
        Just(Event::Hedged),
        Just(Event::Cancel),
        Just(blind()),
        (NOW..START + 9, any::<bool>(), 0_u8..3).prop_map(|(height, active, sector)| Event::Observed {
            deal: if active {
                DealSeen::Present(Box::new(super::health::deal(Some(NOW))))
            } else {
                DealSeen::Gone
            },
            sector: [SectorSeen::Live, SectorSeen::Dead, SectorSeen::Faulty { since: None }]
                [usize::from(sector)],
            round: round(height),
        }),
    ]
}

proptest! {
    /// Whatever comes: bytes once signed never change, a reservation is held from the signature until chain
    /// or time takes it, a deal once known never changes, and every event may come twice.
    #[test]
    fn money_is_followed_to_the_end(events in proptest::collection::vec(any_event(), 1..40)) {
        let mut state = OrderState::Planned;
        let mut proposal: Option<String> = None;
        let mut replica: Option<ReplicaRef> = None;
        for event in events {
            let Ok((after, effects)) = next(&state, &event) else { continue };
            if let Some(signed) = after.signed() {
                prop_assert_eq!(proposal.get_or_insert(signed.proposal_cid.clone()), &signed.proposal_cid);
            }
            if let Some(on_chain) = after.on_chain() {
                prop_assert_eq!(*replica.get_or_insert(on_chain.replica), on_chain.replica);
            }
            if state.reserves_escrow() && !after.reserves_escrow() {
                prop_assert!(effects.contains(&Effect::Release));
                let by_time = matches!(event, Event::FinalizedAt(height) if height.0 > START);
                let by_chain = matches!(event, Event::SeenPublished { .. });
                prop_assert!(by_time || by_chain || event == Event::Cancel);
            }
            if state.is_closed() && !matches!(state, OrderState::Expired) {
                prop_assert_eq!(after.name(), state.name());
            }
            let (twice, _) = next(&after, &event).expect("an event may come twice");
            prop_assert_eq!(&twice, &after);
            state = after;
        }
    }
}
