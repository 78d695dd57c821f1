//! The Solidity ABI of proofs, as the on-chain verifiers take them.
//!
//! `InclusionProof(ProofData proofSubtree, ProofData proofIndex)`, `ProofData(uint64 index, bytes32[] path)`,
//! `InclusionVerifierData(bytes commPc, uint64 sizePc)`, `InclusionAuxData(bytes commPa, uint64 sizePa)`; the CIDs
//! are piece CIDs v1 in binary. Each is encoded as the one argument of a call.

use super::cbor::{AuxData, VerifierData};
use super::proof::{Branch, InclusionProof, MAX_PATH};
use crate::block::exact_cid;
use crate::cid::{PieceCidError, decode_v1, v1};
use crate::commp::Commitment;
use crate::size::{PaddedSize, SizeError};
use crate::tree::Node;

const WORD: usize = 32;

/// Bytes that are no ABI form of a proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AbiError {
    /// Cut short, an offset that the encoder does not make, a number over 64 bits, or bytes left over.
    #[error("malformed ABI encoding at byte {0}")]
    Malformed(usize),
    /// A path longer than any tree is high.
    #[error("a path of the proof has {0} nodes, over the limit of {MAX_PATH}")]
    PathTooLong(u64),
    /// A size that is no piece's.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// A CID that is no piece CID v1.
    #[error(transparent)]
    Cid(#[from] PieceCidError),
}

fn number(value: u64) -> [u8; WORD] {
    let mut word = [0; WORD];
    word[WORD - 8..].copy_from_slice(&value.to_be_bytes());
    word
}

/// Words being read in the one order the encoder writes them.
struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Words<'_> {
    fn word(&mut self) -> Result<Node, AbiError> {
        let malformed = AbiError::Malformed(self.at);
        let word = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()).ok_or(malformed)?;
        self.at += WORD;
        Ok(*word)
    }

    fn number(&mut self) -> Result<u64, AbiError> {
        let at = self.at;
        let word = self.word()?;
        let (high, low) = word.split_at(WORD - 8);
        match (high.iter().all(|&byte| byte == 0), low.first_chunk()) {
            (true, Some(low)) => Ok(u64::from_be_bytes(*low)),
            _ => Err(AbiError::Malformed(at)),
        }
    }

    fn expect(&mut self, value: u64) -> Result<(), AbiError> {
        let at = self.at;
        if self.number()? == value { Ok(()) } else { Err(AbiError::Malformed(at)) }
    }

    fn end(&self) -> Result<(), AbiError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(AbiError::Malformed(self.at)) }
    }
}

impl Branch {
    fn abi_len(&self) -> usize {
        (3 + self.path.len()) * WORD
    }

    fn push_abi(&self, out: &mut Vec<u8>) {
        out.extend(number(self.index));
        out.extend(number(2 * WORD as u64));
        out.extend(number(self.path.len() as u64));
        out.extend(self.path.as_flattened());
    }

    fn read_abi(words: &mut Words<'_>) -> Result<Self, AbiError> {
        let index = words.number()?;
        words.expect(2 * WORD as u64)?;
        let len = words.number()?;
        if len > MAX_PATH as u64 {
            return Err(AbiError::PathTooLong(len));
        }
        let path = (0..len).map(|_| words.word()).collect::<Result<_, _>>()?;
        Ok(Self { index, path })
    }
}

impl InclusionProof {
    /// The ABI form.
    #[must_use]
    pub fn to_abi(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(3 * WORD + self.subtree.abi_len() + self.index.abi_len());
        out.extend(number(WORD as u64));
        out.extend(number(2 * WORD as u64));
        out.extend(number((2 * WORD + self.subtree.abi_len()) as u64));
        self.subtree.push_abi(&mut out);
        self.index.push_abi(&mut out);
        out
    }

    /// Reads [`InclusionProof::to_abi`], and nothing that is laid out in another way.
    ///
    /// # Errors
    /// [`AbiError`] for anything else.
    pub fn from_abi(bytes: &[u8]) -> Result<Self, AbiError> {
        let mut words = Words { bytes, at: 0 };
        words.expect(WORD as u64)?;
        words.expect(2 * WORD as u64)?;
        let second = words.number()?;
        let subtree = Branch::read_abi(&mut words)?;
        if second != (2 * WORD + subtree.abi_len()) as u64 {
            return Err(AbiError::Malformed(2 * WORD));
        }
        let index = Branch::read_abi(&mut words)?;
        words.end()?;
        Ok(Self { subtree, index })
    }
}

/// `(bytes cid, uint64 size)`.
fn piece_to_abi(commitment: Commitment, size: PaddedSize) -> Vec<u8> {
    let cid = v1(commitment).to_bytes();
    let mut out = Vec::with_capacity(6 * WORD);
    out.extend(number(WORD as u64));
    out.extend(number(2 * WORD as u64));
    out.extend(number(size.get()));
    out.extend(number(cid.len() as u64));
    out.extend(&cid);
    out.resize(out.len().next_multiple_of(WORD), 0);
    out
}

fn piece_from_abi(bytes: &[u8]) -> Result<(Commitment, PaddedSize), AbiError> {
    let mut words = Words { bytes, at: 0 };
    words.expect(WORD as u64)?;
    words.expect(2 * WORD as u64)?;
    let size = PaddedSize::new(words.number()?)?;
    let len = usize::try_from(words.number()?).unwrap_or(usize::MAX);
    let (start, padded) = (words.at, len.checked_next_multiple_of(WORD).unwrap_or(usize::MAX));
    let body = bytes.get(start..).filter(|body| body.len() == padded).ok_or(AbiError::Malformed(start))?;
    let (cid, zeros) = body.split_at(len);
    if zeros.iter().any(|&byte| byte != 0) {
        return Err(AbiError::Malformed(start + len));
    }
    let cid = exact_cid(cid).ok_or(AbiError::Malformed(start))?;
    Ok((decode_v1(&cid)?, size))
}

impl VerifierData {
    /// The ABI form.
    #[must_use]
    pub fn to_abi(&self) -> Vec<u8> {
        piece_to_abi(self.piece, self.size)
    }

    /// Reads [`VerifierData::to_abi`].
    ///
    /// # Errors
    /// [`AbiError`] for anything else.
    pub fn from_abi(bytes: &[u8]) -> Result<Self, AbiError> {
        piece_from_abi(bytes).map(|(piece, size)| Self { piece, size })
    }
}

impl AuxData {
    /// The ABI form.
    #[must_use]
    pub fn to_abi(&self) -> Vec<u8> {
        piece_to_abi(self.deal, self.size)
    }

    /// Reads [`AuxData::to_abi`].
    ///
    /// # Errors
    /// [`AbiError`] for anything else.
    pub fn from_abi(bytes: &[u8]) -> Result<Self, AbiError> {
        piece_from_abi(bytes).map(|(deal, size)| Self { deal, size })
    }
}
