//! Choosing a provider: what is forbidden, then a total order.

use crate::model::build::{LAG, NOW, commitment, operator_of, policy, provider, providers};
use proptest::prelude::*;
use raas_core::fleet::{Ask, Provider};
use raas_core::ids::{HoldingId, ProviderId};
use raas_core::order::{Cause, SlotRef, Within};
use raas_core::plan::CopyWanted;
use raas_core::select::{Unfit, choose, piece_max};
use raas_core::units::{AttoFil, Epoch, PaddedSize};
use std::collections::BTreeMap;

const HEAD: Epoch = Epoch(NOW + LAG);

fn wanted(piece: u64) -> CopyWanted {
    let policy = policy();
    CopyWanted {
        slot: SlotRef { holding: HoldingId(1), index: 0 },
        cause: Cause::Replicate,
        piece: commitment(piece),
        size: PaddedSize::new(1 << 30).expect("a size"),
        within: None,
        packed: false,
        since: HEAD,
        duration: policy.duration,
        start_delay: policy.start_delay,
        placement: policy.placement,
        operators_in_use: vec![],
        operators_watched: vec![],
        prefer: None,
        replaces: None,
    }
}

fn size(bytes: u64) -> PaddedSize {
    PaddedSize::new(bytes).expect("a size")
}

#[test]
fn everything_that_is_forbidden() {
    type Spoil = fn(&mut CopyWanted, &mut Provider);
    let id = ProviderId::new(1_000);
    let table: Vec<(Spoil, Unfit)> = vec![
        (|wanted, _| wanted.placement.deny = vec![ProviderId::new(1_000)], Unfit::NotAllowed),
        (|wanted, _| wanted.placement.allow = vec![ProviderId::new(1_001)], Unfit::NotAllowed),
        (|wanted, _| wanted.operators_in_use = vec![operator_of(1_000)], Unfit::OperatorInUse),
        (|_, provider| provider.ask = None, Unfit::NoAsk),
        (
            |_, provider| provider.ask.as_mut().expect("an ask").size_min = size(1 << 31),
            Unfit::TooSmall { size_min: size(1 << 31) },
        ),
        (
            |_, provider| provider.ask.as_mut().expect("an ask").size_max = size(1 << 29),
            Unfit::TooLarge { size_max: size(1 << 29) },
        ),
        (
            |wanted, provider| {
                wanted.within = Some(Within { aggregate: commitment(9), size: size(1 << 31) });
                provider.ask.as_mut().expect("an ask").size_max = size(1 << 30);
            },
            Unfit::TooLarge { size_max: size(1 << 30) },
        ),
        (
            |_, provider| provider.ask.as_mut().expect("an ask").price = AttoFil(101),
            Unfit::TooDear { price: AttoFil(101) },
        ),
        (
            |_, provider| provider.backs_off_until = Some(Epoch(HEAD.0 + 1)),
            Unfit::BacksOff { until: Epoch(HEAD.0 + 1) },
        ),
        (|_, provider| provider.in_flight = provider.capacity, Unfit::AtCapacity),
    ];
    for (spoil, unfit) in table {
        let (mut wanted, mut one) = (wanted(1), provider(1_000));
        spoil(&mut wanted, &mut one);
        assert_eq!(choose(&wanted, &[one], HEAD), Err(vec![(id, unfit)]));
    }
    let mut edge = provider(1_000);
    edge.ask = Some(Ask { price: AttoFil(100), size_min: size(1 << 30), size_max: size(1 << 30) });
    edge.backs_off_until = Some(HEAD);
    edge.in_flight = edge.capacity - 1;
    assert_eq!(choose(&wanted(1), std::slice::from_ref(&edge), HEAD).map(|provider| provider.id), Ok(id));
    // It is the deal that must be large enough, not the piece in it.
    let within = Some(Within { aggregate: commitment(9), size: size(1 << 30) });
    let enclosed = CopyWanted { size: size(1 << 29), within, ..wanted(1) };
    assert_eq!(choose(&enclosed, std::slice::from_ref(&edge), HEAD).map(|provider| provider.id), Ok(id));
}

