//! Rules 1 and 5: health from what was seen, and nothing from what was not.

use crate::model::build::{DAY, NOW, commitment, round};
use proptest::prelude::*;
use raas_core::health::{Health, HealthRecord, LossReason, Term, UnknownReason};
use raas_core::ids::{ActorId, ProviderId, SectorNumber};
use raas_core::observation::{DealSeen, NotSeen, OnChainDeal, ProviderView, SectorSeen, Unseen};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};

const TERM: Term = Term { start: Epoch(NOW), end: Epoch(NOW + 540 * DAY) };

pub fn deal(activated: Option<i64>) -> OnChainDeal {
    OnChainDeal {
        piece: commitment(1),
        size: PaddedSize::new(1 << 20).expect("a size"),
        verified: false,
        client: ActorId(99),
        provider: ProviderId::new(1_000),
        label: String::new(),
        start: TERM.start,
        end: TERM.end,
        price_per_epoch: AttoFil(1),
        provider_collateral: AttoFil(2),
        client_collateral: AttoFil::ZERO,
        activated: activated.map(Epoch),
        sector: SectorNumber(7),
    }
}

fn present(activated: Option<i64>) -> DealSeen {
    DealSeen::Present(Box::new(deal(activated)))
}

const FAULTY: SectorSeen = SectorSeen::Faulty { since: None };
const BLIND: SectorSeen = SectorSeen::NotSeen(NotSeen::RpcFailed);
const DEAF: DealSeen = DealSeen::NotSeen(NotSeen::MissingState);

const fn unknown(reason: NotSeen) -> Health {
    Health::Unknown(UnknownReason::NotSeen(reason))
}

#[test]
fn every_pair_of_witnesses() {
    let now = NOW + 100;
    let end = TERM.end.0;
    let active = Some(NOW - 5);
    let terminated = Health::Lost(LossReason::Terminated);
    let one_witness = Health::Unknown(UnknownReason::OneWitness);
    let table: Vec<(DealSeen, SectorSeen, i64, Health)> = vec![
        (present(active), SectorSeen::Live, now, Health::Proven),
        (present(active), FAULTY, now, Health::Suspect),
        (present(active), SectorSeen::Dead, now, unknown(NotSeen::Contradiction)),
        (present(active), BLIND, now, unknown(NotSeen::RpcFailed)),
        (present(active), SectorSeen::Live, end - 1, Health::Proven),
        (present(active), SectorSeen::Live, end, Health::Ended),
        (present(None), SectorSeen::Live, NOW, Health::Pending),
        (present(None), SectorSeen::Live, NOW + 1, Health::Lost(LossReason::NeverActivated)),
        (present(None), BLIND, NOW + 1, Health::Lost(LossReason::NeverActivated)),
        (DealSeen::Gone, SectorSeen::Dead, now, terminated),
        (DealSeen::Gone, SectorSeen::Live, now, one_witness),
        (DealSeen::Gone, FAULTY, now, one_witness),
        (DealSeen::Gone, BLIND, now, one_witness),
        (DealSeen::Gone, SectorSeen::Dead, end, Health::Ended),
        (DealSeen::Gone, SectorSeen::Live, end - 1, one_witness),
        (DealSeen::NeverAllocated, SectorSeen::Dead, now, Health::Unknown(UnknownReason::NeverAllocated)),
        (DEAF, SectorSeen::Live, now, unknown(NotSeen::MissingState)),
        (DEAF, SectorSeen::Dead, now, unknown(NotSeen::MissingState)),
    ];
    for (deal, sector, height, expected) in table {
        let record = HealthRecord::pending(Epoch(NOW - 50)).next(TERM, &deal, sector, &round(height));
        assert_eq!(record.health, expected, "{deal:?} {sector:?} at {height}");
        assert_eq!(record.at, Epoch(height));
    }
}

fn watched(from: HealthRecord, steps: &[(i64, DealSeen, SectorSeen)]) -> HealthRecord {
    steps
        .iter()
        .fold(from, |record, (height, deal, sector)| record.next(TERM, deal, *sector, &round(*height)))
}

#[test]
fn a_deal_once_active_is_never_taken_for_never_activated() {
    let record = watched(
        HealthRecord::pending(Epoch(NOW)),
        &[(NOW + 10, present(Some(NOW)), SectorSeen::Live), (NOW + 20, present(None), SectorSeen::Live)],
    );
    assert_eq!(record.health, unknown(NotSeen::Contradiction));
}

