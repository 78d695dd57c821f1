//! Signed Ethereum transactions as the FEVM accepts them: type 2, and legacy with or without chain id.

use super::gas;
use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};

/// The largest message a block takes, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// A transaction whose signature has been checked. Created only by [`Transaction::decode`]; or
/// the form in which a native message is shown, which has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// keccak of the signed encoding: what clients call the transaction by.
    pub hash: B256,
    /// The signer.
    pub from: Address,
    /// Callee, or creation.
    pub to: TxKind,
    /// The signer's count.
    pub nonce: u64,
    /// attoFIL sent along.
    pub value: U256,
    /// Calldata or init code.
    pub input: Bytes,
    /// In Filecoin gas.
    pub gas_limit: u64,
    /// maxFeePerGas, or the legacy gas price.
    pub fee_cap: u128,
    /// maxPriorityFeePerGas, or the legacy gas price.
    pub premium: u128,
    /// Type 2 or legacy.
    pub kind: Kind,
    /// By `from`.
    pub signature: Signature,
}

/// The two encodings, and what is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EIP-1559.
    DynamicFee,
    /// Before EIP-2718; signed for one chain (EIP-155) or for any.
    Legacy {
        /// Whether the signature binds the chain.
        bound_to_chain: bool,
    },
    /// A native message that called contracts; shown as type 2.
    Native,
}

/// Why bytes are no transaction for this chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not RLP, or not of a known envelope.
    #[error("failed to parse transaction: {0}")]
    Malformed(String),
    /// EIP-2930, 4844 and 7702 are not taken.
    #[error("unsupported transaction type: {0}; send type 2 or legacy")]
    Type(u8),
    /// Signed for another network.
    #[error("invalid chain id: {got}, this network is {want}")]
    ChainId {
        /// In the transaction.
        got: u64,
        /// Of this chain.
        want: u64,
    },
    /// No signer can be recovered, or `s` is not in the lower half.
    #[error("failed to recover sender: invalid signature")]
    Signature,
    /// Access lists mean nothing to the FEVM.
    #[error("access list should be empty")]
    AccessList,
    /// Larger than a message may be.
    #[error("message too big: {0} bytes, at most 65536")]
    TooBig(usize),
    /// The premium is part of the cap.
    #[error("'GasFeeCap' less than 'GasPremium'")]
    PremiumOverCap,
    /// More than a whole block.
    #[error("'GasLimit' field cannot be greater than a block's gas limit ({0} > {limit})", limit = gas::BLOCK_LIMIT)]
    GasLimit(u64),
}

impl Transaction {
    /// A native message as a transaction: no calldata, no gas, no signature.
    pub(super) fn native(hash: B256, from: Address, to: Address) -> Self {
        Self {
            hash,
            from,
            to: TxKind::Call(to),
            nonce: 0,
            value: U256::ZERO,
            input: Bytes::new(),
            gas_limit: 0,
            fee_cap: 0,
            premium: 0,
            kind: Kind::Native,
            signature: Signature::new(U256::ZERO, U256::ZERO, false),
        }
    }

    /// Decodes `raw` and recovers its signer.
    pub fn decode(raw: &[u8], chain_id: u64) -> Result<Self, DecodeError> {
        if raw.len() > MAX_BYTES {
            return Err(DecodeError::TooBig(raw.len()));
        }
        // Types are looked at before decoding, so that an unsupported one is named as such.
        if let Some(kind) = raw.first().filter(|first| **first < 0x80 && **first != 2) {
            return Err(DecodeError::Type(*kind));
        }
        let envelope =
            TxEnvelope::decode_2718_exact(raw).map_err(|error| DecodeError::Malformed(error.to_string()))?;
        let kind = match &envelope {
            TxEnvelope::Eip1559(_) => Kind::DynamicFee,
            TxEnvelope::Legacy(tx) => Kind::Legacy { bound_to_chain: tx.tx().chain_id.is_some() },
            other => return Err(DecodeError::Type(u8::from(other.tx_type()))),
        };
        if let Some(got) = envelope.chain_id().filter(|got| *got != chain_id) {
            return Err(DecodeError::ChainId { got, want: chain_id });
        }
        if envelope.access_list().is_some_and(|list| !list.0.is_empty()) {
            return Err(DecodeError::AccessList);
        }
        let fee_cap = envelope.max_fee_per_gas();
        let premium = envelope.max_priority_fee_per_gas().unwrap_or(fee_cap);
        if premium > fee_cap {
            return Err(DecodeError::PremiumOverCap);
        }
        if envelope.gas_limit() > gas::BLOCK_LIMIT {
            return Err(DecodeError::GasLimit(envelope.gas_limit()));
        }
        let from = envelope.recover_signer().map_err(|_| DecodeError::Signature)?;
        Ok(Self {
            hash: *envelope.tx_hash(),
            from,
            to: envelope.kind(),
            nonce: envelope.nonce(),
            value: envelope.value(),
            input: envelope.input().clone(),
            gas_limit: envelope.gas_limit(),
            fee_cap,
            premium,
            kind,
            signature: *envelope.signature(),
        })
    }

    /// The most gas can cost: cap times limit.
    #[must_use]
    pub fn required_for_gas(&self) -> U256 {
        U256::from(self.fee_cap).saturating_mul(U256::from(self.gas_limit))
    }

    /// What the sender must own: the most gas can cost, and the value.
    #[must_use]
    pub fn required_funds(&self) -> U256 {
        self.required_for_gas().saturating_add(self.value)
    }
}
