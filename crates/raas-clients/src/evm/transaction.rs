//! Calls of the contract as data, and EIP-1559 transactions.

use super::abi::{
    self, DealStatusAbi as Abi, Frc0087Abi as Frc, InclusionProof, InclusionVerifierData, ProofData,
};
use super::kind::AbiKind;
use crate::inclusion;
use crate::key::eth_signature;
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address as EthAddress, Bytes, FixedBytes, TxKind, U256};
use alloy_sol_types::SolCall;
use raas_core::cid::Commitment;
use raas_core::order::Within;
use raas_core::ports::{Quote, SignedTx, Submission, TxIntent};
use raas_core::units::{AttoFil, PaddedSize};
use raas_piece::inclusion::Branch;

/// The actor id of the storage market.
pub(super) const MARKET_ACTOR: u64 = 5;

/// Why an intent is no call of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCall {
    /// It is a message of another kind.
    #[error("this is no call of a DealStatus contract")]
    NotACall,
    /// The aggregate is not the one that this node puts the piece into.
    #[error("no proof can be made: the deal is not the aggregate that this piece is in")]
    OtherAggregate,
    /// Only our own contract has this function.
    #[error("a contract of this kind has no such function")]
    NotOffered,
    /// The reference wants an inclusion proof, and the piece is a deal of its own.
    #[error(
        "the reference ABI cannot complete a piece that is a whole deal: it wants a proof of inclusion in an aggregate"
    )]
    NeedsAggregate,
}

/// What `intent` calls on a DealStatus of this kind.
pub fn calldata(kind: AbiKind, intent: &TxIntent) -> Result<Bytes, NoCall> {
    let data = match intent {
        TxIntent::AddBalance { .. }
        | TxIntent::Withdraw { .. }
        | TxIntent::Settle { .. }
        | TxIntent::Allocate(_)
        | TxIntent::Transfer { .. }
        | TxIntent::Cancel { .. } => return Err(NoCall::NotACall),
        TxIntent::Submit { cid, target, repair, renew, .. } => submit(kind, cid, *target, [*repair, *renew]),
        TxIntent::SubmitMany { submissions } => match kind {
            AbiKind::Raas => {
                let submissions = submissions.iter().map(many).collect();
                Abi::submitRaaSManyCall { submissions }.abi_encode()
            }
            AbiKind::Frc0087 | AbiKind::Reference => return Err(NoCall::NotOffered),
        },
        TxIntent::Prune { contract: _, cid, deals } => match kind {
            AbiKind::Raas => {
                let deals = deals.iter().map(|deal| deal.0).collect();
                Abi::pruneDealsCall { cid: Bytes::copy_from_slice(cid), dealIds: deals }.abi_encode()
            }
            AbiKind::Frc0087 | AbiKind::Reference => return Err(NoCall::NotOffered),
        },
        TxIntent::Complete {
            contract: _,
            request,
            market,
            deal,
            provider,
            piece,
            size,
            within,
            proof: stored,
        } => {
            let proof = proof(*piece, *size, *within, stored)?;
            let verifier =
                InclusionVerifierData { commPc: piece.piece_cid_v1().to_bytes().into(), sizePc: size.get() };
            let (id, deal, provider) = (U256::from(request.0), deal.0, provider.number());
            match (kind, market) {
                (AbiKind::Reference, Some(_)) => return Err(NoCall::NotOffered),
                (AbiKind::Reference, None) if within.is_none() => return Err(NoCall::NeedsAggregate),
                (AbiKind::Raas | AbiKind::Reference, None) => Abi::completeCall {
                    _id: id,
                    _dealId: deal,
                    _minerId: provider,
                    _proof: proof,
                    _verifierData: verifier,
                }
                .abi_encode(),
                (AbiKind::Raas | AbiKind::Frc0087, market) => Frc::completeCall {
                    id,
                    marketActorId: market.map_or(MARKET_ACTOR, |market| market.0),
                    dealId: deal,
                    providerId: provider,
                    proof,
                    verifierData: verifier,
                }
                .abi_encode(),
            }
        }
    };
    Ok(data.into())
}

/// That the piece is in the deal; both paths are empty where it is the deal.
fn proof(
    piece: Commitment,
    size: PaddedSize,
    within: Option<Within>,
    stored: &[u8],
) -> Result<InclusionProof, NoCall> {
    let branch = |branch: Branch| ProofData {
        index: branch.index,
        path: branch.path.into_iter().map(FixedBytes).collect(),
    };
    let Some(within) = within else {
        let none = || ProofData { index: 0, path: Vec::new() };
        return Ok(InclusionProof { proofSubtree: none(), proofIndex: none() });
    };
    let proof = if stored.is_empty() {
        inclusion::alone(piece, size).and_then(|aggregate| aggregate.proof(0).ok())
    } else {
        raas_piece::inclusion::InclusionProof::from_cbor(stored).ok()
    };
    let proof =
        proof.filter(|proof| inclusion::proves(proof, piece, size, within)).ok_or(NoCall::OtherAggregate)?;
    Ok(InclusionProof { proofSubtree: branch(proof.subtree), proofIndex: branch(proof.index) })
}