#[test]
fn a_recovery_resets_the_clock_and_blindness_does_not() {
    let start = HealthRecord::pending(Epoch(NOW));
    let active = || present(Some(NOW - 5));
    let patience = Epochs::days(1);
    let blind = watched(
        start,
        &[(NOW + 10, active(), FAULTY), (NOW + 20, active(), BLIND), (NOW + 10 + DAY, active(), FAULTY)],
    );
    assert!(blind.repair_due(patience));
    let recovered = watched(
        start,
        &[
            (NOW + 10, active(), FAULTY),
            (NOW + 20, active(), SectorSeen::Live),
            (NOW + 30, active(), FAULTY),
            (NOW + 10 + DAY, active(), FAULTY),
        ],
    );
    assert!(!recovered.repair_due(patience));
    let blind_now = watched(blind, &[(NOW + 20 + DAY, active(), BLIND)]);
    assert!(!blind_now.repair_due(patience), "this round did not see it");
}

#[test]
fn a_fault_that_began_again_between_rounds_is_a_new_one() {
    let since = |epoch| SectorSeen::Faulty { since: Some(Epoch(epoch)) };
    let active = || present(Some(NOW - 5));
    let again = watched(
        HealthRecord::pending(Epoch(NOW)),
        &[(NOW + 10, active(), since(NOW + 5)), (NOW + 500, active(), since(NOW + 400))],
    );
    let fault = again.fault.expect("a fault");
    assert_eq!((fault.since, fault.first_round), (Epoch(NOW + 400), Epoch(NOW + 500)));
    assert!(!again.repair_due(Epochs::ZERO), "one round since the new fault");
}

#[test]
fn a_fault_counts_the_sightings_from_its_start_on() {
    // Since when the chain says it is faulty, told at NOW + 30 after two rounds that were told nothing.
    let seen_before = watched(
        HealthRecord::pending(Epoch(NOW)),
        &[(NOW + 10, present(Some(NOW)), FAULTY), (NOW + 20, present(Some(NOW)), FAULTY)],
    );
    let table = [
        ("before the first", 5, 10),
        ("with the first", 10, 10),
        ("between the two", 11, 20),
        ("with the second", 20, 20),
        ("after both", 21, 30),
        ("not yet", 31, 30),
    ];
    for (name, since, first_round) in table {
        let sector = SectorSeen::Faulty { since: Some(Epoch(NOW + since)) };
        let fault = watched(seen_before, &[(NOW + 30, present(Some(NOW)), sector)]).fault.expect("a fault");
        let found = (fault.since.0 - NOW, fault.first_round.0 - NOW, fault.last_round.0 - NOW);
        assert_eq!(found, (since, first_round, 30), "{name}");
    }
}

fn view(faults_at: i64, lives_at: i64) -> ProviderView {
    ProviderView { faults_at: Some(Epoch(faults_at)), lives_at: Some(Epoch(lives_at)), unseen: None }
}

#[test]
fn a_replica_is_what_the_last_look_at_its_provider_says() {
    let proven =
        watched(HealthRecord::pending(Epoch(NOW)), &[(NOW + 10, present(Some(NOW)), SectorSeen::Live)]);
    let at = |view: ProviderView, height: i64| proven.as_of(&view, Epoch(height));
    let later = at(view(NOW + 500, NOW + 400), NOW + 510);
    assert_eq!(
        (later.health, later.proven_at, later.at),
        (Health::Proven, Some(Epoch(NOW + 500)), Epoch(NOW + 500))
    );
    assert_eq!(at(ProviderView::default(), NOW + 20), proven, "its own look is evidence");
    assert_eq!(at(view(NOW + 5, NOW + 5), NOW + 20), proven, "an older look says nothing new");
    let stale = unknown(NotSeen::NotAsked);
    let doubted = at(ProviderView::default(), NOW + 10 + 4_321);
    assert_eq!((doubted.health, doubted.at), (stale, Epoch(NOW + 10 + 4_321)));
    assert_eq!(
        at(view(NOW + 5_000, NOW + 100), NOW + 5_000).health,
        stale,
        "its sectors were not read for long"
    );
    let unseen = Unseen { reason: NotSeen::RpcFailed, since: Epoch(NOW + 600), at: Epoch(NOW + 600) };
    let blind = ProviderView { unseen: Some(unseen), ..view(NOW + 500, NOW + 400) };
    assert_eq!(at(blind, NOW + 610).health, unknown(NotSeen::RpcFailed));
    let seen_since = watched(proven, &[(NOW + 605, present(Some(NOW)), SectorSeen::Live)]);
    assert_eq!(
        seen_since.as_of(&blind, Epoch(NOW + 610)),
        seen_since,
        "it was seen after the look that failed"
    );
    let pending = HealthRecord::pending(Epoch(NOW));
    assert_eq!(pending.as_of(&blind, Epoch(NOW + 610)), pending);
}

