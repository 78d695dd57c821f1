//! Keys that sign Ethereum transactions, for simulations and tests that use the world without a client.

use super::gas;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use k256::ecdsa::SigningKey;
use std::fmt;

/// A secp256k1 key with the address it signs for. Shows only the address when printed.
#[derive(Clone, PartialEq, Eq)]
pub struct EthKey {
    key: SigningKey,
    address: Address,
}

/// 32 bytes that are no key: zero, or not below the curve's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these 32 bytes are no secp256k1 key: use any number from 1 below the curve's order")]
pub struct NoKey;

/// An unsigned type 2 transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    /// Callee, or creation.
    pub to: TxKind,
    /// The signer's count.
    pub nonce: u64,
    /// attoFIL sent along.
    pub value: U256,
    /// Calldata or init code.
    pub data: Bytes,
    /// In Filecoin gas.
    pub gas_limit: u64,
    /// maxFeePerGas.
    pub fee_cap: u128,
    /// maxPriorityFeePerGas.
    pub premium: u128,
}

impl Unsigned {
    /// A transaction with fees that any block with room takes.
    #[must_use]
    pub fn new(to: TxKind, nonce: u64, data: Bytes, gas_limit: u64) -> Self {
        Self {
            to,
            nonce,
            value: U256::ZERO,
            data,
            gas_limit,
            fee_cap: u128::from(gas::BASE_FEE * 2 + gas::MIN_PREMIUM),
            premium: u128::from(gas::MIN_PREMIUM),
        }
    }
}

impl EthKey {
    /// The key with these bytes, big-endian.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, NoKey> {
        let key = SigningKey::from_slice(bytes).map_err(|_| NoKey)?;
        let address = Address::from_private_key(&key);
        Ok(Self { key, address })
    }

    /// The signer's address.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Signs for the chain with this id; answers the raw transaction.
    #[must_use]
    pub fn sign(&self, unsigned: &Unsigned, chain_id: u64) -> Vec<u8> {
        let transaction = TxEip1559 {
            chain_id,
            nonce: unsigned.nonce,
            gas_limit: unsigned.gas_limit,
            max_fee_per_gas: unsigned.fee_cap,
            max_priority_fee_per_gas: unsigned.premium,
            to: unsigned.to,
            value: unsigned.value,
            input: unsigned.data.clone(),
            ..TxEip1559::default()
        };
        let hash = transaction.signature_hash();
        let (signature, recovery) =
            self.key.sign_prehash_recoverable(hash.as_slice()).expect("a 32-byte hash can always be signed");
        let signed = transaction.into_signed(Signature::from((signature, recovery)));
        TxEnvelope::from(signed).encoded_2718()
    }
}

impl fmt::Debug for EthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EthKey").field(&self.address).finish()
    }
}
