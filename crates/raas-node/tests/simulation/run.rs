//! One seed: a world, a node, and what happens to both.

use crate::judge::{Asked, Judge};
use crate::shared::{Rpc, Shared};
use crate::wallet::{FUNDS, SimWorld};
use raas_core::cid::{Commitment, DataCid};
use raas_core::fleet::Rules;
use raas_core::ids::OwnerId;
use raas_core::policy::{Duties, KeepLocal, Placement, Policy, Replicas};
use raas_core::units::{AttoFil, Epochs, PaddedSize};
use raas_devnet::Config;
use raas_devnet::provider::{Command as ProviderCommand, Mode, TransferEnd};
use raas_devnet::world::{Command, Sectors, World};
use raas_node::engine::{Engine, NextWake};
use raas_node::settings::{Settings, SpendingLimits};
use raas_node::store::{JobSource, NewJob, NewPiece, Store};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::sync::Arc;

/// What 200 seeds must have met at least once.
pub const MUST_MEET: &[&str] = &[
    "a copy was renewed",
    "a copy was terminated",
    "a copy was never activated",
    "a suspect copy was repaired",
    "refused and published all the same",
    "the process died within an effect",
    "a last copy's renewal was hedged",
];

/// Copies in most runs, and in every fifth, where each copy is the last one.
const TARGET: u32 = 3;
const TARGET_ALONE: u32 = 1;
const REPAIR_AFTER: i64 = 2_880;
const RENEW_BEFORE: i64 = 43_200;
const BUDGET: AttoFil = AttoFil::fil(500);
const HEDGE_AFTER: i64 = 1_440;
/// Epochs in which everything must be well again once the faults have ceased.
const CALM: i64 = 60 * 2_880;
/// Steps for which everything must have been well to end a run early.
const STEPS_WELL: u32 = 60;

pub struct Run {
    rng: ChaCha8Rng,
    pub shared: Arc<Shared>,
    world: Arc<SimWorld>,
    pub engine: Engine<SimWorld>,
    judge: Judge,
    pieces: Vec<Commitment>,
    wake: NextWake,
    seed: u64,
    target: u32,
    trace: bool,
}

/// Runs a seed to its end; gives what it met.
pub async fn run(seed: u64) -> Result<Vec<&'static str>, String> {
    let mut run = Run::new(seed).await?;
    run.live().await?;
    Ok(run.judge.met)
}

/// The ledger's hash after a seed.
pub async fn history(seed: u64) -> Result<String, String> {
    let mut run = Run::new(seed).await?;
    run.live().await?;
    let hash = run.shared.world().ledger.hash();
    Ok(hash)
}

fn policy(target: u32, keep_local: KeepLocal) -> Policy {
    let epochs = |count| Epochs::new(count).expect("not negative");
    Policy {
        replicas: Replicas { min: target.min(2), target, max: target + 1 },
        renew_before: epochs(RENEW_BEFORE),
        repair_after: epochs(REPAIR_AFTER),
        duration: Epochs::days(180),
        start_delay: Epochs::days(3),
        ends_at: None,
        placement: Placement { allow: vec![], deny: vec![], price_max: AttoFil::fil(1) },
        keep_local,
    }
}

impl Run {
    pub async fn new(seed: u64) -> Result<Self, String> {
        let target = if seed % 5 == 4 { TARGET_ALONE } else { TARGET };
        let config = Config { seed, allow_private: true, ..Config::default() };
        let world = World::new(&config);
        let providers = world.miners().map(|(id, _)| id).collect();
        let shared = Shared::new(world);
        let ports = SimWorld::new(&shared, seed);
        let client = ports.wallet.address().to_string();
        let mut id = [0; 16];
        id[..8].copy_from_slice(&seed.to_be_bytes());
        let store = Store::in_memory_with_id("simulation", id).await.map_err(|error| error.to_string())?;
        *ports.deals.store.lock().expect("not poisoned") = Some(store.clone());
        let settings = Settings {
            default_policy: policy(target, KeepLocal::Always),
            contracts: Vec::new(),
            providers,
            public_url: "http://127.0.0.1:1".to_owned(),
            budget_total: BUDGET,
            spending: SpendingLimits::default(),
            wallet_reserve: AttoFil::fil(1),
            provider_capacity: 64,
            repairs_per_window: 100,
            pace_window: Epochs::new(120).expect("not negative"),
            rules: Rules::default(),
            concurrency: 1,
        };
        let asked = Asked {
            target: target as usize,
            repair_after: REPAIR_AFTER,
            renewal_window: RENEW_BEFORE,
            finality_lag: config.finality_lag,
            hedge_after: HEDGE_AFTER,
            budget: BUDGET,
        };
        shared
            .world()
            .apply(Command::Fund { address: client.clone(), amount: FUNDS })
            .map_err(|error| error.to_string())?;
        let world = Arc::new(ports);
        let mut run = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            shared,
            engine: Engine::new(Arc::clone(&world), store, settings),
            world,
            judge: Judge::new(asked, client),
            pieces: Vec::new(),
            wake: NextWake { epoch: None, on_round: true },
            seed,
            target,
            trace: std::env::var("RAAS_SEED").is_ok(),
        };
        run.advance(30);
        Ok(run)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn say(&self, what: &str) {
        if self.trace {
            println!("{} {what}", self.shared.clock());
        }
    }

