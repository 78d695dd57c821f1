//! Native messages: the mempool, their execution, their receipts.

use super::{
    command::CommandError,
    datacap::{DATACAP, REGISTRY},
    state::{BURNT, MARKET, World},
    timeline::StateAt,
};
use crate::{
    codec::{
        Address, Bitfield, ClientDealProposal, Message, Signature, SignedMessage, TokenAmount, from_cbor,
        to_cbor,
    },
    fevm,
    ledger::Fact,
};
use alloy_primitives::U256;
use cid::Cid;
use raas_core::{
    ids::{ActorId, DealId, ProviderId},
    units::AttoFil,
};

/// Gas of a message before its parameters.
const GAS_BASE: u64 = 2_000_000;
/// Gas of one byte of parameters.
const GAS_PER_BYTE: u64 = 1_300;
/// Messages of one sender the mempool holds at most.
const PER_SENDER: usize = 100;

/// Exit code: the sender does not have what it sends.
const SYS_INSUFFICIENT_FUNDS: i64 = 6;
/// Exit code: no such actor, or no such method on an account.
const SYS_INVALID_RECEIVER: i64 = 5;
/// Exit code: illegal argument.
const ILLEGAL_ARGUMENT: i64 = 16;
/// Exit code: not the caller's right.
const FORBIDDEN: i64 = 18;
/// Exit code: parameters that do not decode.
const SERIALIZATION: i64 = 21;
/// Exit code: no such method.
const UNHANDLED: i64 = 22;

/// A signed message that waits for the next tipset.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) signed: SignedMessage,
    pub(super) cid: Cid,
}

/// An executed message.
#[derive(Clone, Debug)]
pub struct NativeReceipt {
    /// Its CID.
    pub cid: Cid,
    /// What was sent.
    pub message: Message,
    /// The height of the tipset that includes it; its receipt shows one tipset later.
    pub included: i64,
    /// How it ended.
    pub exit: i64,
    /// What it returned.
    pub ret: Vec<u8>,
    /// Gas used.
    pub gas_used: u64,
    /// The sender's signature; none on messages of workers and of the verifier, which are made here.
    pub signature: Option<Signature>,
}

impl World {
    /// Admits a signed message and answers its CID.
    pub(super) fn push(&mut self, signed: SignedMessage) -> Result<Cid, CommandError> {
        let cid = signed.cid().map_err(|error| refused(error.to_string()))?;
        let message = &signed.message;
        let sender = self
            .actors
            .lookup(&message.from, StateAt::NEWEST)
            .ok_or_else(|| refused(format!("failed to look up actor {}: actor not found", message.from)))?;
        let key = self.actors.robust(sender).cloned().unwrap_or_else(|| message.from.clone());
        signed.verify(&key).map_err(|error| refused(format!("signature verification failed: {error}")))?;
        check_form(message, fevm::fee_cap_floor(self.chain.base_fee(self.chain.clock() + 1)))?;
        self.check_nonce(sender, message)?;
        self.check_place(sender, message, &cid)?;
        self.check_funds(sender, message)?;
        self.mempool.insert((sender, message.nonce), Waiting { signed, cid });
        Ok(cid)
    }

    /// Nonces are taken strictly in order.
    fn check_nonce(&self, sender: ActorId, message: &Message) -> Result<(), CommandError> {
        let executed = self.actors.wallet(sender, StateAt::NEWEST).unwrap_or_default().nonce;
        let (next, got) = (self.next_nonce(sender), message.nonce);
        if got < executed {
            return Err(refused(format!(
                "minimum expected nonce is {executed}, got {got}: message nonce too low"
            )));
        }
        if got > next {
            return Err(refused(format!(
                "message nonce has too big a gap, expected {next}, got {got}: unfulfilled nonce gap"
            )));
        }
        Ok(())
    }

