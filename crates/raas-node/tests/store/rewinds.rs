//! Rewinds: what a history that is gone told is superseded, never deleted; what was mined again is the same.

use crate::support::{
    CONTRACT, active, at, cid, commit, get, held, job, on_chain, order_action, ordered, parts, proposal, put,
    report, request_job, round, store,
};
use raas_core::health::{Health, LossReason};
use raas_core::holding::Holding;
use raas_core::ids::{ActorId, DealId, JobId, OrderId, ProviderId, RequestId, SectorNumber};
use raas_core::machine::sender::{Receipt, Sent, State};
use raas_core::observation::Round;
use raas_core::order::{Cause, OrderState};
use raas_core::ports::{CompletionSeen, Fees, Now, SignedTx, ToldSeen};
use raas_core::units::{AttoFil, Epoch};
use raas_node::store::{
    Committed, ContractEvent, ContractRewind, EventKind, GasDay, JobSource, JobState, NewJob, RequestChange,
    Rewind, Rewound, SightingState, Store, TxSubmit, Window,
};
use serde_json::json;

const FROM: Epoch = Epoch(92);

/// The same request in another block.
fn in_block(mut job: NewJob, at: i64) -> NewJob {
    if let JobSource::Contract { block, .. } = &mut job.source {
        *block = Epoch(at);
    }
    job
}

fn completion(request: u64, deal: u64, block: i64) -> CompletionSeen {
    CompletionSeen { request: RequestId(request), deal: DealId(deal), block: Epoch(block) }
}

fn told(request: u64, block: i64) -> ToldSeen {
    ToldSeen {
        market: ActorId(1_234),
        deal: DealId::FIRST_OF_SECTORS,
        request: RequestId(request),
        provider: ProviderId::new(1_000),
        sector: SectorNumber(7),
        piece: crate::support::commitment(1),
        size: crate::support::size(),
        block: Epoch(block),
    }
}

fn rewind<'a>(round: &'a Round, window: Window<'a>, orders: Vec<(OrderId, OrderState)>) -> Rewind<'a> {
    Rewind {
        from: FROM,
        gone: ("bafygone".to_owned(), Epoch(100)),
        round,
        now: Now { epoch: Epoch(1_000), unix_seconds: 30_000 },
        contracts: vec![ContractRewind { contract: CONTRACT, cursor: json!({"to": 101}), window }],
        orders,
        deals_from: Some(DealId(60)),
    }
}

/// Shows a rewind, which must change nothing, and then carries it out, which must do what was shown.
async fn carried_out(store: &Store, rewind: &Rewind<'_>) -> Rewound {
    let before = store.contract_events(CONTRACT).await.unwrap();
    let log = store.events(0, 10_000).await.unwrap().len();
    let shown = store.rewind(rewind, false).await.unwrap();
    assert_eq!(store.contract_events(CONTRACT).await.unwrap(), before, "it was only shown");
    assert_eq!(store.events(0, 10_000).await.unwrap().len(), log, "nor said to have happened");
    let done = store.rewind(rewind, true).await.unwrap();
    assert_eq!(done, shown);
    done
}

async fn requests(store: &Store, jobs: &[JobId]) -> Vec<(Option<u64>, JobState, Option<u64>)> {
    let mut found = Vec::new();
    for job in jobs {
        let job = store.job(*job).await.unwrap().unwrap();
        found.push((job.request.map(|at| at.request.0), job.state, job.superseded));
    }
    found
}

async fn holding_of(store: &Store, job: JobId) -> Holding {
    let job = store.job(job).await.unwrap().unwrap();
    store.holding(job.holding).await.unwrap().unwrap()
}

