//! Lengths and numbers as unsigned varints: one model, and every decoder that reads them.

use cid::Cid;
use multihash::Multihash;
use raas_piece::block::{RAW, cid_v1};
use raas_piece::car::{CarError, Limits, Reader, section_prefix};
use raas_piece::cid::{PieceCidError, decode_v2};
use raas_piece::unixfs::data::{Data, DataError};

/// What a varint at the start of bytes is.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// A number, and how many bytes it took.
    Number(u64, usize),
    /// All bytes say that one more follows.
    Short,
    /// Over 64 bits, or longer than it need be.
    Bad,
}

/// Written from the specification alone: seven bits a byte, lowest first, no needless last byte.
pub fn model(bytes: &[u8]) -> Read {
    let mut value = 0u128;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        value |= u128::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let minimal = at == 0 || byte != 0;
            return match u64::try_from(value) {
                Ok(value) if minimal => Read::Number(value, at + 1),
                _ => Read::Bad,
            };
        }
    }
    if bytes.len() < 10 { Read::Short } else { Read::Bad }
}

pub fn check(data: &[u8]) {
    let read = model(data);
    car(data, &read);
    unixfs(data, &read);
    piece_cid(data, &read);
    if let Read::Number(value, _) = read {
        // A length that a section can have; the prefix is the length of the CID and so many bytes.
        let len = (value % (1 << 40)) as usize;
        let cid = cid_v1(RAW, data);
        let prefix = section_prefix(&cid, len);
        let wanted = (cid.encoded_len() + len) as u64;
        assert_eq!(model(&prefix), Read::Number(wanted, prefix.len() - cid.encoded_len()));
    }
}

/// The length of a header.
fn car(data: &[u8], read: &Read) {
    // In this one everything is told of the CARv1 inside.
    if data.starts_with(b"\x0a\xa1\x67version\x02") {
        return;
    }
    let limits = Limits { header_bytes: 256, ..Limits::default() };
    let error = match Reader::new(data, limits) {
        Ok(reader) => {
            assert!(matches!(read, Read::Number(len, used) if *len == (reader.end() - *used as u64)));
            return;
        }
        Err(error) => error,
    };
    match read {
        Read::Bad => assert!(matches!(error, CarError::Varint { offset: 0 }), "{error}"),
        Read::Short => assert!(matches!(error, CarError::Truncated { .. }), "{error}"),
        Read::Number(len, _) if *len > 256 => {
            assert!(
                matches!(error, CarError::HeaderTooLarge { bytes, limit: 256 } if bytes == *len),
                "{error}"
            );
        }
        Read::Number(len, used) if data.len() - used < *len as usize => {
            assert!(matches!(error, CarError::Truncated { .. }), "{error}");
        }
        Read::Number(..) => assert!(!matches!(error, CarError::HeaderTooLarge { .. }), "{error}"),
    }
}

/// The size of a file in its message.
fn unixfs(data: &[u8], read: &Read) {
    let message = [&[0x08, 0x02, 0x18], data].concat();
    let decoded = Data::decode(&message);
    match read {
        Read::Number(value, used) if *used == data.len() => {
            let decoded = decoded.expect("a message of two numbers");
            assert_eq!(decoded.file_bytes, Some(*value));
            assert_eq!(decoded.encode(), message);
        }
        Read::Number(..) => {}
        Read::Short | Read::Bad => assert!(matches!(decoded, Err(DataError::Wire(_))), "{decoded:?}"),
    }
}

/// The padding in a piece CID.
fn piece_cid(data: &[u8], read: &Read) {
    let digest = [data.get(..10).unwrap_or(data), &[58], &[1; 32]].concat();
    let decoded = decode_v2(&Cid::new_v1(0x55, Multihash::wrap(0x1011, &digest).expect("under 64 bytes")));
    match read {
        Read::Number(value, used) if *used == data.len() => match decoded {
            Ok(info) => assert_eq!(info.padding_bytes(), *value),
            Err(PieceCidError::PaddingVarint) => assert!(*value >= 1 << 63),
            // Half of the tree of this height would do.
            Err(PieceCidError::Padding { padding, height: 58 }) => {
                assert!(padding == *value && *value >= (1 << 62) / 128 * 127);
            }
            Err(error) => panic!("{value}: {error}"),
        },
        Read::Bad => assert_eq!(decoded, Err(PieceCidError::PaddingVarint)),
        Read::Number(..) | Read::Short => {}
    }
}
