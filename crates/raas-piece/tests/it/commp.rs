//! Fr32, CommP, zero commitments, piece CIDs.

use std::str::FromStr;

use cid::Cid;
use proptest::prelude::*;
use raas_piece::cid::{PieceCid, PieceCidError, decode_v1, decode_v2, v1, v2};
use raas_piece::commp::{
    Commitment, HEAD_BYTES, Hasher, ParallelHasher, PieceInfo, of_each, of_reader, of_slice,
};
use raas_piece::sha::Path;
use raas_piece::{PaddedSize, fr32, tree};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::num::NonZero;

use crate::go_random::GoRandom;
use crate::support::{long, node, number, rows, sha256_counter, sha256_hex, sha512_chain, text, vectors};

#[test]
fn fr32_expands_and_shrinks_as_the_vectors_say() {
    for row in rows(&vectors("pieces/fr32-and-zero.json"), "fr32") {
        let (input, output) = (hex::decode(text(row, "in")).unwrap(), hex::decode(text(row, "out")).unwrap());
        assert_eq!(fr32::pad(&input), output, "{}", text(row, "name"));
        assert_eq!(fr32::unpad(&output).unwrap(), input, "{}", text(row, "name"));
    }
}

#[test]
fn zero_commitments_are_the_upstream_table() {
    for row in rows(&vectors("pieces/fr32-and-zero.json"), "zero_commitments") {
        let level = u8::try_from(number(row, "level")).unwrap();
        assert_eq!(tree::zero(level), node(row, "commitment"));
        // The sizes past level 58 do not fit 64 bits; as powers of two they are exact in a float.
        assert!((row["padded_size"].as_f64().unwrap() - 32.0 * f64::from(level).exp2()).abs() < f64::EPSILON);
        assert_eq!(v1(Commitment::new(tree::zero(level)).unwrap()).to_string(), text(row, "piece_cid_v1"));
    }
}

fn check(row: &Value, info: &PieceInfo) {
    assert_eq!(info.commitment().to_string(), text(row, "commp"), "{row}");
    assert_eq!(info.padded().get(), number(row, "padded_piece_size"), "{row}");
    assert_eq!(info.payload_bytes(), number(row, "size"), "{row}");
    assert_eq!(v1(info.commitment()).to_string(), text(row, "piece_cid_v1"));
    assert_eq!(v2(info).to_string(), text(row, "piece_cid_v2"));
    assert_eq!(PieceCid::from_str(text(row, "piece_cid_v1")).unwrap(), PieceCid::V1(info.commitment()));
    assert_eq!(PieceCid::from_str(text(row, "piece_cid_v2")).unwrap(), PieceCid::V2(*info));
}

/// The paths this machine can take.
pub fn paths() -> Vec<Path> {
    Path::ALL.into_iter().filter(Path::is_available).collect()
}

/// Where a path is missing nothing was shown of it, so a machine for tests should have all of its architecture.
#[test]
fn this_machine_takes_every_path_of_its_architecture() {
    for path in Path::ALL {
        let of_x86 = matches!(path, Path::Avx512 | Path::ShaNi | Path::Avx2);
        if !path.is_available() && (cfg!(target_arch = "x86_64") || !of_x86) {
            eprintln!("SKIPPED hash path {}: this machine does not have its instructions", path.name());
        }
    }
    assert!(Path::best().is_available());
    assert!(paths().contains(&Path::Portable), "what the others are compared with");
}