    pub fn advance(&mut self, epochs: i64) {
        self.shared.world().apply(Command::Advance { epochs }).expect("time passes");
    }

    /// A holding with bytes at hand.
    pub async fn store_something(&mut self) -> Result<(), String> {
        let number = self.pieces.len() as u8;
        let mut root = [number; 32];
        root[0] = self.seed as u8;
        root[31] = 1;
        let commitment = Commitment(root);
        let hash = cid::multihash::Multihash::wrap(0x12, &root).map_err(|error| error.to_string())?;
        let cid = DataCid::normalise(&cid::Cid::new_v1(0x55, hash)).map_err(|error| error.to_string())?;
        let size = PaddedSize::new(1 << (20 + self.below(6))).map_err(|error| error.to_string())?;
        let piece = NewPiece {
            root: cid.clone(),
            commitment,
            size,
            car_bytes: size.get() / 128 * 127 - 5,
            payload_bytes: size.get() / 2,
        };
        let keep = if self.below(3) == 0 { KeepLocal::UntilProven(2) } else { KeepLocal::Always };
        let job = NewJob {
            owner: OwnerId::local(),
            cid,
            duties: Duties::ALL,
            policy: policy(self.target, keep),
            source: JobSource::Upload,
            on_chain: None,
            at: self.shared.clock(),
            at_unix: 0,
            idempotency_key: None,
        };
        let store = self.engine.store();
        store.record_piece(&piece).await.map_err(|error| error.to_string())?;
        store.register_job(&job).await.map_err(|error| error.to_string())?;
        self.shared.local().insert(commitment);
        self.pieces.push(commitment);
        Ok(())
    }

    async fn live(&mut self) -> Result<(), String> {
        for _ in 0..=self.below(3) {
            self.store_something().await?;
        }
        let steps = 60 + self.below(60);
        for _ in 0..steps {
            self.something_happens().await?;
            self.settle().await?;
        }
        self.all_is_well().await
    }

    async fn something_happens(&mut self) -> Result<(), String> {
        match self.below(20) {
            0 => {
                let epochs = 1 + self.below(5_000) as i64;
                self.say(&format!("{epochs} epochs pass"));
                self.advance(epochs);
            }
            1 => {
                let epochs = 20_000 + self.below(60_000) as i64;
                self.say(&format!("{epochs} epochs pass while nobody looks"));
                self.advance(epochs);
            }
            2 => self.hit(Command::Fault),
            3 => self.hit(Command::Recover),
            4 => self.hit(Command::Terminate),
            5..=7 => self.set_mode(),
            8 => self.lie(),
            9 => self.shared.set_rpc(Rpc::Normal),
            10 | 11 => {
                let count = self.below(8) as u32;
                self.say(&format!("the process will die at point {count}"));
                self.shared.crash_in(Some(count));
            }
            12 if self.pieces.len() < 5 => self.store_something().await?,
            13 => {
                let count = 1 + self.below(3) as i64;
                self.shared.world().apply(Command::NullRounds { count }).expect("null rounds");
            }
            14 if self.target == TARGET_ALONE => self.keeper_falls_silent(),
            _ => {
                if self.below(4) == 0 {
                    self.shared.set_rpc(Rpc::Normal);
                }
                self.wait();
            }
        }
        Ok(())
    }

    fn some_provider(&mut self) -> raas_core::ids::ProviderId {
        let ids: Vec<_> = self.shared.world().miners().map(|(id, _)| id).collect();
        ids[self.below(ids.len() as u64) as usize]
    }

