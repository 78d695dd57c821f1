//! What fuzzing starts from: `fuzz/seeds` is made of the vectors. `RAAS_WRITE_SEEDS=1` writes it anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cid::Cid;
use raas_piece::block::DAG_PB;
use raas_piece::car::{Index, Limits, Reader, copy_verified};
use raas_piece::cid::PieceCid;
use raas_piece::inclusion::{AuxData, InclusionProof, VerifierData};
use raas_piece::segment::{Descriptor, parse_index};
use raas_piece::unixfs::UnixNode;
use serde_json::Value;

use crate::support::{number, rows, sha256_counter, text, vector_bytes, vectors};

/// Longer inputs are cut by the fuzzer, and too slow to change one byte after the other.
const SEED_BYTES_MAX: usize = 4096;

/// By path below `fuzz/seeds`: the target, then a name.
type Seeds = BTreeMap<String, Vec<u8>>;

fn bytes(row: &Value, field: &str) -> Vec<u8> {
    hex::decode(text(row, field)).unwrap()
}

fn cars(seeds: &mut Seeds) {
    let file = vectors("unixfs/cars.json");
    let cars = rows(&file, "vectors").iter().filter(|row| row.get("car_hex").is_some());
    for row in cars {
        let (name, car) = (text(row, "name"), bytes(row, "car_hex"));
        let mut v2 = b"\x0a\xa1\x67version\x02".to_vec();
        v2.extend([0; 16]);
        v2.extend(51u64.to_le_bytes());
        v2.extend((car.len() as u64).to_le_bytes());
        v2.extend([0; 8]);
        v2.extend(&car);
        let index = Index::scan(&car[..], Limits::default()).unwrap();
        seeds.insert(format!("index/blocks-{name}"), index.to_bytes());
        let mut reader = Reader::new(&car[..], Limits::default()).unwrap();
        while let Some(block) = reader.next_block().unwrap() {
            if block.cid.codec() == DAG_PB {
                UnixNode::decode(&block.cid, block.data.to_vec()).unwrap();
                seeds.insert(format!("unixfs/{name}-{}", block.offset), block.data.to_vec());
            }
        }
        for car in [&car, &v2] {
            copy_verified(&car[..], std::io::Cursor::new(Vec::new()), None, Limits::default()).unwrap();
        }
        seeds.insert(format!("car/{name}-cut"), car[..car.len() - 1].to_vec());
        seeds.insert(format!("car/{name}-zeros"), [&car[..], &[0; 100]].concat());
        seeds.insert(format!("car/{name}-v2"), v2);
        seeds.insert(format!("car/{name}"), car);
    }
}

fn cids(seeds: &mut Seeds) {
    let file = vectors("pieces/piece-cid.json");
    for (number, row) in rows(&file, "valid").iter().enumerate() {
        for version in ["v1", "v2"] {
            let text = text(row, &format!("piece_cid_{version}"));
            text.parse::<PieceCid>().unwrap();
            seeds.insert(format!("cid/valid-{number}-{version}-text"), text.into());
            let cid: Cid = text.parse().unwrap();
            seeds.insert(format!("cid/valid-{number}-{version}"), cid.to_bytes());
            seeds.insert(format!("cid/valid-{number}-{version}-digest"), cid.hash().digest().to_vec());
        }
    }
    for (number, row) in rows(&file, "invalid").iter().enumerate() {
        seeds.insert(format!("cid/invalid-{number}"), text(row, "cid").into());
    }
}

