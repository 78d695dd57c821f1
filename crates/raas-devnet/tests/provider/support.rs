//! A world with its providers served, a client with money, and the calls a client makes.

use cid::Cid;
use raas_core::ids::{DealId, ProviderId, SectorNumber};
use raas_core::units::{AttoFil, Epoch, Epochs, PaddedSize};
use raas_devnet::Config;
use raas_devnet::codec::{
    Address, AskRequest, AskResponse, ClientDealProposal, CommP, DealParams, DealProposal, DealResponse,
    DealStatusRequest, DealStatusResponse, DealUuid, Label, Message, Piece, SecretKey, SignedMessage,
    Transfer, TransferParams, from_cbor, method_number, piece_cid_v1, to_cbor,
};
use raas_devnet::ledger::Fact;
use raas_devnet::provider::{self, ChainView, Fleet, Host, Mode, Reply, Stage};
use raas_devnet::world::{self, Command, CommandError, Outcome, World};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// Boost style.
pub const BOOST: ProviderId = ProviderId::new(1000);
/// Curio style.
pub const CURIO: ProviderId = ProviderId::new(1002);
/// Takes nothing under 1 GiB.
pub const LARGE: ProviderId = ProviderId::new(1007);

pub const ROOT: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
/// Longer than any transfer here can take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The world behind a lock.
pub struct Owner(Mutex<World>);

impl Host for Owner {
    fn apply(&self, command: provider::Command) -> Result<Reply, CommandError> {
        match self.command(&Command::Provider(command))? {
            Outcome::Provider(reply) => Ok(reply),
            other => panic!("a provider's command gave {other:?}"),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.0.lock().expect("not poisoned"))
    }
}

impl Owner {
    pub fn command(&self, command: &Command) -> Result<Outcome, CommandError> {
        self.0.lock().expect("not poisoned").apply(command.clone())
    }
}

/// A devnet without its RPC.
pub struct Net {
    pub owner: Arc<Owner>,
    pub client: SecretKey,
    fleet: Fleet<Owner>,
    at: BTreeMap<ProviderId, SocketAddr>,
    http: reqwest::Client,
}

