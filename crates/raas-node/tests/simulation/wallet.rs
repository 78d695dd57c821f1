//! The wallet over the world's mempool. Proposals are signed by the node's own code, escrow messages by the
//! devnet's, since only the engine's handling of them is on trial here.

use crate::chain::{NoContract, SimChain, SimClock};
use crate::deals::{SimBytes, SimDeals};
use crate::shared::{Rpc, Shared};
use raas_clients::key::Key;
use raas_core::ids::ContractAddress;
use raas_core::observation::NotSeen;
use raas_core::ports::{
    Broadcast, DealTerms, Effect, Fees, Inclusion, Lane, Nonces, Quote, SignedDeal, SignedTx, Taker,
    TxIntent, Wallet,
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
    async fn sign_deal(&self, terms: &DealTerms) -> Result<SignedDeal, String> {
        raas_clients::wallet::sign_deal(&self.key, terms).map_err(|error| error.to_string())
    }

    async fn nonces(&self, _lane: Lane) -> Result<Nonces, NotSeen> {
        let head = self.shared.head().ok_or(NotSeen::RpcFailed)?;
        let world = self.shared.world();
        let nonce = |at| {
            let id = world.actors.lookup(&SimWallet::address(self), at);
            id.and_then(|id| world.actors.wallet(id, at)).map_or(0, |wallet| wallet.nonce)
        };
        let finalized = (head - world.config().finality_lag).max(0);
        Ok(Nonces { head: nonce(StateAt::before(head)), finalized: nonce(StateAt::before(finalized)) })
    }

    async fn quote(&self, intent: &TxIntent, nonce: u64, bump: Option<Fees>) -> Effect<Quote> {
        let (fee_cap, premium) = World::suggested_fees();
        let fees = bump.map_or(Fees { fee_cap, premium }, |old| {
            let raise = |fee: AttoFil| AttoFil(fee.0 * 5 / 4 + 1);
            Fees { fee_cap: raise(old.fee_cap), premium: raise(old.premium) }
        });
        match self.message(intent, nonce, Quote { gas_limit: 0, fees }) {
            Ok(message) => Effect::Done(Quote { gas_limit: World::gas_of(&message) * 2, fees }),
            Err(why) => Effect::Failed(why),
        }
    }

    async fn sign(&self, intent: &TxIntent, nonce: u64, quote: Quote) -> Result<SignedTx, String> {
        let message = self.message(intent, nonce, quote)?;
        let signature = self.secret.sign(&message.signing_bytes().expect("CBOR"));
        let signed = SignedMessage { message, signature };
        let raw = [to_cbor(&signed.message).expect("CBOR"), vec![0xff], signed.signature.to_bytes()].concat();
        let hash = signed.cid().expect("CBOR").to_string();
        let cancels = matches!(intent, TxIntent::Cancel { .. });
        Ok(SignedTx { raw, hash, fees: quote.fees, gas_max: quote.gas_max(), cancels })
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

    async fn taker(&self, _lane: Lane, nonce: u64, _since: Epoch) -> Result<Taker, NotSeen> {
        let head = self.shared.head().ok_or(NotSeen::RpcFailed)?;
        let world = self.shared.world();
        let finalized = head - world.config().finality_lag;
        let ours = (0..finalized).rev().find_map(|height| {
            let of_us = |receipt: &&raas_devnet::world::NativeReceipt| {
                receipt.message.from == SimWallet::address(self) && receipt.message.nonce == nonce
            };
            world.receipts_at(height).iter().find(of_us)
        });
        Ok(ours.map_or(Taker::Nobody, |receipt| Taker::Tx {
            hash: receipt.cid.to_string(),
            inclusion: Inclusion { block: Epoch(receipt.included), success: receipt.exit == 0 },
        }))
    }

    async fn balance(&self, _lane: Lane) -> Result<AttoFil, NotSeen> {
        let head = self.shared.head().ok_or(NotSeen::RpcFailed)?;
        let (world, at) = (self.shared.world(), StateAt::before(head));
        let id = world.actors.lookup(&SimWallet::address(self), at);
        Ok(id.and_then(|id| world.actors.wallet(id, at)).map_or(AttoFil::ZERO, |wallet| wallet.balance))
    }

    fn address(&self, _lane: Lane) -> String {
        SimWallet::address(self).to_string()
    }
}

impl SimWallet {
    fn message(&self, intent: &TxIntent, nonce: u64, quote: Quote) -> Result<Message, String> {
        let (to, value, method, params) = match intent {
            TxIntent::AddBalance { amount } => {
                let params = to_cbor(&SimWallet::address(self)).expect("an address has CBOR");
                (Address::Id(MARKET), *amount, ADD_BALANCE, params)
            }
            TxIntent::Cancel { .. } => (SimWallet::address(self), AttoFil::ZERO, 0, Vec::new()),
            _ => return Err("these runs have no contract".to_owned()),
        };
        Ok(Message {
            version: 0,
            to,
            from: SimWallet::address(self),
            nonce,
            value,
            gas_limit: i64::try_from(quote.gas_limit).expect("a small number"),
            gas_fee_cap: quote.fees.fee_cap,
            gas_premium: quote.fees.premium,
            method,
            params,
        })
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

    fn contract(&self, _at: ContractAddress) -> Option<&NoContract> {
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