    /// Another message with this nonce is replaced only by one that pays a tenth more.
    fn check_place(&self, sender: ActorId, message: &Message, cid: &Cid) -> Result<(), CommandError> {
        match self.mempool.get(&(sender, message.nonce)) {
            Some(old) if old.cid == *cid => Err(refused("message with nonce already exists".to_owned())),
            Some(old) => {
                let least = AttoFil(old.signed.message.gas_premium.0.saturating_mul(11) / 10 + 1);
                if message.gas_premium < least {
                    let why = format!("replace by fee has too low GasPremium: need at least {least}");
                    return Err(refused(why));
                }
                Ok(())
            }
            None if self.waiting_of(sender).count() >= PER_SENDER => {
                Err(refused("too many pending messages for actor".to_owned()))
            }
            None => Ok(()),
        }
    }

    /// The sender must be able to pay all its waiting messages at their dearest.
    fn check_funds(&self, sender: ActorId, message: &Message) -> Result<(), CommandError> {
        let balance = self.actors.wallet(sender, StateAt::NEWEST).unwrap_or_default().balance;
        let required = self
            .waiting_of(sender)
            .filter(|other| other.nonce != message.nonce)
            .map(most_it_costs)
            .fold(most_it_costs(message), AttoFil::plus);
        if balance < required {
            return Err(refused(format!(
                "not enough funds including pending messages (required: {required}, balance: {balance})"
            )));
        }
        Ok(())
    }

    fn waiting_of(&self, sender: ActorId) -> impl Iterator<Item = &Message> {
        let all = self.mempool.range((sender, 0)..=(sender, u64::MAX));
        all.map(|(_, waiting)| &waiting.signed.message)
    }

    /// The nonce the sender's next message needs, pending ones included.
    #[must_use]
    pub fn next_nonce(&self, sender: ActorId) -> u64 {
        let executed = self.actors.wallet(sender, StateAt::NEWEST).unwrap_or_default().nonce;
        let pending = self.mempool.range((sender, 0)..=(sender, u64::MAX)).next_back();
        pending.map_or(executed, |((_, nonce), _)| executed.max(nonce + 1))
    }

    /// The messages that wait for the next tipset.
    pub fn pending_messages(&self) -> impl Iterator<Item = (&SignedMessage, &Cid)> {
        self.mempool.values().map(|waiting| (&waiting.signed, &waiting.cid))
    }

    /// What became of a message, as the tipset at `head` shows it: the including tipset must have a child.
    #[must_use]
    pub fn find_message(&self, cid: &Cid, head: i64) -> Option<&NativeReceipt> {
        let (height, index) = self.message_places.get(cid)?;
        self.receipts.get(height)?.get(*index).filter(|receipt| receipt.included < head)
    }

    /// What the tipset at `height` executed natively, in its order.
    #[must_use]
    pub fn receipts_at(&self, height: i64) -> &[NativeReceipt] {
        self.receipts.get(&height).map_or(&[], Vec::as_slice)
    }

    /// The gas a message uses, whatever its end.
    #[must_use]
    pub fn gas_of(message: &Message) -> u64 {
        gas_of(message)
    }

    /// The fee cap and premium a node proposes.
    #[must_use]
    pub fn suggested_fees() -> (AttoFil, AttoFil) {
        Self::fees_above(fevm::BASE_FEE)
    }

    /// The same at this base fee.
    #[must_use]
    pub fn fees_above(base_fee: u64) -> (AttoFil, AttoFil) {
        let premium = u128::from(fevm::MIN_PREMIUM);
        (AttoFil(u128::from(base_fee) * 2 + premium), AttoFil(premium))
    }

    /// Whether the next tipset includes a message.
    pub(super) fn has_pending_native(&self) -> bool {
        let base_fee = self.chain.base_fee(self.chain.clock() + 1);
        let mut waiting = self.mempool.iter();
        waiting.any(|((sender, _), waiting)| self.is_ready(*sender, &waiting.signed.message, base_fee))
    }