/// All rows are prefixes of one stream: a hasher of every path runs through it and is finished from a copy at
/// each size. Small rows are hashed as a batch, too, and large ones by several threads.
fn check_prefixes(stream: &[u8], rows: &[&Value]) {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| number(row, "size"));
    let sizes: Vec<_> = rows.iter().map(|row| usize::try_from(number(row, "size")).unwrap()).collect();
    for path in paths() {
        let mut hasher = Hasher::on(path);
        let mut done = 0usize;
        for (row, &size) in rows.iter().zip(&sizes) {
            hasher.update(&stream[done..size]);
            done = size;
            check(row, &hasher.clone().finish().unwrap());
        }
        let payloads: Vec<&[u8]> =
            sizes.iter().map(|&size| &stream[..size]).filter(|p| p.len() < 1 << 20).collect();
        for (row, info) in rows.iter().zip(of_each(path, &payloads).unwrap()) {
            check(row, &info);
        }
        let three = NonZero::new(3).unwrap();
        let mut parallel = ParallelHasher::on(path, three);
        stream[..done].chunks(777_777).for_each(|chunk| parallel.update(chunk));
        let last = rows.last().unwrap();
        check(last, &parallel.finish().unwrap());
        check(last, &of_slice(path, &stream[..done], three).unwrap());
    }
}

#[test]
fn generated_vectors_to_64_mib() {
    let file = vectors("pieces/commp-generated.json");
    let rows: Vec<&Value> = rows(&file, "vectors").iter().collect();
    let longest = rows.iter().map(|row| number(row, "size")).max().unwrap();
    let stream = sha256_counter("raas-piece-v1", usize::try_from(longest).unwrap());
    for row in &rows {
        let size = usize::try_from(number(row, "size")).unwrap();
        if size <= 1 << 20 {
            assert_eq!(sha256_hex(&stream[..size]), text(row, "sha256"));
        }
        let info = PaddedSize::for_payload(number(row, "size")).unwrap();
        assert_eq!(u64::from(info.height()), number(row, "height"));
        assert_eq!(info.capacity() - number(row, "size"), number(row, "padding"));
    }
    check_prefixes(&stream, &rows);
}

/// The piece of one byte repeated, from the structure of the tree: all whole groups are equal.
fn repeated_byte(byte: u8, size: u64) -> PieceInfo {
    let (groups, rest) = (size / 127, usize::try_from(size % 127).unwrap());
    let group_root = |group: &[u8]| {
        let padded = fr32::pad(group);
        let (nodes, _) = padded.as_chunks::<32>();
        tree::hash(&tree::hash(&nodes[0], &nodes[1]), &tree::hash(&nodes[2], &nodes[3]))
    };
    let mut partial = vec![byte; rest];
    partial.resize(127, 0);
    let (mut full, mut last) = (group_root(&[byte; 127]), group_root(&partial));
    let padded = PaddedSize::for_payload(size).unwrap();
    // At each level: `count` full nodes, then the node with the remainder, then zeros.
    let mut count = groups;
    for level in 2..padded.height() {
        last = if count % 2 == 1 { tree::hash(&full, &last) } else { tree::hash(&last, &tree::zero(level)) };
        full = tree::hash(&full, &full);
        count /= 2;
    }
    let root = if count == 1 { full } else { last };
    PieceInfo::new(Commitment::new(root).unwrap(), size).unwrap()
}

#[test]
fn upstream_vectors() {
    let file = vectors("pieces/commp-upstream.json");
    let of = |content: &str, max: u64| -> Vec<&Value> {
        rows(&file, "vectors")
            .iter()
            .filter(|row| text(row, "content") == content && number(row, "size") <= max)
            .collect()
    };
    let chain = of("sha512 chain", u64::MAX);
    let longest = chain.iter().map(|row| number(row, "size")).max().unwrap();
    check_prefixes(&sha512_chain(usize::try_from(longest).unwrap()), &chain);

    for (content, byte) in [("zero bytes", 0u8), ("bytes 0xCC", 0xcc)] {
        let all = of(content, u64::MAX);
        assert_eq!(all.len(), 18);
        for row in all {
            check(row, &repeated_byte(byte, number(row, "size")));
        }
        check_prefixes(&vec![byte; 8 << 20], &of(content, 8 << 20));
    }
}

