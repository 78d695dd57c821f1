//! [`KeyWallet`]: a key in this process behind the port.

use super::fees::{BASE_FEE_MIN, fees, gas_limit, most};
use super::native::Message;
use super::{broadcast, deal, lanes};
use crate::address::Address;
use crate::evm::{Eip1559, calldata, quantity, refusal, sign};
use crate::filecoin::TipSet;
use crate::key::Key;
use crate::rpc::{Call, CallError, Evidence, Pool, Unknown};
use alloy_primitives::{Address as EthAddress, Bytes};
use raas_core::observation::NotSeen;
use raas_core::ports::{
    Broadcast, DealTerms, Effect, Fees, Inclusion, Lane, SignedDeal, SignedTx, TxIntent, Wallet,
};
use raas_core::units::AttoFil;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Gas of an escrow message where no endpoint estimates it: several times what it was ever seen to use.
const ADD_BALANCE_GAS: u64 = 60_000_000;

/// What the wallet must know besides its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletConfig {
    /// EIP-155 chain id, as `identify` found it.
    pub chain_id: u64,
    /// The DealStatus contract, once there is one.
    pub contract: Option<EthAddress>,
    /// The most that the gas of one transaction may cost; more is refused before it is signed.
    pub max_gas_cost: AttoFil,
}

/// A wallet whose key is in this process. Cloning shares the key.
#[derive(Clone, Debug)]
pub struct KeyWallet {
    pub(super) key: Arc<Key>,
    pub(super) pool: Pool,
    config: WalletConfig,
}

impl KeyWallet {
    /// The wallet of `key`.
    #[must_use]
    pub fn new(key: Key, pool: Pool, config: WalletConfig) -> Self {
        Self { key: Arc::new(key), pool, config }
    }

    /// The same wallet for another contract.
    #[must_use]
    pub fn with_contract(mut self, contract: EthAddress) -> Self {
        self.config.contract = Some(contract);
        self
    }

    /// The f1 address: deals and escrow.
    #[must_use]
    pub fn native_address(&self) -> Address {
        self.key.native_address()
    }

    /// The 0x address: the contract's calls.
    #[must_use]
    pub fn eth_address(&self) -> EthAddress {
        self.key.eth_address()
    }

    /// What the account of `lane` owns at the head. `Chain::balances` has the native one with its escrow.
    pub async fn balance(&self, lane: Lane) -> Result<AttoFil, NotSeen> {
        Ok(lanes::balance(self, lane).await?)
    }

    /// The request that asks a provider how the deal with `uuid` stands, for [`crate::provider::Mk12::status`].
    #[must_use]
    pub fn sign_status_request(&self, uuid: [u8; 16]) -> Vec<u8> {
        deal::sign_status_request(&self.key, uuid)
    }

    /// A transaction that creates a contract from `bytecode` (with its constructor's arguments). Its address is
    /// [`crate::evm::created_address`] of this wallet and `nonce`.
    pub async fn deploy(&self, bytecode: Bytes, nonce: u64) -> Effect<SignedTx> {
        settle(self.prepare_evm(None, bytecode, nonce, None).await)
    }