    fn is_ready(&self, sender: ActorId, message: &Message, base_fee: u64) -> bool {
        let next = self.actors.wallet(sender, StateAt::NEWEST).unwrap_or_default().nonce;
        message.nonce == next && message.gas_fee_cap.0 >= u128::from(base_fee)
    }

    /// Runs the mempool in the tipset of `epoch`.
    pub(super) fn execute_native(&mut self, epoch: i64) {
        let base_fee = self.chain.base_fee(epoch);
        for ((sender, nonce), waiting) in std::mem::take(&mut self.mempool) {
            if !self.is_ready(sender, &waiting.signed.message, base_fee) {
                // It costs too much now, or one before it is missing.
                self.mempool.insert((sender, nonce), waiting);
                continue;
            }
            let SignedMessage { message, signature } = waiting.signed;
            let gas_used = gas_of(&message);
            let fee = AttoFil(
                u128::from(gas_used) * u128::from(base_fee)
                    + message.gas_premium.0 * u128::try_from(message.gas_limit).unwrap_or(0),
            );
            self.actors.update(sender, epoch, |wallet| {
                wallet.balance = wallet.balance.minus(fee);
                wallet.nonce = message.nonce + 1;
            });
            self.actors.update(BURNT, epoch, |wallet| wallet.balance = wallet.balance.plus(fee));
            let (exit, ret) = self.execute(epoch, sender, waiting.cid, &message);
            let signature = Some(signature);
            let receipt =
                NativeReceipt { cid: waiting.cid, message, included: epoch, exit, ret, gas_used, signature };
            self.record_receipt(sender, receipt);
        }
    }

    fn record_receipt(&mut self, from: ActorId, receipt: NativeReceipt) {
        let to = self.actors.lookup(&receipt.message.to, StateAt::NEWEST).unwrap_or(ActorId(0));
        let fact = Fact::Message {
            cid: receipt.cid.to_string(),
            from,
            to,
            method: receipt.message.method,
            exit: receipt.exit,
        };
        self.ledger.record(receipt.included, fact);
        let block = self.receipts.entry(receipt.included).or_default();
        self.message_places.insert(receipt.cid, (receipt.included, block.len()));
        block.push(receipt);
    }

    /// The next message of a provider's worker, not yet executed.
    pub(super) fn next_worker_message(
        &mut self,
        provider: ProviderId,
        to: ActorId,
        method: u64,
        params: Vec<u8>,
    ) -> Option<(ActorId, Message, Cid)> {
        let miner = self.miners.get_mut(&provider)?;
        let nonce = miner.messages;
        miner.messages += 1;
        let worker = miner.config.worker;
        self.made_message(worker, nonce, to, method, params)
    }

    /// A message that the network itself sends from one of its accounts, not yet executed.
    pub(super) fn made_message(
        &self,
        sender: ActorId,
        nonce: u64,
        to: ActorId,
        method: u64,
        params: Vec<u8>,
    ) -> Option<(ActorId, Message, Cid)> {
        let from = self.actors.robust(sender).cloned().unwrap_or(Address::Id(sender));
        let gas = i64::try_from(GAS_BASE + GAS_PER_BYTE * params.len() as u64).unwrap_or(i64::MAX);
        let message = Message {
            version: 0,
            to: Address::Id(to),
            from,
            nonce,
            value: AttoFil::ZERO,
            gas_limit: gas,
            gas_fee_cap: AttoFil(u128::from(fevm::BASE_FEE) * 2),
            gas_premium: AttoFil(u128::from(fevm::MIN_PREMIUM)),
            method,
            params,
        };
        let cid = message.cid().ok()?;
        Some((sender, message, cid))
    }

    /// Records how such a message ended.
    pub(super) fn finish_made_message(
        &mut self,
        epoch: i64,
        (sender, message, cid): (ActorId, Message, Cid),
        exit: i64,
        ret: Vec<u8>,
    ) {
        self.actors.update(sender, epoch, |wallet| wallet.nonce = message.nonce + 1);
        let gas_used = gas_of(&message);
        let signature = None;
        let receipt = NativeReceipt { cid, message, included: epoch, exit, ret, gas_used, signature };
        self.record_receipt(sender, receipt);
    }

