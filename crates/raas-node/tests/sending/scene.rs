//! An engine over the scripted chain and a store in memory; only its steps run.

use crate::script::{LAG, Script, ScriptWallet};
use raas_clients::evm::AbiKind;
use raas_core::allocation::DataCap;
use raas_core::cid::Commitment;
use raas_core::fleet::{Ask, Rules};
use raas_core::gate::Hold;
use raas_core::ids::{ContractAddress, DealId, ProviderId, RequestId, SectorNumber};
use raas_core::observation::{
    DealSeen, LivesSeen, NotSeen, ProviderOnChain, ProviderSeen, Round, SectorSeen, TermSeen,
};
use raas_core::policy::{KeepLocal, Placement, Policy, Replicas};
use raas_core::ports::{
    Balances, Bytes, Chain, ClaimSeen, Clock, CollateralBounds, Contract, ContractWindow, DealEvents,
    DealMaker, Effect, Fetched, Imported, Look, Now, PieceSource, Pin, Proposed, RequestSeen, TxIntent,
};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};
use raas_node::engine::Engine;
use raas_node::execute;
use raas_node::settings::{ContractAt, Settings, SpendingLimits};
use raas_node::store::{Store, StoredTx, TxId};
use raas_node::world::World;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The contract of the settings; only the wallet's script answers for it.
pub const CONTRACT: ContractAddress = ContractAddress([0xc0; 20]);

/// The unused ports: nothing is seen there.
pub struct Nothing;

/// The ports of these tests.
pub struct Ports {
    wallet: ScriptWallet,
    nothing: Nothing,
}

