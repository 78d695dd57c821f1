//! Virtual deals: ranges of aggregates from the pieces' own bytes; proofs in one pass and as ABI.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use raas_piece::PaddedSize;
use raas_piece::car::ReadAt;
use raas_piece::commp::{of_each, of_reader};
use raas_piece::inclusion::{AuxData, InclusionProof, VerifierData};
use raas_piece::segment::{Aggregate, Payload, PayloadsError, VirtualDeal, minimum_deal_size};
use raas_piece::sha::Path;

use crate::support::{number, rows, sha256_counter, sha256_hex, text, vectors};

fn deal(contents: &[Vec<u8>]) -> (Aggregate, VirtualDeal<Vec<u8>>) {
    let slices: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    let infos = of_each(Path::best(), &slices).unwrap();
    let sizes: Vec<PaddedSize> = infos.iter().map(|info| info.padded()).collect();
    let pieces: Vec<_> = infos.iter().map(|info| (info.commitment(), info.padded())).collect();
    let aggregate = Aggregate::new(minimum_deal_size(&sizes).unwrap(), &pieces).unwrap();
    let payloads = contents.iter().map(|bytes| Payload { file: bytes.clone(), bytes: bytes.len() as u64 });
    let deal = VirtualDeal::new(&aggregate, payloads.collect()).unwrap();
    (aggregate, deal)
}

#[test]
fn virtual_deals_are_the_streams_of_the_vectors() {
    let file = vectors("pieces/aggregates.json");
    let mut seen = 0;
    for row in rows(&file, "aggregates").iter().filter(|row| row.get("aggregate_stream").is_some()) {
        let contents: Vec<Vec<u8>> = rows(row, "pieces")
            .iter()
            .map(|piece| &piece["content"])
            .map(|content| {
                sha256_counter(text(content, "seed"), usize::try_from(number(content, "size")).unwrap())
            })
            .collect();
        let slices: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        let pieces: Vec<_> = of_each(Path::best(), &slices)
            .unwrap()
            .iter()
            .map(|info| (info.commitment(), info.padded()))
            .collect();
        let size = PaddedSize::new(number(row, "deal_size_padded")).unwrap();
        let aggregate = Aggregate::new(size, &pieces).unwrap();
        let payloads =
            contents.iter().map(|bytes| Payload { file: bytes.clone(), bytes: bytes.len() as u64 });
        let deal = VirtualDeal::new(&aggregate, payloads.collect()).unwrap();
        let mut stream = Vec::new();
        deal.range(0, u64::MAX).read_to_end(&mut stream).unwrap();
        assert_eq!(stream.len() as u64, deal.bytes());
        assert_eq!(sha256_hex(&stream), text(&row["aggregate_stream"], "sha256"));
        assert_eq!(of_reader(&stream[..]).unwrap(), aggregate.piece());
        seen += 1;
    }
    assert!(seen >= 8);
}