fn aggregates(seeds: &mut Seeds) {
    let file = vectors("pieces/aggregates.json");
    // One has no pieces.
    for row in rows(&file, "aggregates").iter().filter(|row| row["proofs"][0].is_object()) {
        let name = text(row, "name").replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let height = number(row, "deal_size_padded").ilog2() - 5;
        // As the target takes it: the deal's height above 2, checksums as they are, and the entries.
        let mut index = vec![u8::try_from(height - 2).unwrap(), 0];
        for entry in rows(row, "index_entries") {
            index.extend(bytes(entry, "bytes"));
        }
        let layout = raas_piece::segment::DealLayout::new(
            raas_piece::PaddedSize::from_height(u8::try_from(height).unwrap()).unwrap(),
        );
        assert!(parse_index(&layout.unwrap(), &index[2..]).iter().all(|entry| entry.segment.is_ok()));
        seeds.insert(format!("index/deal-{name}"), index.clone());
        index[1] = 1;
        seeds.insert(format!("index/repaired-{name}"), index);
        let proof = &rows(row, "proofs")[0];
        let cbor = bytes(proof, "inclusion_proof_cbor");
        let made = InclusionProof::from_cbor(&cbor).unwrap();
        seeds.insert(format!("proof/abi-{name}"), made.to_abi());
        seeds.insert(format!("proof/json-{name}"), serde_json::to_vec(&made).unwrap());
        seeds.insert(format!("proof/cbor-{name}"), cbor);
        let (aux, given) = (bytes(proof, "aux_data_cbor"), bytes(proof, "verifier_data_cbor"));
        seeds.insert(format!("proof/aux-abi-{name}"), AuxData::from_cbor(&aux).unwrap().to_abi());
        seeds.insert(format!("proof/given-abi-{name}"), VerifierData::from_cbor(&given).unwrap().to_abi());
        seeds.insert(format!("proof/aux-{name}"), aux);
        seeds.insert(format!("proof/given-{name}"), given);
    }
    let checks = vectors("pieces/proof-checks.json");
    for (number, row) in rows(&checks, "segment_descriptors").iter().enumerate() {
        let slot = bytes(row, "bytes");
        if let Ok(descriptor) = Descriptor::decode(slot[..].try_into().unwrap()) {
            seeds.insert(format!("index/entry-{number}-cbor"), descriptor.to_cbor());
        }
        seeds.insert(format!("index/entry-{number}"), [&[5, 0][..], &slot].concat());
    }
}

/// Choices for the targets that build their subject of them, and edges of varints.
fn choices(seeds: &mut Seeds) {
    for number in 0..12 {
        let name = format!("fuzz-{number}");
        seeds.insert(format!("dag/{number}"), sha256_counter(&name, 60 + 60 * number));
    }
    let random = vector_bytes("pieces/go-random-1337-prefix-64KiB.bin");
    for (number, len) in [0, 1, 126, 127, 128, 2031, 2032, 2033, 4000].into_iter().enumerate() {
        let repeats = [0u8, 1, 7, 39][number % 4];
        let cuts = [0, 8, 17, 3, 4, 13, 6, 7];
        seeds.insert(format!("commp/{len}"), [&[repeats, 0][..], &cuts, &random[..len]].concat());
    }
    let edges: [&[u8]; 12] = [
        &[],
        &[0x00],
        &[0x7f],
        &[0x80, 0x01],
        &[0x80, 0x00],
        &[0xff, 0x01],
        &[0x80, 0x80, 0x04],
        &[0x80],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    ];
    for (number, edge) in edges.into_iter().enumerate() {
        seeds.insert(format!("varint/{number}"), edge.to_vec());
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds")
}

fn stored() -> Seeds {
    let mut stored = Seeds::new();
    for target in fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()) {
        for seed in fs::read_dir(target).unwrap().map(|entry| entry.unwrap().path()) {
            let name = seed.strip_prefix(folder()).unwrap().to_str().unwrap().to_owned();
            stored.insert(name, fs::read(seed).unwrap());
        }
    }
    stored
}

#[test]
fn seeds_of_the_fuzz_targets_are_made_of_the_vectors() {
    let mut seeds = Seeds::new();
    cars(&mut seeds);
    cids(&mut seeds);
    aggregates(&mut seeds);
    choices(&mut seeds);
    seeds.retain(|_, seed| seed.len() <= SEED_BYTES_MAX);
    if std::env::var_os("RAAS_WRITE_SEEDS").is_some() {
        let _ = fs::remove_dir_all(folder());
        for (name, seed) in &seeds {
            let path = folder().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, seed).unwrap();
        }
    }
    let stored = stored();
    assert!(
        stored == seeds,
        "fuzz/seeds is not what the vectors give: RAAS_WRITE_SEEDS=1 cargo test -p raas-piece seeds_of"
    );
    let total: usize = stored.values().map(Vec::len).sum();
    assert!(total < 300 << 10, "{total} bytes of seeds");
    for target in ["car", "cid", "commp", "dag", "index", "proof", "unixfs", "varint"] {
        let count = stored.keys().filter(|name| name.split('/').next() == Some(target)).count();
        assert!(count >= 4, "{target} has {count} seeds");
    }
}
