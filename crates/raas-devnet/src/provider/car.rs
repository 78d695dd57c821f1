//! Whether a stream of bytes begins as a CAR of version 1, which is all that is looked at.

use crate::codec::from_cbor;
use cid::Cid;
use serde::Deserialize;

/// The longest header that is read.
const HEADER_MAX: u64 = 1 << 20;

#[derive(Deserialize)]
struct Header {
    #[expect(dead_code, reason = "a header without roots does not decode")]
    roots: Vec<Cid>,
    version: u64,
}

/// What the first bytes show.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// More bytes are needed.
    Short,
    /// A header of version 1.
    Car,
    /// Something else; why.
    Other(String),
}

/// Looks at the first bytes of a stream.
pub(super) fn look(bytes: &[u8]) -> Beginning {
    let mut length = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        length |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 != 0 {
            continue;
        }
        if length == 0 || length > HEADER_MAX {
            return Beginning::Other(format!("a CAR header cannot have {length} bytes"));
        }
        let start = at + 1;
        let Some(header) = usize::try_from(length).ok().and_then(|length| bytes.get(start..start + length))
        else {
            return Beginning::Short;
        };
        return match from_cbor::<Header>(header) {
            Ok(Header { version: 1, .. }) => Beginning::Car,
            Ok(Header { version, .. }) => {
                Beginning::Other(format!("CAR version {version} is not taken: send 1"))
            }
            Err(error) => Beginning::Other(error.to_string()),
        };
    }
    if bytes.len() < 5 { Beginning::Short } else { Beginning::Other("no CAR header length".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"roots": [bafkqaaa], "version": 1}` with its length in front.
    const HEADER: &str = "19a265726f6f747381d82a4500015500006776657273696f6e01";

    #[test]
    fn a_header_is_found_at_its_last_byte() {
        let bytes = hex::decode(HEADER).expect("hex");
        for cut in 0..bytes.len() {
            assert_eq!(look(&bytes[..cut]), Beginning::Short, "{cut}");
        }
        assert_eq!(look(&bytes), Beginning::Car);
        assert_eq!(look(&[&bytes[..], b"more"].concat()), Beginning::Car);
    }

    #[test]
    fn other_files_are_told() {
        let mut version_2 = hex::decode(HEADER).expect("hex");
        *version_2.last_mut().expect("not empty") = 2;
        for bytes in
            [&version_2[..], b"hello, this is text and no CAR", &[0; 8], &[0xff; 8], b"\x89PNG\r\n\x1a\n0123"]
        {
            assert!(matches!(look(bytes), Beginning::Other(_) | Beginning::Short), "{bytes:?}");
        }
        assert!(matches!(look(&version_2), Beginning::Other(_)));
        assert!(matches!(look(&[0; 8]), Beginning::Other(_)));
    }
}
