//! Pieces in sectors without a deal: told once, adopted once, shown under the contract's own id.

use crate::support::{
    CONTRACT, at, cid, commit, commitment, found, get, held, parts, piece, report, request_job, size, store,
};
use raas_core::health::{Health, HealthRecord, Term};
use raas_core::holding::Told;
use raas_core::ids::{ActorId, ContractAddress, DealId, HoldingId, ProviderId, RequestId, SectorNumber};
use raas_core::order::{OnChain, Order, OrderState, ReplicaRef};
use raas_core::plan::Action;
use raas_core::ports::{CompletionSeen, ToldSeen, TxIntent};
use raas_core::units::Epoch;
use raas_node::store::{Adopted, Committed, CopyIn, Refusal, ReplicaChange, SightingState, Store, Window};
use serde_json::json;

const OWN: DealId = DealId(DealId::FIRST_OF_SECTORS.0 + 2);
const PROVIDER: ProviderId = ProviderId::new(1_500);
const SECTOR: SectorNumber = SectorNumber(9);

fn told(deal: DealId, request: u64) -> ToldSeen {
    ToldSeen {
        market: ActorId(1_234),
        deal,
        request: RequestId(request),
        provider: PROVIDER,
        sector: SECTOR,
        piece: commitment(1),
        size: size(),
        block: Epoch(95),
    }
}

/// A copy in `SECTOR` that was found in good health.
fn copy(end: i64) -> Order {
    let health = HealthRecord {
        health: Health::Proven,
        proven_at: Some(Epoch(200)),
        ..HealthRecord::pending(Epoch(200))
    };
    let term = Term { start: Epoch(100), end: Epoch(end) };
    let state = OrderState::Active(OnChain {
        replica: ReplicaRef::Sector { sector: SECTOR },
        term,
        sector: Some(SECTOR),
        health,
    });
    Order { state, ..found(1, PROVIDER.number(), 0) }
}

/// A holding that request 1 asked for and whose bytes are known, and two windows that told of a piece of it.
async fn asked(store: &Store) -> HoldingId {
    store.record_piece(&piece(1)).await.unwrap();
    let jobs = [request_job(1, 1, "0x1")];
    let elsewhere = ToldSeen { sector: SectorNumber(8), ..told(DealId(OWN.0 + 1), 77) };
    let seen = [told(OWN, 1), elsewhere];
    let mut holding = None;
    for cursor in [1, 2] {
        let window = Window { jobs: &jobs, told: &seen, ..Window::default() };
        let done = store.apply_whole_window(CONTRACT, &json!(cursor), &window).await.unwrap();
        holding = Some(parts(done[0]).1);
    }
    holding.unwrap()
}

#[tokio::test]
async fn what_was_told_is_kept_once_and_settled_once() {
    let store = store().await;
    asked(&store).await;
    let new = store.told_unsettled(9).await.unwrap();
    let [only] = new.as_slice() else { panic!("one, since request 77 is nobody's: {new:?}") };
    assert_eq!((only.deal, only.of, &only.cid, only.size), (OWN, at(1), &cid(1), size()));
    let places = store.places_told(CONTRACT, &[OWN, DealId(1 << 63)]).await.unwrap();
    assert_eq!(places, [(OWN, PROVIDER, SECTOR)]);
    assert_eq!(
        store.places_told(ContractAddress([9; 20]), &[OWN]).await.unwrap(),
        [],
        "another contract's id"
    );
    let mut report = report(200);
    report.told = vec![(CONTRACT, OWN, SightingState::Unverified)];
    store.apply_round(&report).await.unwrap();
    assert_eq!(store.told_unsettled(9).await.unwrap(), []);
    let shown = store.told_of_cid(&cid(1)).await.unwrap();
    assert_eq!(shown.iter().map(|told| told.state).collect::<Vec<_>>(), [SightingState::Unverified]);
    // A completion with it is no deal of the market to look for.
    let seen = [CompletionSeen { request: RequestId(1), deal: OWN, block: Epoch(95) }];
    store.apply_window(CONTRACT, &json!(3), &[], &seen).await.unwrap();
    assert_eq!(store.sightings_of_cid(&cid(1)).await.unwrap(), []);
}