#[tokio::test]
async fn fault_11_what_a_gone_history_told_stays_superseded_and_what_was_mined_again_is_the_same() {
    let store = store().await;
    let old = [
        in_block(request_job(1, 1, "0x1"), 91),
        in_block(request_job(2, 2, "0x2"), 93),
        in_block(request_job(3, 3, "0x3"), 94),
    ];
    let (completions, pieces) = ([completion(1, 50, 95), completion(3, 51, 95)], [told(3, 96)]);
    let window =
        Window { jobs: &old, completions: &completions, told: &pieces, to: Epoch(99), ..Window::default() };
    let made = store.apply_whole_window(CONTRACT, &json!({"to": 99}), &window).await.unwrap();
    let jobs: Vec<JobId> = made.iter().map(|made| parts(*made).0).collect();
    // The second request is gone, so that the third is the second now; its transaction was mined in another block.
    let new = [in_block(request_job(3, 2, "0x3"), 97), in_block(request_job(4, 3, "0x4"), 98)];
    let (completions, pieces) = ([completion(1, 50, 98)], [told(2, 98)]);
    let window =
        Window { jobs: &new, completions: &completions, told: &pieces, to: Epoch(101), ..Window::default() };
    let now = round(102);
    let done = carried_out(&store, &rewind(&now, window, Vec::new())).await;

    let open = JobState::Open;
    assert_eq!(
        requests(&store, &jobs).await,
        [(Some(1), open, None), (None, JobState::Stopped, Some(1)), (Some(2), open, None)]
    );
    let all = store.jobs(None, None, None, 100).await.unwrap();
    assert_eq!(all.len(), 4, "the new request is the only new job");
    let third = all.iter().find(|job| job.id == jobs[2]).unwrap();
    assert_eq!(third.source, new[0].source, "where it is now");
    let done_of = |holding: &Holding| holding.attestations.first().unwrap().done.clone();
    assert_eq!(done_of(&holding_of(&store, jobs[0]).await), [DealId(50)], "told again, and once");
    assert_eq!(done_of(&holding_of(&store, jobs[2]).await), [], "its completion is gone");
    let of: Vec<_> =
        store.sightings_of_cid(&cid(3)).await.unwrap().iter().map(|seen| (seen.deal, seen.of)).collect();
    assert_eq!(of, [(DealId(51), None)], "still a deal to look at, and of no request");
    let of: Vec<_> =
        store.sightings_of_cid(&cid(1)).await.unwrap().iter().map(|seen| (seen.deal, seen.of)).collect();
    assert_eq!(of, [(DealId(50), Some(at(1)))]);
    let [piece] = store.told_of_cid(&cid(3)).await.unwrap().try_into().unwrap();
    assert_eq!(
        (piece.of, piece.state),
        (at(2), SightingState::New),
        "told once, of the request as it is now"
    );
    assert_eq!(store.cursor(CONTRACT).await.unwrap(), Some(json!({"to": 101})));

    // Nothing is deleted: what is gone names the rewind and its time.
    let journal = store.contract_events(CONTRACT).await.unwrap();
    let gone: Vec<(EventKind, u64, i64)> = journal
        .iter()
        .filter(|(_, superseded)| superseded.is_some_and(|by| (by.rewind, by.at) == (1, Epoch(1_000))))
        .map(|(event, _)| (event.kind, event.request.0, event.block.0))
        .collect();
    use EventKind::{Completed, Requested, Told};
    assert_eq!(
        gone,
        [(Requested, 2, 93), (Requested, 3, 94), (Told, 3, 96), (Completed, 1, 95), (Completed, 3, 95)]
    );
    let stands = journal.iter().filter(|(_, superseded)| superseded.is_none()).count();
    assert_eq!(stands, 5, "{journal:?}");
    let [contract] = done.contracts.as_slice() else { panic!("{done:?}") };
    assert_eq!(contract.jobs_ended, [jobs[1]]);
    let moved: Vec<(u64, u64)> = contract
        .moved
        .iter()
        .filter(|moved| moved.before.kind == Requested)
        .map(|moved| (moved.before.request.0, moved.after.request.0))
        .collect();
    assert_eq!(moved, [(3, 2)]);
    assert!(contract.superseded.iter().any(|event| event.request == RequestId(2)), "{contract:?}");

    // What was on no chain is mined after all: it is the job that it was.
    let late = [in_block(request_job(2, 4, "0x2"), 105)];
    let back = store.apply_window(CONTRACT, &json!({"to": 106}), &late, &[]).await.unwrap();
    assert_eq!(parts(back[0]).0, jobs[1]);
    assert_eq!(requests(&store, &jobs[1..2]).await, [(Some(4), open, None)]);
    let journal = store.contract_events(CONTRACT).await.unwrap();

    // Reading the same window again changes nothing.
    let again =
        Window { jobs: &new, completions: &completions, told: &pieces, to: Epoch(101), ..Window::default() };
    store.apply_whole_window(CONTRACT, &json!({"to": 101}), &again).await.unwrap();
    assert_eq!(store.jobs(None, None, None, 100).await.unwrap().len(), 4);
    assert_eq!(store.contract_events(CONTRACT).await.unwrap().len(), journal.len());
}

