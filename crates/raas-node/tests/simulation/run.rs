//! One seed: a world, a node, and the step that everything is judged after. What happens to both is in `events`, `day`,
//! `registers` and `uploads`, how it ends in `ending`.

use crate::contract;
use crate::judge::{Asked, Judge, Watched};
use crate::recorded::Recorded;
use crate::served::Served;
use crate::setting::{HEDGE_AFTER, KEEP_UNTIL, Kind, PACE_WINDOW, RENEW_BEFORE, REPAIR_AFTER, Setting};
use crate::shared::{Rpc, Shared};
use crate::uploads::Uploads;
use crate::wallet::{FUNDS, SimWorld, endow, eth_key};
use raas_core::cid::Commitment;
use raas_core::fleet::Rules;
use raas_core::ids::ProviderId;
use raas_core::plan::{Wait, WaitFor};
use raas_core::policy::KeepLocal;
use raas_core::ports::{Lane, Wallet};
use raas_core::units::{AttoFil, Epochs, PaddedSize};
use raas_devnet::Config;
use raas_devnet::provider::{Command as ProviderCommand, TransferEnd};
use raas_devnet::world::{Command, World};
use raas_node::engine::{Engine, NextWake};
use raas_node::failpoint;
use raas_node::node::leftovers;
use raas_node::settings::{ContractAt, Settings, SpendingLimits};
use raas_node::store::{JobSource, NO_TRANSACTION, Store};
use raas_node::world::World as Ports;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The largest piece that is stored here; the smallest that f01007 takes is larger.
const PIECE_BYTES_MAX: u64 = 1 << 25;

/// What 20 days must have met at least once.
pub const DAYS_MUST_MEET: &[&str] = &[
    "a reorganisation",
    "a transaction was taken back",
    "a transaction was dropped",
    "a contract's log was taken back",
    "null rounds",
    "the head fell",
    "the process died within an effect",
    "a copy was terminated",
    "a suspect copy was repaired",
    "a loss was acted on",
    "a request was shown all its deals",
    "the node registered a job of its own",
];

/// What 200 seeds must have met at least once.
pub const MUST_MEET: &[&str] = &[
    "a copy was renewed",
    "a copy was terminated",
    "a copy was never activated",
    "a suspect copy was repaired",
    "refused and published all the same",
    "the process died within an effect",
    "a last copy's renewal was hedged",
    "a local copy was evicted",
    "a request was made while the RPC lied",
    "a request was recovered by view",
    "a request was shown all its deals",
    "the node registered a job of its own",
    "the pace was reached",
    "a breaker was open",
    "a limit was reached",
    "an upload was cut off",
    "the process died within an upload",
];

/// What a run stands on.
pub enum Ground {
    /// Ports in memory, over a world and a store of their own.
    Memory,
    /// A served devnet, and a node's adapters and disk.
    Served(Box<Served>),
}

pub struct Run<W: Ports = SimWorld> {
    pub ground: Ground,
    pub rng: ChaCha8Rng,
    pub shared: Arc<Shared>,
    pub world: Arc<Recorded<W>>,
    pub engine: Engine<Recorded<W>>,
    pub judge: Judge,
    pub pieces: Vec<Commitment>,
    pub at_gateway: BTreeSet<Commitment>,
    pub uploads: Uploads,
    pub wake: NextWake,
    pub setting: Setting,
    pub contract: ContractAt,
    pub requests: Vec<Vec<u8>>,
    pub trace: bool,
    /// The highest tipset that was ever final: no reorganisation goes below it.
    pub final_at: i64,
}

/// Runs a seed to its end; gives what it met.
pub async fn run(seed: u64) -> Result<Vec<&'static str>, String> {
    let mut run = Run::new(seed).await?;
    run.live().await?;
    Ok(run.judge.met)
}

/// The same of a seed's day.
pub async fn day(seed: u64) -> Result<Vec<&'static str>, String> {
    let mut run = Run::with(Setting::day(seed, providers())).await?;
    run.passes_a_day().await?;
    Ok(run.judge.met)
}

/// The ledger's hash after a seed.
pub async fn history(seed: u64) -> Result<String, String> {
    let mut run = Run::new(seed).await?;
    run.live().await?;
    let hash = run.shared.world().ledger.hash();
    Ok(hash)
}

/// The providers of every run.
pub fn providers() -> Vec<ProviderId> {
    Config::default().providers.iter().map(|provider| provider.id).collect()
}

/// The id of a seed's store, so that it signs the same bytes each time.
pub fn store_id(seed: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&seed.to_be_bytes());
    id
}

