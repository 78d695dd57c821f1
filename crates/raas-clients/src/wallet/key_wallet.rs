//! [`KeyWallet`]: a signer and the chain's endpoints behind the port.

use super::fees::{BASE_FEE_MIN, fees, gas_limit};
use super::native::{Message, SETTLE_MAX};
use super::signer::{Kind, Signer};
use super::{broadcast, deal, lanes, taker};
use crate::address::Address;
use crate::evm::{AbiKind, Eip1559, calldata, no_quote, quantity};
use crate::filecoin::TipSet;
use crate::key::native_signature;
use crate::rpc::{Call, CallError, Evidence, Pool, Unknown};
use alloy_primitives::{Address as EthAddress, Bytes};
use raas_core::observation::NotSeen;
use raas_core::ports::{
    Broadcast, DealTerms, Effect, Fees, Inclusion, Lane, NoQuote, Nonces, Quote, SignedDeal, SignedTx, Taker,
    TxIntent, Wallet,
};
use raas_core::units::{AttoFil, Epoch};
use serde::Deserialize;
use serde_json::{Value, json};

/// Gas of a native message where no endpoint estimates it: several times what one was ever seen to use.
const NATIVE_GAS: u64 = 60_000_000;

/// What the wallet must know besides its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletConfig {
    /// EIP-155 chain id, as `identify` found it.
    pub chain_id: u64,
    /// CID of the genesis block: an endpoint of another network is sent nothing. `None` checks the chain id alone.
    pub genesis: Option<String>,
    /// The DealStatus contracts and their generations, once there are any. Jobs are registered at the first one that
    /// this node can complete.
    pub contracts: Vec<(EthAddress, AbiKind)>,
    /// The most that the gas of one transaction may cost; more is never signed.
    pub max_gas_cost: AttoFil,
}

/// A wallet. Cloning shares its signer.
#[derive(Clone, Debug)]
pub struct KeyWallet {
    pub(super) signer: Signer,
    pub(super) pool: Pool,
    pub(super) config: WalletConfig,
}

/// A transaction without gas, fees and signature.
enum Unsigned {
    Native(Message),
    Evm(Eip1559),
}

const NO_QUOTE: Quote = Quote { gas_limit: 0, fees: Fees { fee_cap: AttoFil::ZERO, premium: AttoFil::ZERO } };

impl KeyWallet {
    /// The wallet of a key or of an external signer.
    #[must_use]
    pub fn new(signer: impl Into<Signer>, pool: Pool, config: WalletConfig) -> Self {
        Self { signer: signer.into(), pool, config }
    }

    /// The same wallet for another contract.
    #[must_use]
    pub fn with_contract(self, contract: EthAddress) -> Self {
        self.with_contracts(vec![(contract, AbiKind::Raas)])
    }

    /// The same wallet for other contracts.
    #[must_use]
    pub fn with_contracts(mut self, contracts: Vec<(EthAddress, AbiKind)>) -> Self {
        self.config.contracts = contracts;
        self
    }

    /// Where a call of a contract goes.
    fn contract_for(&self, intent: &TxIntent) -> Result<(EthAddress, AbiKind), String> {
        let contracts = &self.config.contracts;
        let found = match intent {
            TxIntent::Complete { contract: Some(named), .. } | TxIntent::Prune { contract: named, .. } => {
                let named = EthAddress::from(named.0);
                let found = contracts.iter().find(|(address, _)| *address == named);
                return found
                    .copied()
                    .ok_or_else(|| format!("contract {named:#x} is not configured any more"));
            }
            // The reference would take a registration, but nothing could ever be shown for it.
            TxIntent::Submit { .. } | TxIntent::SubmitMany { .. } => {
                contracts.iter().find(|(_, kind)| *kind != AbiKind::Reference).or(contracts.first())
            }
            _ => contracts.first(),
        };
        found.copied().ok_or_else(|| "no DealStatus contract is configured".to_owned())
    }

