//! The CBOR forms that go-data-segment and its JavaScript port write: tuples, byte for byte.

use ::cid::Cid;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteArray;

use super::proof::{Branch, InclusionProof, MAX_PATH};
use crate::block::{DAG_CBOR, cid_v1};
use crate::cid::{PieceCidError, decode_v1, v1};
use crate::commp::Commitment;
use crate::segment::{Descriptor, DescriptorError};
use crate::size::{PaddedSize, SizeError};

/// Bytes that are none of these forms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// No dag-cbor of this shape.
    #[error("malformed CBOR: {0}")]
    Cbor(String),
    /// A CID with more in it than a CID: the same proof would have many forms.
    #[error("not in the one form of the CBOR: a CID has bytes that are no part of it")]
    NotCanonical,
    /// A path longer than any tree is high.
    #[error("a path of the proof has {0} nodes, over the limit of {MAX_PATH}")]
    PathTooLong(usize),
    /// An auxiliary data type other than a single deal.
    #[error("auxiliary data type {0} is not supported; only 0, a deal id")]
    AuxType(u64),
    /// A size that is no piece's.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// A CID that is no piece CID v1.
    #[error(transparent)]
    Cid(#[from] PieceCidError),
    /// A bad index entry.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
}

type BranchForm = (u64, Vec<ByteArray<32>>);
type ProofForm = (BranchForm, BranchForm);

fn encode<T: Serialize>(form: &T) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(form).expect("numbers, byte strings and CIDs encode in memory")
}

fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CborError> {
    serde_ipld_dagcbor::from_slice(bytes).map_err(|e| CborError::Cbor(e.to_string()))
}

impl Branch {
    fn form(&self) -> BranchForm {
        (self.index, self.path.iter().map(|node| ByteArray::new(*node)).collect())
    }

    fn from_form((index, path): BranchForm) -> Result<Self, CborError> {
        if path.len() > MAX_PATH {
            return Err(CborError::PathTooLong(path.len()));
        }
        Ok(Self { index, path: path.into_iter().map(ByteArray::into_array).collect() })
    }

    /// `[index, [node, ...]]`.
    #[must_use]
    pub fn to_cbor(&self) -> Vec<u8> {
        encode(&self.form())
    }

    /// Reads [`Branch::to_cbor`].
    ///
    /// # Errors
    /// [`CborError`] for anything else.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, CborError> {
        Self::from_form(decode(bytes)?)
    }
}

impl InclusionProof {
    fn form(&self) -> ProofForm {
        (self.subtree.form(), self.index.form())
    }

    fn from_form((subtree, index): ProofForm) -> Result<Self, CborError> {
        Ok(Self { subtree: Branch::from_form(subtree)?, index: Branch::from_form(index)? })
    }

    /// `[subtree, index]`.
    #[must_use]
    pub fn to_cbor(&self) -> Vec<u8> {
        encode(&self.form())
    }

    /// Reads [`InclusionProof::to_cbor`].
    ///
    /// # Errors
    /// [`CborError`] for anything else.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, CborError> {
        Self::from_form(decode(bytes)?)
    }

    /// The dag-cbor CID of the proof.
    #[must_use]
    pub fn cid(&self) -> Cid {
        cid_v1(DAG_CBOR, &self.to_cbor())
    }
}

/// An inclusion proof with the deal it is about: `[proof, 0, [deal id]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregationProof {
    /// The proof.
    pub inclusion: InclusionProof,
    /// The market deal.
    pub deal_id: u64,
}

impl AggregationProof {
    /// The CBOR form.
    #[must_use]
    pub fn to_cbor(&self) -> Vec<u8> {
        encode(&(self.inclusion.form(), 0u64, (self.deal_id,)))
    }

    /// Reads [`AggregationProof::to_cbor`].
    ///
    /// # Errors
    /// [`CborError`] for anything else.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, CborError> {
        let (proof, aux_type, (deal_id,)): (ProofForm, u64, (u64,)) = decode(bytes)?;
        if aux_type != 0 {
            return Err(CborError::AuxType(aux_type));
        }
        Ok(Self { inclusion: InclusionProof::from_form(proof)?, deal_id })
    }

    /// The dag-cbor CID of the proof.
    #[must_use]
    pub fn cid(&self) -> Cid {
        cid_v1(DAG_CBOR, &self.to_cbor())
    }
}

/// A CID v1 with a padded size: `[CID, size]`.
fn piece_to_cbor(commitment: Commitment, size: PaddedSize) -> Vec<u8> {
    encode(&(v1(commitment), size.get()))
}

fn piece_from_cbor(bytes: &[u8]) -> Result<(Commitment, PaddedSize), CborError> {
    let (cid, size): (Cid, u64) = decode(bytes)?;
    let (commitment, size) = (decode_v1(&cid)?, PaddedSize::new(size)?);
    // All else of the CBOR is read strictly.
    if piece_to_cbor(commitment, size) == bytes {
        Ok((commitment, size))
    } else {
        Err(CborError::NotCanonical)
    }
}

/// What the verifier computes: the deal piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuxData {
    /// Commitment of the deal piece.
    pub deal: Commitment,
    /// Size of the deal piece.
    pub size: PaddedSize,
}

impl AuxData {
    /// The CBOR form.
    #[must_use]
    pub fn to_cbor(&self) -> Vec<u8> {
        piece_to_cbor(self.deal, self.size)
    }

    /// Reads [`AuxData::to_cbor`].
    ///
    /// # Errors
    /// [`CborError`] for anything else.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, CborError> {
        piece_from_cbor(bytes).map(|(deal, size)| Self { deal, size })
    }
}

/// What the verifier is given: the client's piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifierData {
    /// Commitment of the client's piece.
    pub piece: Commitment,
    /// Size of the client's piece.
    pub size: PaddedSize,
}

impl VerifierData {
    /// The CBOR form.
    #[must_use]
    pub fn to_cbor(&self) -> Vec<u8> {
        piece_to_cbor(self.piece, self.size)
    }

    /// Reads [`VerifierData::to_cbor`].
    ///
    /// # Errors
    /// [`CborError`] for anything else.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, CborError> {
        piece_from_cbor(bytes).map(|(piece, size)| Self { piece, size })
    }
}

impl Descriptor {
    /// `[commitment, offset, size, checksum]`.
    #[must_use]
    pub fn to_cbor(&self) -> Vec<u8> {
        let bytes = self.encode();
        let checksum: [u8; 16] = std::array::from_fn(|i| bytes[48 + i]);
        encode(&(ByteArray::new(self.commitment), self.offset, self.size, ByteArray::new(checksum)))
    }

    /// Reads [`Descriptor::to_cbor`] by the rules of [`Descriptor::decode`].
    ///
    /// # Errors
    /// [`CborError`] for anything else.
    pub fn from_cbor(bytes: &[u8]) -> Result<Self, CborError> {
        let (commitment, offset, size, checksum): (ByteArray<32>, u64, u64, ByteArray<16>) = decode(bytes)?;
        let mut raw = Self { commitment: commitment.into_array(), offset, size }.encode();
        raw[48..].copy_from_slice(&checksum.into_array());
        Ok(Self::decode(&raw)?)
    }
}
