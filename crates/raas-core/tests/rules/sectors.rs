//! Copies in sectors without a deal: nothing but the miner tells of them, and their end can move.

use crate::model::build::{DAY, NOW, attestation, holding_with, proven, round, rules};
use proptest::prelude::*;
use raas_core::health::{Health, HealthRecord, LossReason, Term, UnknownReason};
use raas_core::holding::Told;
use raas_core::ids::{DealId, ProviderId, SectorNumber};
use raas_core::machine::order::{Effect, Event, Illegal, next};
use raas_core::observation::{NotSeen, SectorSeen, TermSeen};
use raas_core::order::{OnChain, OrderState, ReplicaRef};
use raas_core::plan::Wanted;
use raas_core::units::Epoch;
use raas_core::want::want;

const TERM: Term = Term { start: Epoch(NOW), end: Epoch(NOW + 540 * DAY) };
const LISTED: TermSeen = TermSeen::Listed(TERM);
const FAULTY: SectorSeen = SectorSeen::Faulty { since: None };
const BLIND: NotSeen = NotSeen::RpcFailed;
const SECTOR: SectorNumber = SectorNumber(7);

fn found() -> OrderState {
    let replica = ReplicaRef::Sector { sector: SECTOR };
    let health = HealthRecord::pending(Epoch(NOW));
    OrderState::Published(OnChain { replica, term: TERM, sector: Some(SECTOR), health })
}

fn after(state: &OrderState, term: TermSeen, sector: SectorSeen, height: i64) -> OrderState {
    next(state, &Event::Listed { term, sector, height: Epoch(height) }).expect("legal").0
}

fn health(state: &OrderState) -> Health {
    state.on_chain().expect("on chain").health.health
}

const fn unknown(reason: NotSeen) -> Health {
    Health::Unknown(UnknownReason::NotSeen(reason))
}

#[test]
fn every_pair_of_what_the_miner_says() {
    let proven = after(&found(), LISTED, SectorSeen::Live, NOW + 1);
    let end = TERM.end.0;
    let dead_once = Health::Unknown(UnknownReason::DeadOnce);
    for (term, sector, height, expected) in [
        (LISTED, SectorSeen::Live, NOW + 2, Health::Proven),
        (LISTED, FAULTY, NOW + 2, Health::Suspect),
        (LISTED, SectorSeen::Dead, NOW + 2, dead_once),
        (TermSeen::Gone, SectorSeen::Dead, NOW + 2, dead_once),
        (TermSeen::Gone, SectorSeen::Live, NOW + 2, unknown(NotSeen::Contradiction)),
        (TermSeen::Gone, FAULTY, NOW + 2, unknown(NotSeen::Contradiction)),
        (LISTED, SectorSeen::NotSeen(BLIND), NOW + 2, unknown(BLIND)),
        (TermSeen::NotSeen(BLIND), SectorSeen::Live, NOW + 2, unknown(BLIND)),
        (TermSeen::NotSeen(BLIND), SectorSeen::Dead, NOW + 2, unknown(BLIND)),
        (TermSeen::NotSeen(BLIND), SectorSeen::Live, end, unknown(BLIND)),
        (LISTED, SectorSeen::Live, end - 1, Health::Proven),
        (LISTED, SectorSeen::Live, end, Health::Ended),
        (LISTED, SectorSeen::Dead, end, Health::Ended),
        (TermSeen::Gone, SectorSeen::Dead, end, Health::Ended),
    ] {
        assert_eq!(
            health(&after(&proven, term, sector, height)),
            expected,
            "{term:?} {sector:?} at {height}"
        );
    }
}

