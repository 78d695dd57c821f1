//! Other people on the devnet: accounts of their own that use the contract and make deals.

use super::scene::Scene;
use super::start::NODE_KEY;
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address as EthAddress, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, sol};
use axum::Router;
use raas_clients::evm::{Artifact, DealStatusAbi, DeploySettings, created_address};
use raas_clients::filecoin::LotusChain;
use raas_clients::guard::Reach;
use raas_clients::key::Key;
use raas_clients::provider::{Mk12, Mk12Config};
use raas_clients::rpc::{EndpointConfig, Limits, Pool};
use raas_clients::wallet::{KeyWallet, WalletConfig};
use raas_core::cid::{Commitment, DataCid};
use raas_core::ids::{ActorId, DealId, JobId, ProviderId, RequestId};
use raas_core::ports::{
    Broadcast, Chain, DealChange, DealMaker, DealTerms, Effect, Fees, Lane, Look, Proposed, SignedTx,
    TxIntent, Wallet,
};
use raas_core::units::{AttoFil, Epochs, PaddedSize};
use raas_devnet::codec::{CommP, DealParams, SecretKey, from_cbor, to_cbor};
use serde_json::json;
use tokio::net::TcpListener;

/// As `contracts/test/reference` compiles.
const REFERENCE: &str = include_str!("../../../../raas-clients/tests/vectors/reference-behaviour.hex");

/// The chain id of every scene's devnet.
const CHAIN_ID: u64 = 31_415_926;
/// The label of their deals; nobody looks at it.
const ROOT: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

/// Somebody with a key.
pub struct Foreign {
    /// Their wallet.
    pub wallet: KeyWallet,
    pool: Pool,
    key: Key,
}

/// A deal that somebody made.
pub struct Made {
    /// Of which market; `None`: f05.
    market: Option<ActorId>,
    pub deal: DealId,
    provider: ProviderId,
    piece: Commitment,
    size: PaddedSize,
}

sol! {
    interface Roles {
        function AGGREGATOR_ROLE() external view returns (bytes32);
        function hasRole(bytes32 role, address account) external view returns (bool);
        function grantRole(bytes32 role, address account) external;
    }
}

impl Foreign {
    /// Somebody new with money on both accounts. `number` makes the key.
    pub async fn arrive(scene: &Scene, number: u8) -> Self {
        Self::with_key(scene, Key::from_bytes(&[number; 32]).expect("a key")).await
    }

    /// The node's own account, before the node starts.
    pub async fn node(scene: &Scene) -> Self {
        Self::with_key(scene, Key::from_hex(NODE_KEY).expect("a key")).await
    }

    async fn with_key(scene: &Scene, key: Key) -> Self {
        let endpoint = EndpointConfig::new(scene.devnet.rpc_url().parse().expect("a URL"));
        let pool = Pool::new(&[endpoint], Limits::default(), 1).expect("a pool");
        let max_gas_cost = AttoFil::fil(1);
        let config = WalletConfig { chain_id: CHAIN_ID, genesis: None, contracts: Vec::new(), max_gas_cost };
        let wallet = KeyWallet::new(key.clone(), pool.clone(), config);
        let eth = format!("{:#x}", wallet.eth_address());
        for address in [wallet.native_address().to_string(), eth] {
            scene.rpc("devnet_fund", json!([address, AttoFil::fil(100).to_string()])).await;
        }
        scene.advance(2).await;
        Self { wallet, pool, key }
    }

    /// Sends `submitRaaS`; it is in the mempool after this and in a tipset with the next epoch.
    pub async fn submit(&self, contract: &str, cid: &str, target: u32, repair: i64, renew: i64) {
        let cid: DataCid = cid.parse().expect("a CID");
        let intent = TxIntent::Submit { job: JobId(0), cid: cid.cid().to_bytes(), target, repair, renew };
        self.send(contract, &intent).await;
    }

    async fn send(&self, contract: &str, intent: &TxIntent) {
        let wallet = self.wallet.clone().with_contract(contract.parse().expect("an address"));
        let nonce = wallet.chain_nonce(intent.lane()).await.expect("a nonce");
        let signed = done(wallet.prepare(intent, nonce, None).await);
        self.broadcast(intent.lane(), &signed).await;
    }

    /// Deploys the contract whose bytecode is checked in; this account is its admin.
    pub async fn deploy(&self, scene: &Scene) -> (EthAddress, i64) {
        let block = scene.now().await;
        let artifact = Artifact::shipped().expect("the artifact");
        let library = self.create(scene, artifact.library()).await;
        let settings = DeploySettings::of(self.wallet.eth_address());
        (self.create(scene, artifact.contract(library, &settings)).await, block)
    }

    /// Deploys our contract, and lets the scene's node complete there. Its address and first block.
    pub async fn deploy_for_node(&self, scene: &Scene) -> (EthAddress, i64) {
        let (contract, block) = self.deploy(scene).await;
        self.grant_aggregator(scene, contract, scene.node_eth_address()).await;
        (contract, block)
    }

