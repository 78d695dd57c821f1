//! The wallet over the world's mempool. Proposals are signed by the node's own code, escrow messages by the
//! devnet's, since only the engine's handling of them is on trial here.

use crate::chain::{SimChain, SimClock};
use crate::contract::SimContract;
use crate::deals::{SimBytes, SimDeals};
use crate::evm::EvmLane;
use crate::shared::{Rpc, Shared};
use raas_clients::key::Key;
use raas_core::ids::ContractAddress;
use raas_core::observation::NotSeen;
use raas_core::ports::{
    Broadcast, DealTerms, Fees, Inclusion, Lane, NoQuote, Nonces, Quote, SignedDeal, SignedTx, Taker,
    TxIntent, Wallet,
};
use raas_core::units::{AttoFil, Epoch};
use raas_devnet::codec::{Address, Message, SecretKey, SignedMessage, to_cbor};
use raas_devnet::fevm::EthKey;
use raas_devnet::world::{Command, MARKET, StateAt, World};
use raas_node::blocks::PieceStore;
use std::sync::Arc;

/// The account method that takes escrow.
const ADD_BALANCE: u64 = 2;

pub struct SimWallet {
    pub shared: Arc<Shared>,
    key: Key,
    secret: SecretKey,
    evm: EvmLane,
}

pub fn secret(seed: u64) -> [u8; 32] {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    bytes
}

/// The node's account at the FEVM, before there is a wallet.
pub fn eth_key(seed: u64) -> EthKey {
    EthKey::from_bytes(&secret(seed)).expect("a key")
}