/// An engine, its store, the chain.
pub struct Scene {
    pub script: Arc<Script>,
    pub engine: Engine<Ports>,
    pub store: Store,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(SpendingLimits::default()).await
    }

    pub async fn with(limits: SpendingLimits) -> Self {
        let store = Store::in_memory_with_id("test", [7; 16]).await.expect("a store");
        let script = Arc::new(Script::default());
        {
            let mut chain = script.chain();
            (chain.base_fee, chain.head) = (100, 1_000);
        }
        Self::over(store, script, limits)
    }

    fn over(store: Store, script: Arc<Script>, limits: SpendingLimits) -> Self {
        let ports = Ports { wallet: ScriptWallet(Arc::clone(&script)), nothing: Nothing };
        let engine = Engine::new(Arc::new(ports), store.clone(), settings(limits));
        Self { script, engine, store }
    }

    /// A new process on the same store; this one is stale from here on.
    pub async fn successor(&self) -> Self {
        let store = self.store.restarted("next").await.expect("a store");
        Self::over(store, Arc::clone(&self.script), SpendingLimits::default())
    }

    pub fn round(&self) -> Round {
        let head = self.script.chain().head;
        Round {
            tipset: "bafy".to_owned(),
            height: Epoch(head - LAG),
            eth_block: Epoch(head - LAG - 1),
            head: Epoch(head),
            agreed: 1,
            asked: 1,
        }
    }

    pub fn now(&self) -> Now {
        let head = self.script.chain().head;
        Now { epoch: Epoch(head), unix_seconds: head * 30 }
    }

    /// Runs what is due until nothing is.
    pub async fn work(&self) {
        for _ in 0..50 {
            if !execute::work(&self.engine, &self.round(), self.now()).await.expect("the store works") {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// So many epochs, with work at each.
    pub async fn pass(&self, epochs: i64) {
        for _ in 0..epochs {
            self.work().await;
            self.script.chain().advance();
        }
        self.work().await;
    }

    pub async fn plan(&self, amount: u128) -> TxId {
        let intent = TxIntent::AddBalance { amount: AttoFil(amount) };
        self.store.plan_tx(&intent, &format!("tx {amount}")).await.expect("planned")
    }

    pub async fn tx(&self, id: TxId) -> StoredTx {
        self.store.tx(id).await.expect("readable").expect("there")
    }

    /// The sender machine's state.
    pub async fn state(&self, id: TxId) -> String {
        self.tx(id).await.state["state"].as_str().expect("a state").to_owned()
    }

    /// Why it does not go on.
    pub async fn waits(&self, id: TxId) -> String {
        self.store.send_waits().await.expect("readable").remove(&id).unwrap_or_default()
    }

    /// What was mined, in order: nonces and purposes.
    pub fn mined(&self) -> Vec<(u64, String)> {
        self.script.chain().mined().into_iter().map(|tx| (tx.nonce, tx.what.clone())).collect()
    }
}

pub fn adds(amount: u128) -> String {
    format!("{:?}", TxIntent::AddBalance { amount: AttoFil(amount) })
}

fn settings(spending: SpendingLimits) -> Settings {
    let epochs = |count| Epochs::new(count).expect("not negative");
    Settings {
        default_policy: Policy {
            replicas: Replicas { min: 1, target: 1, max: 1 },
            renew_before: Epochs::days(30),
            repair_after: Epochs::days(1),
            duration: Epochs::days(540),
            start_delay: Epochs::days(3),
            ends_at: None,
            placement: Placement { allow: vec![], deny: vec![], price_max: AttoFil(1) },
            keep_local: KeepLocal::Always,
        },
        contracts: vec![ContractAt {
            address: CONTRACT,
            from_block: Epoch(0),
            skip_to: None,
            abi: AbiKind::Raas,
        }],
        providers: vec![],
        public_url: "http://127.0.0.1:1".to_owned(),
        budget_total: AttoFil::fil(100),
        spending,
        wallet_reserve: AttoFil::ZERO,
        piece_max: PaddedSize::MAX,
        provider_capacity: 1,
        repairs_per_window: 1,
        pace_window: epochs(120),
        rules: Rules::default(),
        concurrency: 1,
    }
}

impl World for Ports {
    type Chain = Nothing;
    type Contract = Nothing;
    type DealMaker = Nothing;
    type Bytes = Nothing;
    type Wallet = ScriptWallet;
    type Clock = Nothing;

    fn chain(&self) -> &Nothing {
        &self.nothing
    }

    fn contract(&self, _at: ContractAddress) -> Option<&Nothing> {
        None
    }

    fn deal_maker(&self) -> &Nothing {
        &self.nothing
    }

    fn bytes(&self) -> &Nothing {
        &self.nothing
    }

    fn wallet(&self) -> &ScriptWallet {
        &self.wallet
    }

    fn clock(&self) -> &Nothing {
        &self.nothing
    }
}

const UNSEEN: NotSeen = NotSeen::NotOffered;

impl Chain for Nothing {
    async fn pin(&self, _: &Look) -> Result<Pin, Hold> {
        Err(Hold::NoEndpoint)
    }

    async fn deals(&self, _: &Round, deals: &[DealId]) -> Vec<DealSeen> {
        deals.iter().map(|_| DealSeen::NotSeen(UNSEEN)).collect()
    }

    async fn removed(&self, _: &Round, deals: &[DealId]) -> Vec<DealSeen> {
        deals.iter().map(|_| DealSeen::NotSeen(UNSEEN)).collect()
    }

    async fn provider_seen(
        &self,
        _: &Round,
        _: ProviderId,
        _: &[SectorNumber],
        _: &[SectorNumber],
    ) -> ProviderSeen {
        ProviderSeen::NotSeen(UNSEEN)
    }

    async fn lives(&self, _: &Round, _: ProviderId, _: &[SectorNumber]) -> LivesSeen {
        LivesSeen::NotSeen(UNSEEN)
    }

    async fn sectors(&self, _: &Round, _: ProviderId, sectors: &[SectorNumber]) -> Vec<SectorSeen> {
        sectors.iter().map(|_| SectorSeen::NotSeen(UNSEEN)).collect()
    }

    async fn terms(&self, _: &Round, sectors: &[(ProviderId, SectorNumber)]) -> Vec<TermSeen> {
        sectors.iter().map(|_| TermSeen::NotSeen(UNSEEN)).collect()
    }

    async fn claims(
        &self,
        _: &Round,
        _: ProviderId,
        _: &BTreeSet<Commitment>,
    ) -> Result<Vec<ClaimSeen>, NotSeen> {
        Err(UNSEEN)
    }

    async fn deal_events(&self, _: Epoch, _: Epoch) -> Result<DealEvents, NotSeen> {
        Err(UNSEEN)
    }

    async fn provider(&self, _: &Round, _: ProviderId) -> Result<ProviderOnChain, NotSeen> {
        Err(UNSEEN)
    }

    async fn collateral(&self, _: PaddedSize) -> Result<CollateralBounds, NotSeen> {
        Err(UNSEEN)
    }

    async fn balances(&self) -> Result<Balances, NotSeen> {
        Err(UNSEEN)
    }

    async fn datacap(&self) -> Result<DataCap, NotSeen> {
        Err(UNSEEN)
    }

    async fn next_deal(&self, _: &Round) -> Result<DealId, NotSeen> {
        Err(UNSEEN)
    }

    async fn client_id(&self) -> Result<Option<raas_core::ids::ActorId>, NotSeen> {
        Err(UNSEEN)
    }
}

impl Contract for Nothing {
    async fn window(&self, _: &Round, _: Epoch, _: Epoch) -> Result<ContractWindow, NotSeen> {
        Err(UNSEEN)
    }

    async fn requests_by_view(
        &self,
        _: RequestId,
        _: RequestId,
        _: Epoch,
    ) -> Result<Option<Vec<RequestSeen>>, NotSeen> {
        Err(UNSEEN)
    }

    async fn request_count(&self, _: Epoch) -> Result<Option<u64>, NotSeen> {
        Err(UNSEEN)
    }

    async fn cids_by_request(&self, _: Epoch) -> Result<Option<Vec<Vec<u8>>>, NotSeen> {
        Err(UNSEEN)
    }

    async fn deals_of(&self, _: &[u8], _: Epoch) -> Result<Vec<(DealId, ProviderId)>, NotSeen> {
        Err(UNSEEN)
    }
}

impl DealMaker for Nothing {
    async fn ask(&self, _: &ProviderOnChain) -> Result<Option<Ask>, NotSeen> {
        Err(UNSEEN)
    }

    async fn propose(&self, _: &ProviderOnChain, _: &[u8]) -> Effect<Proposed> {
        Effect::Failed("nobody".to_owned())
    }
}

impl Bytes for Nothing {
    async fn has(&self, _: raas_core::cid::Commitment) -> bool {
        false
    }

    async fn fetch(&self, _: &PieceSource) -> Fetched {
        Fetched::Unavailable("nobody".to_owned())
    }

    async fn verify(&self, _: &PieceSource) -> Fetched {
        Fetched::Unavailable("nobody".to_owned())
    }

    async fn import(&self, _: &raas_core::cid::DataCid, _: PaddedSize) -> Imported {
        Imported::Unavailable("nobody".to_owned())
    }

    async fn evict(&self, _: raas_core::cid::Commitment) -> Effect<()> {
        Effect::Done(())
    }
}

impl Clock for Nothing {
    async fn now(&self) -> Now {
        Now { epoch: Epoch(0), unix_seconds: 0 }
    }
}