#[test]
fn a_suspect_that_its_provider_shows_once_more_is_seen_in_a_second_round() {
    let active = || present(Some(NOW));
    let suspect = watched(HealthRecord::pending(Epoch(NOW)), &[(NOW + 10, active(), FAULTY)]);
    let again = suspect.as_of(&view(NOW + 500, NOW + 400), Epoch(NOW + 510));
    assert_eq!(again, watched(suspect, &[(NOW + 500, active(), FAULTY)]));
    let patience = Epochs::new(490).expect("not negative");
    assert!(again.repair_due(patience) && !suspect.repair_due(Epochs::ZERO));
    assert_eq!(suspect.as_of(&view(NOW + 10, NOW + 10), Epoch(NOW + 20)), suspect, "the same round");
}

#[test]
fn a_dead_sector_alone_is_one_witness_and_the_end_is_for_the_market_to_say() {
    let proven =
        watched(HealthRecord::pending(Epoch(NOW)), &[(NOW + 10, present(Some(NOW)), SectorSeen::Live)]);
    let dead = proven.with_sector(TERM, SectorSeen::Dead, Epoch(NOW + 20));
    assert_eq!(dead.health, Health::Unknown(UnknownReason::OneWitness));
    assert_eq!(proven.with_sector(TERM, SectorSeen::Dead, TERM.end), proven);
    assert_eq!(proven.with_sector(TERM, FAULTY, Epoch(NOW + 9)), proven, "an older round");
    assert_eq!(proven.with_sector(TERM, FAULTY, Epoch(NOW + 10)).health, Health::Suspect, "the same round");
}

#[test]
fn records_say_the_same_whenever_it_was_seen() {
    let active = || present(Some(NOW - 5));
    let start = HealthRecord::pending(Epoch(NOW));
    let proven = watched(start, &[(NOW + 10, active(), SectorSeen::Live)]);
    let later = watched(proven, &[(NOW + 20, active(), SectorSeen::Live)]);
    assert!(proven.says_as(&later) && later.says_as(&proven));
    let suspect = watched(start, &[(NOW + 10, active(), FAULTY)]);
    assert!(suspect.says_as(&watched(suspect, &[(NOW + 20, active(), FAULTY)])), "the same fault");
    let other = watched(start, &[(NOW + 20, active(), FAULTY)]);
    assert!(!suspect.says_as(&other), "another fault");
    assert!(!suspect.says_as(&proven), "another state");
    assert!(!suspect.says_as(&watched(proven, &[(NOW + 10, active(), FAULTY)])), "one was proven before");
}

#[test]
fn an_older_round_changes_nothing() {
    let record =
        watched(HealthRecord::pending(Epoch(NOW)), &[(NOW + 10, present(Some(NOW)), SectorSeen::Live)]);
    assert_eq!(record.next(TERM, &DealSeen::Gone, SectorSeen::Dead, &round(NOW + 9)), record);
}

fn any_deal() -> impl Strategy<Value = DealSeen> {
    prop_oneof![
        Just(present(Some(NOW - 5))),
        Just(present(None)),
        Just(DealSeen::Gone),
        Just(DealSeen::NeverAllocated),
        Just(DEAF),
    ]
}

fn any_sector() -> impl Strategy<Value = SectorSeen> {
    prop_oneof![
        Just(SectorSeen::Live),
        (NOW..NOW + 9_000).prop_map(|since| SectorSeen::Faulty { since: Some(Epoch(since)) }),
        Just(FAULTY),
        Just(SectorSeen::Dead),
        Just(BLIND),
    ]
}

/// What one round sees of a sector.
#[derive(Clone, Copy, Debug)]
enum Sight {
    Live,
    Faulty,
    Blind,
}

