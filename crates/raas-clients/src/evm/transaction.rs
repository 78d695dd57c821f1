//! Calls of the contract as data, and EIP-1559 transactions.

use super::abi::{DealStatusAbi as Abi, InclusionProof, InclusionVerifierData, ProofData};
use crate::key::Key;
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address as EthAddress, Bytes, TxKind, U256};
use alloy_sol_types::SolCall;
use raas_core::ports::{Fees, SignedTx, TxIntent};

/// What `intent` calls on DealStatus; `None` when it is no call of the contract.
#[must_use]
pub fn calldata(intent: &TxIntent) -> Option<Bytes> {
    let data = match intent {
        TxIntent::AddBalance { .. } => return None,
        TxIntent::Submit { cid, target, repair, renew, .. } => Abi::submitRaaSCall {
            _cid: Bytes::copy_from_slice(cid),
            _replication_target: U256::from(*target),
            _repair_threshold: U256::from(u64::try_from(*repair).unwrap_or(0)),
            _renew_threshold: U256::from(u64::try_from(*renew).unwrap_or(0)),
        }
        .abi_encode(),
        TxIntent::Complete { request, deal, provider, piece, size } => {
            let none = || ProofData { index: 0, path: Vec::new() };
            Abi::completeCall {
                _id: U256::from(request.0),
                _dealId: deal.0,
                _minerId: provider.number(),
                _proof: InclusionProof { proofSubtree: none(), proofIndex: none() },
                _verifierData: InclusionVerifierData {
                    commPc: piece.piece_cid_v1().to_bytes().into(),
                    sizePc: size.get(),
                },
            }
            .abi_encode()
        }
    };
    Some(data.into())
}

/// The address of the contract that `sender` creates with `nonce`.
#[must_use]
pub fn created_address(sender: EthAddress, nonce: u64) -> EthAddress {
    sender.create(nonce)
}

/// An EIP-1559 transaction before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct Eip1559 {
    pub(crate) chain_id: u64,
    pub(crate) nonce: u64,
    pub(crate) gas_limit: u64,
    pub(crate) fees: Fees,
    /// `None` creates a contract.
    pub(crate) to: Option<EthAddress>,
    pub(crate) input: Bytes,
}

/// Signs; the same transaction always gives the same bytes and hash.
pub(crate) fn sign(key: &Key, transaction: Eip1559) -> SignedTx {
    let unsigned = TxEip1559 {
        chain_id: transaction.chain_id,
        nonce: transaction.nonce,
        gas_limit: transaction.gas_limit,
        max_fee_per_gas: transaction.fees.fee_cap.0,
        max_priority_fee_per_gas: transaction.fees.premium.0,
        to: transaction.to.map_or(TxKind::Create, TxKind::Call),
        value: U256::ZERO,
        access_list: Default::default(),
        input: transaction.input,
    };
    let signature = key.sign_eth(unsigned.signature_hash());
    let signed = unsigned.into_signed(signature);
    let mut raw = Vec::new();
    signed.eip2718_encode(&mut raw);
    SignedTx { raw, hash: signed.hash().to_string(), fees: transaction.fees }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _};
    use alloy_eips::eip2718::Decodable2718 as _;
    use raas_core::ids::{DealId, ProviderId, RequestId};
    use raas_core::units::{AttoFil, PaddedSize};

    #[test]
    fn a_signed_transaction_decodes_to_its_sender_and_call() {
        let key = Key::from_bytes(&[1; 32]).expect("a key");
        let intent = TxIntent::Complete {
            request: RequestId(7),
            deal: DealId(9),
            provider: ProviderId::new(1000),
            piece: "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"
                .parse()
                .expect("a piece"),
            size: PaddedSize::new(1 << 20).expect("a size"),
        };
        let transaction = Eip1559 {
            chain_id: 31_415_926,
            nonce: 3,
            gas_limit: 50_000_000,
            fees: Fees { fee_cap: AttoFil(1_000), premium: AttoFil(10) },
            to: Some(EthAddress::repeat_byte(0x11)),
            input: calldata(&intent).expect("a call"),
        };
        let tx = sign(&key, transaction.clone());
        assert_eq!(tx, sign(&key, transaction), "deterministic");
        let envelope = TxEnvelope::decode_2718(&mut tx.raw.as_slice()).expect("what was encoded");
        assert_eq!(envelope.recover_signer().ok(), Some(key.eth_address()));
        assert_eq!(envelope.tx_hash().to_string(), tx.hash);
        let call = Abi::completeCall::abi_decode(envelope.input()).expect("complete");
        assert_eq!((call._id, call._dealId, call._minerId), (U256::from(7), 9, 1000));
        assert_eq!(call._verifierData.commPc.len(), 39);
        assert!(call._proof.proofSubtree.path.is_empty());
    }

    #[test]
    fn the_created_address_is_ethereums() {
        // The example of EIP-1014's neighbours: sender 0x6ac7…, nonces 0 and 1.
        let sender: EthAddress = "0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0".parse().expect("an address");
        let first: EthAddress = "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d".parse().expect("an address");
        assert_eq!(created_address(sender, 0), first);
    }
}