#[test]
fn a_32_gib_deal_is_read_anywhere_without_being_there() {
    let contents = [sha256_counter("far", 100_000), sha256_counter("farther", 3_000)];
    let slices: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
    let infos = of_each(Path::best(), &slices).unwrap();
    let pieces: Vec<_> = infos.iter().map(|info| (info.commitment(), info.padded())).collect();
    let aggregate = Aggregate::new(PaddedSize::new(32 << 30).unwrap(), &pieces).unwrap();
    let payloads = contents.iter().map(|bytes| Payload { file: bytes.clone(), bytes: bytes.len() as u64 });
    let deal = VirtualDeal::new(&aggregate, payloads.collect()).unwrap();
    let read = |start: u64, end: u64| {
        let mut bytes = Vec::new();
        deal.range(start, end).read_to_end(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(read(50, 70), contents[0][50..70]);
    assert_eq!(read(99_990, 100_010)[10..], [0; 10]);
    assert_eq!(read(16 << 30, (16 << 30) + 5), [0; 5]);
    let index = aggregate.layout().index_payload_offset();
    assert_eq!(read(index, index + 127), aggregate.index_payload());
    assert!(read(deal.bytes(), u64::MAX).is_empty());
    assert!(read(9, 3).is_empty());
}

#[test]
fn a_payload_that_is_not_its_piece_is_found_while_it_streams() {
    let contents = vec![sha256_counter("a", 5000), sha256_counter("b", 5000), sha256_counter("c", 200)];
    let (aggregate, _) = deal(&contents);
    let mut payloads: Vec<_> =
        contents.iter().map(|bytes| Payload { file: bytes.clone(), bytes: bytes.len() as u64 }).collect();
    payloads[1].file[4999] ^= 1;
    let broken = VirtualDeal::new(&aggregate, payloads.clone()).unwrap();
    let mut bytes = Vec::new();
    let error = broken.range(0, u64::MAX).read_to_end(&mut bytes).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("entry 1"), "{error}");
    // A range that has only a part of the piece cannot tell.
    assert!(broken.range(0, 6000).read_to_end(&mut bytes).is_ok());
    assert!(matches!(
        VirtualDeal::new(&aggregate, payloads[..2].to_vec()),
        Err(PayloadsError::Count { entries: 3, payloads: 2 })
    ));
    payloads[2].bytes = 1 << 20;
    assert!(matches!(
        VirtualDeal::new(&aggregate, payloads),
        Err(PayloadsError::TooLong { position: 2, .. })
    ));
}

/// A payload that counts how often it is read, and can be spoilt.
#[derive(Clone)]
struct Watched(Arc<Mutex<Vec<u8>>>);

impl ReadAt for Watched {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.lock().unwrap().read_exact_at(buffer, offset)
    }
}

#[test]
fn a_payload_is_hashed_until_it_was_right_once() {
    let contents = vec![sha256_counter("a", 5000), sha256_counter("b", 5000)];
    let (aggregate, _) = deal(&contents);
    let files: Vec<Watched> =
        contents.iter().map(|bytes| Watched(Arc::new(Mutex::new(bytes.clone())))).collect();
    let payloads = files.iter().map(|file| Payload { file: file.clone(), bytes: 5000 }).collect();
    let deal = Arc::new(VirtualDeal::new(&aggregate, payloads).unwrap());
    let read = || Arc::clone(&deal).shared_range(0, u64::MAX).read_to_end(&mut Vec::new());
    let spoil = |file: usize| files[file].0.lock().unwrap()[17] ^= 1;
    // As long as it is wrong it is found every time; the first payload is right meanwhile.
    spoil(1);
    for _ in 0..2 {
        assert!(read().unwrap_err().to_string().contains("entry 1"));
    }
    spoil(1);
    assert_eq!(read().unwrap() as u64, deal.bytes());
    // Both were right once and are not hashed any more.
    spoil(0);
    assert_eq!(read().unwrap() as u64, deal.bytes());
}

