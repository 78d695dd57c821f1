//! A devnet with a wallet on it.

use crate::server::serve_bytes;
use alloy_primitives::{Address as EthAddress, Bytes};
use raas_clients::evm::{Artifact, DealStatus, DeploySettings, created_address};
use raas_clients::filecoin::{LotusChain, identify};
use raas_clients::guard::Reach;
use raas_clients::key::Key;
use raas_clients::provider::{Mk12, Mk12Config};
use raas_clients::rpc::{Call, EndpointConfig, Limits, Pool};
use raas_clients::wallet::{KeyWallet, WalletConfig};
use raas_core::ids::{DealId, ProviderId, SectorNumber};
use raas_core::observation::{DealSeen, OnChainDeal, ProviderOnChain, Round};
use raas_core::ports::{
    Broadcast, Chain, DealChange, DealMaker, DealTerms, Effect, Inclusion, Lane, Look, Proposed, SignedDeal,
    SignedTx, TxIntent, Wallet,
};
use raas_core::units::{AttoFil, Epoch, Epochs};
use raas_devnet::codec::CommP;
use raas_devnet::{Config, Devnet, spawn};
use serde_json::{Value, json};

/// The provider of these tests.
pub const PROVIDER: ProviderId = ProviderId::new(1000);
const ROOT: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

/// A devnet and everything that speaks to it.
pub struct Net {
    pub devnet: Devnet,
    pub pool: Pool,
    pub chain: LotusChain,
    pub wallet: KeyWallet,
    pub mk12: Mk12,
}

/// A deal that was handed to a provider.
pub struct Stored {
    pub terms: DealTerms,
    pub signed: SignedDeal,
    pub car: Vec<u8>,
}

pub fn endpoint(devnet: &Devnet) -> EndpointConfig {
    EndpointConfig::new(devnet.rpc_url().parse().expect("a URL"))
}

pub fn pool(endpoints: &[EndpointConfig], wanted: usize) -> Pool {
    Pool::new(endpoints, Limits::default(), wanted).expect("a pool")
}

pub async fn control(pool: &Pool, method: &'static str, params: Value) -> Value {
    let Value::Array(params) = params else { panic!("positional parameters") };
    pool.read(Call::new(method, params)).await.expect(method)
}

pub async fn start_devnet(seed: u64) -> Devnet {
    spawn(Config { seed, allow_private: true, ..Config::default() }).await.expect("a devnet")
}