    /// Deploys a contract that behaves as the reference was found to.
    pub async fn reference(&self, scene: &Scene) -> EthAddress {
        self.create(scene, REFERENCE.trim().parse().expect("hex")).await
    }

    /// Creates a contract of any code.
    pub async fn create(&self, scene: &Scene, code: Bytes) -> EthAddress {
        let nonce = self.wallet.chain_nonce(Lane::Evm).await.expect("a nonce");
        let signed = done(self.wallet.deploy(code, nonce).await);
        self.broadcast(Lane::Evm, &signed).await;
        scene.advance(2).await;
        created_address(self.wallet.eth_address(), nonce)
    }

    /// Gives `account` the role that may complete requests of `contract`, as its admin.
    pub async fn grant_aggregator(&self, scene: &Scene, contract: EthAddress, account: EthAddress) {
        let role = scene.eth_call_at(&contract.to_string(), &Roles::AGGREGATOR_ROLECall {}).await;
        let data = Roles::grantRoleCall { role, account }.abi_encode();
        let tx = self.transaction(scene, contract, data.into()).await;
        self.broadcast(Lane::Evm, &tx).await;
        scene.advance(2).await;
        assert!(scene.eth_call_at(&contract.to_string(), &Roles::hasRoleCall { role, account }).await);
    }

    /// Closes a request of theirs.
    pub async fn cancels(&self, scene: &Scene, contract: &str, request: u64) {
        let data = DealStatusAbi::cancelRequestCall { id: U256::from(request) }.abi_encode();
        let tx = self.transaction(scene, contract.parse().expect("an address"), data.into()).await;
        self.broadcast(Lane::Evm, &tx).await;
        scene.advance(2).await;
    }