#[test]
fn the_order_among_those_that_fit() {
    type Worsen = fn(&mut CopyWanted, &mut [Provider]);
    // Each makes the winner of the row before lose by the next criterion.
    let table: Vec<(Worsen, u64)> = vec![
        (|_, providers| providers[0].in_flight = 1, 1_010),
        (
            |_, providers| {
                providers[0].in_flight = 1;
                providers[1].failures = 1;
            },
            1_000,
        ),
        (
            |_, providers| {
                providers[0].failures = 1;
                providers[1].ask.as_mut().expect("an ask").price = AttoFil(11);
            },
            1_000,
        ),
        (
            |wanted, providers| {
                providers[1].ask.as_mut().expect("an ask").price = AttoFil(11);
                wanted.operators_watched = vec![operator_of(1_000)];
            },
            1_010,
        ),
        (
            |wanted, providers| {
                providers[1].ask.as_mut().expect("an ask").price = AttoFil(11);
                wanted.prefer = Some(ProviderId::new(1_010));
            },
            1_010,
        ),
        (
            |wanted, providers| {
                providers[1].ask.as_mut().expect("an ask").price = AttoFil(11);
                providers[1].healthy = false;
                wanted.prefer = Some(ProviderId::new(1_010));
            },
            1_000,
        ),
        (
            |wanted, _| {
                wanted.prefer = Some(ProviderId::new(1_010));
                wanted.operators_watched = vec![operator_of(1_010)];
            },
            1_000,
        ),
    ];
    for (row, (worsen, expected)) in table.into_iter().enumerate() {
        let (mut wanted, mut two) = (wanted(1), providers(2));
        worsen(&mut wanted, &mut two);
        assert_eq!(
            choose(&wanted, &two, HEAD).map(|provider| provider.id.number()),
            Ok(expected),
            "row {row}"
        );
    }
}

#[test]
fn a_watched_operator_is_taken_when_nobody_else_is_left() {
    let mut wanted = wanted(1);
    wanted.operators_watched = vec![operator_of(1_000)];
    assert!(choose(&wanted, &providers(1), HEAD).is_ok());
}

#[test]
fn equal_providers_share_the_pieces() {
    let equal = providers(6);
    let mut taken: BTreeMap<ProviderId, u32> = BTreeMap::new();
    for piece in 0..600 {
        let chosen = choose(&wanted(piece), &equal, HEAD).expect("one fits");
        *taken.entry(chosen.id).or_default() += 1;
    }
    assert!(taken.len() == 6 && taken.values().all(|count| (60..160).contains(count)), "{taken:?}");
}

proptest! {
    #[test]
    fn the_same_choice_in_whatever_order_providers_come(
        states in proptest::collection::vec((0_u32..3, 0_u32..3, 0_u128..3, any::<bool>()), 1..8),
        turn in 0_usize..8, prefer in 0_u64..8,
    ) {
        let mut all: Vec<Provider> = (0_u64..).zip(&states).map(|(n, (failures, in_flight, price, healthy))| {
            let mut provider = provider(1_000 + 10 * n);
            provider.failures = *failures;
            provider.in_flight = *in_flight;
            provider.capacity = 2;
            provider.healthy = *healthy;
            provider.ask.as_mut().expect("an ask").price = AttoFil(price * 60);
            provider
        }).collect();
        let mut wanted = wanted(3);
        wanted.prefer = Some(ProviderId::new(1_000 + 10 * prefer));
        let first = choose(&wanted, &all, HEAD).map(|provider| provider.id);
        let turn = turn % all.len();
        all.rotate_left(turn);
        let second = choose(&wanted, &all, HEAD).map(|provider| provider.id);
        prop_assert_eq!(first.as_ref().ok(), second.as_ref().ok());
        if let Ok(id) = first {
            let chosen = all.iter().find(|provider| provider.id == id).expect("from the list");
            prop_assert!(chosen.in_flight < chosen.capacity && chosen.ask.is_some_and(|ask| ask.price <= AttoFil(100)));
        }
    }
}

/// Copies on distinct operators: one operator's second miner does not count, and too few asks say nothing.
#[test]
fn pieces_are_as_large_as_enough_operators_take() {
    let limit = size(1 << 35);
    let ask = |provider: u64, bytes: u64| {
        let price = AttoFil(1);
        (operator_of(provider), Ask { price, size_min: size(128), size_max: size(bytes) })
    };
    let asks = [ask(1_000, 1 << 36), ask(1_010, 1 << 30), ask(1_020, 1 << 34), ask(1_030, 1 << 33)];
    let table = [(0, 1 << 35), (1, 1 << 35), (2, 1 << 34), (3, 1 << 33), (4, 1 << 30), (5, 1 << 35)];
    for (copies, expected) in table {
        assert_eq!(piece_max(limit, copies, asks), size(expected), "{copies} copies");
    }
    let twice = [ask(1_000, 1 << 30), ask(1_000, 1 << 34), ask(1_010, 1 << 31)];
    assert_eq!(piece_max(limit, 1, twice), size(1 << 34));
    assert_eq!(piece_max(limit, 2, twice), size(1 << 31));
    assert_eq!(piece_max(limit, 3, twice), limit, "two operators");
}
