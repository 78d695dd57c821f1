//! Segments and inclusion proofs against the vectors.

use std::io::Read;

use proptest::prelude::*;
use raas_piece::cid::{PieceCid, v1, v2};
use raas_piece::commp::{Commitment, Hasher, of_reader};
use raas_piece::inclusion::{
    AbiError, AggregationProof, AuxData, Branch, CborError, InclusionProof, VerifierData,
};
use raas_piece::segment::{
    Aggregate, DealLayout, Descriptor, DescriptorError, SpanKind, minimum_deal_size, parse_index, place,
};
use raas_piece::tree::{Placed, SparseTree};
use raas_piece::{PaddedSize, fr32};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{node, number, rows, sha256_counter, sha256_hex, text, vectors};

fn padded(row: &Value, field: &str) -> PaddedSize {
    PaddedSize::new(number(row, field)).unwrap()
}

fn sizes(row: &Value) -> Vec<PaddedSize> {
    row["piece_sizes_padded"]
        .as_array()
        .unwrap()
        .iter()
        .map(|size| PaddedSize::new(size.as_u64().unwrap()).unwrap())
        .collect()
}

fn commitment(row: &Value, field: &str) -> Commitment {
    Commitment::new(node(row, field)).unwrap()
}

fn branch(row: &Value) -> Branch {
    let node = |hex: &Value| hex::decode(hex.as_str().unwrap()).unwrap().try_into().unwrap();
    Branch { index: number(row, "index"), path: row["path"].as_array().unwrap().iter().map(node).collect() }
}

fn proof(row: &Value) -> InclusionProof {
    InclusionProof { subtree: branch(&row["subtree"]), index: branch(&row["index"]) }
}

fn pieces(row: &Value) -> Vec<(Commitment, PaddedSize)> {
    let pieces = row["pieces"].as_array().unwrap();
    pieces.iter().map(|piece| (commitment(piece, "commitment"), padded(piece, "padded_size"))).collect()
}

#[test]
fn layouts_minimum_sizes_and_refusals() {
    let file = vectors("pieces/aggregates.json");
    for row in rows(&file, "layout") {
        let layout = DealLayout::new(padded(row, "deal_size_padded")).unwrap();
        assert_eq!(layout.max_entries(), number(row, "max_index_entries"), "{row}");
        assert_eq!(layout.index_start(), number(row, "index_start_padded"), "{row}");
        assert_eq!(layout.index_payload_offset(), number(row, "index_start_unpadded"), "{row}");
        assert_eq!(layout.index_bytes(), number(row, "index_size_padded"), "{row}");
    }
    for row in rows(&file, "minimum_deal_size") {
        assert_eq!(minimum_deal_size(&sizes(row)).unwrap(), padded(row, "deal_size_padded"), "{row}");
    }
    let any = Commitment::new([1; 32]).unwrap();
    for row in rows(&file, "errors") {
        let pieces: Vec<_> = sizes(row).into_iter().map(|size| (any, size)).collect();
        let refused = PaddedSize::new(number(row, "deal_size_padded"))
            .map_or(true, |deal| Aggregate::new(deal, &pieces).is_err());
        assert!(refused, "{row}");
    }
    for too_small in [128, 256] {
        assert!(DealLayout::new(PaddedSize::new(too_small).unwrap()).is_err());
    }
}

#[test]
fn aggregates_proofs_and_their_cbor() {
    for row in rows(&vectors("pieces/aggregates.json"), "aggregates") {
        let pieces = pieces(row);
        let deal = padded(row, "deal_size_padded");
        let aggregate = Aggregate::new(deal, &pieces).unwrap();
        let layout = aggregate.layout();
        assert_eq!(layout.max_entries(), number(row, "max_index_entries"));
        assert_eq!(layout.index_start(), number(row, "index_start_padded"));
        let info = aggregate.piece();
        assert_eq!(info.commitment().to_string(), text(row, "aggregate_commitment"), "{}", text(row, "name"));
        assert_eq!(v1(info.commitment()).to_string(), text(row, "aggregate_piece_cid_v1"));
        assert_eq!(v2(&info).to_string(), text(row, "aggregate_piece_cid_v2"));
        for piece in row["pieces"].as_array().unwrap() {
            assert_eq!(v1(commitment(piece, "commitment")).to_string(), text(piece, "piece_cid_v1"));
            let PieceCid::V2(info) = text(piece, "piece_cid_v2").parse().unwrap() else { panic!("{piece}") };
            assert_eq!(
                (info.commitment(), info.padded()),
                (commitment(piece, "commitment"), padded(piece, "padded_size"))
            );
        }
        check_entries(row, &aggregate);
        for proof_row in row["proofs"].as_array().unwrap() {
            check_proof(proof_row, &aggregate, &pieces);
        }
    }
}

