//! Piece CIDs of both versions, as text and as bytes, against arithmetic of our own.

use std::str::FromStr;

use cid::Cid;
use multihash::Multihash;
use raas_piece::cid::{PieceCid, decode_v1, decode_v2, v1, v2};

use crate::input::Input;
use crate::varint::{Read, model};

pub fn check(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(piece) = PieceCid::from_str(text)
    {
        // A CID has many texts, but one piece has one CID.
        assert_eq!(Cid::from_str(text).ok(), Some(piece.to_cid()));
        check_piece(&piece);
    }
    if let Ok(cid) = Cid::try_from(data) {
        match PieceCid::try_from(&cid) {
            Ok(piece) => {
                assert_eq!(piece.to_cid(), cid);
                check_piece(&piece);
            }
            Err(_) => assert!(decode_v1(&cid).is_err() && decode_v2(&cid).is_err()),
        }
    }
    check_digest(data);
}

fn check_piece(piece: &PieceCid) {
    assert_eq!(piece.commitment().as_bytes()[31] & 0xc0, 0);
    assert_eq!(PieceCid::from_str(&piece.to_cid().to_string()), Ok(*piece));
    match piece {
        PieceCid::V1(commitment) => assert_eq!(decode_v1(&v1(*commitment)), Ok(*commitment)),
        PieceCid::V2(info) => {
            assert_eq!(info.payload_bytes() + info.padding_bytes(), info.padded().capacity());
            assert_eq!(decode_v2(&v2(info)), Ok(*info));
        }
    }
}

/// The bytes as the digest of a CID that has the kind of a piece's.
fn check_digest(data: &[u8]) {
    let digest = &data[..data.len().min(64)];
    let cid = |codec, hash| Cid::new_v1(codec, Multihash::wrap(hash, digest).expect("at most 64 bytes"));
    let root = digest.len() == 32 && digest[31] & 0xc0 == 0;
    assert_eq!(decode_v1(&cid(0xf101, 0x1012)).is_ok(), root);
    let decoded = decode_v2(&cid(0x55, 0x1011));
    match piece_of(digest) {
        Some((payload, padded)) => {
            let info = decoded.expect("a digest that the model takes");
            assert_eq!((info.payload_bytes(), info.padded().get()), (payload, padded));
        }
        None => assert!(decoded.is_err(), "{decoded:?}"),
    }
}

/// Payload and padded bytes by FRC-0069, if the digest is a piece's.
fn piece_of(digest: &[u8]) -> Option<(u64, u64)> {
    let Read::Number(padding, used) = model(digest) else { return None };
    let mut rest = Input::new(&digest[used..]);
    let height = rest.byte();
    let root = rest.rest();
    if used > 9 || root.len() != 32 || root[31] & 0xc0 != 0 || !(2..=58).contains(&height) {
        return None;
    }
    let capacity = |height: u8| (32u64 << height) / 128 * 127;
    let payload = capacity(height).checked_sub(padding)?;
    // The tree is the smallest that holds the payload, and none is lower than two levels.
    (height == 2 || payload > capacity(height - 1)).then_some((payload, 32 << height))
}