/// A registration beside others, with the terms it would have alone: no end, and no piece told.
fn many(one: &Submission) -> abi::Submission {
    let epochs = |epochs: i64| u64::try_from(epochs).unwrap_or(0);
    abi::Submission {
        cid: Bytes::copy_from_slice(&one.cid),
        policy: abi::Policy {
            target: one.target,
            repairThreshold: epochs(one.repair),
            renewThreshold: epochs(one.renew),
            endsAt: 0,
        },
        pieceCid: Bytes::new(),
        pieceSize: 0,
    }
}

fn submit(kind: AbiKind, cid: &[u8], target: u32, thresholds: [i64; 2]) -> Vec<u8> {
    let cid = Bytes::copy_from_slice(cid);
    let target = U256::from(target);
    let [repair, renew] = thresholds.map(|epochs| U256::from(u64::try_from(epochs).unwrap_or(0)));
    match kind {
        AbiKind::Raas | AbiKind::Reference => Abi::submitRaaSCall {
            _cid: cid,
            _replication_target: target,
            _repair_threshold: repair,
            _renew_threshold: renew,
        }
        .abi_encode(),
        AbiKind::Frc0087 => Frc::submitRaaSCall {
            cid,
            fetchLink: Bytes::new(),
            replicationTarget: target,
            repairThreshold: repair,
            renewThreshold: renew,
        }
        .abi_encode(),
    }
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
    pub(crate) quote: Quote,
    /// `None` creates a contract.
    pub(crate) to: Option<EthAddress>,
    pub(crate) value: AttoFil,
    pub(crate) input: Bytes,
}