#[test]
fn a_loss_needs_two_tipsets_and_nothing_in_between() {
    let proven = after(&found(), LISTED, SectorSeen::Live, NOW + 1);
    let once = after(&proven, LISTED, SectorSeen::Dead, NOW + 2);
    assert!(once.is_active(), "it keeps its place");
    let same = after(&once, TermSeen::Gone, SectorSeen::Dead, NOW + 2);
    assert!(same.is_active(), "the same tipset says nothing new");
    let (lost, effects) =
        next(&once, &Event::Listed { term: LISTED, sector: SectorSeen::Dead, height: Epoch(NOW + 3) })
            .expect("legal");
    assert_eq!(health(&lost), Health::Lost(LossReason::Terminated));
    assert!(matches!(lost, OrderState::Lost { reason: LossReason::Terminated, .. }));
    assert_eq!(effects, [Effect::Replan]);
    for (term, sector) in [(LISTED, SectorSeen::Live), (TermSeen::NotSeen(BLIND), SectorSeen::Dead)] {
        let between = after(&once, term, sector, NOW + 3);
        assert!(after(&between, LISTED, SectorSeen::Dead, NOW + 4).is_active(), "begins anew");
    }
    assert_eq!(after(&lost, LISTED, SectorSeen::Live, NOW + 9), lost, "a loss is for good");
}

#[test]
fn a_sector_can_be_extended_and_its_end_is_the_copy_s() {
    let proven = after(&found(), LISTED, SectorSeen::Live, NOW + 1);
    let longer = Term { end: Epoch(TERM.end.0 + 100 * DAY), ..TERM };
    let extended = after(&proven, TermSeen::Listed(longer), SectorSeen::Live, TERM.end.0);
    assert_eq!((health(&extended), extended.on_chain().expect("on chain").term), (Health::Proven, longer));
    let blind = after(&extended, TermSeen::NotSeen(BLIND), SectorSeen::Live, TERM.end.0 + 1);
    assert_eq!(blind.on_chain().expect("on chain").term, longer, "what was not read changes nothing");
    assert_eq!(health(&after(&blind, TermSeen::Gone, SectorSeen::Dead, longer.end.0)), Health::Ended);
}

#[test]
fn a_fault_is_followed_like_any_other() {
    let since = SectorSeen::Faulty { since: Some(Epoch(NOW + 5)) };
    let suspect = after(&after(&found(), LISTED, SectorSeen::Live, NOW + 1), LISTED, since, NOW + 10);
    let fault = suspect.on_chain().expect("on chain").health.fault.expect("a fault");
    assert_eq!((fault.since, fault.first_round), (Epoch(NOW + 5), Epoch(NOW + 10)));
    let again = Event::SectorObserved { sector: SectorSeen::Live, height: Epoch(NOW + 11) };
    let recovered = next(&suspect, &again).expect("legal").0;
    assert_eq!(
        (health(&recovered), recovered.on_chain().expect("on chain").health.fault),
        (Health::Proven, None)
    );
}

#[test]
fn a_deal_is_not_judged_by_the_miner_s_table() {
    let deal = proven(1, 1_000, NOW + 100 * DAY).state;
    let event = Event::Listed { term: LISTED, sector: SectorSeen::Dead, height: Epoch(NOW + 2) };
    assert!(matches!(next(&deal, &event), Err(Illegal::NotNow { .. })));
    assert!(matches!(next(&OrderState::Planned, &event), Err(Illegal::NotNow { .. })));
    let state = OrderState::Ended(*found().on_chain().expect("on chain"));
    assert_eq!(after(&state, LISTED, SectorSeen::Live, NOW + 9), state);
}

#[test]
fn what_was_written_of_a_deal_is_read_and_a_sector_is_told_apart() {
    let deal = serde_json::to_value(ReplicaRef::Deal(DealId(7))).expect("JSON");
    assert_eq!(deal, serde_json::json!(7));
    for replica in [ReplicaRef::Deal(DealId(7)), ReplicaRef::Sector { sector: SECTOR }] {
        let text = serde_json::to_string(&replica).expect("JSON");
        assert_eq!(serde_json::from_str::<ReplicaRef>(&text).expect("JSON"), replica);
    }
    assert_eq!(ReplicaRef::Deal(DealId(7)).to_string(), "deal 7");
    assert_eq!(ReplicaRef::Sector { sector: SECTOR }.to_string(), "a piece in sector 7");
    assert!(
        !DealId(DealId::FIRST_OF_SECTORS.0 - 1).is_of_sector() && DealId::FIRST_OF_SECTORS.is_of_sector()
    );
}