    fn hit(&mut self, command: fn(Sectors) -> Command) {
        let provider = self.some_provider();
        let command = command(Sectors { provider, sectors: None });
        self.say(&format!("{command:?}"));
        let _ = self.shared.world().apply(command);
    }

    fn set_mode(&mut self) {
        let at = self.some_provider();
        let mode = Mode::ALL[self.below(Mode::ALL.len() as u64) as usize];
        let count = Some(1 + self.below(3) as u32);
        self.say(&format!("{at} is {mode:?} {count:?}"));
        let command = ProviderCommand::SetMode { at, mode, count };
        self.shared.world().apply(Command::Provider(command)).expect("a mode");
    }

    /// Whoever holds the last copy takes its renewal and is never heard of again.
    fn keeper_falls_silent(&mut self) {
        let clock = self.shared.clock().0;
        let Some((provider, end)) = self.judge.newest_copy(clock) else { return };
        let at = raas_core::ids::ProviderId::new(provider);
        self.say(&format!("{at} will take a renewal and vanish"));
        let command = ProviderCommand::SetMode { at, mode: Mode::AcceptAndVanish, count: Some(1) };
        self.shared.world().apply(Command::Provider(command)).expect("a mode");
        self.shared.set_rpc(Rpc::Normal);
        self.advance((end - RENEW_BEFORE - clock).max(1));
    }

    fn lie(&mut self) {
        let head = self.shared.world().chain().head();
        let lies = [Rpc::Down, Rpc::Stale(head), Rpc::Forget17, Rpc::Forget32, Rpc::EmptyLogs];
        let lie = lies[self.below(lies.len() as u64) as usize];
        self.say(&format!("the RPC is {lie:?}"));
        self.shared.set_rpc(lie);
    }

    /// To the node's next wake or the world's next event, whichever is first.
    pub fn wait(&mut self) {
        let clock = self.shared.clock().0;
        let event = self.shared.world().next_event();
        let wake = self.wake.epoch.map(|epoch| epoch.0);
        let next = [event, wake].into_iter().flatten().filter(|epoch| *epoch > clock).min();
        let next = next.unwrap_or(clock + 2_880).min(clock + 30_000);
        self.advance(next - clock);
    }

    /// The node comes to rest, providers get their bytes, the judge looks.
    pub async fn settle(&mut self) -> Result<(), String> {
        for _ in 0..5 {
            tokio::select! {
                biased;
                () = self.shared.crashed.notified() => {
                    self.say("the process dies");
                    self.judge.met.push("the process died within an effect");
                    self.restart().await?;
                    continue;
                }
                wake = self.engine.quiesce() => self.wake = wake.map_err(|error| format!("{error:?}"))?,
            }
            if !self.transfers() {
                break;
            }
        }
        self.full_plan_agrees().await?;
        let broken = std::mem::take(&mut *self.shared.broken.lock().expect("not poisoned"));
        if let Some(first) = broken.into_iter().next() {
            return Err(first);
        }
        let judged = self.judge.look(&self.shared.world());
        match judged {
            Ok(()) => Ok(()),
            Err(why) => Err(format!("{why}\n{}", self.orders().await?)),
        }
    }

    /// Planning every holding anew, whatever touched it, reaches what planning by change has reached.
    async fn full_plan_agrees(&self) -> Result<(), String> {
        if self.engine.status().hold.is_some() {
            return Ok(());
        }
        let before = self.decided().await?;
        self.engine.plan_all().await;
        let progress = tokio::select! {
            biased;
            () = self.shared.crashed.notified() => return Err("a full plan acted where none was due".to_owned()),
            progress = self.engine.tick() => progress.map_err(|error| format!("{error:?}"))?,
        };
        if progress.changed {
            return Err(format!("a full plan acts where changes led to rest: {:#?}", self.decided().await?));
        }
        let after = self.decided().await?;
        if before != after {
            return Err(format!("by change: {before:#?}\nin full: {after:#?}"));
        }
        Ok(())
    }

    /// What is decided of every holding.
    async fn decided(&self) -> Result<Vec<raas_core::plan::Plan>, String> {
        let mut plans = Vec::new();
        for holding in self.engine.store().holdings().await.map_err(|error| error.to_string())? {
            plans.push(self.engine.explain(&holding).await.map_err(|error| error.to_string())?);
        }
        Ok(plans)
    }