#[tokio::test]
async fn a_copy_in_a_sector_is_one_copy_and_is_completed_under_the_contracts_own_id() {
    let store = store().await;
    let holding = asked(&store).await;
    let mut found = report(200);
    found.adopted = vec![Adopted { holding, order: copy(9_000), proposal: None }; 2];
    found.told = vec![(CONTRACT, OWN, SightingState::Adopted)];
    for _ in 0..2 {
        store.apply_round(&found).await.unwrap();
    }
    let held = store.holding(holding).await.unwrap().unwrap();
    let [spare] = held.pieces[0].spares.as_slice() else { panic!("one copy: {held:?}") };
    assert_eq!(spare.state, copy(9_000).state);
    assert_eq!(held.attestations[0].told, [Told { deal: OWN, provider: PROVIDER, sector: SECTOR }]);
    assert_eq!(store.copy_in(holding, PROVIDER, SECTOR, commitment(1)).await.unwrap(), CopyIn::Known);
    assert_eq!(
        store.copy_in(holding, PROVIDER, SectorNumber(8), commitment(1)).await.unwrap(),
        CopyIn::Unknown
    );
    assert_eq!(
        store.copy_in(holding, ProviderId::new(1), SECTOR, commitment(1)).await.unwrap(),
        CopyIn::Unknown
    );

    let attest = |deal| Action::Attest { holding, at: at(1), order: spare.id, deal };
    let other = commit(&store, attest(DealId(OWN.0 + 5))).await;
    assert_eq!(other, Committed::Refused(Refusal::Changed), "the contract was not told of that");
    let Committed::AttestPlanned(tx) = commit(&store, attest(OWN)).await else { panic!("refused") };
    let TxIntent::Complete { market, deal, provider, .. } = store.tx(tx).await.unwrap().unwrap().intent
    else {
        panic!("no completion")
    };
    assert_eq!((market, deal, provider), (Some(ActorId(1_234)), OWN, PROVIDER));
    assert_eq!(store.holding(holding).await.unwrap().unwrap().attestations[0].done, [OWN], "on its way");
    assert_eq!(commit(&store, attest(OWN)).await, Committed::Refused(Refusal::Already));
}

#[tokio::test]
async fn a_sector_that_is_extended_moves_the_end_in_every_column() {
    let store = store().await;
    let holding = asked(&store).await;
    let mut first = report(200);
    first.adopted = vec![Adopted { holding, order: copy(9_000), proposal: None }];
    store.apply_round(&first).await.unwrap();
    let held = store.holding(holding).await.unwrap().unwrap();
    let order = held.pieces[0].spares[0].id;
    let stored = get(&store, order).await;
    let mut later = report(210);
    later.replicas = vec![ReplicaChange {
        order,
        version: stored.version,
        holding,
        provider: PROVIDER,
        from: Health::Proven,
        to: copy(12_000).state,
    }];
    assert_eq!(store.apply_round(&later).await.unwrap().skipped, []);
    assert_eq!(get(&store, order).await.order.state, copy(12_000).state);
    let [row] = store.watched_of(&[holding]).await.unwrap().try_into().unwrap();
    assert_eq!((row.end, row.deal, row.sector), (Epoch(12_000), None, Some(SECTOR)));
}

#[tokio::test]
async fn providers_take_turns_with_their_claims() {
    let store = store().await;
    let on_chain = |number| raas_core::observation::ProviderOnChain {
        provider: ProviderId::new(number),
        operator: raas_core::ids::OperatorId(ActorId(number)),
        sector_bytes: 32 << 30,
        urls: vec![],
    };
    for number in [1_001, 1_000] {
        store.put_provider(&on_chain(number), None, Epoch(1)).await.unwrap();
    }
    let unread = || async {
        let ids = store.claims_unread_since(Epoch(100)).await.unwrap();
        ids.into_iter().map(ProviderId::number).collect::<Vec<_>>()
    };
    assert_eq!(unread().await, [1_000, 1_001]);
    store.set_claims_read(ProviderId::new(1_000), Epoch(50)).await.unwrap();
    assert_eq!(unread().await, [1_001, 1_000], "the longest unread first");
    store.set_claims_read(ProviderId::new(1_001), Epoch(101)).await.unwrap();
    assert_eq!(unread().await, [1_000]);
    held(&store, 1).await;
    store.record_piece(&piece(1)).await.unwrap();
    assert_eq!(store.open_pieces().await.unwrap(), [commitment(1)].into());
    store.stop_job(raas_core::ids::JobId(1)).await.unwrap();
    assert!(store.open_pieces().await.unwrap().is_empty());
}