    /// The f1 address: deals and escrow.
    #[must_use]
    pub fn native_address(&self) -> Address {
        self.signer.addresses().native.clone()
    }

    /// The 0x address: the contract's calls.
    #[must_use]
    pub fn eth_address(&self) -> EthAddress {
        self.signer.addresses().eth
    }

    /// The account's next nonce at the head, the highest that any endpoint tells.
    pub async fn chain_nonce(&self, lane: Lane) -> Result<u64, NotSeen> {
        Ok(lanes::nonces(self, lane).await?.head)
    }

    /// Quotes and signs at once, for those who keep no lane of their own.
    pub async fn prepare(&self, intent: &TxIntent, nonce: u64, bump: Option<Fees>) -> Effect<SignedTx> {
        match self.quote(intent, nonce, bump).await {
            Ok(quote) => self.sign(intent, nonce, quote).await.map_or_else(Effect::Failed, Effect::Done),
            Err(why) => Effect::Failed(why.to_string()),
        }
    }

    /// The request that asks a provider how the deal with `uuid` stands, for [`crate::provider::Mk12::status`].
    pub async fn sign_status_request(&self, uuid: [u8; 16]) -> Result<Vec<u8>, String> {
        let signature = self.signer.sign(Kind::Status, &uuid).await.map_err(|error| error.to_string())?;
        Ok(deal::status_request(uuid, native_signature(signature)))
    }

    /// A transaction that creates a contract from `bytecode` (with its constructor's arguments). Its address is
    /// [`crate::evm::created_address`] of this wallet and `nonce`.
    pub async fn deploy(&self, bytecode: Bytes, nonce: u64) -> Effect<SignedTx> {
        self.signed_evm(None, bytecode, nonce).await
    }

    /// A transaction that calls `to` with `input`: what the admin of a contract does, outside of the engine.
    pub async fn call(&self, to: EthAddress, input: Bytes, nonce: u64) -> Effect<SignedTx> {
        self.signed_evm(Some(to), input, nonce).await
    }

    /// Quotes and signs at once.
    async fn signed_evm(&self, to: Option<EthAddress>, input: Bytes, nonce: u64) -> Effect<SignedTx> {
        let unsigned = Unsigned::Evm(self.evm(to, input, AttoFil::ZERO, nonce));
        let signed = async {
            let quote = self.quote_of(&unsigned, None).await.map_err(|why| why.to_string())?;
            self.sign_at(unsigned, quote).await
        };
        signed.await.map_or_else(Effect::Failed, Effect::Done)
    }

    fn evm(&self, to: Option<EthAddress>, input: Bytes, value: AttoFil, nonce: u64) -> Eip1559 {
        Eip1559 { chain_id: self.config.chain_id, nonce, quote: NO_QUOTE, to, value, input }
    }

    fn unsigned(&self, intent: &TxIntent, nonce: u64) -> Result<Unsigned, String> {
        let from = self.native_address();
        let native = match intent {
            TxIntent::AddBalance { amount } => Message::add_balance(from, nonce, *amount),
            TxIntent::Withdraw { amount } => Message::withdraw(from, nonce, *amount),
            TxIntent::Settle { deals } if deals.is_empty() || deals.len() > SETTLE_MAX => {
                return Err(format!("one message settles from 1 to {SETTLE_MAX} deals, not {}", deals.len()));
            }
            TxIntent::Settle { deals } => Message::settle(from, nonce, deals),
            TxIntent::Allocate(allocation) => Message::allocate(from, nonce, allocation),
            TxIntent::Transfer { from: Lane::Native, to, amount } => {
                Message::transfer(from, recipient(to)?, nonce, *amount)
            }
            TxIntent::Cancel { lane: Lane::Native } => {
                Message::transfer(from.clone(), from, nonce, AttoFil::ZERO)
            }
            TxIntent::Transfer { from: Lane::Evm, to, amount } => {
                let to = recipient(to)?
                    .to_eth()
                    .ok_or_else(|| format!("{to} has no 0x form; send to it from the f1 account"))?;
                return Ok(Unsigned::Evm(self.evm(Some(to), Bytes::new(), *amount, nonce)));
            }
            TxIntent::Cancel { lane: Lane::Evm } => {
                let to = Some(self.eth_address());
                return Ok(Unsigned::Evm(self.evm(to, Bytes::new(), AttoFil::ZERO, nonce)));
            }
            TxIntent::Submit { .. }
            | TxIntent::SubmitMany { .. }
            | TxIntent::Prune { .. }
            | TxIntent::Complete { .. } => {
                let (contract, kind) = self.contract_for(intent)?;
                let input = calldata(kind, intent).map_err(|why| why.to_string())?;
                return Ok(Unsigned::Evm(self.evm(Some(contract), input, AttoFil::ZERO, nonce)));
            }
        };
        Ok(Unsigned::Native(native))
    }

