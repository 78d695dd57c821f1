//! CIDs as users write them, brought to one form, so that one content is one holding.
//!
//! CIDv0 and v1 in any multibase, piece CIDs v1 and v2: all are accepted; [`DataCid`] keeps the normal form.
//! Two spellings of one content compare equal. A piece CID v2 also tells the payload size, which is kept
//! beside the identity and is not part of it.

use cid::Cid;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Multicodec of dag-pb, the only codec a CIDv0 can have.
const DAG_PB: u64 = 0x70;
/// Multicodec `raw`.
const RAW: u64 = 0x55;
/// Multicodec `fil-commitment-unsealed`, the codec of a piece CID v1.
const FIL_COMMITMENT_UNSEALED: u64 = 0xf101;
/// Multihash `sha2-256-trunc254-padded`, of a piece CID v1.
const SHA2_256_TRUNC254_PADDED: u64 = 0x1012;
/// Multihash `fr32-sha256-trunc254-padbintree`, of a piece CID v2 (FRC-0069).
const FR32_SHA256_TRUNC254_PADBINTREE: u64 = 0x1011;
/// A CID longer than this is refused before it is decoded; the contract has the same bound.
const TEXT_MAX: usize = 256;

/// The commitment of a piece (CommP): the root of its Fr32 tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commitment(pub [u8; 32]);

impl Commitment {
    /// As piece CID v1, `baga6ea4seaq…`.
    #[must_use]
    pub fn piece_cid_v1(&self) -> Cid {
        let hash = cid::multihash::Multihash::wrap(SHA2_256_TRUNC254_PADDED, &self.0)
            .expect("32 bytes fit a 64-byte multihash");
        Cid::new_v1(FIL_COMMITMENT_UNSEALED, hash)
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.piece_cid_v1())
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commitment({self})")
    }
}

impl From<Commitment> for String {
    fn from(commitment: Commitment) -> Self {
        commitment.to_string()
    }
}

impl TryFrom<String> for Commitment {
    type Error = CidError;

    fn try_from(text: String) -> Result<Self, CidError> {
        text.parse()
    }
}

impl FromStr for Commitment {
    type Err = CidError;

    /// From a piece CID, v1 or v2.
    fn from_str(text: &str) -> Result<Self, CidError> {
        text.parse::<DataCid>()?.commitment().ok_or_else(|| CidError::NoPiece(text.to_owned()))
    }
}

/// What a piece CID names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PieceName {
    /// The piece's commitment.
    pub commitment: Commitment,
    /// Payload bytes, known from a v2 CID only.
    pub payload_bytes: Option<u64>,
}

/// A content identifier in normal form: CIDv1 in base32, a piece always as piece CID v1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataCid(Cid);

/// Why a text or bytes are no CID we can serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidError {
    /// Nothing there.
    #[error("the CID is empty")]
    Empty,
    /// Longer than any CID in use.
    #[error("the CID has {0} bytes; at most 256 are accepted")]
    TooLong(usize),
    /// Not decodable.
    #[error("not a CID ({0}); give one such as bafybei… or Qm…")]
    Invalid(String),
    /// A piece CID whose multihash or size is out of range.
    #[error("a malformed piece CID: {0}")]
    BadPiece(&'static str),
    /// A payload CID where a piece CID is needed.
    #[error("{0} is not a piece CID (baga6ea4seaq… or bafkzcib…)")]
    NoPiece(String),
}

impl DataCid {
    /// The normal form of binary CID `bytes`, as contracts carry them. Text in UTF-8 is accepted too, and a
    /// leading 0x00 as in a CBOR link is dropped, since all three forms are found on chain.
    pub fn from_contract_bytes(bytes: &[u8]) -> Result<Self, CidError> {
        if bytes.is_empty() {
            return Err(CidError::Empty);
        }
        if bytes.len() > TEXT_MAX {
            return Err(CidError::TooLong(bytes.len()));
        }
        let binary = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        match Cid::try_from(binary) {
            Ok(cid) if cid.to_bytes().len() == binary.len() => Self::normalise(&cid),
            _ => match std::str::from_utf8(bytes) {
                Ok(text) => text.parse(),
                Err(_) => Err(CidError::Invalid("neither a binary CID nor text".to_owned())),
            },
        }
    }

    /// Brings `cid` to normal form.
    pub fn normalise(cid: &Cid) -> Result<Self, CidError> {
        if let Some(piece) = piece_name(cid)? {
            return Ok(Self(piece.commitment.piece_cid_v1()));
        }
        let codec = if cid.version() == cid::Version::V0 { DAG_PB } else { cid.codec() };
        Ok(Self(Cid::new_v1(codec, *cid.hash())))
    }

    /// The CID itself.
    #[must_use]
    pub const fn cid(&self) -> &Cid {
        &self.0
    }

    /// The commitment, when this names a piece.
    #[must_use]
    pub fn commitment(&self) -> Option<Commitment> {
        piece_name(&self.0).ok().flatten().map(|piece| piece.commitment)
    }
}