/// Whoever tells of many pieces for bytes that nobody finds stands in nobody's way.
#[tokio::test]
async fn what_cannot_be_settled_waits_behind_everything_else() {
    let store = store().await;
    let holding = asked(&store).await;
    let nobody = request_job(2, 2, "0x2");
    let strange: Vec<ToldSeen> = (10..300)
        .map(|number| ToldSeen { request: RequestId(2), ..told(DealId(OWN.0 + number), 2) })
        .collect();
    let window = Window { jobs: &[nobody], told: &strange, ..Window::default() };
    store.apply_whole_window(CONTRACT, &json!(3), &window).await.unwrap();
    let deals = async || {
        let rows = store.told_unsettled(2).await.unwrap();
        rows.into_iter().map(|row| row.deal.0 - OWN.0).collect::<Vec<_>>()
    };
    assert_eq!(deals().await, [0], "bytes of the other CID are not known");
    store.record_piece(&piece(2)).await.unwrap();
    assert_eq!(deals().await, [0, 10]);
    store.note_tried(&[(CONTRACT, OWN), (CONTRACT, DealId(OWN.0 + 10))], Epoch(200)).await.unwrap();
    assert_eq!(deals().await, [11, 12], "what was looked at comes last");
    assert!(store.holding(holding).await.unwrap().is_some());
}

/// One event is all there is, whoever else asks for the same CID.
#[tokio::test]
async fn a_second_owner_has_what_was_told_settled_anew_and_gets_a_copy_of_his_own() {
    let store = store().await;
    let first = asked(&store).await;
    let mut found = report(200);
    found.adopted = vec![Adopted { holding: first, order: copy(9_000), proposal: None }];
    found.told = vec![(CONTRACT, OWN, SightingState::Adopted)];
    store.apply_round(&found).await.unwrap();
    assert_eq!(store.told_unsettled(9).await.unwrap(), []);
    let other = raas_node::store::NewJob {
        owner: raas_core::ids::OwnerId("0xother".to_owned()),
        ..request_job(1, 5, "0x5")
    };
    let window = Window { jobs: &[other], ..Window::default() };
    let done = store.apply_whole_window(CONTRACT, &json!(4), &window).await.unwrap();
    let second = parts(done[0]).1;
    assert_ne!(first, second);
    assert_eq!(store.told_unsettled(9).await.unwrap().len(), 1);
    assert_eq!(store.copy_in(second, PROVIDER, SECTOR, commitment(1)).await.unwrap(), CopyIn::Unknown);
    found.adopted = vec![
        Adopted { holding: second, order: copy(9_000), proposal: None },
        Adopted { holding: first, order: copy(9_000), proposal: None },
    ];
    store.apply_round(&found).await.unwrap();
    for (holding, request) in [(first, 1), (second, 5)] {
        let held = store.holding(holding).await.unwrap().unwrap();
        assert_eq!(held.pieces[0].spares.len(), 1, "one each");
        assert_eq!((held.attestations[0].at, held.attestations[0].told.len()), (at(request), 1));
    }
}

/// The same sector may have been told of another piece of the same commitment: that is no way to show this copy.
#[tokio::test]
async fn only_what_was_told_of_this_very_piece_shows_a_copy() {
    let store = store().await;
    let holding = asked(&store).await;
    let half = raas_core::units::PaddedSize::new(size().get() / 2).unwrap();
    let smaller = ToldSeen { size: half, ..told(DealId(OWN.0 - 1), 1) };
    let window = Window { told: &[smaller], ..Window::default() };
    store.apply_whole_window(CONTRACT, &json!(3), &window).await.unwrap();
    let mut found = report(200);
    found.adopted = vec![Adopted { holding, order: copy(9_000), proposal: None }];
    store.apply_round(&found).await.unwrap();
    let held = store.holding(holding).await.unwrap().unwrap();
    assert_eq!(held.attestations[0].told.iter().map(|told| told.deal).collect::<Vec<_>>(), [OWN]);
    let order = held.pieces[0].spares[0].id;
    let attest = |deal| Action::Attest { holding, at: at(1), order, deal };
    assert_eq!(commit(&store, attest(DealId(OWN.0 - 1))).await, Committed::Refused(Refusal::Changed));
    assert!(matches!(commit(&store, attest(OWN)).await, Committed::AttestPlanned(_)));
}