    async fn quote_of(&self, unsigned: &Unsigned, bump: Option<Fees>) -> Result<Quote, NoQuote> {
        let (estimate, premium) = match unsigned {
            Unsigned::Native(message) => self.estimate_native(message).await.map_err(NoQuote::Unknown)?,
            Unsigned::Evm(transaction) => self.estimate_evm(transaction).await?,
        };
        let too_much = || NoQuote::Refused("the transaction needs more gas than a block has".to_owned());
        let gas_limit = gas_limit(estimate).ok_or_else(too_much)?;
        let unread = |error| NoQuote::Unknown(format!("the base fee is not known: {error}"));
        let base_fee = self.base_fee().await.map_err(unread)?;
        Ok(Quote { gas_limit, fees: fees(base_fee, premium, bump) })
    }

    async fn estimate_native(&self, message: &Message) -> Result<(u64, AttoFil), String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Estimate {
            gas_limit: u64,
            gas_premium: String,
        }
        let params = vec![message.json(), json!({"MaxFee": "0"}), Value::Null];
        match self.pool.read::<Estimate>(Call::new("Filecoin.GasEstimateMessageGas", params)).await {
            Ok(estimate) => Ok((estimate.gas_limit, estimate.gas_premium.parse().unwrap_or(AttoFil::ZERO))),
            Err(CallError::Unknown(Unknown::NotOffered(_))) => Ok((NATIVE_GAS, AttoFil::ZERO)),
            Err(error) => Err(format!("gas cannot be estimated: {error}")),
        }
    }

    async fn estimate_evm(&self, transaction: &Eip1559) -> Result<(u64, AttoFil), NoQuote> {
        let mut message = json!({
            "from": self.eth_address(), "data": transaction.input, "value": format!("{:#x}", transaction.value.0),
        });
        if let (Some(to), Some(fields)) = (transaction.to, message.as_object_mut()) {
            fields.insert("to".to_owned(), json!(to));
        }
        let estimate: String = self.pool.read(Call::new("eth_estimateGas", vec![message])).await.map_err(
            |error| match error {
                CallError::Evidence(Evidence::Reverted(data)) => no_quote(&data),
                error => NoQuote::Unknown(format!("gas cannot be estimated: {error}")),
            },
        )?;
        let estimate = quantity(&estimate).map_err(|error| NoQuote::Unknown(error.to_string()))?;
        let premium = match self.pool.read::<String>(Call::new("eth_maxPriorityFeePerGas", vec![])).await {
            Ok(text) => quantity(&text).map_or(AttoFil::ZERO, |premium| AttoFil(premium.into())),
            // The floor of the premium serves where no endpoint proposes one.
            Err(_) => AttoFil::ZERO,
        };
        Ok((estimate, premium))
    }

    /// The base fee of the head's parent; where only `eth_*` is served, that of the latest block.
    async fn base_fee(&self) -> Result<AttoFil, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Block {
            base_fee_per_gas: String,
        }
        let told = match self.pool.read::<TipSet>(Call::new("Filecoin.ChainHead", vec![])).await {
            Ok(head) => head.blocks.first().and_then(|block| block.parent_base_fee.as_deref()?.parse().ok()),
            Err(CallError::Unknown(Unknown::NotOffered(_))) => {
                let params = vec![json!("latest"), json!(false)];
                let block: Block = self.pool.read(Call::new("eth_getBlockByNumber", params)).await?;
                Some(AttoFil(quantity(&block.base_fee_per_gas)?.into()))
            }
            Err(error) => return Err(error),
        };
        Ok(told.unwrap_or(BASE_FEE_MIN))
    }

    async fn sign_at(&self, unsigned: Unsigned, quote: Quote) -> Result<SignedTx, String> {
        let (cost, max) = (quote.gas_max(), self.config.max_gas_cost);
        if cost > max {
            return Err(format!(
                "gas may cost {cost} attoFIL, more than the configured maximum of {max} attoFIL per transaction"
            ));
        }
        let signed = match unsigned {
            Unsigned::Native(message) => {
                let message = Message { quote, ..message };
                self.signer.sign(Kind::Message, &message.payload()).await.map(|by| message.signed(by))
            }
            Unsigned::Evm(transaction) => {
                let transaction = Eip1559 { quote, ..transaction };
                self.signer
                    .sign(Kind::Transaction, &transaction.payload())
                    .await
                    .map(|by| transaction.signed(by))
            }
        };
        signed.map_err(|error| error.to_string())
    }
}