/// What `cid` says as a piece CID, v1 or v2; `None` when it is a payload CID.
pub fn piece_name(cid: &Cid) -> Result<Option<PieceName>, CidError> {
    let digest = cid.hash().digest();
    match (cid.codec(), cid.hash().code()) {
        (FIL_COMMITMENT_UNSEALED, SHA2_256_TRUNC254_PADDED) => {
            let root = digest.try_into().map_err(|_| CidError::BadPiece("the root must have 32 bytes"))?;
            Ok(Some(PieceName { commitment: checked(root)?, payload_bytes: None }))
        }
        (FIL_COMMITMENT_UNSEALED, _) => Err(CidError::BadPiece("the multihash must be 0x1012")),
        (RAW, FR32_SHA256_TRUNC254_PADBINTREE) => v2(digest).map(Some),
        _ => Ok(None),
    }
}

/// Decodes the digest of a piece CID v2: uvarint(padding) | height | root.
fn v2(digest: &[u8]) -> Result<PieceName, CidError> {
    let (padding, rest) = unsigned_varint(digest).ok_or(CidError::BadPiece("the padding is no varint"))?;
    let (height, root) = rest.split_first().ok_or(CidError::BadPiece("the tree height is missing"))?;
    if !(2..=31).contains(height) {
        return Err(CidError::BadPiece("the tree height must be 2..=31"));
    }
    let capacity = 127_u64 << (height - 2);
    let payload =
        capacity.checked_sub(padding).ok_or(CidError::BadPiece("more padding than the tree holds"))?;
    let root = root.try_into().map_err(|_| CidError::BadPiece("the root must have 32 bytes"))?;
    Ok(PieceName { commitment: checked(root)?, payload_bytes: Some(payload) })
}

/// A root with its two top bits set cannot come out of the Fr32 tree.
fn checked(root: [u8; 32]) -> Result<Commitment, CidError> {
    if root[31] & 0xc0 == 0 {
        Ok(Commitment(root))
    } else {
        Err(CidError::BadPiece("the two top bits of the root are set"))
    }
}

/// A minimal LEB128 number of at most nine bytes, and what follows it.
fn unsigned_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (position, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            let minimal = position == 0 || *byte != 0;
            return minimal.then(|| (value, bytes.get(position + 1..).unwrap_or_default()));
        }
    }
    None
}

impl FromStr for DataCid {
    type Err = CidError;

    fn from_str(text: &str) -> Result<Self, CidError> {
        let text = text.trim();
        let text = text.strip_prefix("ipfs://").unwrap_or(text);
        if text.is_empty() {
            return Err(CidError::Empty);
        }
        if text.len() > TEXT_MAX {
            return Err(CidError::TooLong(text.len()));
        }
        let cid = Cid::try_from(text).map_err(|error| CidError::Invalid(error.to_string()))?;
        // The library stops reading where the CID ends.
        if cid.version() == cid::Version::V1
            && cid::multibase::decode(text).is_ok_and(|(_, bytes)| bytes.len() != cid.encoded_len())
        {
            return Err(CidError::Invalid("there is something behind it".to_owned()));
        }
        Self::normalise(&cid)
    }
}

impl TryFrom<String> for DataCid {
    type Error = CidError;

    fn try_from(text: String) -> Result<Self, CidError> {
        text.parse()
    }
}

impl From<DataCid> for String {
    fn from(cid: DataCid) -> Self {
        cid.to_string()
    }
}

impl fmt::Display for DataCid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V0: &str = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";

    fn parse(text: &str) -> DataCid {
        text.parse().expect("a CID")
    }

    #[test]
    fn spellings_of_one_content_are_one() {
        let normal = parse(V0);
        assert!(normal.to_string().starts_with("bafybei"));
        let base58 = normal.cid().to_string_of_base(multibase::Base::Base58Btc).expect("base58");
        let upper = normal.cid().to_string_of_base(multibase::Base::Base16Upper).expect("base16");
        for text in [base58, upper, format!("ipfs://{V0}"), format!(" {V0}\n")] {
            assert_eq!(parse(&text), normal);
        }
        let bytes = normal.cid().to_bytes();
        assert_eq!(DataCid::from_contract_bytes(&bytes), Ok(normal.clone()));
        assert_eq!(DataCid::from_contract_bytes(&[&[0], bytes.as_slice()].concat()), Ok(normal.clone()));
        assert_eq!(DataCid::from_contract_bytes(V0.as_bytes()), Ok(normal));
    }

    #[test]
    fn both_piece_cids_name_one_piece() {
        let empty = parse("bafkzcibcp4bdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy");
        assert!(empty.to_string().starts_with("baga6ea4seaq"));
        assert_eq!(parse(&empty.to_string()), empty);
        let cid = Cid::try_from("bafkzcibcp4bdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy");
        let name = piece_name(&cid.expect("a CID")).expect("well formed").expect("a piece");
        assert_eq!(name.payload_bytes, Some(0));
        assert!("bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".parse::<Commitment>().is_err());
    }

    #[test]
    fn what_is_no_cid_is_refused_with_a_reason() {
        assert_eq!("".parse::<DataCid>(), Err(CidError::Empty));
        assert_eq!("x".repeat(300).parse::<DataCid>(), Err(CidError::TooLong(300)));
        assert!(matches!("hello".parse::<DataCid>(), Err(CidError::Invalid(_))));
        assert_eq!(DataCid::from_contract_bytes(&[]), Err(CidError::Empty));
        assert!(DataCid::from_contract_bytes(&[0xff, 0xfe]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let _ = DataCid::from_contract_bytes(&bytes);
            let _ = v2(&bytes);
        }
    }
}