/// Found while the fuzz target `proof` was written: what follows a CID within its length was read over.
#[test]
fn a_form_with_bytes_behind_its_cid_is_none() {
    let size = PaddedSize::new(256).unwrap();
    let given = VerifierData { piece: Commitment::new([1; 32]).unwrap(), size };
    let mut cbor = given.to_cbor();
    // Array, tag, then the length of the CID and of the zero before it in one byte.
    assert_eq!(cbor[..5], [0x82, 0xd8, 0x2a, 0x58, 40]);
    cbor[4] += 1;
    cbor.insert(45, 0);
    assert_eq!(VerifierData::from_cbor(&cbor), Err(CborError::NotCanonical));
    assert_eq!(AuxData::from_cbor(&cbor), Err(CborError::NotCanonical));
    let mut abi = given.to_abi();
    // The fourth word is the length of the CID; zeros fill the last one.
    assert_eq!(abi[127], 39);
    abi[127] += 1;
    assert_eq!(VerifierData::from_abi(&abi), Err(AbiError::Malformed(128)));
    assert_eq!(AuxData::from_abi(&abi), Err(AbiError::Malformed(128)));
}

fn check_entries(row: &Value, aggregate: &Aggregate) {
    let wanted = row["index_entries"].as_array().unwrap();
    assert_eq!(aggregate.segments().len(), wanted.len());
    for (segment, wanted) in aggregate.segments().iter().zip(wanted) {
        let bytes = Descriptor::from(segment).encode();
        assert_eq!(hex::encode(bytes), text(wanted, "bytes"));
        assert_eq!(hex::encode(&bytes[48..]), text(wanted, "checksum"));
        assert_eq!((segment.offset, segment.size.get()), (number(wanted, "offset"), number(wanted, "size")));
        let descriptor = Descriptor::decode(&bytes).unwrap();
        assert_eq!(Descriptor::from_cbor(&descriptor.to_cbor()).unwrap(), descriptor);
    }
    let mut payload = aggregate.index_payload();
    payload.truncate(payload.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1));
    assert_eq!(hex::encode(payload), text(row, "index_unpadded_hex_without_trailing_zeros"));
    let read = parse_index(aggregate.layout(), &aggregate.index_padded());
    assert!(read.iter().map(|entry| entry.segment.unwrap()).eq(aggregate.segments().iter().copied()));
    assert!(read.iter().enumerate().all(|(i, entry)| entry.position == i));
}

fn check_proof(row: &Value, aggregate: &Aggregate, pieces: &[(Commitment, PaddedSize)]) {
    let entry = usize::try_from(number(row, "entry")).unwrap();
    let made = aggregate.proof(entry).unwrap();
    assert_eq!(made, proof(row));
    let (piece, size) = pieces[entry];
    let deal = aggregate.piece();
    assert_eq!(made.verify(piece, size).unwrap(), deal);
    made.verify_in(piece, size, deal.commitment(), deal.padded()).unwrap();
    assert!(made.verify_in(piece, size, piece, deal.padded()).is_err());
    assert!(made.verify_in(piece, size, deal.commitment(), deal.padded().doubled().unwrap()).is_err());
    assert_eq!(hex::encode(made.to_cbor()), text(row, "inclusion_proof_cbor"));
    assert_eq!(InclusionProof::from_cbor(&made.to_cbor()).unwrap(), made);
    assert_eq!(Branch::from_cbor(&made.index.to_cbor()).unwrap(), made.index);
    assert_eq!(made.cid().to_string(), text(row, "inclusion_proof_cid"));
    let with_deal = AggregationProof { inclusion: made, deal_id: 17 };
    assert_eq!(with_deal.cid().to_string(), text(row, "data_aggregation_proof_deal_17_cid"));
    assert_eq!(sha256_hex(&with_deal.to_cbor()), text(row, "data_aggregation_proof_deal_17_cbor_sha256"));
    assert_eq!(AggregationProof::from_cbor(&with_deal.to_cbor()).unwrap(), with_deal);
    let aux = AuxData { deal: deal.commitment(), size: deal.padded() };
    assert_eq!(hex::encode(aux.to_cbor()), text(row, "aux_data_cbor"));
    assert_eq!(AuxData::from_cbor(&aux.to_cbor()).unwrap(), aux);
    let verifier = VerifierData { piece, size };
    assert_eq!(hex::encode(verifier.to_cbor()), text(row, "verifier_data_cbor"));
    assert_eq!(VerifierData::from_cbor(&verifier.to_cbor()).unwrap(), verifier);
}