    async fn transaction(&self, scene: &Scene, to: EthAddress, input: Bytes) -> SignedTx {
        let nonce = self.wallet.chain_nonce(Lane::Evm).await.expect("a nonce");
        let fee = scene.rpc("eth_gasPrice", json!([])).await;
        let fee = u128::from_str_radix(&fee.as_str().expect("hex")[2..], 16).expect("hex");
        let unsigned = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 100_000_000,
            max_fee_per_gas: fee * 2,
            max_priority_fee_per_gas: fee / 10,
            to: TxKind::Call(to),
            value: U256::ZERO,
            access_list: Default::default(),
            input,
        };
        let signature = self.key.sign_eth(unsigned.signature_hash());
        let signed = unsigned.into_signed(signature);
        let mut raw = Vec::new();
        signed.eip2718_encode(&mut raw);
        SignedTx {
            raw,
            hash: signed.hash().to_string(),
            fees: Fees::default(),
            gas_max: AttoFil::ZERO,
            cancels: false,
        }
    }

    /// Adds to their market balance, until it is final.
    pub async fn adds_escrow(&self, scene: &Scene, amount: AttoFil) {
        let nonce = self.wallet.chain_nonce(Lane::Native).await.expect("a nonce");
        let signed = done(self.wallet.prepare(&TxIntent::AddBalance { amount }, nonce, None).await);
        self.broadcast(Lane::Native, &signed).await;
        scene.advance(30).await;
    }

    /// Buys storage for `car` at `provider`, all by itself, until the deal is active at finality.
    pub async fn makes_deal(&self, scene: &Scene, car: Vec<u8>, provider: u64) -> Made {
        self.deal(scene, car, provider, false).await
    }

    /// The same with DataCap of their own.
    pub async fn makes_verified_deal(&self, scene: &Scene, car: Vec<u8>, provider: u64) -> Made {
        let size = CommP::of(&car).padded_size.get();
        scene.rpc("devnet_datacap", json!([self.wallet.native_address().to_string(), size])).await;
        scene.advance(2).await;
        self.deal(scene, car, provider, true).await
    }

    /// A signed deal as its bytes, with the flag that its client's DataCap is spent on it.
    fn verified(&self, bytes: &[u8]) -> Vec<u8> {
        let mut params: DealParams = from_cbor(bytes).expect("a deal");
        let deal = &mut params.client_deal_proposal;
        deal.proposal.verified = true;
        let secret = hex::decode(self.key.to_hex().as_str()).expect("hex").try_into().expect("32 bytes");
        let key = SecretKey::from_bytes(secret).expect("a key");
        deal.signature = key.sign(&deal.proposal.signing_bytes().expect("encodable"));
        to_cbor(&params).expect("encodable")
    }

    async fn deal(&self, scene: &Scene, car: Vec<u8>, provider: u64, verified: bool) -> Made {
        self.adds_escrow(scene, AttoFil::fil(1)).await;
        let chain = LotusChain::new(self.pool.clone(), self.wallet.native_address());
        let round = chain.pin(&Look::default()).await.expect("a round").round;
        let provider = chain.provider(&round, ProviderId::new(provider)).await.expect("a provider");
        let mk12 =
            Mk12::new(Mk12Config { reach: Reach::Everywhere, ..Mk12Config::default() }).expect("a client");
        let ask = mk12.ask(&provider).await.expect("an answer").expect("an ask");
        let piece = CommP::of(&car);
        let size = piece.padded_size;
        let start = round.head.after(Epochs::days(1));
        let terms = DealTerms {
            uuid: [11; 16],
            piece: Commitment(piece.commitment.0),
            size,
            bytes: car.len() as u64,
            root: ROOT.parse().expect("a CID"),
            provider: provider.provider,
            start,
            end: start.after(Epochs::days(180)),
            price_per_epoch: size.cost_per_epoch(ask.price),
            provider_collateral: chain.collateral(size).await.expect("bounds").min,
            url: serve(car).await,
            headers: Vec::new(),
        };
        let signed = self.wallet.sign_deal(&terms).await.expect("a deal");
        let bytes = if verified { self.verified(&signed.bytes) } else { signed.bytes };
        assert_eq!(mk12.propose(&provider, &bytes).await, Effect::Done(Proposed::Accepted));
        scene.advance(200).await;
        let round = chain.pin(&Look::default()).await.expect("a round").round;
        let client = chain.client_id().await.expect("an answer").expect("on chain");
        let from = round.height.before(Epochs::days(1));
        let mut found = chain.deal_events(from, round.height).await.expect("events").told;
        found.retain(|event| event.client == client && event.change == DealChange::Published);
        let [only] = found.as_slice() else { panic!("one deal: {found:?}") };
        Made { market: None, deal: only.deal, provider: provider.provider, piece: terms.piece, size }
    }

    /// `complete` of `request` with a deal of their own.
    pub async fn completes(&self, contract: &str, request: u64, made: &Made) {
        let intent = TxIntent::Complete {
            contract: None,
            request: RequestId(request),
            market: made.market,
            deal: made.deal,
            provider: made.provider,
            piece: made.piece,
            size: made.size,
            within: None,
            proof: Vec::new(),
        };
        self.send(contract, &intent).await;
    }

    /// Completes `request` with `count` deals of one piece, and has all of them terminated then.
    pub async fn completes_with_bulk(&self, scene: &Scene, contract: &str, request: u64, count: u64) {
        let listed = scene.rpc("devnet_bulkPieces", json!([0, 1])).await;
        let cid = listed[0]["/"].as_str().expect("a link");
        let piece = cid.parse().expect("a piece CID");
        let size = PaddedSize::new(1 << 20).expect("a size");
        let options = json!({ "pieceSize": size.get() });
        let mut sectors = Vec::new();
        for number in 0..count {
            let provider = 1_000 + number % 3;
            let made = scene.rpc("devnet_bulkDeals", json!([format!("t0{provider}"), 1, options])).await;
            let deal = DealId(made["firstDeal"].as_u64().expect("a deal"));
            sectors.push((provider, made["firstSector"].as_u64().expect("a sector")));
            let provider = ProviderId::new(provider);
            self.completes(contract, request, &Made { market: None, deal, provider, piece, size }).await;
            scene.advance(2).await;
        }
        for (provider, sector) in sectors {
            scene.rpc("devnet_terminate", json!([provider, [sector]])).await;
        }
    }

    /// Completes `request` with `count` pieces of one CID in sectors of their own, and has all of them terminated then.
    pub async fn completes_with_sectors(&self, scene: &Scene, contract: &str, request: u64, count: u64) {
        let market = scene.eth_call_at(contract, &DealStatusAbi::sectorMarketCall {}).await;
        let piece = CommP::of(&[7; 1_000]);
        let cid = raas_devnet::codec::piece_cid_v1(piece.commitment).to_string();
        let size = piece.padded_size;
        let told = json!([{ "address": contract, "payload": format!("0x{request:02x}") }]);
        let order = json!({ "pieces": [{ "cid": cid, "size": size.get(), "notify": told }] });
        let mut sectors = Vec::new();
        for number in 0..count {
            let provider = 1_000 + number % 3;
            let made = scene.rpc("devnet_onboard", json!([format!("t0{provider}"), order])).await;
            sectors.push((provider, made["sector"].as_u64().expect("a sector")));
            scene.advance(2).await;
            let made = Made {
                market: Some(ActorId(market)),
                deal: DealId(DealId::FIRST_OF_SECTORS.0 + number),
                provider: ProviderId::new(provider),
                piece: Commitment(piece.commitment.0),
                size,
            };
            self.completes(contract, request, &made).await;
            scene.advance(2).await;
        }
        for (provider, sector) in sectors {
            scene.rpc("devnet_terminate", json!([provider, [sector]])).await;
        }
    }

    async fn broadcast(&self, lane: Lane, signed: &SignedTx) {
        assert_eq!(self.wallet.broadcast(lane, signed).await, Broadcast::Taken);
    }
}

/// What an effect gave that must succeed.
pub fn done<T: std::fmt::Debug>(effect: Effect<T>) -> T {
    match effect {
        Effect::Done(value) => value,
        other => panic!("{other:?}"),
    }
}

/// Serves `bytes` under any path for as long as the test runs.
async fn serve(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let bytes = Bytes::from(bytes);
    let router = Router::new().fallback(move || std::future::ready(bytes.0.clone()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/car")
}
