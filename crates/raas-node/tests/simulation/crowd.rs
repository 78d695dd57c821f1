//! Many at once: jobs that fall due on one head, a process that starts before all of them, a provider that fails whole.
//!
//! `RAAS_CROWD=N` sets how many, 4,000 by default.

use crate::run::{end_transfers, made, providers, settings, store_id};
use crate::setting::{RENEW_BEFORE, Setting};
use crate::shared::Shared;
use crate::uploads::Uploads;
use crate::wallet::{FUNDS, SimWorld, endow};
use raas_core::cid::{Commitment, DataCid};
use raas_core::health::{Health, HealthRecord, Term};
use raas_core::ids::{DealId, HoldingId, OperatorId, OrderId, OwnerId, ProviderId, SectorNumber};
use raas_core::order::{Cause, OnChain, Order, OrderState, ReplicaRef};
use raas_core::plan::{WaitFor, Wake};
use raas_core::policy::{Duties, KeepLocal, Policy, Replicas};
use raas_core::select::Unfit;
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};
use raas_devnet::Config;
use raas_devnet::world::{BulkMade, BulkOrder, Command, Outcome, Sectors, bulk_piece};
use raas_node::engine::Engine;
use raas_node::store::{Happened, Import, JobSource, NewJob, NewPiece, Store, TroubleKind};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

const PIECE_BYTES: u64 = 2_048;
/// Orders on their way to one provider at once.
const CAPACITY: u32 = 8;
/// The market's shortest term.
const TERM: i64 = 180 * 2_880;

fn jobs() -> u64 {
    crate::number("RAAS_CROWD").unwrap_or(4_000)
}

/// A node that watches one copy of each job.
struct Crowd {
    shared: Arc<Shared>,
    ports: Arc<SimWorld>,
    engine: Engine<SimWorld>,
    holdings: Vec<HoldingId>,
    /// When all of their terms end.
    end: i64,
    /// Pieces of a run are kept in its folder.
    _uploads: Uploads,
}

impl Crowd {
    /// `count` jobs, their copies in equal parts at `keepers`.
    async fn gather(seed: u64, count: u64, keepers: &[ProviderId]) -> Self {
        let setting = Setting::of(seed, providers());
        let config = Config { seed, allow_private: true, ..Config::default() };
        let (world, contract) = made(&setting, &config);
        let shared = Shared::new(world);
        let uploads = Uploads::new().expect("a folder");
        let ports = SimWorld::new(&shared, seed, contract.address, uploads.pieces());
        let (client, client_text) = (ports.wallet.address(), ports.wallet.address().to_string());
        let fund = Command::Fund { address: client_text.clone(), amount: FUNDS };
        shared.world().apply(fund).expect("money");
        endow(&mut shared.world(), client, AttoFil::fil(5));
        let store = Store::in_memory_with_id("crowd", store_id(seed)).await.expect("a store");
        let followed = [(contract.address, contract.completes())];
        store.set_deployments(&followed).await.expect("known");
        let mut settings = settings(&setting, &contract);
        settings.provider_capacity = CAPACITY;
        let policy = policy(&setting);
        let share = count / keepers.len() as u64;
        let mut holdings = Vec::new();
        let mut end = 0;
        for (provider, first_piece) in keepers.iter().zip((0..).map(|at| at * share)) {
            let order = BulkOrder {
                provider: *provider,
                count: share,
                first_piece,
                piece_size: PIECE_BYTES,
                deals_per_sector: 1,
                duration: TERM,
                pending: 0,
                seal_in: None,
                client: Some(client_text.clone()),
            };
            let outcome = shared.world().apply(Command::Bulk(order)).expect("deals");
            let Outcome::Bulk(made) = outcome else { panic!("{outcome:?}") };
            end = made.end;
            let operator = {
                let world = shared.world();
                OperatorId(world.miner(*provider).expect("a miner").config.operator)
            };
            let head = shared.clock();
            let imports: Vec<Import> = (0..share)
                .map(|at| import(&made, first_piece, at, (*provider, operator), &policy, head))
                .collect();
            shared.local().extend(imports.iter().map(|import| import.piece.commitment));
            for page in imports.chunks(1_000) {
                holdings.extend(store.import(page).await.expect("imported"));
            }
        }
        shared.world().apply(Command::Advance { epochs: 60 }).expect("time passes");
        let ports = Arc::new(ports);
        let engine = Engine::new(Arc::clone(&ports), store, settings);
        Self { shared, ports, engine, holdings, end, _uploads: uploads }
    }