#[test]
fn the_raw_streams_of_real_aggregates() {
    let file = vectors("pieces/aggregates.json");
    let real = rows(&file, "aggregates").iter().filter(|row| row.get("aggregate_stream").is_some());
    let mut seen = 0;
    for row in real {
        let contents: Vec<Vec<u8>> = rows(row, "pieces")
            .iter()
            .map(|piece| {
                let content = &piece["content"];
                let size = usize::try_from(number(content, "size")).unwrap();
                let bytes = sha256_counter(text(content, "seed"), size);
                assert_eq!(sha256_hex(&bytes), text(content, "sha256"));
                let info = of_reader(&bytes[..]).unwrap();
                assert_eq!(info.commitment(), commitment(piece, "commitment"));
                assert_eq!(v2(&info).to_string(), text(piece, "piece_cid_v2"));
                bytes
            })
            .collect();
        let aggregate = Aggregate::new(padded(row, "deal_size_padded"), &pieces(row)).unwrap();
        let (mut sum, mut hasher, mut at) = (Sha256::new(), Hasher::new(), 0u64);
        for span in aggregate.spans() {
            assert_eq!(span.start, at);
            let mut bytes = match span.kind {
                SpanKind::Piece(position) => contents[position].clone(),
                SpanKind::Index => aggregate.index_payload(),
                SpanKind::Zeros => Vec::new(),
            };
            bytes.resize(usize::try_from(span.len).unwrap(), 0);
            sum.update(&bytes);
            hasher.update(&bytes);
            at += span.len;
        }
        assert_eq!(at, number(&row["aggregate_stream"], "unpadded_size"));
        assert_eq!(hex::encode(sum.finalize()), text(&row["aggregate_stream"], "sha256"));
        assert_eq!(hasher.finish().unwrap(), aggregate.piece());
        seen += 1;
    }
    assert!(seen >= 8);
}

#[test]
fn large_aggregates() {
    for row in rows(&vectors("pieces/aggregates.json"), "large") {
        let size = padded(row, "padded_piece_size");
        let pieces: Vec<_> = (0..number(row, "pieces"))
            .map(|i| {
                let mut root: [u8; 32] = Sha256::digest(i.to_string()).into();
                root[31] &= 0x3f;
                (Commitment::new(root).unwrap(), size)
            })
            .collect();
        let deal = padded(row, "deal_size_padded");
        if pieces.len() as u64 * size.get() > DealLayout::new(deal).unwrap().index_start() {
            panic!("the vector does not fit: {row}");
        }
        let aggregate = Aggregate::new(deal, &pieces).unwrap();
        let info = aggregate.piece();
        assert_eq!(info.commitment().to_string(), text(row, "aggregate_commitment"));
        assert_eq!(v2(&info).to_string(), text(row, "aggregate_piece_cid_v2"));
        assert_eq!(sha256_hex(&aggregate.index_padded()), text(row, "index_entries_sha256"));
        for position in [0, pieces.len() / 2, pieces.len() - 1] {
            let proof = aggregate.proof(position).unwrap();
            assert_eq!(proof.verify(pieces[position].0, size).unwrap(), info);
        }
        assert!(aggregate.proof(pieces.len()).is_err());
    }
}