    /// A worker's message whose end is known beforehand; its CID.
    pub(super) fn worker_message(
        &mut self,
        epoch: i64,
        provider: ProviderId,
        to: ActorId,
        method: u64,
        exit: i64,
        ret: Vec<u8>,
    ) -> Cid {
        let Some(message) = self.next_worker_message(provider, to, method, Vec::new()) else {
            return self.chain.object_cid("message", epoch);
        };
        let cid = message.2;
        self.finish_made_message(epoch, message, exit, ret);
        cid
    }

    /// The effect of one message: exit code and return.
    fn execute(&mut self, epoch: i64, from: ActorId, cid: Cid, message: &Message) -> (i64, Vec<u8>) {
        let value = message.value;
        let fail = |exit| (exit, Vec::new());
        if self.actors.wallet(from, StateAt::NEWEST).unwrap_or_default().balance < value {
            return fail(SYS_INSUFFICIENT_FUNDS);
        }
        let Some(to) = self.actors.ensure(&message.to, epoch) else { return fail(SYS_INVALID_RECEIVER) };
        let result = match (to, message.method) {
            (_, 0) => Ok(Vec::new()),
            (MARKET, method) => self.market_message(epoch, from, cid, method, value, &message.params),
            (REGISTRY | DATACAP, method) => {
                self.registry_message(epoch, (from, to), cid, method, &message.params)
            }
            _ if self.miners.contains_key(&ProviderId(to)) => Err(FORBIDDEN),
            _ => Err(UNHANDLED),
        };
        match result {
            Ok(ret) => {
                self.transfer(epoch, from, to, value);
                (0, ret)
            }
            Err(exit) => fail(exit),
        }
    }

    fn transfer(&mut self, epoch: i64, from: ActorId, to: ActorId, value: AttoFil) {
        if value == AttoFil::ZERO {
            return;
        }
        self.actors.update(from, epoch, |wallet| wallet.balance = wallet.balance.minus(value));
        self.give(epoch, to, value);
    }

    /// Adds to an actor's balance, wherever it is kept.
    pub(super) fn give(&mut self, epoch: i64, to: ActorId, value: AttoFil) {
        match self.actors.robust(to).and_then(eth_form) {
            Some(eth) => self.fevm.credit(eth.into(), epoch, U256::from(value.0)),
            None => self.actors.update(to, epoch, |wallet| wallet.balance = wallet.balance.plus(value)),
        }
    }

    fn market_message(
        &mut self,
        epoch: i64,
        from: ActorId,
        cid: Cid,
        method: u64,
        value: AttoFil,
        params: &[u8],
    ) -> Result<Vec<u8>, i64> {
        match method {
            2 | 822_473_126 => self.add_balance(epoch, value, params),
            3 | 2_280_458_852 => self.withdraw_balance(epoch, from, params),
            4 | 2_236_929_350 => {
                let (batch,): (Vec<ClientDealProposal>,) = from_cbor(params).map_err(|_| SERIALIZATION)?;
                let publication = self.publish(epoch, from, cid, &batch);
                if publication.exit == 0 { Ok(publication.ret) } else { Err(publication.exit) }
            }
            1_900_091_594 => {
                let deals: Bitfield = from_cbor(params).map_err(|_| SERIALIZATION)?;
                Ok(self.settle_message(epoch, cid, &deals))
            }
            _ => Err(UNHANDLED),
        }
    }

