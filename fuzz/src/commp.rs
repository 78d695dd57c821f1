//! Every way this machine can hash against the portable one, whole and in parts.

use std::num::NonZero;

use raas_piece::commp::{Hasher, ParallelHasher, of_each, of_reader, of_slice};
use raas_piece::fr32;
use raas_piece::sha::Path;

use crate::input::Input;

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let repeats = 1 + input.below(40);
    let cuts: [u8; 8] = input.array();
    // Repeated, so that trees get high although inputs are short.
    let bytes = input.rest().repeat(repeats);
    let bytes = &bytes[..bytes.len().min(40_000)];
    let payloads = parts(bytes, &cuts);
    let pairs = bytes.as_chunks::<64>().0;

    let wanted = of_each(Path::Portable, &payloads).expect("small payloads");
    let digests = Path::Portable.digests(&payloads);
    let nodes = Path::Portable.hash_pairs(pairs);
    let mut hasher = Hasher::on(Path::Portable);
    hasher.update(bytes);
    let whole = hasher.finish().expect("a small payload");
    for path in Path::ALL.into_iter().filter(Path::is_available) {
        assert_eq!(of_each(path, &payloads).as_ref(), Ok(&wanted), "{path:?}");
        assert_eq!(path.digests(&payloads), digests, "{path:?}");
        assert_eq!(path.hash_pairs(pairs), nodes, "{path:?}");
        let (mut streamed, mut parallel) =
            (Hasher::on(path), ParallelHasher::on(path, NonZero::<usize>::MIN));
        for part in &payloads {
            streamed.update(part);
            parallel.update(part);
        }
        assert_eq!(streamed.finish(), Ok(whole), "{path:?}");
        assert_eq!(parallel.finish(), Ok(whole), "{path:?}");
        assert_eq!(of_slice(path, bytes, NonZero::<usize>::MIN), Ok(whole), "{path:?}");
    }
    assert_eq!(of_reader(bytes).ok(), Some(whole));
    head(bytes, &cuts, whole);

    let padded = fr32::pad(bytes);
    let back = fr32::unpad(&padded).expect("what pad made");
    assert!(back.starts_with(bytes) && back[bytes.len()..].iter().all(|&byte| byte == 0));
}

/// The bytes in parts of lengths that the cuts say, over and over.
fn parts<'a>(mut bytes: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    for &cut in cuts.iter().cycle() {
        if bytes.is_empty() || parts.len() == 200 {
            break;
        }
        // Around the ends of groups, units and blocks, and anything else.
        let len = [1, 55, 64, 127, 2032, 4064, 16_384, 16_385][usize::from(cut % 8)] + usize::from(cut / 8);
        let (now, later) = bytes.split_at(len.min(bytes.len()));
        parts.push(now);
        bytes = later;
    }
    parts.push(bytes);
    parts
}

/// A head that was written first as something else.
fn head(bytes: &[u8], cuts: &[u8], whole: raas_piece::PieceInfo) {
    let at = usize::from(cuts[0]);
    let end = (at + usize::from(cuts[1])).min(bytes.len());
    if at >= end {
        return;
    }
    let mut draft = bytes.to_vec();
    draft[at..end].fill(0xa5);
    let mut hasher = Hasher::new();
    hasher.update(&draft);
    hasher.rewrite_head(at, &bytes[at..end]).expect("within the first 2,032 bytes");
    assert_eq!(hasher.finish(), Ok(whole));
}