#[test]
fn a_range_says_what_it_needs_and_a_read_that_failed_can_be_repeated() {
    let contents = [sha256_counter("a", 5000), sha256_counter("b", 5000), sha256_counter("c", 200)];
    let (aggregate, deal) = deal(&contents);
    let second = aggregate.segments()[1].payload_offset();
    let files = |start: u64, end: u64| -> Vec<usize> {
        deal.files_in(start, end)
            .map(|file| contents.iter().position(|content| content == file).unwrap())
            .collect()
    };
    assert_eq!(files(0, deal.bytes()), [0, 1, 2]);
    assert_eq!(files(10, 20), [0]);
    assert_eq!(files(4_999, second + 1), [0, 1]);
    assert_eq!(files(5_000, second + 1), [1], "zeros follow the first payload");
    let index = aggregate.layout().index_payload_offset();
    for (start, end) in [(5_000, second), (second, second), (index, deal.bytes())] {
        assert!(files(start, end).is_empty(), "{start}..{end}");
    }

    // The first piece lies in it whole, of the second there is only a part.
    let mut range = deal.range(0, second + 100);
    assert!(range.hashes_next());
    let mut buffer = [0; 100];
    let waits = |_: &Vec<u8>, _: &mut [u8], _: u64| Err(io::ErrorKind::WouldBlock.into());
    assert_eq!(range.read_by(&mut buffer, waits).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(range.read_by(&mut buffer, Vec::read_exact_at).unwrap(), 100);
    assert!(buffer == contents[0][..100] && range.hashes_next());
    let mut rest = Vec::new();
    range.read_to_end(&mut rest).unwrap();
    assert!(rest.len() as u64 == second && rest[second as usize - 100..] == contents[1][..100]);
    assert!(!range.hashes_next(), "it is at its end");
    assert!(!deal.range(0, second).hashes_next(), "it was right once");
    assert!(!deal.range(second + 1, deal.bytes()).hashes_next());
    assert!(deal.range(second, deal.bytes()).hashes_next());
}

/// The layout of a call's argument as the Solidity specification has it, written down by hand for a small proof.
#[test]
fn proofs_as_abi() {
    let (aggregate, _) = deal(&[vec![1; 100], vec![2; 100]]);
    let proofs: Vec<InclusionProof> = aggregate.proofs().collect();
    assert_eq!(proofs.len(), 2);
    for (entry, proof) in proofs.iter().enumerate() {
        assert_eq!(&aggregate.proof(entry).unwrap(), proof);
        let bytes = proof.to_abi();
        assert_eq!(&InclusionProof::from_abi(&bytes).unwrap(), proof);
        let words: Vec<String> = bytes.as_chunks::<32>().0.iter().map(hex::encode).collect();
        let number = |value: usize| format!("{value:064x}");
        let subtree = proof.subtree.path.len();
        let mut wanted = vec![number(32), number(64), number(64 + 32 * (3 + subtree))];
        for branch in [&proof.subtree, &proof.index] {
            wanted.push(number(usize::try_from(branch.index).unwrap()));
            wanted.push(number(64));
            wanted.push(number(branch.path.len()));
            wanted.extend(branch.path.iter().map(hex::encode));
        }
        assert_eq!(words, wanted);
        for cut in 0..bytes.len() {
            assert!(InclusionProof::from_abi(&bytes[..cut]).is_err());
        }
    }
    let (piece, size) = (aggregate.segments()[0].commitment, aggregate.segments()[0].size);
    let verifier = VerifierData { piece, size };
    assert_eq!(VerifierData::from_abi(&verifier.to_abi()).unwrap(), verifier);
    let aux = AuxData { deal: aggregate.piece().commitment(), size: aggregate.piece().padded() };
    assert_eq!(AuxData::from_abi(&aux.to_abi()).unwrap(), aux);
    let text = hex::encode(aux.to_abi());
    assert!(text.contains(&format!("{:064x}0181e203922020{}", 39, aux.deal)), "{text}");
}

proptest! {
    #[test]
    fn any_range_is_that_part_of_the_whole(sizes in prop::collection::vec(0usize..4000, 1..8), cut in any::<(prop::sample::Index, prop::sample::Index)>()) {
        let contents: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, &size)| sha256_counter(&i.to_string(), size)).collect();
        let (aggregate, deal) = deal(&contents);
        let mut whole = Vec::new();
        deal.range(0, u64::MAX).read_to_end(&mut whole).unwrap();
        prop_assert_eq!(of_reader(&whole[..]).unwrap(), aggregate.piece());
        let (a, b) = (cut.0.index(whole.len()), cut.1.index(whole.len()));
        let (start, end) = (a.min(b), a.max(b));
        let mut part = Vec::new();
        deal.range(start as u64, end as u64).read_to_end(&mut part).unwrap();
        prop_assert!(part == whole[start..end]);
    }

    #[test]
    fn abi_decoders_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(proof) = InclusionProof::from_abi(&bytes) {
            prop_assert_eq!(proof.to_abi(), bytes.clone());
        }
        if let Ok(data) = VerifierData::from_abi(&bytes) {
            prop_assert_eq!(data.to_abi(), bytes);
        }
    }
}