#[test]
fn a_sector_without_index() {
    for row in rows(&vectors("pieces/aggregates.json"), "sector_comm_d_without_index") {
        let placed: Vec<Placed> = place(&pieces(row))
            .unwrap()
            .iter()
            .zip(rows(row, "pieces"))
            .map(|(segment, wanted)| {
                assert_eq!(segment.offset, number(wanted, "offset_padded"));
                let index = segment.offset / segment.size.get();
                Placed { level: segment.size.height(), index, node: *segment.commitment.as_bytes() }
            })
            .collect();
        let tree = SparseTree::build(padded(row, "sector_size").height(), &placed).unwrap();
        assert_eq!(hex::encode(tree.root()), text(row, "comm_d"));
        assert_eq!(v1(Commitment::new(tree.root()).unwrap()).to_string(), text(row, "cid"));
    }
}

#[test]
fn descriptors_and_proofs_to_accept_and_to_reject() {
    let file = vectors("pieces/proof-checks.json");
    for row in rows(&file, "segment_descriptors") {
        let bytes: [u8; 64] = hex::decode(text(row, "bytes")).unwrap().try_into().unwrap();
        let decoded = Descriptor::decode(&bytes);
        assert_eq!(decoded.is_ok(), row["valid"].as_bool().unwrap(), "{row}");
        if let Ok(descriptor) = decoded {
            assert_eq!(descriptor.encode(), bytes);
            assert_eq!((descriptor.offset, descriptor.size), (number(row, "offset"), number(row, "size")));
        }
    }
    for row in rows(&file, "proofs") {
        let accepted = PaddedSize::new(number(row, "piece_size_padded"))
            .is_ok_and(|size| proof(&row["proof"]).verify(commitment(row, "piece_commitment"), size).is_ok());
        assert_eq!(accepted, text(row, "expect") == "accept", "{row}");
    }
}

#[test]
fn proofs_as_json() {
    let file = vectors("pieces/proof-checks.json");
    let good = proof(&rows(&file, "proofs")[0]["proof"]);
    let json = serde_json::to_value(&good).unwrap();
    assert_eq!(json["index"]["index"], "61");
    assert_eq!(
        json["subtree"]["path"][0],
        "8fc2ef9030482016792fd5d1d03f0ae31346ca290488535069a716cb6a041103"
    );
    assert_eq!(serde_json::from_value::<InclusionProof>(json.clone()).unwrap(), good);
    for (at, bad) in [
        ("/index/index", serde_json::json!(61)),
        ("/index/index", serde_json::json!("-1")),
        ("/subtree/path/0", serde_json::json!("8fc2")),
        ("/subtree/path", serde_json::json!(vec!["00".repeat(32); 64])),
    ] {
        let mut changed = json.clone();
        *changed.pointer_mut(at).unwrap() = bad;
        assert!(serde_json::from_value::<InclusionProof>(changed).is_err(), "{at}");
    }
}

#[test]
fn an_index_of_others_is_checked_beyond_the_checksum() {
    let layout = DealLayout::new(PaddedSize::new(4096).unwrap()).unwrap();
    let entry = |offset, size| Descriptor { commitment: [1; 32], offset, size }.encode();
    let no_commitment = Descriptor { commitment: [255; 32], offset: 0, size: 128 }.encode();
    let read = |slots: &[[u8; 64]]| -> Vec<_> {
        parse_index(&layout, slots.as_flattened())
            .into_iter()
            .map(|entry| (entry.position, entry.segment.err()))
            .collect()
    };
    assert_eq!(read(&[[0; 64], entry(0, 1024), [0; 64], entry(1024, 1024)]), [(1, None), (3, None)]);
    use DescriptorError as E;
    let bad = read(&[entry(0, 384), entry(128, 256), entry(2048, 2048), no_commitment]);
    assert!(matches!(
        bad[..],
        [
            (0, Some(E::Size(_))),
            (1, Some(E::NotASubtree { .. })),
            (2, Some(E::OutOfBounds { .. })),
            (3, Some(E::Commitment(_)))
        ]
    ));
    let overlap = read(&[entry(1024, 512), entry(0, 2048), entry(1024, 512), entry(1536, 512)]);
    assert!(matches!(
        overlap[..],
        [(0, None), (1, Some(E::Overlap { other: 0 })), (2, Some(E::Overlap { other: 0 })), (3, None)]
    ));
    // A fifth slot is past the index of such a deal; a size of zero cannot divide.
    assert_eq!(read(&[entry(0, 128); 5]).len(), 4);
    assert!(matches!(
        read(&[Descriptor { commitment: [0; 32], offset: 0, size: 0 }.encode()])[..],
        [(0, Some(E::Size(_)))]
    ));
}