/// 143 rows, to 32 GiB. By default to 16 MiB on every path; with `RAAS_LONG=1` all of them on the fastest.
#[test]
fn upstream_vectors_of_go_s_random_stream() {
    let file = vectors("pieces/commp-upstream.json");
    let mut rows: Vec<&Value> =
        rows(&file, "vectors").iter().filter(|row| text(row, "content") == "go-random 1337").collect();
    rows.sort_by_key(|row| number(row, "size"));
    assert_eq!(rows.len(), 143);
    let short: Vec<&Value> = rows.iter().copied().filter(|row| number(row, "size") <= 16 << 20).collect();
    let mut stream = vec![0; 16 << 20];
    GoRandom::new(1337).fill(&mut stream);
    check_prefixes(&stream, &short);
    drop(stream);
    if !long() {
        eprintln!("SKIPPED {} rows of more than 16 MiB: RAAS_LONG=1 runs them", rows.len() - short.len());
        return;
    }
    let mut random = GoRandom::new(1337);
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    // Sizes are not whole words: what a row leaves of the buffer belongs to the next.
    let mut left = 0;
    for row in rows {
        while hasher.payload_bytes() < number(row, "size") {
            if left == 0 {
                random.fill(&mut buffer);
                left = buffer.len();
            }
            let missing = number(row, "size") - hasher.payload_bytes();
            let take = left.min(usize::try_from(missing).unwrap_or(usize::MAX));
            let from = buffer.len() - left;
            hasher.update(&buffer[from..from + take]);
            left -= take;
        }
        check(row, &hasher.clone().finish().unwrap());
    }
}

#[test]
fn piece_cids_valid_invalid_and_sizes() {
    let file = vectors("pieces/piece-cid.json");
    for row in rows(&file, "valid") {
        let commitment = Commitment::new(node(row, "commp")).unwrap();
        let info = PieceInfo::new(commitment, number(row, "size")).unwrap();
        check(row, &info);
        assert_eq!(info.padding_bytes(), number(row, "padding"));
        assert_eq!(u64::from(info.padded().height()), number(row, "height"));
        let mut hasher = Hasher::new();
        if number(row, "size") < 1 << 20 {
            for run in row["content_runs_byte_count"].as_array().unwrap() {
                let byte = u8::try_from(run[0].as_u64().unwrap()).unwrap();
                hasher.update(&vec![byte; usize::try_from(run[1].as_u64().unwrap()).unwrap()]);
            }
            check(row, &hasher.finish().unwrap());
        }
    }
    for row in rows(&file, "payload_size_to_height_and_padding") {
        let padded = PaddedSize::for_payload(number(row, "payload_size")).unwrap();
        assert_eq!(u64::from(padded.height()), number(row, "height"), "{row}");
        assert_eq!(padded.capacity() - number(row, "payload_size"), number(row, "padding"), "{row}");
    }
    for row in rows(&file, "invalid") {
        assert!(PieceCid::from_str(text(row, "cid")).is_err(), "accepted: {row}");
    }
}

/// Found while the fuzz target `cid` was written: one piece had many texts.
#[test]
fn a_piece_cid_with_bytes_behind_it_is_none() {
    let row = &vectors("pieces/piece-cid.json")["valid"][0];
    for field in ["piece_cid_v1", "piece_cid_v2"] {
        let (base, mut bytes) = cid::multibase::decode(text(row, field)).unwrap();
        assert!(PieceCid::from_str(&cid::multibase::encode(base, &bytes)).is_ok());
        bytes.push(0);
        let longer = cid::multibase::encode(base, &bytes);
        assert!(matches!(PieceCid::from_str(&longer), Err(PieceCidError::NotACid(_))), "{longer}");
    }
}

#[test]
fn padding_a_commitment_up_equals_hashing_more_zeros() {
    let payload = sha256_counter("pad-up", 1000);
    let small = of_reader(&payload[..]).unwrap();
    let mut long = payload.clone();
    long.resize(20_000, 0);
    let large = of_reader(&long[..]).unwrap();
    assert_eq!(small.commitment().padded_up(small.padded(), large.padded()), large.commitment());
}