    /// The node's own view, for a failing seed.
    async fn orders(&self) -> Result<String, String> {
        let mut text = String::new();
        for stored in self.engine.store().open_orders().await.map_err(|error| error.to_string())? {
            let order = &stored.order;
            let slots: Vec<_> = stored.slots.iter().map(|slot| (slot.holding.0, slot.index)).collect();
            text.push_str(&format!(
                "order {} slots {slots:?} {} {:?} planned {} {} {:?}\n",
                order.id,
                order.provider,
                order.cause,
                order.planned_at,
                order.state.name(),
                order.state.on_chain().map(|deal| (deal.deal, deal.health))
            ));
        }
        Ok(text)
    }

    /// A new process on the same database.
    pub async fn restart(&mut self) -> Result<(), String> {
        let store = self.engine.store().restarted("simulation").await.map_err(|error| error.to_string())?;
        *self.world.deals.store.lock().expect("not poisoned") = Some(store.clone());
        self.engine = Engine::new(Arc::clone(&self.world), store, self.engine.settings().clone());
        Ok(())
    }

    /// Ends every transfer that is due. True when there was one.
    fn transfers(&mut self) -> bool {
        let mut world = self.shared.world();
        let now = raas_core::units::Epoch(world.chain().clock());
        let pulls: Vec<_> = world.book.pulls(now).collect();
        let any = !pulls.is_empty();
        for (at, pull) in pulls {
            let here = self.shared.local().contains(&Commitment(pull.commitment.0));
            let end = if here {
                TransferEnd::Received {
                    commitment: hex::encode(pull.commitment.0),
                    padded_size: pull.padded_size,
                    payload_size: pull.size,
                }
            } else {
                TransferEnd::Failed { reason: "404".to_owned() }
            };
            let command = ProviderCommand::TransferEnded { at, uuid: pull.uuid, end };
            world.apply(Command::Provider(command)).expect("a transfer ends");
        }
        any
    }

    /// The faults cease; every holding whose bytes are anywhere comes to its target.
    async fn all_is_well(&mut self) -> Result<(), String> {
        self.say("the faults cease");
        self.shared.set_rpc(Rpc::Normal);
        self.shared.crash_in(None);
        let ids: Vec<_> = self.shared.world().miners().map(|(id, _)| id).collect();
        for at in ids {
            let mut world = self.shared.world();
            let normal = ProviderCommand::SetMode { at, mode: Mode::Normal, count: None };
            world.apply(Command::Provider(normal)).expect("a mode");
            let _ = world.apply(Command::Recover(Sectors { provider: at, sectors: None }));
        }
        let until = self.shared.clock().0 + CALM;
        let mut last = Vec::new();
        let (mut steps, mut well) = (0_u32, 0_u32);
        while self.shared.clock().0 < until {
            self.settle().await?;
            steps += 1;
            if self.trace && steps.is_multiple_of(50) {
                let open = self.engine.store().open_orders().await.map_err(|error| error.to_string())?;
                let open: Vec<_> = open
                    .iter()
                    .map(|stored| (stored.order.id.0, stored.slots.len(), stored.order.state.name()))
                    .collect();
                self.say(&format!("after {steps} steps {:?} {open:?}", self.wake));
                for (step, why) in self.engine.store().steps(4).await.map_err(|error| error.to_string())? {
                    self.say(&format!("{:?}: {why:?}", step.kind));
                }
            }
            last = self.short();
            // What waits on is then an order for bytes that are nowhere any more.
            well = if last.is_empty() { well + 1 } else { 0 };
            if last.is_empty() && (!self.wake.on_round || well > STEPS_WELL) {
                return Ok(());
            }
            self.wait();
        }
        match last.first() {
            None => Ok(()),
            Some(piece) => {
                let mut waits = String::new();
                let holdings = self.engine.store().holdings().await.map_err(|error| error.to_string())?;
                for holding in &holdings {
                    let plan = self.engine.explain(holding).await.map_err(|error| error.to_string())?;
                    waits.push_str(&format!("{plan:#?}\n"));
                }
                Err(format!(
                    "L1: {piece} has too few proven copies {CALM} epochs after the last fault\n{}\n{waits}",
                    self.judge.tell(&piece.to_string())
                ))
            }
        }
    }

    /// Pieces below the target whose bytes are somewhere.
    pub fn short(&self) -> Vec<Commitment> {
        let clock = self.shared.clock().0;
        let count = |piece: &Commitment| self.judge.proven(&piece.to_string(), clock);
        self.pieces
            .iter()
            .filter(|piece| count(piece) < self.target as usize)
            .filter(|piece| count(piece) > 0 || self.shared.local().contains(piece))
            .copied()
            .collect()
    }
}
