//! `raas piece cid`, and pieces as they are typed.

use super::args::Cid;
use super::bytes::described;
use crate::cli::failure::Failure;
use crate::cli::output;
use raas_piece::cid::{self, PieceCid};
use raas_piece::{PaddedSize, PieceInfo};

/// How pieces are named.
const FORMS: &str =
    "a piece is its CID v2 (bafkzcib…), or its CID v1 with the padded size in bytes (baga6ea4seaq…:SIZE)";

/// The other version; with `--json` both, and all sizes.
pub fn cid(args: &Cid, json: bool) -> Result<(), Failure> {
    let usage = |error: String| Failure::Usage(error);
    let parsed: PieceCid =
        args.cid.parse().map_err(|error| usage(format!("CID: {}: {error}; {FORMS}", args.cid)))?;
    let info = match (parsed, args.payload_size, args.padded_size) {
        (PieceCid::V2(info), None, None) => info,
        (PieceCid::V2(_), ..) => {
            return Err(usage("a piece CID v2 has its sizes; give none".to_owned()));
        }
        (PieceCid::V1(commitment), Some(payload), _) => {
            PieceInfo::new(commitment, payload).map_err(|error| usage(format!("--payload-size: {error}")))?
        }
        (PieceCid::V1(commitment), None, Some(padded)) => {
            let padded = PaddedSize::new(padded).map_err(|error| usage(format!("--padded-size: {error}")))?;
            PieceInfo::full(commitment, padded)
        }
        (PieceCid::V1(_), None, None) => {
            let why = "a piece CID v1 has no size; give --payload-size or --padded-size";
            return Err(usage(why.to_owned()));
        }
    };
    if json {
        output::json(&described(&info));
    } else {
        let other = match parsed {
            PieceCid::V1(_) => cid::v2(&info),
            PieceCid::V2(_) => cid::v1(info.commitment()),
        };
        output::data(&other.to_string());
    }
    Ok(())
}

/// A piece typed as a CID v2, or as `CIDv1:PADDED_SIZE`; `field` is where it was typed.
pub fn parse(field: &str, text: &str) -> Result<PieceInfo, Failure> {
    let usage = |why: String| Failure::Usage(format!("{field}: {text}: {why}; {FORMS}"));
    let (name, size) = match text.split_once(':') {
        Some((name, size)) => {
            let size = size.parse().map_err(|_| usage(format!("{size:?} is no size in bytes")))?;
            (name, Some(PaddedSize::new(size).map_err(|error| usage(error.to_string()))?))
        }
        None => (text, None),
    };
    match (name.parse().map_err(|error: cid::PieceCidError| usage(error.to_string()))?, size) {
        (PieceCid::V2(info), None) => Ok(info),
        (PieceCid::V2(info), Some(size)) if info.padded() == size => Ok(info),
        (PieceCid::V2(info), Some(_)) => Err(usage(format!("the CID itself says {}", info.padded()))),
        (PieceCid::V1(commitment), Some(size)) => Ok(PieceInfo::full(commitment, size)),
        (PieceCid::V1(_), None) => Err(usage("a piece CID v1 does not say its size".to_owned())),
    }
}