impl SimWallet {
    pub fn new(shared: Arc<Shared>, seed: u64, contract: ContractAddress) -> Self {
        let bytes = secret(seed);
        let evm = EvmLane { shared: Arc::clone(&shared), key: eth_key(seed), contract };
        Self {
            shared,
            key: Key::from_bytes(&bytes).expect("a key"),
            secret: SecretKey::from_bytes(bytes).expect("a key"),
            evm,
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

    async fn nonces(&self, lane: Lane) -> Result<Nonces, NotSeen> {
        let head = self.shared.head().ok_or(NotSeen::RpcFailed)?;
        if lane == Lane::Evm {
            return Ok(self.evm.nonces(head));
        }
        let world = self.shared.world();
        let nonce = |at| {
            let id = world.actors.lookup(&SimWallet::address(self), at);
            id.and_then(|id| world.actors.wallet(id, at)).map_or(0, |wallet| wallet.nonce)
        };
        let finalized = (head - world.config().finality_lag).max(0);
        Ok(Nonces { head: nonce(StateAt::before(head)), finalized: nonce(StateAt::before(finalized)) })
    }

    async fn quote(&self, intent: &TxIntent, nonce: u64, bump: Option<Fees>) -> Result<Quote, NoQuote> {
        let (fee_cap, premium) = World::suggested_fees();
        let fees = bump.map_or(Fees { fee_cap, premium }, |old| {
            let raise = |fee: AttoFil| AttoFil(fee.0 * 5 / 4 + 1);
            Fees { fee_cap: raise(old.fee_cap), premium: raise(old.premium) }
        });
        let Some(head) = self.shared.head() else { return Err(NoQuote::Unknown("no answer".to_owned())) };
        match intent.lane() {
            Lane::Evm => self.evm.quote(intent, fees, head),
            Lane::Native => self
                .message(intent, nonce, Quote { gas_limit: 0, fees })
                .map(|message| Quote { gas_limit: World::gas_of(&message) * 2, fees })
                .map_err(NoQuote::Refused),
        }
    }

    async fn sign(&self, intent: &TxIntent, nonce: u64, quote: Quote) -> Result<SignedTx, String> {
        if intent.lane() == Lane::Evm {
            return self.evm.sign(intent, nonce, quote);
        }
        let message = self.message(intent, nonce, quote)?;
        let signature = self.secret.sign(&message.signing_bytes().expect("CBOR"));
        let signed = SignedMessage { message, signature };
        let raw = [to_cbor(&signed.message).expect("CBOR"), vec![0xff], signed.signature.to_bytes()].concat();
        let hash = signed.cid().expect("CBOR").to_string();
        let cancels = matches!(intent, TxIntent::Cancel { .. });
        Ok(SignedTx { raw, hash, fees: quote.fees, gas_max: quote.gas_max(), cancels })
    }

    async fn broadcast(&self, lane: Lane, tx: &SignedTx) -> Broadcast {
        if self.shared.rpc() == Rpc::Down {
            return Broadcast::Uncertain("no answer".to_owned());
        }
        let outcome = match lane {
            Lane::Evm => self.evm.push(&tx.raw),
            Lane::Native => {
                let (message, signature) = halves(&tx.raw);
                let (message, signature) = (hex::encode(message), hex::encode(signature));
                self.shared.world().apply(Command::Push { message, signature })
            }
        };
        self.shared.point().await;
        if self.shared.rpc() == Rpc::DropReply {
            return Broadcast::Uncertain("the answer was lost".to_owned());
        }
        match outcome {
            Ok(_) => Broadcast::Taken,
            Err(error) => {
                let text = error.to_string();
                if text.contains("replace by fee") {
                    Broadcast::Refused(text)
                } else if text.contains("already") {
                    Broadcast::AlreadyKnown
                } else if text.contains("nonce too low") {
                    Broadcast::NonceTooLow
                } else {
                    Broadcast::Refused(text)
                }
            }
        }
    }

    async fn included(&self, lane: Lane, hash: &str) -> Result<Option<Inclusion>, NotSeen> {
        let head = self.shared.head().ok_or(NotSeen::RpcFailed)?;
        if lane == Lane::Evm {
            return Ok(self.evm.included(hash, head));
        }
        let cid = hash.parse::<cid::Cid>().expect("a CID");
        let world = self.shared.world();
        Ok(world
            .find_message(&cid, head)
            .map(|receipt| Inclusion { block: Epoch(receipt.included), success: receipt.exit == 0 }))
    }

    async fn taker(&self, lane: Lane, nonce: u64, _since: Epoch) -> Result<Taker, NotSeen> {
        let head = self.shared.head().ok_or(NotSeen::RpcFailed)?;
        let finalized = head - self.shared.world().config().finality_lag;
        if lane == Lane::Evm {
            return Ok(self.evm.taker(nonce, finalized));
        }
        let world = self.shared.world();
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

    async fn balance(&self, lane: Lane) -> Result<AttoFil, NotSeen> {
        let head = self.shared.head().ok_or(NotSeen::RpcFailed)?;
        if lane == Lane::Evm {
            return Ok(self.evm.balance(head));
        }
        let (world, at) = (self.shared.world(), StateAt::before(head));
        let id = world.actors.lookup(&SimWallet::address(self), at);
        Ok(id.and_then(|id| world.actors.wallet(id, at)).map_or(AttoFil::ZERO, |wallet| wallet.balance))
    }

    fn address(&self, lane: Lane) -> String {
        match lane {
            Lane::Native => SimWallet::address(self).to_string(),
            Lane::Evm => self.evm.address().to_checksum(None),
        }
    }
}

/// Message and signature of the native lane's signed bytes.
pub fn halves(raw: &[u8]) -> (&[u8], &[u8]) {
    const SIGNATURE_BYTES: usize = 66;
    let split = raw.len() - SIGNATURE_BYTES - 1;
    (&raw[..split], &raw[split + 1..])
}

impl SimWallet {
    fn message(&self, intent: &TxIntent, nonce: u64, quote: Quote) -> Result<Message, String> {
        let (to, value, method, params) = match intent {
            TxIntent::AddBalance { amount } => {
                let params = to_cbor(&SimWallet::address(self)).expect("an address has CBOR");
                (Address::Id(MARKET), *amount, ADD_BALANCE, params)
            }
            TxIntent::Cancel { .. } => (SimWallet::address(self), AttoFil::ZERO, 0, Vec::new()),
            other => return Err(format!("these runs do not {other:?}")),
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
    pub contract: SimContract,
}

impl SimWorld {
    pub fn new(shared: &Arc<Shared>, seed: u64, contract: ContractAddress, pieces: &PieceStore) -> Self {
        let wallet = SimWallet::new(Arc::clone(shared), seed, contract);
        Self {
            chain: SimChain { shared: Arc::clone(shared), client: wallet.address() },
            deals: SimDeals { shared: Arc::clone(shared) },
            contract: SimContract { shared: Arc::clone(shared), address: contract },
            bytes: SimBytes { shared: Arc::clone(shared), pieces: pieces.clone() },
            clock: SimClock(Arc::clone(shared)),
            wallet,
        }
    }
}

impl raas_node::world::World for SimWorld {
    type Chain = SimChain;
    type Contract = SimContract;
    type DealMaker = SimDeals;
    type Bytes = SimBytes;
    type Wallet = SimWallet;
    type Clock = SimClock;

    fn chain(&self) -> &SimChain {
        &self.chain
    }

    fn contract(&self, at: ContractAddress) -> Option<&SimContract> {
        (at == self.contract.address).then_some(&self.contract)
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

/// Gives the client escrow that somebody else pays for, so that no order of the run waits for a top-up.
pub fn endow(world: &mut World, client: Address, amount: AttoFil) {
    let patron = SecretKey::from_bytes([8; 32]).expect("a key");
    let (fee_cap, premium) = World::suggested_fees();
    let fund = Command::Fund { address: patron.address().to_string(), amount: AttoFil::fil(10) };
    world.apply(fund).expect("money");
    world.apply(Command::Advance { epochs: 2 }).expect("time passes");
    let draft = Message {
        version: 0,
        to: Address::Id(MARKET),
        from: patron.address(),
        nonce: 0,
        value: amount,
        gas_limit: 0,
        gas_fee_cap: fee_cap,
        gas_premium: premium,
        method: ADD_BALANCE,
        params: to_cbor(&client).expect("an address has CBOR"),
    };
    let gas_limit = i64::try_from(World::gas_of(&draft) * 2).expect("a small number");
    let message = Message { gas_limit, ..draft };
    let signature = patron.sign(&message.signing_bytes().expect("CBOR")).to_bytes();
    let message = hex::encode(to_cbor(&message).expect("CBOR"));
    world.apply(Command::Push { message, signature: hex::encode(signature) }).expect("taken");
    world.apply(Command::Advance { epochs: 2 }).expect("time passes");
}