/// A world with the contract and with money, at the node's disposal.
pub fn made(setting: &Setting, config: &Config) -> (World, ContractAt) {
    let mut world = World::new(config);
    let at = contract::deploy(&mut world, setting.seed, eth_key(setting.seed).address());
    (world, at)
}

impl Run {
    pub async fn new(seed: u64) -> Result<Self, String> {
        Self::with(Setting::of(seed, providers())).await
    }

    async fn with(setting: Setting) -> Result<Self, String> {
        let seed = setting.seed;
        let config = Config { seed, allow_private: true, ..Config::default() };
        let (world, contract) = made(&setting, &config);
        let shared = Shared::new(world);
        let uploads = Uploads::new().map_err(|error| error.to_string())?;
        let ports = SimWorld::new(&shared, seed, contract.address, uploads.pieces());
        let store = Store::in_memory_with_id("simulation", store_id(seed)).await;
        let store = store.map_err(|error| error.to_string())?;
        let followed = [(contract.address, contract.completes())];
        store.set_deployments(&followed).await.map_err(|error| error.to_string())?;
        let settings = settings(&setting, &contract);
        let client = ports.wallet.address();
        let fund = Command::Fund { address: client.to_string(), amount: FUNDS };
        shared.world().apply(fund).map_err(|error| error.to_string())?;
        if setting.endowment > AttoFil::ZERO {
            endow(&mut shared.world(), client, setting.endowment);
        }
        let ports = Recorded::new(ports, &shared);
        let mut run =
            Self::over(ports, Ground::Memory, shared, setting, &config, contract, store, settings, uploads);
        run.advance(30);
        Ok(run)
    }
}

impl<W: Ports> Run<W> {
    #[allow(clippy::too_many_arguments, reason = "all that a run is made of")]
    pub fn over(
        world: Recorded<W>,
        ground: Ground,
        shared: Arc<Shared>,
        setting: Setting,
        config: &Config,
        contract: ContractAt,
        store: Store,
        settings: Settings,
        uploads: Uploads,
    ) -> Self {
        // Whoever takes nothing as small as the pieces here is nobody to choose.
        let takers = config.providers.iter().filter(|provider| provider.min_piece.get() <= PIECE_BYTES_MAX);
        let operators = takers.map(|provider| (provider.id.number(), provider.operator.0));
        let watched = Watched {
            client: Wallet::address(&world, Lane::Native),
            account: eth_key(setting.seed).address().to_checksum(None),
            contract: alloy_primitives::Address::from(contract.address.0).to_checksum(None),
            operators: operators.collect(),
        };
        shared.set_store(&store);
        let world = Arc::new(world);
        Self {
            ground,
            rng: ChaCha8Rng::seed_from_u64(setting.seed),
            shared,
            engine: Engine::new(Arc::clone(&world), store, settings),
            world,
            judge: Judge::new(asked(&setting, config.finality_lag), watched),
            pieces: Vec::new(),
            at_gateway: BTreeSet::new(),
            uploads,
            wake: NextWake { epoch: None, on_round: true },
            setting,
            contract,
            requests: Vec::new(),
            trace: std::env::var("RAAS_SEED").is_ok(),
            final_at: 0,
        }
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    pub fn say(&self, what: &str) {
        if self.trace {
            println!("{} {what}", self.shared.clock());
        }
    }

    pub fn advance(&mut self, epochs: i64) {
        self.shared.act(|world| world.apply(Command::Advance { epochs })).expect("time passes");
    }

    /// How the endpoint answers from now on.
    pub async fn set_rpc(&self, rpc: Rpc) {
        self.shared.set_rpc(rpc);
        if let Ground::Served(served) = &self.ground {
            served.set_rpc(rpc).await;
        }
    }

    /// The highest tipset that was ever final. A head may fall for a while, what was final stays so.
    pub fn finalized(&mut self) -> i64 {
        self.final_at = self.final_at.max(self.shared.act(|world| world.chain().finalized()));
        self.final_at
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
                wake = self.lives(self.engine.quiesce()) => self.wake = wake.map_err(|error| format!("{error:?}"))?,
            }
            if !self.transfers().await? {
                break;
            }
        }
        self.full_plan_agrees().await?;
        let judged = self.judged().await;
        match judged {
            Ok(()) => Ok(()),
            Err(why) => Err(format!("{why}\n{}", self.orders().await?)),
        }
    }

    /// What runs in this may end for ever at any named point.
    pub async fn lives<T>(&self, life: impl Future<Output = T>) -> T {
        let shared = Arc::clone(&self.shared);
        failpoint::with_deaths(move || shared.dies_here(), life).await
    }

    /// The judge looks at the ledger, at the border, at the node's jobs, and at its disk.
    async fn judged(&mut self) -> Result<(), String> {
        // Where tipsets do not stay, history is what is final.
        let until = match self.setting.kind {
            Kind::Day => self.finalized(),
            _ => self.shared.clock().0,
        };
        self.shared.act(|world| self.judge.look(world, &self.shared.crossed(), until))?;
        if self.judge.in_a_storm() && !self.judge.met.contains(&"a breaker was open") {
            self.judge.met.push("a breaker was open");
        }
        let mut jobs = Vec::new();
        let stored = self.engine.store().jobs(None, None, None, 10_000).await;
        for job in stored.map_err(|error| error.to_string())? {
            if let Some(at) = job.request {
                jobs.push((at.request.0, job.cid.cid().to_bytes()));
            }
            if let JobSource::Contract { transaction, .. } = &job.source
                && (transaction.is_empty() || transaction == NO_TRANSACTION)
                && !self.judge.met.contains(&"a request was recovered by view")
            {
                self.judge.met.push("a request was recovered by view");
            }
        }
        let limited = "a limit was reached";
        if self.setting.kind == Kind::Thrifty && !self.judge.met.contains(&limited) {
            let plans = self.decided().await?;
            let short = |wait: &Wait| matches!(wait.for_, WaitFor::Budget { .. });
            if plans.iter().any(|plan| plan.waits.iter().any(short)) {
                self.judge.met.push(limited);
            }
        }
        let clock = self.shared.clock().0;
        self.judge.jobs(clock, &jobs)
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
                order.state.on_chain().map(|copy| (copy.replica, copy.health))
            ));
        }
        Ok(text)
    }

    /// A new process on the same database and disk, which begins by putting things in order.
    pub async fn restart(&mut self) -> Result<(), String> {
        let text = |error: raas_node::store::Error| error.to_string();
        let store = self.engine.store().restarted("simulation").await.map_err(text)?;
        self.uploads.come_to_rest().await;
        let cleaned = leftovers::clean(&store, self.uploads.pieces()).await.map_err(text)?;
        cleaned.map_err(|error| error.to_string())?;
        let local = self.shared.local().iter().copied().collect();
        leftovers::note_strays(&store, local).await.map_err(text)?;
        self.shared.set_store(&store);
        self.engine = Engine::new(Arc::clone(&self.world), store, self.engine.settings().clone());
        Ok(())
    }

    /// Ends every transfer that is due. True when there was one.
    async fn transfers(&mut self) -> Result<bool, String> {
        if let Ground::Served(served) = &self.ground {
            return served.transfers().await;
        }
        Ok(end_transfers(&self.shared))
    }
}

