//! A world in memory, a client with money, and deals whose bytes arrive at once.

use raas_core::{
    ids::{DealId, ProviderId, SectorNumber},
    units::{AttoFil, Epoch, Epochs},
};
use raas_devnet::{
    Config,
    codec::{
        Address, ClientDealProposal, CommP, DealParams, DealProposal, DealUuid, Label, Message, Piece,
        SecretKey, SignedMessage, Transfer, TransferParams, method_number, piece_cid_v1, to_cbor,
    },
    ledger::Fact,
    provider::{self, Mode, Reply, StoreReply, TransferEnd},
    rpc,
    world::{Command, CommandError, Outcome, Phase, StateAt, World, collateral_bounds},
};
use serde_json::{Value, json};

/// Settles its deals.
pub const BOOST: ProviderId = ProviderId::new(1_000);
/// Never settles.
pub const CURIO: ProviderId = ProviderId::new(1_002);
const ROOT: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";

pub struct Network {
    pub world: World,
    pub client: SecretKey,
    proposals: u8,
}

impl Network {
    pub fn new() -> Self {
        Self::with(&Config::default())
    }

    /// A world whose client has 10 FIL in escrow.
    pub fn with(config: &Config) -> Self {
        let mut network = Self::poor(config);
        let address = network.client.address();
        network.send(method_number("AddBalance"), AttoFil::fil(10), to_cbor(&address).unwrap()).unwrap();
        network.advance(2);
        network
    }

    /// A world whose client has 100 FIL and nothing in escrow.
    pub fn poor(config: &Config) -> Self {
        let client = SecretKey::from_seed(b"client");
        let mut network = Self { world: World::new(config), client, proposals: 0 };
        let address = network.client.address().to_string();
        network.apply(Command::Fund { address, amount: AttoFil::fil(100) });
        network
    }

    pub fn apply(&mut self, command: Command) -> Outcome {
        self.world.apply(command).unwrap()
    }

    pub fn advance(&mut self, epochs: i64) {
        self.apply(Command::Advance { epochs });
    }

    /// Lets time pass until the clock shows `epoch`.
    pub fn advance_to(&mut self, epoch: i64) {
        let epochs = epoch - self.clock();
        if epochs > 0 {
            self.advance(epochs);
        }
    }

    pub fn clock(&self) -> i64 {
        self.world.chain().clock()
    }

    pub fn client_id(&self) -> raas_core::ids::ActorId {
        self.world.actors.lookup(&self.client.address(), StateAt(i64::MAX)).unwrap()
    }

    /// A message of the client to the market actor.
    pub fn message(&self, method: u64, value: AttoFil, params: Vec<u8>) -> SignedMessage {
        let message = Message {
            version: 0,
            to: Address::id(5),
            from: self.client.address(),
            nonce: self.world.next_nonce(self.client_id()),
            value,
            gas_limit: 100_000_000,
            gas_fee_cap: AttoFil(1_000_000),
            gas_premium: AttoFil(200_000),
            method,
            params,
        };
        let signature = self.client.sign(&message.signing_bytes().unwrap());
        SignedMessage { message, signature }
    }

    pub fn push(&mut self, signed: &SignedMessage) -> Result<cid::Cid, CommandError> {
        let message = hex::encode(to_cbor(&signed.message).unwrap());
        let signature = hex::encode(signed.signature.to_bytes());
        match self.world.apply(Command::Push { message, signature })? {
            Outcome::Message(cid) => Ok(cid),
            other => panic!("{other:?}"),
        }
    }

    pub fn send(&mut self, method: u64, value: AttoFil, params: Vec<u8>) -> Result<cid::Cid, CommandError> {
        self.push(&self.message(method, value, params))
    }

    /// A good proposal: starts in three days, lasts 540 days.
    pub fn proposal(&self, at: ProviderId, piece: &Piece) -> DealProposal {
        let size = piece.padded_size;
        let start = Epoch(self.world.chain().head()).after(Epochs::days(3));
        let ask = self.world.miner(at).unwrap().config.ask;
        DealProposal {
            piece_cid: piece_cid_v1(piece.commitment),
            piece_size: size.get(),
            verified: false,
            client: self.client.address(),
            provider: Address::id(at.number()),
            label: Label::Text(ROOT.to_owned()),
            start,
            end: start.after(Epochs::days(540)),
            price_per_epoch: size.cost_per_epoch(ask),
            provider_collateral: AttoFil(collateral_bounds(size.get()).0.0 * 6 / 5),
            client_collateral: AttoFil::ZERO,
        }
    }