#[tokio::test]
async fn a_request_that_was_closed_on_a_gone_history_is_open_again_unless_its_owner_closes_it_here_too() {
    for closes_again in [false, true] {
        let store = store().await;
        let jobs = [in_block(request_job(1, 1, "0x1"), 91)];
        let made = store.apply_window(CONTRACT, &json!(1), &jobs, &[]).await.unwrap();
        let (job, _) = parts(made[0]);
        let closed = [(RequestId(1), RequestChange::Closed)];
        let window = Window { changes: &closed, to: Epoch(95), ..Window::default() };
        store.apply_whole_window(CONTRACT, &json!(2), &window).await.unwrap();
        assert_eq!(store.job(job).await.unwrap().unwrap().state, JobState::Stopped);
        let now = round(102);
        let changes: &[_] = if closes_again { &closed } else { &[] };
        let window = Window { changes, to: Epoch(101), ..Window::default() };
        carried_out(&store, &rewind(&now, window, Vec::new())).await;
        let expected = if closes_again { JobState::Stopped } else { JobState::Open };
        assert_eq!(store.job(job).await.unwrap().unwrap().state, expected);
    }
}

/// A registration of this node's own in a tipset that is gone: its job goes on, and its bytes are sent again.
#[tokio::test]
async fn a_registration_that_is_gone_is_sent_again_with_the_same_bytes() {
    let store = store().await;
    let on_chain = Some(TxSubmit { cid: cid(1).cid().to_bytes(), target: 3, repair: 1, renew: 1 });
    let (job, _) = parts(store.register_job(&NewJob { on_chain, ..job(1) }).await.unwrap());
    let [tx] = store.open_txs(None).await.unwrap().try_into().unwrap();
    let first = SignedTx {
        raw: vec![9],
        hash: "0xAA01".to_owned(),
        fees: Fees::default(),
        gas_max: AttoFil::ZERO,
        cancels: false,
    };
    let sent = Sent {
        nonce: 0,
        first_at: Epoch(90),
        waits_since: Epoch(90),
        first: first.clone(),
        replacements: vec![],
    };
    let stored = serde_json::to_value(State::Stored(sent.clone())).unwrap();
    store.store_signed_tx(tx.id, 1, 0, &first, &stored, GasDay::unlimited(Epoch(0))).await.unwrap();
    let receipt = Receipt { hash: first.hash.clone(), block: Epoch(93), success: true };
    let done = serde_json::to_value(State::Final { sent: sent.clone(), receipt }).unwrap();
    store.set_tx(tx.id, 2, &done, false).await.unwrap();
    store.apply_window(CONTRACT, &json!(1), &[in_block(request_job(1, 1, "0xaa01"), 93)], &[]).await.unwrap();
    assert_eq!(store.job(job).await.unwrap().unwrap().request, Some(at(1)));

    let now = round(102);
    let done = carried_out(&store, &rewind(&now, Window::default(), Vec::new())).await;
    assert_eq!(done.contracts[0].jobs_unregistered, [job]);
    assert_eq!(done.transactions, [tx.id]);
    assert_eq!(requests(&store, &[job]).await, [(None, JobState::Open, None)]);
    let again = store.tx(tx.id).await.unwrap().unwrap();
    assert_eq!((again.open, &again.signed[..]), (true, &[first][..]), "the same bytes");
    assert_eq!(again.state, serde_json::to_value(State::Broadcast(sent)).unwrap());
    let steps = store.claim_due(2_000, 10).await.unwrap();
    assert!(
        steps.iter().any(|step| step.kind == raas_node::store::StepKind::Send { tx: tx.id }),
        "{steps:?}"
    );
    // Mined again: the same job, and no second one.
    let seen = [in_block(request_job(1, 1, "0xaa01"), 110)];
    store.apply_window(CONTRACT, &json!(2), &seen, &[]).await.unwrap();
    assert_eq!(store.jobs(None, None, None, 100).await.unwrap().len(), 1);
    assert_eq!(store.job(job).await.unwrap().unwrap().request, Some(at(1)));
}

