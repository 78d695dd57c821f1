//! The wallet over the world's mempool. Proposals are signed by the node's own code, escrow messages by the
//! devnet's, since only the engine's handling of them is on trial here.

use crate::chain::{NoContract, SimChain, SimClock};
use crate::deals::{SimBytes, SimDeals};
use crate::shared::{Rpc, Shared};
use raas_clients::key::Key;
use raas_core::observation::NotSeen;
use raas_core::ports::{
    Broadcast, DealTerms, Effect, Fees, Inclusion, Lane, SignedDeal, SignedTx, TxIntent, Wallet,
};
use raas_core::units::{AttoFil, Epoch};
use raas_devnet::codec::{Address, Message, SecretKey, SignedMessage, to_cbor};
use raas_devnet::world::{Command, MARKET, StateAt, World};
use std::sync::Arc;

/// The account method that takes escrow.
const ADD_BALANCE: u64 = 2;

pub struct SimWallet {
    pub shared: Arc<Shared>,
    key: Key,
    secret: SecretKey,
}

impl SimWallet {
    pub fn new(shared: Arc<Shared>, seed: u64) -> Self {
        let mut bytes = [7; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self {
            shared,
            key: Key::from_bytes(&bytes).expect("a key"),
            secret: SecretKey::from_bytes(bytes).expect("a key"),
        }
    }

    pub fn address(&self) -> Address {
        self.secret.address()
    }
}

impl Wallet for SimWallet {
    fn sign_deal(&self, terms: &DealTerms) -> Result<SignedDeal, String> {
        raas_clients::wallet::sign_deal(&self.key, terms).map_err(|error| error.to_string())
    }

    async fn chain_nonce(&self, _lane: Lane) -> Result<u64, NotSeen> {
        let head = self.shared.head().ok_or(NotSeen::RpcFailed)?;
        let world = self.shared.world();
        let at = StateAt::before(head);
        let id = world.actors.lookup(&self.address(), at);
        Ok(id.and_then(|id| world.actors.wallet(id, at)).map_or(0, |wallet| wallet.nonce))
    }

    async fn prepare(&self, intent: &TxIntent, nonce: u64, bump: Option<Fees>) -> Effect<SignedTx> {
        let TxIntent::AddBalance { amount } = intent else {
            return Effect::Failed("these runs have no contract".to_owned());
        };
        let (cap, premium) = World::suggested_fees();
        let fees = bump.unwrap_or(Fees { fee_cap: cap, premium });
        let mut message = Message {
            version: 0,
            to: Address::Id(MARKET),
            from: self.address(),
            nonce,
            value: *amount,
            gas_limit: 0,
            gas_fee_cap: fees.fee_cap,
            gas_premium: fees.premium,
            method: ADD_BALANCE,
            params: to_cbor(&self.address()).expect("an address has CBOR"),
        };
        message.gas_limit = i64::try_from(World::gas_of(&message) * 2).expect("a small number");
        let signature = self.secret.sign(&message.signing_bytes().expect("CBOR"));
        let signed = SignedMessage { message, signature };
        let raw = [to_cbor(&signed.message).expect("CBOR"), vec![0xff], signed.signature.to_bytes()].concat();
        let hash = signed.cid().expect("CBOR").to_string();
        Effect::Done(SignedTx { raw, hash, fees })
    }

    async fn broadcast(&self, _lane: Lane, tx: &SignedTx) -> Broadcast {
        self.shared.point().await;
        if self.shared.rpc() == Rpc::Down {
            return Broadcast::Uncertain("no answer".to_owned());
        }
        let signature_bytes = 66;
        let split = tx.raw.len() - signature_bytes - 1;
        let command = Command::Push {
            message: hex::encode(&tx.raw[..split]),
            signature: hex::encode(&tx.raw[split + 1..]),
        };
        let outcome = self.shared.world().apply(command);
        self.shared.point().await;
        match outcome {
            Ok(_) => Broadcast::Taken,
            Err(error) => {
                let text = error.to_string();
                if text.contains("already") {
                    Broadcast::AlreadyKnown
                } else if text.contains("nonce too low") {
                    Broadcast::NonceTooLow
                } else {
                    Broadcast::Refused(text)
                }
            }
        }
    }

    async fn included(&self, _lane: Lane, hash: &str) -> Result<Option<Inclusion>, NotSeen> {
        let head = self.shared.head().ok_or(NotSeen::RpcFailed)?;
        let cid = hash.parse::<cid::Cid>().expect("a CID");
        let world = self.shared.world();
        Ok(world
            .find_message(&cid, head)
            .map(|receipt| Inclusion { block: Epoch(receipt.included), success: receipt.exit == 0 }))
    }
}

/// The ports of a run as one world.
pub struct SimWorld {
    pub chain: SimChain,
    pub deals: SimDeals,
    pub bytes: SimBytes,
    pub wallet: SimWallet,
    pub clock: SimClock,
}

impl SimWorld {
    pub fn new(shared: &Arc<Shared>, seed: u64) -> Self {
        let wallet = SimWallet::new(Arc::clone(shared), seed);
        Self {
            chain: SimChain { shared: Arc::clone(shared), client: wallet.address() },
            deals: SimDeals { shared: Arc::clone(shared), store: std::sync::Mutex::new(None) },
            bytes: SimBytes(Arc::clone(shared)),
            clock: SimClock(Arc::clone(shared)),
            wallet,
        }
    }
}

impl raas_node::world::World for SimWorld {
    type Chain = SimChain;
    type Contract = NoContract;
    type DealMaker = SimDeals;
    type Bytes = SimBytes;
    type Wallet = SimWallet;
    type Clock = SimClock;

    fn chain(&self) -> &SimChain {
        &self.chain
    }

    fn contract(&self) -> Option<&NoContract> {
        None
    }

    fn deal_maker(&self) -> &SimDeals {
        &self.deals
    }

    fn bytes(&self) -> &SimBytes {
        &self.bytes
    }

    fn wallet(&self) -> &SimWallet {
        &self.wallet
    }

    fn clock(&self) -> &SimClock {
        &self.clock
    }
}

/// What the run funds the wallet with.
pub const FUNDS: AttoFil = AttoFil::fil(1_000);