    fn advance(&self, epochs: i64) {
        self.shared.world().apply(Command::Advance { epochs }).expect("time passes");
    }

    /// Comes to rest, with every transfer that is due; an error or a hold is a failure.
    async fn rest(&self) {
        for _ in 0..20 {
            self.engine.quiesce().await.expect("it comes to rest");
            if !end_transfers(&self.shared) {
                break;
            }
        }
        assert_eq!(self.engine.status().hold, None);
    }

    /// A new process on the same store.
    async fn boot(&mut self) {
        let store = self.engine.store().restarted("crowd").await.expect("a store");
        self.engine = Engine::new(Arc::clone(&self.ports), store, self.engine.settings().clone());
    }

    /// Orders that the node made itself, by provider.
    async fn bought(&self) -> BTreeMap<ProviderId, Vec<OrderId>> {
        let mut bought: BTreeMap<ProviderId, Vec<OrderId>> = BTreeMap::new();
        for stored in self.engine.store().open_orders().await.expect("readable") {
            if stored.order.cause != Cause::Adopt {
                bought.entry(stored.order.provider).or_default().push(stored.order.id);
            }
        }
        bought
    }
}

fn policy(setting: &Setting) -> Policy {
    let replicas = Replicas { min: 1, target: 1, max: 2 };
    Policy { replicas, ..setting.policy(KeepLocal::Always) }
}

fn import(
    made: &BulkMade,
    first_piece: u64,
    at: u64,
    (provider, operator): (ProviderId, OperatorId),
    policy: &Policy,
    head: Epoch,
) -> Import {
    let text = bulk_piece(first_piece + at).to_string();
    let (commitment, cid): (Commitment, DataCid) =
        (text.parse().expect("a piece"), text.parse().expect("a CID"));
    let size = PaddedSize::new(PIECE_BYTES).expect("a size");
    let health = HealthRecord { health: Health::Proven, fault: None, proven_at: Some(head), at: head };
    let copy = OnChain {
        replica: ReplicaRef::Deal(DealId(made.first_deal.0 + at)),
        term: Term { start: Epoch(made.start), end: Epoch(made.end) },
        sector: Some(SectorNumber(made.first_sector.0 + at)),
        health,
    };
    let order = Order {
        id: OrderId(0),
        piece: commitment,
        size,
        within: None,
        provider,
        operator,
        cause: Cause::Adopt,
        price_per_epoch: AttoFil::ZERO,
        duration: Epochs::new(TERM).expect("a term"),
        planned_at: head,
        state: OrderState::Active(copy),
    };
    let job = NewJob {
        owner: OwnerId::local(),
        cid: cid.clone(),
        duties: Duties::ALL,
        policy: policy.clone(),
        source: JobSource::Api,
        on_chain: None,
        position: None,
        at: head,
        at_unix: 0,
        idempotency_key: None,
    };
    let piece = NewPiece {
        root: cid,
        commitment,
        size,
        car_bytes: PIECE_BYTES / 128 * 127,
        payload_bytes: PIECE_BYTES / 2,
    };
    Import { job, piece, copies: vec![order] }
}

/// Lines of the log that tell of incidents.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        if text.0.contains("incident") {
            self.0.fetch_add(1, Ordering::Relaxed);
            self.1.lock().expect("not poisoned").push(text.0);
        }
    }
}

struct Text(String);