#[tokio::test]
async fn orders_go_back_to_what_the_new_history_has_of_them_and_never_two_into_one_place() {
    let store = store().await;
    let holding = held(&store, 1).await;
    let unpublished = ordered(&store, holding, 0, 1, 1_000).await;
    let version = get(&store, unpublished).await.version;
    store.sign_order(unpublished, version, &proposal(unpublished, 1)).await.unwrap();
    put(&store, unpublished, active(61)).await;
    let lost = ordered(&store, holding, 1, 1, 1_001).await;
    put(&store, lost, active(50)).await;
    let reason = LossReason::Terminated;
    put(&store, lost, OrderState::Lost { on_chain: on_chain(50, Health::Lost(reason), 95), reason }).await;
    let repair = order_action(holding, 1, 1, 1_002, Cause::Repair { of: lost });
    let Committed::Ordered(repair) = commit(&store, repair).await else { panic!("ordered") };
    let alone = ordered(&store, holding, 2, 1, 1_003).await;
    put(&store, alone, active(51)).await;
    put(&store, alone, OrderState::Lost { on_chain: on_chain(51, Health::Lost(reason), 96), reason }).await;
    let of = store.orders_since(DealId(60), FROM).await.unwrap();
    let concerned: Vec<OrderId> = of.iter().map(|stored| stored.order.id).collect();
    assert_eq!(concerned, [unpublished, lost, alone]);

    let accepted = OrderState::Accepted(crate::support::signed(unpublished, 1));
    let states = vec![(unpublished, accepted.clone()), (lost, active(50)), (alone, active(51))];
    let now = round(102);
    let done = carried_out(&store, &rewind(&now, Window::default(), states)).await;
    let turned: Vec<_> = done.orders.iter().map(|order| (order.order, order.from, order.to)).collect();
    assert_eq!(
        turned,
        [(unpublished, "active", "accepted"), (lost, "lost", "active"), (alone, "lost", "active")]
    );
    assert_eq!(get(&store, unpublished).await.order.state, accepted);
    assert_eq!(get(&store, lost).await.slots, [], "its place is taken by the repair: it is a spare");
    assert_eq!(get(&store, repair).await.slots.len(), 1);
    assert_eq!(get(&store, alone).await.slots.len(), 1, "back in its place");
    let holding = store.holding(holding).await.unwrap().unwrap();
    let in_sight: Vec<Vec<OrderId>> = holding.pieces[0]
        .slots
        .iter()
        .map(|slot| slot.generations.iter().map(|order| order.id).collect())
        .collect();
    assert_eq!(in_sight, [vec![unpublished], vec![repair], vec![alone]]);
}

#[tokio::test]
async fn the_node_goes_on_from_the_new_round_and_reads_again_what_it_had_read_beyond() {
    let store = store().await;
    for height in [80, 91, 99] {
        store.apply_round(&report(height)).await.unwrap();
    }
    let mut seen = report(100);
    seen.deals_read_to = Some(DealId(70));
    store.apply_round(&seen).await.unwrap();
    let heights =
        async || -> Vec<i64> { store.trail().await.unwrap().iter().map(|(_, height)| height.0).collect() };
    assert_eq!(heights().await, [80, 91, 99, 100]);
    let now = round(97);
    carried_out(&store, &rewind(&now, Window::default(), Vec::new())).await;
    assert_eq!(heights().await, [80, 91, 97]);
    assert_eq!(store.last_round().await.unwrap(), Some((now, None)));
    assert_eq!(store.events_read_to().await.unwrap(), Some(Epoch(91)));
    assert_eq!(store.deals_read_to().await.unwrap(), Some(DealId(60)));
}

#[tokio::test]
async fn the_trail_goes_back_two_days() {
    let store = store().await;
    for height in [10, 5_000, 5_770, 5_771] {
        store.apply_round(&report(height)).await.unwrap();
    }
    let trail = store.trail().await.unwrap();
    assert_eq!(
        trail.first().map(|(tipset, height)| (tipset.as_str(), height.0)),
        Some(("bafytipset5000", 5_000))
    );
}

#[tokio::test]
async fn requests_without_jobs_are_noted_too() {
    let store = store().await;
    let refused = [ContractEvent::requested(RequestId(1), "0x1", Some(0), Epoch(93))];
    let window = Window { refused: &refused, to: Epoch(95), ..Window::default() };
    store.apply_whole_window(CONTRACT, &json!(1), &window).await.unwrap();
    assert_eq!(store.highest_request_before(CONTRACT, Epoch(94)).await.unwrap(), 1);
    assert_eq!(store.highest_request_before(CONTRACT, Epoch(93)).await.unwrap(), 0);
    let now = round(102);
    let done = carried_out(&store, &rewind(&now, Window::default(), Vec::new())).await;
    assert_eq!(done.contracts[0].superseded, refused);
    assert_eq!(store.highest_request_before(CONTRACT, Epoch(94)).await.unwrap(), 0);
}