/// An address in either form.
fn recipient(text: &str) -> Result<Address, String> {
    if text.starts_with("0x") {
        let eth: EthAddress = text.parse().map_err(|_| format!("to: {text:?} is no 0x address"))?;
        return Ok(Address::from_eth(eth));
    }
    text.parse().map_err(|error| format!("to: {error}"))
}

impl Wallet for KeyWallet {
    async fn sign_deal(&self, terms: &DealTerms) -> Result<SignedDeal, String> {
        let draft = deal::draft(&self.signer.addresses().native, terms).map_err(|error| error.to_string())?;
        let signature =
            self.signer.sign(Kind::Proposal, &draft.payload).await.map_err(|error| error.to_string())?;
        Ok(draft.signed(native_signature(signature)))
    }

    async fn nonces(&self, lane: Lane) -> Result<Nonces, NotSeen> {
        Ok(lanes::nonces(self, lane).await?)
    }

    async fn quote(&self, intent: &TxIntent, nonce: u64, bump: Option<Fees>) -> Result<Quote, NoQuote> {
        let unsigned = self.unsigned(intent, nonce).map_err(NoQuote::Refused)?;
        self.quote_of(&unsigned, bump).await
    }

    async fn sign(&self, intent: &TxIntent, nonce: u64, quote: Quote) -> Result<SignedTx, String> {
        let mut signed = self.sign_at(self.unsigned(intent, nonce)?, quote).await?;
        signed.cancels = matches!(intent, TxIntent::Cancel { .. });
        Ok(signed)
    }

    async fn broadcast(&self, lane: Lane, tx: &SignedTx) -> Broadcast {
        broadcast::broadcast(self, lane, tx).await
    }

    async fn included(&self, lane: Lane, hash: &str) -> Result<Option<Inclusion>, NotSeen> {
        Ok(lanes::included(self, lane, hash).await?)
    }

    async fn taker(&self, lane: Lane, nonce: u64, since: Epoch) -> Result<Taker, NotSeen> {
        Ok(taker::taker(self, lane, nonce, since).await?)
    }

    async fn balance(&self, lane: Lane) -> Result<AttoFil, NotSeen> {
        Ok(lanes::balance(self, lane).await?)
    }

    fn address(&self, lane: Lane) -> String {
        match lane {
            Lane::Native => self.native_address().to_string(),
            Lane::Evm => self.eth_address().to_checksum(None),
        }
    }
}