/// A CAR's header with one block behind it that nobody looks into.
pub fn car(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = hex::decode("19a265726f6f747381d82a4500015500006776657273696f6e01").expect("hex");
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

impl Net {
    pub async fn start() -> Self {
        let devnet = start_devnet(1).await;
        // Without a breaker: the devnet is told to fail and to stop failing through the same endpoint.
        let limits = Limits { breaker: false, ..Limits::default() };
        let pool = Pool::new(&[endpoint(&devnet)], limits, 1).expect("a pool");
        let identity = identify(&pool).await.expect("a network");
        let key = Key::from_bytes(&[7; 32]).expect("a key");
        let chain = LotusChain::new(pool.clone(), key.native_address());
        let config = WalletConfig {
            chain_id: identity.chain_id,
            genesis: Some(identity.genesis_cid),
            contracts: Vec::new(),
            max_gas_cost: AttoFil::fil(1),
        };
        let wallet = KeyWallet::new(key, pool.clone(), config);
        let mk12 = Mk12::new(Mk12Config { reach: Reach::Everywhere, ..Mk12Config::default() });
        Self { devnet, pool, chain, wallet, mk12: mk12.expect("a deal maker") }
    }

    /// With money on both accounts.
    pub async fn funded() -> Self {
        let net = Self::start().await;
        let fund = |address: String| control(&net.pool, "devnet_fund", json!([address, AttoFil::fil(100)]));
        fund(net.wallet.native_address().to_string()).await;
        fund(raas_clients::address::Address::from_eth(net.wallet.eth_address()).to_string()).await;
        net.advance(2).await;
        net
    }

    pub async fn advance(&self, epochs: i64) {
        control(&self.pool, "devnet_advance", json!([epochs])).await;
    }

    pub async fn set_rpc(&self, mode: &str, method: Option<&str>, count: Option<u64>) {
        control(&self.pool, "devnet_setRpc", json!([mode, method, count])).await;
    }

    pub async fn round(&self) -> Round {
        self.chain.pin(&Look::default()).await.expect("a pin").round
    }

    /// Sends one intent, lets it be executed and tells how.
    pub async fn execute(&self, intent: &TxIntent) -> Inclusion {
        let nonce = self.wallet.chain_nonce(intent.lane()).await.expect("a nonce");
        let tx = done(self.wallet.prepare(intent, nonce, None).await);
        self.land(intent.lane(), &tx).await
    }

    pub async fn land(&self, lane: Lane, tx: &SignedTx) -> Inclusion {
        assert_eq!(self.wallet.broadcast(lane, tx).await, Broadcast::Taken);
        self.advance(3).await;
        self.wallet.included(lane, &tx.hash).await.expect("an answer").expect("executed")
    }

    pub async fn escrow(&self, amount: AttoFil) {
        assert!(self.execute(&TxIntent::AddBalance { amount }).await.success);
    }

    /// Deploys the contract whose bytecode is checked in.
    pub async fn deploy(&mut self) -> DealStatus {
        let artifact = Artifact::shipped().expect("the artifact");
        let library = self.create(artifact.library()).await;
        let settings = DeploySettings::of(self.wallet.eth_address());
        let address = self.create(artifact.contract(library, &settings)).await;
        self.wallet = self.wallet.clone().with_contract(address);
        DealStatus::new(self.pool.clone(), address)
    }

    /// Calls a contract with the wallet's key.
    pub async fn calls(&self, to: EthAddress, input: Vec<u8>) {
        let nonce = self.wallet.chain_nonce(Lane::Evm).await.expect("a nonce");
        let tx = done(self.wallet.call(to, input.into(), nonce).await);
        assert!(self.land(Lane::Evm, &tx).await.success);
    }

    /// Creates a contract.
    pub async fn create(&self, code: Bytes) -> EthAddress {
        let nonce = self.wallet.chain_nonce(Lane::Evm).await.expect("a nonce");
        let tx = done(self.wallet.deploy(code, nonce).await);
        assert!(self.land(Lane::Evm, &tx).await.success);
        created_address(self.wallet.eth_address(), nonce)
    }

    pub async fn provider(&self) -> ProviderOnChain {
        self.chain.provider(&self.round().await, PROVIDER).await.expect("a provider")
    }

    /// Hands a deal over new bytes to the provider, which takes it.
    pub async fn propose(&self) -> Stored {
        let car = car(3, 900_000);
        let piece = CommP::of(&car);
        let url = format!("{}/piece/x", serve_bytes(car.clone()).await);
        let provider = self.provider().await;
        let ask = self.mk12.ask(&provider).await.expect("an answer").expect("an ask");
        let head = self.round().await.head;
        let start = head.after(Epochs::new(400).expect("a number"));
        let size = piece.padded_size;
        let terms = DealTerms {
            uuid: [9; 16],
            piece: raas_core::cid::Commitment(piece.commitment.0),
            size,
            bytes: car.len() as u64,
            root: ROOT.parse().expect("a root"),
            provider: PROVIDER,
            start,
            end: start.after(Epochs::days(180)),
            price_per_epoch: size.cost_per_epoch(ask.price),
            provider_collateral: self.chain.collateral(size).await.expect("bounds").min,
            url,
            headers: vec![("Authorization".to_owned(), "Bearer secret".to_owned())],
        };
        let signed = self.wallet.sign_deal(&terms).await.expect("signable");
        assert_eq!(self.mk12.propose(&provider, &signed.bytes).await, Effect::Done(Proposed::Accepted));
        Stored { terms, signed, car }
    }

    /// The only deal published for the wallet, at the round's tipset.
    pub async fn published(&self, round: &Round) -> DealId {
        let client = self.chain.client_id().await.expect("an answer").expect("on chain");
        let from = Epoch(round.height.0 - 5_000);
        let mut found = self.chain.deal_events(from, round.height).await.expect("events").told;
        found.retain(|event| event.client == client && event.change == DealChange::Published);
        let [only] = found.as_slice() else { panic!("one deal: {found:?}") };
        assert_eq!((only.client, only.provider), (client, PROVIDER));
        only.deal
    }

    /// A deal from hand-over to active at finality, with its sector.
    pub async fn active_deal(&self) -> (Stored, DealId, SectorNumber) {
        self.escrow(AttoFil::fil(1)).await;
        let stored = self.propose().await;
        self.advance(200).await;
        let round = self.round().await;
        let deal = self.published(&round).await;
        let seen = self.deal(&round, deal).await;
        assert!(seen.activated.is_some(), "{seen:?}");
        (stored, deal, seen.sector)
    }

    pub async fn deal(&self, round: &Round, deal: DealId) -> OnChainDeal {
        match self.chain.deals(round, &[deal]).await.as_slice() {
            [DealSeen::Present(seen)] => (**seen).clone(),
            other => panic!("{other:?}"),
        }
    }
}

pub fn done<T: std::fmt::Debug>(effect: Effect<T>) -> T {
    match effect {
        Effect::Done(value) => value,
        other => panic!("{other:?}"),
    }
}