#[test]
fn subtrees_that_share_leaves_are_refused() {
    let node = |level, index| Placed { level, index, node: [1; 32] };
    for clash in [[node(2, 0), node(2, 0)], [node(3, 0), node(0, 7)], [node(0, 3), node(1, 1)]] {
        assert!(SparseTree::build(4, &clash).is_err(), "{clash:?}");
    }
    for outside in [node(5, 0), node(4, 1), node(0, 16), node(0, u64::MAX)] {
        assert!(SparseTree::build(4, &[outside]).is_err(), "{outside:?}");
    }
}

proptest! {
    #[test]
    fn decoders_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), slots in prop::collection::vec((any::<[u8; 32]>(), any::<u64>(), any::<u64>()), 0..6)) {
        let _ = InclusionProof::from_cbor(&bytes);
        let _ = AggregationProof::from_cbor(&bytes);
        let _ = AuxData::from_cbor(&bytes);
        let _ = VerifierData::from_cbor(&bytes);
        let _ = Descriptor::from_cbor(&bytes);
        let _ = fr32::unpad(&bytes);
        let layout = DealLayout::new(PaddedSize::new(1 << 20).unwrap()).unwrap();
        let _ = parse_index(&layout, &bytes);
        let index: Vec<u8> = slots.iter().flat_map(|&(commitment, offset, size)| {
            Descriptor { commitment, offset: offset & !127, size: 1 << (size % 64) }.encode()
        }).collect();
        for entry in parse_index(&layout, &index) {
            if let Ok(segment) = entry.segment {
                prop_assert!(segment.end() <= layout.index_start());
            }
        }
    }

    #[test]
    fn proofs_of_anything_never_panic_and_never_pass(
        piece in any::<[u8; 32]>(), height in 2u8..=58, indexes in any::<(u64, u64)>(), lens in (0usize..70, 0usize..70), shift in 0u32..64,
    ) {
        let mut piece = piece;
        piece[31] &= 0x3f;
        let path = |len| vec![[7; 32]; len];
        let proof = InclusionProof {
            subtree: Branch { index: indexes.0 >> shift, path: path(lens.0) },
            index: Branch { index: indexes.1 >> shift, path: path(lens.1) },
        };
        prop_assert!(proof.verify(Commitment::new(piece).unwrap(), PaddedSize::from_height(height).unwrap()).is_err());
    }

    #[test]
    fn every_entry_of_any_aggregate_proves(heights in prop::collection::vec(2u8..8, 1..12), flip in any::<(bool, u8, u8)>()) {
        let pieces: Vec<_> = heights.iter().enumerate().map(|(i, &height)| {
            let payload = sha256_counter(&i.to_string(), 20);
            let small = of_reader(&payload[..]).unwrap();
            let size = PaddedSize::from_height(height).unwrap();
            (small.commitment().padded_up(small.padded(), size), size)
        }).collect();
        let sizes: Vec<_> = pieces.iter().map(|&(_, size)| size).collect();
        let deal = minimum_deal_size(&sizes).unwrap();
        let aggregate = Aggregate::new(deal, &pieces).unwrap();
        let info = aggregate.piece();
        for (position, &(piece, size)) in pieces.iter().enumerate() {
            let mut proof = aggregate.proof(position).unwrap();
            prop_assert_eq!(proof.verify(piece, size).unwrap(), info);
            let branch = if flip.0 { &mut proof.subtree } else { &mut proof.index };
            let at = usize::from(flip.1) % branch.path.len();
            branch.path[at][usize::from(flip.2) % 31] ^= 1;
            prop_assert!(proof.verify(piece, size).is_err());
        }
        // No smaller deal holds them.
        if let Ok(half) = PaddedSize::from_height(deal.height() - 1) {
            prop_assert!(Aggregate::new(half, &pieces).is_err());
        }
    }
}

#[test]
fn a_reader_of_a_real_file_gives_the_same_piece_as_its_bytes() {
    let bytes = sha256_counter("reader", 300_001);
    let (head, tail) = bytes.split_at(131);
    assert_eq!(of_reader(head.chain(tail)).unwrap(), of_reader(&bytes[..]).unwrap());
}