/// A CAR's header and some bytes that differ from seed to seed, `size` in all.
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
        Self::with(Config { allow_private: true, ..Config::default() }).await
    }

    pub async fn with(config: Config) -> Self {
        let owner = Arc::new(Owner(Mutex::new(World::new(&config))));
        let mut listeners = BTreeMap::new();
        let mut at = BTreeMap::new();
        for provider in &config.providers {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            at.insert(provider.id, listener.local_addr().expect("it is bound"));
            listeners.insert(provider.id, listener);
        }
        let data_dir = config.data_dir.as_deref();
        let fleet = Fleet::start(owner.clone(), listeners, data_dir, config.allow_private).expect("starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let net = Self { owner, client: SecretKey::from_seed(b"client"), fleet, at, http };
        net.give_escrow(AttoFil::fil(10)).await;
        net
    }

    pub async fn stop(self) {
        self.fleet.shutdown().await;
    }

    /// Puts `amount` into the client's market escrow, by a message of its own.
    pub async fn give_escrow(&self, amount: AttoFil) {
        let address = self.client.address();
        self.command(&Command::Fund { address: address.to_string(), amount: amount.plus(AttoFil::fil(1)) });
        let nonce = self.owner.read(|world| {
            let id = world.actors.lookup(&address, world::StateAt(i64::MAX)).expect("it is funded");
            world.next_nonce(id)
        });
        let message = Message {
            version: 0,
            to: Address::id(5),
            from: address.clone(),
            nonce,
            value: amount,
            gas_limit: 50_000_000,
            gas_fee_cap: AttoFil(1_000_000),
            gas_premium: AttoFil(200_000),
            method: method_number("AddBalance"),
            params: to_cbor(&address).expect("encodes"),
        };
        let signature = self.client.sign(&message.signing_bytes().expect("encodes"));
        let signed = SignedMessage { message, signature };
        self.command(&Command::Push {
            message: hex::encode(to_cbor(&signed.message).expect("encodes")),
            signature: hex::encode(signed.signature.to_bytes()),
        });
        self.advance(2).await;
    }

    pub fn command(&self, command: &Command) -> Outcome {
        self.owner.command(command).expect("the command is good")
    }

    pub fn head(&self) -> Epoch {
        self.owner.read(ChainView::head)
    }

    /// Lets epochs pass as the control method does: it stops where a transfer begins, and waits for those under way.
    pub async fn advance(&self, epochs: i64) {
        let target = self.head().0 + epochs;
        loop {
            self.fleet.wake();
            assert!(self.fleet.settled(PATIENCE).await, "a transfer hangs");
            let now = self.head();
            if now.0 >= target {
                return;
            }
            let stop =
                self.owner.read(|world| world.book.next_pull(now)).map_or(target, |at| at.0.min(target));
            self.command(&Command::Advance { epochs: stop - now.0 });
        }
    }

    pub fn set_mode(&self, at: ProviderId, mode: Mode, count: Option<u32>) {
        self.command(&Command::Provider(provider::Command::SetMode { at, mode, count }));
    }

    pub fn mode(&self, at: ProviderId) -> Mode {
        self.owner.read(|world| world.book.get(at).expect("it exists").mood().mode())
    }

    pub fn facts(&self) -> Vec<Fact> {
        self.owner.read(|world| world.ledger.since(0).iter().map(|entry| entry.fact.clone()).collect())
    }

    pub fn url(&self, at: ProviderId, path: &str) -> String {
        format!("http://{}{path}", self.at[&at])
    }

    /// A good deal of `piece` at `at`, bytes from `url`.
    pub fn offer(&self, at: ProviderId, uuid: u8, piece: &Piece, url: &str) -> Offer {
        let head = self.head();
        let ask = self.owner.read(|world| world.book.get(at).expect("it exists").terms().ask);
        let (least, _) = self.owner.read(|world| world.provider_collateral_bounds(piece.padded_size, false));
        let start = head.after(Epochs::days(3));
        Offer {
            proposal: DealProposal {
                piece_cid: piece_cid_v1(piece.commitment),
                piece_size: piece.padded_size.get(),
                verified: false,
                client: self.client.address(),
                provider: Address::id(at.number()),
                label: Label::Text(ROOT.to_owned()),
                start,
                end: start.after(Epochs::days(540)),
                price_per_epoch: piece.padded_size.cost_per_epoch(ask),
                provider_collateral: AttoFil(least.0 * 6 / 5),
                client_collateral: AttoFil::ZERO,
            },
            uuid: DealUuid([uuid; 16]),
            transfer: Transfer {
                size: piece.payload_size,
                r#type: "http".to_owned(),
                params: params_json(url, None),
                client_id: String::new(),
            },
            is_offline: false,
            signer: self.client.clone(),
        }
    }

    async fn cbor(
        &self,
        method: reqwest::Method,
        url: String,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, reqwest::Error> {
        let request = self.http.request(method, url).header("content-type", "application/cbor").body(body);
        Ok(request.send().await?.error_for_status()?.bytes().await?.to_vec())
    }

    /// Proposes over HTTP. `None` when the connection closed without an answer.
    pub async fn store(&self, at: ProviderId, params: &DealParams) -> Option<DealResponse> {
        let body = to_cbor(params).expect("encodes");
        match self.cbor(reqwest::Method::POST, self.url(at, "/market/mk12/store"), body).await {
            Ok(bytes) => Some(from_cbor(&bytes).expect("decodes")),
            Err(error) => {
                assert!(error.status().is_none(), "{error}");
                None
            }
        }
    }

    /// Asks for a deal's status over HTTP. `None` when the connection closed without an answer.
    pub async fn status(&self, at: ProviderId, uuid: DealUuid) -> Option<DealStatusResponse> {
        let request = DealStatusRequest { deal_uuid: uuid, signature: self.client.sign(&uuid.0) };
        self.status_as(at, &request).await
    }

    pub async fn status_as(&self, at: ProviderId, request: &DealStatusRequest) -> Option<DealStatusResponse> {
        let body = to_cbor(request).expect("encodes");
        let bytes = self.cbor(reqwest::Method::GET, self.url(at, "/market/mk12/status"), body).await.ok()?;
        Some(from_cbor(&bytes).expect("decodes"))
    }

    /// The word and the error of a known deal's status.
    pub async fn words(&self, at: ProviderId, uuid: DealUuid) -> (String, String) {
        let status = self.status(at, uuid).await.expect("an answer").deal_status.expect("the deal is known");
        (status.status, status.error)
    }

    pub async fn ask(&self, at: ProviderId, miner: ProviderId) -> AskResponse {
        let body = to_cbor(&AskRequest { miner: Address::id(miner.number()) }).expect("encodes");
        let url = self.url(at, "/market/mk12/ask");
        from_cbor(&self.cbor(reqwest::Method::GET, url, body).await.expect("an answer")).expect("decodes")
    }

    pub async fn get(
        &self,
        at: ProviderId,
        cid: &Cid,
        range: Option<&str>,
    ) -> reqwest::Result<reqwest::Response> {
        let mut request = self.http.get(self.url(at, &format!("/piece/{cid}")));
        if let Some(range) = range {
            request = request.header("range", range);
        }
        request.send().await
    }

    /// The body of a whole piece.
    pub async fn bytes(&self, at: ProviderId, cid: &Cid) -> Vec<u8> {
        let response = self.get(at, cid, None).await.expect("an answer");
        assert_eq!(response.status(), 200);
        response.bytes().await.expect("a body").to_vec()
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The stage of a deal in its provider's book.
    pub fn stage(&self, at: ProviderId, uuid: DealUuid) -> Option<Stage> {
        self.owner.read(|world| Some(world.book.get(at)?.deal(uuid)?.stage.clone()))
    }

    pub fn sealed(&self, at: ProviderId, uuid: DealUuid) -> Option<(DealId, SectorNumber)> {
        match self.stage(at, uuid)? {
            Stage::Sealed { deal, sector, .. } => Some((deal, sector)),
            _ => None,
        }
    }
}

pub fn params_json(url: &str, headers: Option<BTreeMap<String, String>>) -> Vec<u8> {
    serde_json::to_vec(&TransferParams { url: url.to_owned(), headers }).expect("JSON")
}

/// A deal to be signed and proposed.
#[derive(Clone)]
pub struct Offer {
    pub proposal: DealProposal,
    pub uuid: DealUuid,
    pub transfer: Transfer,
    pub is_offline: bool,
    pub signer: SecretKey,
}

impl Offer {
    pub fn signed(self) -> DealParams {
        let signature = self.signer.sign(&self.proposal.signing_bytes().expect("encodes"));
        DealParams {
            deal_uuid: self.uuid,
            transfer: self.transfer,
            is_offline: self.is_offline,
            deal_data_root: ROOT.parse().expect("a CID"),
            skip_ipni_announce: false,
            client_deal_proposal: ClientDealProposal { proposal: self.proposal, signature },
            remove_unsealed_copy: false,
        }
    }
}

/// The piece of `bytes` in its smallest size, or in a larger one.
pub fn piece_of(bytes: &[u8], padded: Option<u64>) -> Piece {
    let piece = CommP::of(bytes);
    let Some(padded) = padded else { return piece };
    let padded_size = PaddedSize::new(padded).expect("a piece size");
    let commitment = raas_devnet::codec::extend(piece.commitment, piece.padded_size, padded_size);
    Piece { commitment, padded_size, ..piece }
}

impl Net {
    /// Starts keeping commands.
    pub fn record(&self) {
        self.owner.0.lock().expect("not poisoned").record_commands();
    }

    /// The commands kept so far.
    pub fn recorded(&self) -> Vec<Command> {
        self.owner.0.lock().expect("not poisoned").take_recorded()
    }

    pub fn hash(&self) -> String {
        self.owner.read(|world| world.ledger.hash())
    }
}