/// A contract can be shown only what it was told of, under the id it gave that itself.
#[test]
fn a_copy_in_a_sector_is_attested_where_its_contract_was_told_of_it() {
    let mut order = proven(1, 1_000, NOW + 500 * DAY);
    let OrderState::Active(on_chain) = &mut order.state else { panic!("active") };
    on_chain.replica = ReplicaRef::Sector { sector: SECTOR };
    let own = DealId(DealId::FIRST_OF_SECTORS.0 + 3);
    let told = |provider, sector| Told {
        deal: own,
        provider: ProviderId::new(provider),
        sector: SectorNumber(sector),
    };
    let shown = |told: Vec<Told>, done: Vec<DealId>| -> Vec<DealId> {
        let mut holding = holding_with(1, vec![vec![order.clone()]]);
        let mut asked = attestation(4, &[]);
        (asked.told, asked.done) = (told, done);
        holding.attestations = vec![asked];
        let (wanted, _) = want(&holding, &round(NOW), &rules());
        wanted
            .into_iter()
            .filter_map(|want| match want.what {
                Wanted::Attest { deal, .. } => Some(deal),
                _ => None,
            })
            .collect()
    };
    assert_eq!(shown(vec![told(1_000, 7)], vec![]), [own]);
    assert_eq!(shown(vec![told(1_000, 7)], vec![own]), [], "once");
    assert_eq!(shown(vec![told(1_001, 7), told(1_000, 8)], vec![]), [], "another place");
    assert_eq!(shown(vec![], vec![]), []);

    // It came too late for a place, and was told for this very request: it is shown all the same.
    let mut late = holding_with(1, vec![vec![proven(2, 1_001, NOW + 500 * DAY)]]);
    late.pieces[0].spares = vec![order.clone()];
    let mut asked = attestation(4, &[500_002]);
    asked.told = vec![told(1_000, 7)];
    late.attestations = vec![asked.clone()];
    let attested = |holding: &raas_core::holding::Holding| {
        let (wanted, _) = want(holding, &round(NOW), &rules());
        wanted.iter().filter(|want| matches!(want.what, Wanted::Attest { deal, .. } if deal == own)).count()
    };
    assert_eq!(attested(&late), 1);
    asked.told = Vec::new();
    late.attestations = vec![asked];
    assert_eq!(attested(&late), 0, "a spare that nobody told of is shown when it has a place");
}

proptest! {
    /// Without two finalized tipsets that show it dead, nothing is lost.
    #[test]
    fn nothing_is_lost_on_one_look(looks in proptest::collection::vec((0_u8..4, 0_u8..3, 1_i64..4), 1..30)) {
        let mut state = after(&found(), LISTED, SectorSeen::Live, NOW + 1);
        let (mut height, mut dead_at) = (NOW + 1, None);
        for (sector, term, step) in looks {
            height += step;
            let sector = [SectorSeen::Live, FAULTY, SectorSeen::Dead, SectorSeen::NotSeen(BLIND)][usize::from(sector)];
            let term = [LISTED, TermSeen::Gone, TermSeen::NotSeen(BLIND)][usize::from(term)];
            state = after(&state, term, sector, height);
            let is_dead = sector == SectorSeen::Dead && !matches!(term, TermSeen::NotSeen(_));
            let twice = is_dead && dead_at.is_some();
            prop_assert_eq!(matches!(state, OrderState::Lost { .. }), twice);
            if twice { break }
            dead_at = is_dead.then_some(height);
        }
    }
}