proptest! {
    /// Writing a record only when it says something else, and seeing it through its provider in between, comes to what
    /// writing it in every round comes to.
    #[test]
    fn seen_through_its_provider_a_replica_is_as_if_written_in_every_round(
        steps in proptest::collection::vec(
            (1_i64..400, prop_oneof![3 => Just(Sight::Live), 4 => Just(Sight::Faulty), 1 => Just(Sight::Blind)], -200_i64..200),
            1..40,
        ),
        patience in 0_i64..2_000,
    ) {
        let patience = Epochs::new(patience).expect("not negative");
        let active = present(Some(NOW - 5));
        let start = HealthRecord::pending(Epoch(NOW)).next(TERM, &active, SectorSeen::Live, &round(NOW));
        let (mut full, mut stored, mut view) = (start, start, view(NOW, NOW));
        let (mut height, mut since) = (NOW, None);
        for (gap, sight, ahead) in steps {
            height += gap;
            let sector = match sight {
                Sight::Live => {
                    since = None;
                    SectorSeen::Live
                }
                Sight::Faulty => SectorSeen::Faulty { since: Some(*since.get_or_insert(Epoch(height + ahead))) },
                Sight::Blind => BLIND,
            };
            full = full.next(TERM, &active, sector, &round(height));
            view.lives_at = Some(Epoch(height));
            if let Sight::Blind = sight {
                view.unseen = Some(Unseen { reason: NotSeen::RpcFailed, since: Epoch(height), at: Epoch(height) });
            } else {
                view.unseen = None;
                view.faults_at = Some(Epoch(height));
                let is_known = match (stored.health, stored.fault, sector) {
                    (Health::Proven, _, SectorSeen::Live) => true,
                    (Health::Suspect, Some(fault), SectorSeen::Faulty { since }) => {
                        since == Some(fault.since) && !(fault.first_round < fault.since && height >= fault.since.0)
                    }
                    _ => false,
                };
                if !is_known {
                    stored = stored.with_sector(TERM, sector, Epoch(height));
                }
            }
            let seen = stored.as_of(&view, Epoch(height));
            prop_assert_eq!(seen.health, full.health);
            prop_assert_eq!(seen.repair_due(patience), full.repair_due(patience), "{:?} {:?}", seen, full);
        }
    }

    /// Whatever is seen, in whatever order: loss needs its two witnesses in one round, or a missed start of a
    /// deal nobody ever saw active; a repair needs two rounds; applying a round twice is applying it once.
    #[test]
    fn loss_and_repair_are_never_cheap(steps in proptest::collection::vec((1_i64..1_000, any_deal(), any_sector()), 1..20)) {
        let mut record = HealthRecord::pending(Epoch(NOW));
        let mut height = NOW;
        let mut was_active = false;
        let mut faults_seen = 0;
        for (gap, deal, sector) in steps {
            height += gap;
            let before = record;
            record = record.next(TERM, &deal, sector, &round(height));
            prop_assert_eq!(record.next(TERM, &deal, sector, &round(height)), record);
            if before.health == record.health && matches!(before.health, Health::Lost(_)) {
                prop_assert_eq!(before, record);
                continue;
            }
            match record.health {
                Health::Lost(LossReason::Terminated) => {
                    prop_assert!(deal == DealSeen::Gone && sector == SectorSeen::Dead);
                }
                Health::Lost(LossReason::NeverActivated) => {
                    prop_assert!(deal == present(None) && !was_active && height > TERM.start.0);
                }
                Health::Proven => faults_seen = 0,
                Health::Suspect => faults_seen += 1,
                _ => {}
            }
            was_active |= matches!(record.health, Health::Proven | Health::Suspect);
            if record.repair_due(Epochs::ZERO) {
                prop_assert!(faults_seen >= 2);
            }
        }
    }
}

#[test]
fn a_loss_and_a_doubt_are_named() {
    assert_eq!(LossReason::Terminated.to_string(), "terminated");
    assert_eq!(LossReason::NeverActivated.to_string(), "never activated");
    let table = [
        (UnknownReason::NotSeen(NotSeen::NotOffered), "no endpoint offers the method"),
        (UnknownReason::OneWitness, "the market says gone, but its sector is not seen dead"),
        (UnknownReason::NeverAllocated, "the market denies a deal that was seen finalized"),
    ];
    for (reason, words) in table {
        assert_eq!(reason.to_string(), words);
    }
}