    pub fn sign(&self, proposal: DealProposal) -> ClientDealProposal {
        let signature = self.client.sign(&proposal.signing_bytes().unwrap());
        ClientDealProposal { proposal, signature }
    }

    /// Proposes `signed`; if it is accepted or published all the same, the bytes arrive at once.
    pub fn offer(&mut self, signed: ClientDealProposal, piece: &Piece) -> bool {
        let at = match signed.proposal.provider {
            Address::Id(id) => ProviderId(id),
            ref other => panic!("{other} is no provider"),
        };
        self.proposals += 1;
        let uuid = DealUuid([self.proposals; 16]);
        let source = TransferParams { url: "https://example.com/piece.car".to_owned(), headers: None };
        let params = DealParams {
            deal_uuid: uuid,
            transfer: Transfer {
                size: piece.payload_size,
                r#type: "http".to_owned(),
                params: serde_json::to_vec(&source).unwrap(),
                client_id: String::new(),
            },
            is_offline: false,
            deal_data_root: ROOT.parse().unwrap(),
            skip_ipni_announce: false,
            client_deal_proposal: signed,
            remove_unsealed_copy: false,
        };
        let stored = self.apply(Command::Provider(provider::Command::Store { at, params: Box::new(params) }));
        let Outcome::Provider(Reply::Store(StoreReply::Answered(answer))) = stored else {
            panic!("{stored:?}")
        };
        let end = TransferEnd::received(piece);
        self.apply(Command::Provider(provider::Command::TransferEnded { at, uuid, end }));
        answer.accepted
    }

    /// A deal at `at`, published and not yet sealed.
    pub fn published(&mut self, at: ProviderId, seed: u8) -> DealId {
        let piece = piece(seed);
        let signed = self.sign(self.proposal(at, &piece));
        let cid = signed.proposal.cid().unwrap();
        assert!(self.offer(signed, &piece));
        self.advance(self.world.config().publish_delay);
        self.world.deal_by_proposal(&cid).unwrap().0.id
    }

    /// A deal at `at` in a proven sector.
    pub fn active(&mut self, at: ProviderId, seed: u8) -> (DealId, SectorNumber) {
        let deal = self.published(at, seed);
        self.advance(self.world.config().seal_delay);
        match self.world.market().deal(deal, StateAt(i64::MAX)).unwrap().1 {
            Phase::Active { sector, .. } => (deal, sector),
            other => panic!("{other:?}"),
        }
    }

    pub fn set_mode(&mut self, at: ProviderId, mode: Mode) {
        self.apply(Command::Provider(provider::Command::SetMode { at, mode, count: None }));
    }

    /// The answer of a truthful endpoint, without a server.
    pub fn call(&mut self, method: &str, params: Value) -> Result<Value, rpc::RpcError> {
        rpc::call(&mut self.world, method, &params)
    }

    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Exit code and base64 return of a market getter in the state before the head's messages.
    pub fn getter(&mut self, name: &str, deal: DealId) -> (i64, Value) {
        self.actor_call("t05", name, &to_cbor(&deal.0).unwrap())
    }

    pub fn actor_call(&mut self, to: &str, name: &str, params: &[u8]) -> (i64, Value) {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let message = json!({
            "Version": 0, "To": to, "From": "f099", "Nonce": 0, "Value": "0", "GasLimit": 0, "GasFeeCap": "0",
            "GasPremium": "0", "Method": method_number(name), "Params": STANDARD.encode(params),
        });
        let result = self.ask("Filecoin.StateCall", json!([message, null]));
        (result["MsgRct"]["ExitCode"].as_i64().unwrap(), result["MsgRct"]["Return"].clone())
    }

    pub fn facts(&self) -> Vec<&Fact> {
        self.world.ledger.since(0).iter().map(|entry| &entry.fact).collect()
    }

    /// `$type` values of the actor events in a range of heights.
    pub fn event_types(&mut self, from: i64, to: i64) -> Vec<String> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let found = self.ask("Filecoin.GetActorEventsRaw", json!([{ "fromHeight": from, "toHeight": to }]));
        let types = found.as_array().into_iter().flatten().map(|event| {
            let value = event["entries"][0]["Value"].as_str().unwrap();
            raas_devnet::codec::from_cbor(&STANDARD.decode(value).unwrap()).unwrap()
        });
        types.collect()
    }
}

/// A CAR of about a mebibyte that differs from seed to seed.
pub fn piece(seed: u8) -> Piece {
    CommP::of(&vec![seed; 1 << 20])
}