    async fn prepare_native(
        &self,
        amount: AttoFil,
        nonce: u64,
        bump: Option<Fees>,
    ) -> Result<SignedTx, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Estimate {
            gas_limit: u64,
            gas_premium: String,
        }
        let mut message = Message::add_balance(self.native_address(), nonce, amount);
        let params = vec![message.json(), json!({"MaxFee": "0"}), Value::Null];
        let estimate = self.pool.read::<Estimate>(Call::new("Filecoin.GasEstimateMessageGas", params)).await;
        let (limit, premium) = match estimate {
            Ok(estimate) => {
                (gas_limit(estimate.gas_limit), estimate.gas_premium.parse().unwrap_or(AttoFil::ZERO))
            }
            Err(CallError::Unknown(Unknown::NotOffered(_))) => (ADD_BALANCE_GAS, AttoFil::ZERO),
            Err(error) => return Err(format!("gas cannot be estimated: {error}")),
        };
        let base_fee =
            self.base_fee().await.map_err(|error| format!("the base fee is not known: {error}"))?;
        message.gas_limit = limit;
        message.fees = fees(base_fee, premium, bump);
        self.affordable(limit, message.fees)?;
        Ok(message.sign(&self.key))
    }

    /// `to` is `None` for the creation of a contract.
    async fn prepare_evm(
        &self,
        to: Option<EthAddress>,
        input: Bytes,
        nonce: u64,
        bump: Option<Fees>,
    ) -> Result<SignedTx, String> {
        let mut message = json!({"from": self.eth_address(), "data": input});
        if let (Some(to), Some(fields)) = (to, message.as_object_mut()) {
            fields.insert("to".to_owned(), json!(to));
        }
        let estimate: String = self.pool.read(Call::new("eth_estimateGas", vec![message])).await.map_err(
            |error| match error {
                CallError::Evidence(Evidence::Reverted(data)) => {
                    format!("the contract refuses: {}", refusal(&data))
                }
                error => format!("gas cannot be estimated: {error}"),
            },
        )?;
        let limit = gas_limit(quantity(&estimate).map_err(|error| error.to_string())?);
        let premium = match self.pool.read::<String>(Call::new("eth_maxPriorityFeePerGas", vec![])).await {
            Ok(text) => quantity(&text).map_or(AttoFil::ZERO, |premium| AttoFil(premium.into())),
            // The floor of the premium serves where no endpoint proposes one.
            Err(_) => AttoFil::ZERO,
        };
        let base_fee =
            self.base_fee().await.map_err(|error| format!("the base fee is not known: {error}"))?;
        let fees = fees(base_fee, premium, bump);
        self.affordable(limit, fees)?;
        let chain_id = self.config.chain_id;
        Ok(sign(&self.key, Eip1559 { chain_id, nonce, gas_limit: limit, fees, to, input }))
    }

    /// The base fee of the head's parent.
    async fn base_fee(&self) -> Result<AttoFil, CallError> {
        let head: TipSet = self.pool.read(Call::new("Filecoin.ChainHead", vec![])).await?;
        let told = head.blocks.first().and_then(|block| block.parent_base_fee.as_deref());
        Ok(told.and_then(|text| text.parse().ok()).unwrap_or(BASE_FEE_MIN))
    }

    fn affordable(&self, limit: u64, fees: Fees) -> Result<(), String> {
        let cost = most(limit, fees);
        if cost > self.config.max_gas_cost {
            let max = self.config.max_gas_cost;
            return Err(format!(
                "gas may cost {cost} attoFIL, more than the configured maximum of {max} attoFIL per transaction"
            ));
        }
        Ok(())
    }
}

/// Nothing left the node, so what did not succeed did not happen.
fn settle(prepared: Result<SignedTx, String>) -> Effect<SignedTx> {
    prepared.map_or_else(Effect::Failed, Effect::Done)
}

impl Wallet for KeyWallet {
    fn sign_deal(&self, terms: &DealTerms) -> Result<SignedDeal, String> {
        deal::sign_deal(&self.key, terms).map_err(|error| error.to_string())
    }

    async fn chain_nonce(&self, lane: Lane) -> Result<u64, NotSeen> {
        Ok(lanes::chain_nonce(self, lane).await?)
    }

    async fn prepare(&self, intent: &TxIntent, nonce: u64, bump: Option<Fees>) -> Effect<SignedTx> {
        let prepared = match (intent, calldata(intent), self.config.contract) {
            (TxIntent::AddBalance { amount }, _, _) => self.prepare_native(*amount, nonce, bump).await,
            (_, Some(input), Some(contract)) => self.prepare_evm(Some(contract), input, nonce, bump).await,
            _ => Err("no DealStatus contract is configured".to_owned()),
        };
        settle(prepared)
    }

    async fn broadcast(&self, lane: Lane, tx: &SignedTx) -> Broadcast {
        broadcast::broadcast(self, lane, tx).await
    }

    async fn included(&self, lane: Lane, hash: &str) -> Result<Option<Inclusion>, NotSeen> {
        Ok(lanes::included(self, lane, hash).await?)
    }
}