impl Eip1559 {
    fn unsigned(&self) -> TxEip1559 {
        TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.quote.gas_limit,
            max_fee_per_gas: self.quote.fees.fee_cap.0,
            max_priority_fee_per_gas: self.quote.fees.premium.0,
            to: self.to.map_or(TxKind::Create, TxKind::Call),
            value: U256::from(self.value.0),
            access_list: Default::default(),
            input: self.input.clone(),
        }
    }

    /// What a signer gets: the byte 2 and RLP, whose Keccak hash is signed.
    pub(crate) fn payload(&self) -> Vec<u8> {
        self.unsigned().encoded_for_signing()
    }

    /// With its signature; the same transaction always gives the same bytes and hash.
    pub(crate) fn signed(&self, signature: [u8; 65]) -> SignedTx {
        let signed = self.unsigned().into_signed(eth_signature(signature));
        let mut raw = Vec::new();
        signed.eip2718_encode(&mut raw);
        SignedTx {
            raw,
            hash: signed.hash().to_string(),
            fees: self.quote.fees,
            gas_max: self.quote.gas_max(),
            cancels: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _};
    use alloy_eips::eip2718::Decodable2718 as _;
    use alloy_primitives::keccak256;
    use raas_core::ids::{ActorId, DealId, ProviderId, RequestId};
    use raas_core::ports::Fees;

    #[test]
    fn a_signed_transaction_decodes_to_its_sender_and_call() {
        let key = Key::from_bytes(&[1; 32]).expect("a key");
        let intent = TxIntent::Complete {
            contract: None,
            request: RequestId(7),
            market: None,
            deal: DealId(9),
            provider: ProviderId::new(1000),
            piece: "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"
                .parse()
                .expect("a piece"),
            size: PaddedSize::new(1 << 20).expect("a size"),
            within: None,
            proof: Vec::new(),
        };
        let transaction = Eip1559 {
            chain_id: 31_415_926,
            nonce: 3,
            quote: Quote {
                gas_limit: 50_000_000,
                fees: Fees { fee_cap: AttoFil(1_000), premium: AttoFil(10) },
            },
            to: Some(EthAddress::repeat_byte(0x11)),
            value: AttoFil(12),
            input: calldata(AbiKind::Raas, &intent).expect("a call"),
        };
        let sign = || transaction.signed(key.sign_hash(keccak256(transaction.payload()).0));
        let tx = sign();
        assert_eq!(tx, sign(), "deterministic");
        let envelope = TxEnvelope::decode_2718(&mut tx.raw.as_slice()).expect("what was encoded");
        assert_eq!(envelope.recover_signer().ok(), Some(key.eth_address()));
        assert_eq!(envelope.value(), U256::from(12));
        assert_eq!(envelope.tx_hash().to_string(), tx.hash);
        let call = Abi::completeCall::abi_decode(envelope.input()).expect("complete");
        assert_eq!((call._id, call._dealId, call._minerId), (U256::from(7), 9, 1000));
        assert_eq!(call._verifierData.commPc.len(), 39);
        assert!(call._proof.proofSubtree.path.is_empty());
    }

    #[test]
    fn each_generation_is_completed_by_its_own_function() {
        let intent = TxIntent::Complete {
            contract: None,
            request: RequestId(7),
            market: None,
            deal: DealId(9),
            provider: ProviderId::new(1000),
            piece: "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq"
                .parse()
                .expect("a piece"),
            size: PaddedSize::new(1 << 20).expect("a size"),
            within: None,
            proof: Vec::new(),
        };
        let ours = calldata(AbiKind::Raas, &intent).expect("a call");
        assert_eq!(ours[..4], Abi::completeCall::SELECTOR);
        let frc = Frc::completeCall::abi_decode(&calldata(AbiKind::Frc0087, &intent).expect("a call"))
            .expect("FRC-0087");
        assert_eq!((frc.marketActorId, frc.dealId, frc.providerId), (5, 9, 1000));
        assert_eq!(calldata(AbiKind::Reference, &intent), Err(NoCall::NeedsAggregate));

        // A deal of the contract's own is completed under its own actor id, where there is such a function.
        let mut in_sector = intent.clone();
        let TxIntent::Complete { market, deal, .. } = &mut in_sector else { unreachable!() };
        (*market, *deal) = (Some(ActorId(1_234)), DealId::FIRST_OF_SECTORS);
        let own = Frc::completeCall::abi_decode(&calldata(AbiKind::Raas, &in_sector).expect("a call"))
            .expect("FRC-0087");
        assert_eq!((own.marketActorId, own.dealId, own.providerId), (1_234, 1 << 63, 1000));
        assert_eq!(calldata(AbiKind::Reference, &in_sector), Err(NoCall::NotOffered));

        let TxIntent::Complete { piece, size, .. } = intent else { unreachable!() };
        let mut enclosed = intent.clone();
        let put = |intent: &mut TxIntent, around: Option<Within>| match intent {
            TxIntent::Complete { within, .. } => *within = around,
            _ => unreachable!(),
        };
        let around = inclusion::within(piece, size).expect("an aggregate");
        put(&mut enclosed, Some(around));
        let shown = calldata(AbiKind::Reference, &enclosed).expect("a call");
        let shown = Abi::completeCall::abi_decode(&shown).expect("the reference's");
        assert_eq!(shown._verifierData.sizePc, 1 << 20);
        assert_eq!((shown._proof.proofSubtree.index, shown._proof.proofSubtree.path.len()), (0, 1));
        assert!(!shown._proof.proofIndex.path.is_empty());
        put(&mut enclosed, Some(Within { aggregate: piece, ..around }));
        assert_eq!(calldata(AbiKind::Reference, &enclosed), Err(NoCall::OtherAggregate));
        let money = TxIntent::AddBalance { amount: AttoFil(1) };
        assert_eq!(calldata(AbiKind::Raas, &money), Err(NoCall::NotACall));
    }

    #[test]
    fn many_registrations_have_the_terms_of_each() {
        let one = |number: u8| Submission {
            job: raas_core::ids::JobId(number.into()),
            cid: vec![number; 3],
            target: number.into(),
            repair: 10 + i64::from(number),
            renew: 20 + i64::from(number),
        };
        let intent = TxIntent::SubmitMany { submissions: vec![one(2), one(1)] };
        let call = Abi::submitRaaSManyCall::abi_decode(&calldata(AbiKind::Raas, &intent).expect("a call"))
            .expect("submitRaaSMany");
        let told: Vec<_> = call
            .submissions
            .iter()
            .map(|one| {
                let terms = &one.policy;
                (one.cid.to_vec(), terms.target, terms.repairThreshold, terms.renewThreshold, terms.endsAt)
            })
            .collect();
        assert_eq!(told, [(vec![2; 3], 2, 12, 22, 0), (vec![1; 3], 1, 11, 21, 0)]);
        assert!(call.submissions.iter().all(|one| one.pieceCid.is_empty() && one.pieceSize == 0));
        for kind in [AbiKind::Frc0087, AbiKind::Reference] {
            assert_eq!(calldata(kind, &intent), Err(NoCall::NotOffered));
        }
    }

    #[test]
    fn only_our_own_contract_is_pruned() {
        let contract = raas_core::ids::ContractAddress([1; 20]);
        let intent = TxIntent::Prune { contract, cid: vec![1, 2], deals: vec![DealId(9), DealId(4)] };
        let call = Abi::pruneDealsCall::abi_decode(&calldata(AbiKind::Raas, &intent).expect("a call"))
            .expect("pruneDeals");
        assert_eq!((call.cid.to_vec(), call.dealIds), (vec![1, 2], vec![9, 4]));
        for kind in [AbiKind::Frc0087, AbiKind::Reference] {
            assert_eq!(calldata(kind, &intent), Err(NoCall::NotOffered));
        }
    }

    #[test]
    fn the_created_address_is_ethereums() {
        // The example of EIP-1014's neighbours: sender 0x6ac7…, nonces 0 and 1.
        let sender: EthAddress = "0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0".parse().expect("an address");
        let first: EthAddress = "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d".parse().expect("an address");
        assert_eq!(created_address(sender, 0), first);
    }
}