#[test]
fn rewriting_the_head_equals_hashing_the_final_bytes() {
    for size in [1usize, 60, 126, 127, 128, 254, 1000, 2031, 2032, 2033, 5000, 70_000] {
        let payload = sha256_counter("head", size);
        let mut draft = payload.clone();
        let end = size.min(59);
        draft[..end].fill(0);
        let mut hasher = Hasher::new();
        hasher.update(&draft);
        hasher.rewrite_head(0, &payload[..end]).unwrap();
        assert!(hasher.rewrite_head(size.min(HEAD_BYTES), &[1]).is_err());
        assert_eq!(hasher.finish().unwrap(), of_reader(&payload[..]).unwrap(), "{size}");
    }
}

proptest! {
    #[test]
    fn chunking_does_not_matter(payload in proptest::collection::vec(any::<u8>(), 0..3000), cuts in proptest::collection::vec(1usize..400, 1..40)) {
        let mut hasher = Hasher::new();
        let mut rest = &payload[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            hasher.update(now);
            rest = later;
        }
        prop_assert_eq!(hasher.finish().unwrap(), of_reader(&payload[..]).unwrap());
    }

    /// Every path against the portable one, over bytes and sizes that no vector has.
    #[test]
    fn paths_agree(seed in any::<u64>(), sizes in proptest::collection::vec(0usize..20_000, 1..40)) {
        let bytes = sha256_counter(&seed.to_string(), 20_000);
        let payloads: Vec<&[u8]> = sizes.iter().map(|&size| &bytes[bytes.len() - size..]).collect();
        let wanted_infos = of_each(Path::Portable, &payloads).unwrap();
        let wanted_digests: Vec<[u8; 32]> = payloads.iter().map(|payload| Sha256::digest(payload).into()).collect();
        let pairs = &bytes.as_chunks::<64>().0[..sizes.len()];
        let wanted_nodes = Path::Portable.hash_pairs(pairs);
        for (pair, node) in pairs.iter().zip(&wanted_nodes) {
            let mut digest: [u8; 32] = Sha256::digest(pair).into();
            digest[31] &= 0x3f;
            prop_assert_eq!(&digest, node);
        }
        for path in paths() {
            prop_assert_eq!(&of_each(path, &payloads).unwrap(), &wanted_infos, "{:?}", path);
            prop_assert_eq!(&path.digests(&payloads), &wanted_digests, "{:?}", path);
            prop_assert_eq!(&path.hash_pairs(pairs), &wanted_nodes, "{:?}", path);
            for (payload, wanted) in payloads.iter().zip(&wanted_infos) {
                let mut hasher = Hasher::on(path);
                hasher.update(payload);
                prop_assert_eq!(&hasher.finish().unwrap(), wanted, "{:?}", path);
            }
        }
    }

    #[test]
    fn fr32_round_trip(payload in proptest::collection::vec(any::<u8>(), 0..1000)) {
        let back = fr32::unpad(&fr32::pad(&payload)).unwrap();
        prop_assert_eq!(&back[..payload.len()], &payload[..]);
        prop_assert!(back[payload.len()..].iter().all(|&b| b == 0));
    }

    #[test]
    fn piece_cid_decoders_take_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..80), digest in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(cid) = Cid::try_from(&bytes[..]) {
            let _ = PieceCid::try_from(&cid);
        }
        let hash = multihash::Multihash::<64>::wrap(0x1011, &digest).unwrap();
        if let Ok(info) = decode_v2(&Cid::new_v1(0x55, hash)) {
            prop_assert_eq!(decode_v2(&v2(&info)).unwrap(), info);
        }
        let hash = multihash::Multihash::<64>::wrap(0x1012, &digest).unwrap();
        let _ = decode_v1(&Cid::new_v1(0xf101, hash));
    }

    #[test]
    fn piece_cid_round_trip(root in any::<[u8; 32]>(), payload in 0u64..(1 << 40)) {
        let mut root = root;
        root[31] &= 0x3f;
        let info = PieceInfo::new(Commitment::new(root).unwrap(), payload).unwrap();
        prop_assert_eq!(decode_v2(&v2(&info)).unwrap(), info);
    }
}