impl tracing::field::Visit for Text {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

#[test]
fn fault_37_jobs_that_fall_due_on_one_head_and_at_boot_wait_longer_and_fail_no_more() {
    crate::runtime().block_on(async {
        let count = jobs();
        let keepers: Vec<ProviderId> = providers().into_iter().skip(1).take(4).collect();
        let mut crowd = Crowd::gather(2, count, &keepers).await;
        // A start before all of them: what is read are the providers, not the jobs.
        crowd.shared.take_asked();
        crowd.rest().await;
        let at_boot = crowd.shared.take_asked();
        assert!(at_boot < 200, "{at_boot} questions for {count} jobs at a start");
        assert_eq!(crowd.bought().await, BTreeMap::new());

        // On one head the renewal windows of all of them open.
        crowd.advance(crowd.end - RENEW_BEFORE - crowd.shared.clock().0 - 1);
        crowd.rest().await;
        assert_eq!(crowd.bought().await, BTreeMap::new(), "not an epoch before");
        crowd.shared.take_asked();
        crowd.advance(1);
        crowd.rest().await;
        let first = crowd.bought().await;
        let most = CAPACITY as usize;
        let started: usize = first.values().map(Vec::len).sum();
        assert!(first.values().all(|orders| orders.len() <= most), "{first:?}");
        assert!(keepers.iter().all(|keeper| first.get(keeper).is_some_and(|orders| orders.len() == most)));
        let asked = crowd.shared.take_asked();
        assert!(asked < 500, "{asked} questions when {count} jobs fell due");
        // The others wait for room at a provider, and say so.
        let mut waiting = 0;
        for id in crowd.holdings.iter().step_by(count as usize / 200) {
            let holding = crowd.engine.store().holding(*id).await.expect("readable").expect("there");
            let plan = crowd.engine.explain(&holding).await.expect("explained");
            for wait in plan.waits {
                if let WaitFor::Provider { rejected } = &wait.for_ {
                    assert!(rejected.iter().any(|(_, unfit)| *unfit == Unfit::AtCapacity), "{rejected:?}");
                    assert_eq!(wait.wake, Wake::OnProvider);
                    waiting += 1;
                }
            }
        }
        assert!(waiting > 150, "{waiting} of 200 say what they wait for");

        // A process that starts now finds them due at boot: nothing is bought twice.
        crowd.boot().await;
        crowd.shared.take_asked();
        crowd.rest().await;
        assert_eq!(crowd.bought().await, first);
        assert!(crowd.shared.take_asked() < 500);

        // It takes longer, and all of it goes well: the next ones start where the first have come to an end.
        let mut rounds = 0;
        let mut all = 0;
        while all < 3 * started {
            crowd.advance(40);
            crowd.rest().await;
            let bought = crowd.bought().await;
            all = bought.values().map(Vec::len).sum();
            rounds += 1;
            assert!(rounds < 60, "{all} bought after {rounds} rounds");
        }
        for orders in crowd.bought().await.into_values() {
            for stored in crowd.engine.store().orders_by_id(&orders).await.expect("readable") {
                let attempts =
                    crowd.engine.store().attempts_of_holding(stored.holding, 9).await.expect("readable");
                let failed = attempts
                    .iter()
                    .find(|attempt| ["failed", "rejected", "uncertain"].contains(&attempt.outcome.as_str()));
                assert!(failed.is_none(), "{failed:?}");
            }
        }
        assert!(crowd.engine.store().parked().await.expect("readable").is_empty());
    });
}

#[test]
fn a_provider_that_fails_with_all_its_copies_is_one_incident_in_store_and_log() {
    crate::runtime().block_on(async {
        let count = jobs();
        let provider = providers()[1];
        let crowd = Crowd::gather(3, count, &[provider]).await;
        crowd.rest().await;
        let events = crowd.engine.store().events(0, u32::MAX).await.expect("readable").len();
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(lines.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        crowd.shared.world().apply(Command::Fault(Sectors { provider, sectors: None })).expect("a fault");
        // Each sector turns faulty at its own deadline; nobody looks before all have.
        crowd.advance(2_880 + 60);
        crowd.rest().await;
        let incidents = crowd.engine.store().incidents(9).await.expect("readable");
        let [incident] = incidents.as_slice() else { panic!("{incidents:?}") };
        assert_eq!((incident.kind, incident.provider), (TroubleKind::Faulty, provider));
        assert_eq!(u64::from(incident.replicas), count);
        let told = crowd.engine.store().events(0, u32::MAX).await.expect("readable");
        let told: Vec<Happened> = told.into_iter().skip(events).map(|(_, event)| event.what).collect();
        let [Happened::ReplicasChanged { replicas, .. }] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(u64::from(*replicas), count);
        assert!(crowd.engine.store().breaker().await.expect("readable").providers.contains_key(&provider));
        assert_eq!(crowd.bought().await, BTreeMap::new(), "the breaker holds all of them");
        {
            let told = lines.1.lock().expect("not poisoned");
            let [line] = told.as_slice() else { panic!("{told:?}") };
            assert!(line.contains("f01001") && line.contains(&count.to_string()), "{line}");
        }
        crowd.shared.world().apply(Command::Recover(Sectors { provider, sectors: None })).expect("recovery");
        // Declared by the next deadline, proven by the one after it.
        crowd.advance(2 * 2_880 + 60);
        crowd.rest().await;
        assert_eq!(lines.0.load(Ordering::Relaxed), 2, "one line more, at its end");
        let incidents = crowd.engine.store().incidents(9).await.expect("readable");
        assert!(incidents.iter().all(|incident| incident.closed_at.is_some()), "{incidents:?}");
    });
}