/// Ends every transfer of the world in memory that is due. True when there was one.
pub fn end_transfers(shared: &Shared) -> bool {
    let mut world = shared.world();
    let now = raas_core::units::Epoch(world.chain().clock());
    let pulls: Vec<_> = world.book.pulls(now).collect();
    let any = !pulls.is_empty();
    for (at, pull) in pulls {
        let here = shared.local().contains(&Commitment(pull.commitment.0));
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

pub fn settings(setting: &Setting, contract: &ContractAt) -> Settings {
    Settings {
        default_policy: setting.policy(KeepLocal::Always),
        contracts: vec![contract.clone()],
        providers: setting.providers.clone(),
        public_url: "http://127.0.0.1:1".to_owned(),
        budget_total: setting.budget,
        spending: SpendingLimits {
            per_day: setting.per_day,
            per_holding: setting.per_holding,
            ..SpendingLimits::default()
        },
        wallet_reserve: AttoFil::fil(1),
        piece_max: PaddedSize::MAX,
        provider_capacity: 64,
        repairs_per_window: setting.repairs_per_window,
        pace_window: Epochs::new(PACE_WINDOW).expect("not negative"),
        rules: Rules::default(),
        concurrency: 1,
    }
}

/// The same in the judge's numbers.
fn asked(setting: &Setting, finality_lag: i64) -> Asked {
    Asked {
        target: setting.target as usize,
        repair_after: REPAIR_AFTER,
        renewal_window: RENEW_BEFORE,
        finality_lag,
        hedge_after: HEDGE_AFTER,
        repairs_per_window: setting.repairs_per_window as usize,
        pace_window: PACE_WINDOW,
        keep_until: KEEP_UNTIL as usize,
        budget: setting.budget,
        endowed: setting.endowment.0,
        per_day: setting.per_day.map(|limit| limit.0),
        per_holding: setting.per_holding.map(|limit| limit.0),
        // A copy that ends while nothing may be bought is nobody's fault.
        must_renew: setting.kind != Kind::Thrifty,
        // Elsewhere the node may look too rarely, and what is paced or may not be bought waits.
        must_act: setting.kind == Kind::Day,
    }
}