    fn add_balance(&mut self, epoch: i64, value: AttoFil, params: &[u8]) -> Result<Vec<u8>, i64> {
        let address: Address = from_cbor(params).map_err(|_| SERIALIZATION)?;
        if value == AttoFil::ZERO {
            return Err(ILLEGAL_ARGUMENT);
        }
        let account = self.actors.lookup(&address, StateAt::after(epoch)).ok_or(ILLEGAL_ARGUMENT)?;
        self.market.change(account, epoch, |balance| balance.escrow = balance.escrow.plus(value));
        self.ledger.record(epoch, Fact::BalanceAdded { account, amount: value });
        Ok(Vec::new())
    }

    fn withdraw_balance(&mut self, epoch: i64, from: ActorId, params: &[u8]) -> Result<Vec<u8>, i64> {
        let (address, asked): (Address, TokenAmount) = from_cbor(params).map_err(|_| SERIALIZATION)?;
        let account = self.actors.lookup(&address, StateAt::after(epoch)).ok_or(ILLEGAL_ARGUMENT)?;
        let provider = ProviderId(account);
        let (allowed, receiver) = match self.miners.get(&provider) {
            Some(miner) => (self.controls(provider, from), miner.config.operator),
            None => (account == from, account),
        };
        if !allowed {
            return Err(FORBIDDEN);
        }
        let amount = asked.0.min(self.market.funds(account).available());
        self.market.change(account, epoch, |balance| balance.escrow = balance.escrow.minus(amount));
        self.actors.update(MARKET, epoch, |wallet| wallet.balance = wallet.balance.minus(amount));
        self.give(epoch, receiver, amount);
        self.ledger.record(epoch, Fact::BalanceWithdrawn { account, amount });
        Ok(super::actor_events::amount_cbor(amount))
    }

    pub(super) fn settle_message(&mut self, epoch: i64, cid: Cid, deals: &Bitfield) -> Vec<u8> {
        /// More ids than any message could name sensibly.
        const MOST: usize = 10_000;
        let (mut failed, mut settled) = (Vec::new(), Vec::new());
        for (index, id) in (0_u64..).zip(deals.iter().take(MOST)) {
            match self.settle(epoch, DealId(id), cid) {
                Ok(item) => settled.push((TokenAmount(item.payment), item.completed)),
                Err(exit) => failed.push((index, exit)),
            }
        }
        to_cbor(&((settled.len() as u64, failed), settled)).expect("numbers have CBOR")
    }
}

/// The Ethereum address of an f410 address.
pub(super) fn eth_form(address: &Address) -> Option<[u8; 20]> {
    if matches!(address, Address::Delegated { .. }) { address.to_eth() } else { None }
}

fn gas_of(message: &Message) -> u64 {
    GAS_BASE + GAS_PER_BYTE * message.params.len() as u64
}

/// Value and gas at the fee cap.
fn most_it_costs(message: &Message) -> AttoFil {
    let gas = u64::try_from(message.gas_limit).unwrap_or(0);
    message.value.plus(message.gas_fee_cap.times(gas))
}

fn refused(why: String) -> CommandError {
    CommandError::Mempool(why)
}

/// What the mempool asks of a message whoever sends it.
fn check_form(message: &Message, floor: u64) -> Result<(), CommandError> {
    let (gas, base_fee) = (gas_of(message), u128::from(floor));
    if message.version != 0 {
        return Err(refused(format!("'Version' unsupported: {}", message.version)));
    }
    if message.gas_limit < i64::try_from(gas).unwrap_or(i64::MAX) {
        return Err(refused(format!(
            "'GasLimit' field cannot be less than the cost of storing a message on chain {} < {gas}",
            message.gas_limit
        )));
    }
    if message.gas_premium > message.gas_fee_cap {
        return Err(refused("'GasFeeCap' less than 'GasPremium'".to_owned()));
    }
    if message.gas_fee_cap.0 < base_fee {
        return Err(refused(format!(
            "GasFeeCap doesn't meet base fee lower bound for inclusion in the next 20 blocks: {} < {base_fee}: gas \
             fee cap too low",
            message.gas_fee_cap
        )));
    }
    Ok(())
}
