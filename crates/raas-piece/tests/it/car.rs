//! CAR vectors, export scopes, and what a hostile CAR gets.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::sync::Arc;

use cid::Cid;
use raas_piece::block::{BlockSink, Blocks, DAG_CBOR, DAG_PB, MemoryBlocks, RAW, cid_v1};
use raas_piece::car::{
    CarError, CarExport, CarStore, CopyError, Fault, Header, Index, Limits, Reader, Scope, Writer,
    copy_verified, section_prefix,
};
use raas_piece::unixfs::data::{Data, Kind};
use raas_piece::unixfs::{DirBuilder, Entry, FileBuilder, FileReader, Profile, dag_pb, resolve};

use crate::support::{number, rows, sha256_counter, sha256_hex, text, vectors};

#[test]
fn car_vectors_read_and_are_written_again_byte_for_byte() {
    for row in rows(&vectors("unixfs/cars.json"), "vectors") {
        let root: Cid = text(row, "root").parse().unwrap();
        let car = match row.get("car_hex").and_then(|value| value.as_str()) {
            Some(hex) => hex::decode(hex).unwrap(),
            None => car_of_two_mib_and_one(),
        };
        assert_eq!(car.len() as u64, number(row, "car_size"), "{row}");
        assert_eq!(sha256_hex(&car), text(row, "car_sha256"), "{row}");
        let mut reader = Reader::new(&car[..], Limits::default()).unwrap();
        assert_eq!(reader.header().roots, [root]);
        let mut writer = Writer::new(Cursor::new(Vec::new()), root.version(), u64::MAX).unwrap();
        for wanted in rows(row, "blocks") {
            let block = reader.next_block().unwrap().unwrap();
            assert_eq!(block.cid.to_string(), text(wanted, "cid"));
            assert_eq!(block.data.len() as u64, number(wanted, "size"));
            let from = usize::try_from(block.offset).unwrap();
            assert_eq!(&car[from..from + block.data.len()], block.data);
            writer.put(&block.cid, block.data).unwrap();
        }
        assert!(reader.next_block().unwrap().is_none());
        assert_eq!(reader.end(), car.len() as u64);
        let (written, again) = writer.finish(&root).unwrap();
        assert!(again.into_inner() == car);
        assert_eq!(written.piece, raas_piece::commp::of_reader(&car[..]).unwrap());
        let (copied, _) = copy(&car, Some(&root)).unwrap();
        assert_eq!((copied.unreached_blocks, copied.piece), (0, written.piece));
    }
}

/// The vector that is too long for hex: leaves first, then the root.
fn car_of_two_mib_and_one() -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new()), cid::Version::V1, u64::MAX).unwrap();
    let entry = file(&sha256_counter("raas-unixfs-v1", (2 << 20) + 1), &mut writer);
    writer.finish(&entry.cid).unwrap().1.into_inner()
}

fn file(bytes: &[u8], sink: &mut impl BlockSink) -> Entry {
    let mut file = FileBuilder::new(Profile::default());
    file.write(bytes, sink).unwrap();
    file.finish(sink).unwrap()
}

fn copy(car: &[u8], expected: Option<&Cid>) -> Result<(raas_piece::car::Copied, Vec<u8>), CopyError> {
    copy_verified(car, Cursor::new(Vec::new()), expected, Limits::default())
        .map(|(copied, out)| (copied, out.into_inner()))
}

fn car(roots: Vec<Cid>, sections: &[(Cid, &[u8])]) -> Vec<u8> {
    let mut out = Header::new(roots).to_file_bytes();
    for (cid, data) in sections {
        out.extend_from_slice(&section_prefix(cid, data.len()));
        out.extend_from_slice(data);
    }
    out
}

/// A directory with a sharded directory and a file of three blocks.
fn sample() -> (MemoryBlocks, Cid) {
    let mut blocks = MemoryBlocks::default();
    let large = file(&sha256_counter("large", 2_500_000), &mut blocks);
    let mut names = DirBuilder::new(Profile::default());
    for i in 0..6000 {
        names.add(&format!("entry-{i:06}"), &large).unwrap();
    }
    let names = names.finish(&mut blocks).unwrap();
    let mut top = DirBuilder::new(Profile::default());
    top.add("large.bin", &large).unwrap();
    top.add("many", &names).unwrap();
    top.add("small", &file(b"small", &mut blocks)).unwrap();
    let root = top.finish(&mut blocks).unwrap();
    (blocks, root.cid)
}

fn export(blocks: &MemoryBlocks, cid: Cid, via: Vec<Cid>, scope: Scope) -> (Vec<u8>, Index) {
    let mut out = Vec::new();
    CarExport::new(blocks, cid, via, scope).write_to(&mut out).unwrap();
    let index = Index::scan(&out[..], Limits::default()).unwrap();
    (out, index)
}

#[test]
fn exports_hold_what_their_scope_says_and_serve_the_file() {
    let (blocks, root) = sample();
    let (all, index) = export(&blocks, root, Vec::new(), Scope::All);
    assert_eq!(index.len(), blocks.len());
    let (copied, stored) = copy(&all, Some(&root)).unwrap();
    assert_eq!((copied.root, copied.unreached_blocks), (root, 0));
    assert_eq!(export(&blocks, root, Vec::new(), Scope::Block).1.len(), 1);
    assert_eq!(export(&blocks, root, Vec::new(), Scope::Entity).1.len(), 1);

    let many = resolve(&blocks, &root, "many").unwrap();
    let (_, listing) = export(&blocks, many.cid, many.via, Scope::Entity);
    // The root on the way, and all shards; neither the file's four blocks nor "small".
    assert_eq!(listing.len(), blocks.len() - 5);

    let found = resolve(&blocks, &root, "many/entry-004242").unwrap();
    let (bytes, part) = export(&blocks, found.cid, found.via.clone(), Scope::Entity);
    assert_eq!(part.len(), found.via.len() + 4);
    // What was sent is enough to check the path and read the file, from the CAR alone.
    let store = CarStore::new(bytes, Arc::new(part));
    let again = resolve(&store, &root, "many/entry-004242").unwrap();
    let mut back = Vec::new();
    FileReader::open(&store, again.cid).unwrap().read_to_end(&mut back).unwrap();
    assert!(back == sha256_counter("large", 2_500_000));

    // A store finds rot on disk instead of serving it.
    let mut rotten = stored.clone();
    let at = usize::try_from(copied.index.get(&root).unwrap().offset).unwrap();
    rotten[at] ^= 1;
    let store = CarStore::new(rotten, Arc::new(copied.index));
    assert!(store.get(&root).is_err());
}

/// All links, whether met before or not.
fn visit(cid: Cid, links_of: &BTreeMap<Cid, Vec<Cid>>, order: &mut Vec<Cid>) {
    order.push(cid);
    links_of.get(&cid).into_iter().flatten().for_each(|link| visit(*link, links_of, order));
}

/// So many links wait on the way down that those that wait twice are thrown away in between.
#[test]
fn an_export_of_wide_blocks_keeps_the_order_of_a_walk_by_recursion() {
    let mut blocks = MemoryBlocks::default();
    let leaves: Vec<Cid> = (0..30_000u32).map(|i| cid_v1(RAW, &i.to_le_bytes())).collect();
    (0..30_000u32).for_each(|i| blocks.put(&leaves[i as usize], &i.to_le_bytes()).unwrap());
    let mut links_of = BTreeMap::new();
    let mut root = leaves[0];
    for level in 0..8 {
        // The same leaves on each level from another one on, and the next level behind a few of them.
        let mut links = leaves.clone();
        links.rotate_left(level * 777);
        links.insert(level * 3, root);
        let node = serde_ipld_dagcbor::to_vec(&links).unwrap();
        root = cid_v1(DAG_CBOR, &node);
        blocks.put(&root, &node).unwrap();
        links_of.insert(root, links);
    }
    let mut order = Vec::new();
    visit(root, &links_of, &mut order);
    let mut seen = BTreeSet::new();
    order.retain(|cid| seen.insert(*cid));
    let (car, _) = export(&blocks, root, Vec::new(), Scope::All);
    let mut reader = Reader::new(&car[..], Limits::default()).unwrap();
    for wanted in &order {
        assert_eq!(reader.next_block().unwrap().unwrap().cid, *wanted);
    }
    assert!(reader.next_block().unwrap().is_none());
}

/// The blocks of an export in its order.
fn sections(export: CarExport<&MemoryBlocks>) -> Vec<(Cid, usize)> {
    let mut out = Vec::new();
    export.write_to(&mut out).unwrap();
    let mut reader = Reader::new(&out[..], Limits::default()).unwrap();
    let mut found = Vec::new();
    while let Some(block) = reader.next_block().unwrap() {
        found.push((block.cid, block.data.len()));
    }
    found
}

#[test]
fn a_range_of_a_file_takes_the_blocks_that_hold_it_and_no_others() {
    let mut blocks = MemoryBlocks::default();
    // Two levels: 1100 leaves of 1 KiB under nodes of at most 1024.
    let profile = Profile::custom(1 << 10, 1_024, true, cid::Version::V1).unwrap();
    let mut builder = FileBuilder::new(profile);
    let content = sha256_counter("range", 1_100 << 10);
    builder.write(&content, &mut blocks).unwrap();
    let entry = builder.finish(&mut blocks).unwrap();
    let export = |text: &str| {
        sections(CarExport::new(&blocks, entry.cid, Vec::new(), Scope::Bytes(text.parse().unwrap())))
    };
    let leaves = |found: &[(Cid, usize)]| found.iter().filter(|(cid, _)| cid.codec() == RAW).count();
    for (text, wanted_leaves, nodes) in [
        ("0:*", 1_100, 3),
        ("0:1023", 1, 2),
        ("1023:1024", 2, 2),
        ("-1:*", 1, 2),
        ("1048575:1048576", 2, 3),
        ("5000:-1000000", 120, 2),
        ("5000000:*", 0, 1),
        ("9:-2000000", 0, 1),
    ] {
        let found = export(text);
        assert_eq!((leaves(&found), found.len() - leaves(&found)), (wanted_leaves, nodes), "{text}");
        assert_eq!(found[0].0, entry.cid, "{text}: the root comes first");
    }
    // What came is enough to read the range, and the leaves stand in the order of the file.
    let mut car = Vec::new();
    let span = Scope::Bytes("100000:200000".parse().unwrap());
    CarExport::new(&blocks, entry.cid, Vec::new(), span).write_to(&mut car).unwrap();
    let index = Index::scan(&car[..], Limits::default()).unwrap();
    let mut file = FileReader::open(CarStore::new(car, Arc::new(index)), entry.cid).unwrap();
    file.seek_to(100_000);
    let mut part = vec![0; 100_001];
    file.read_exact(&mut part).unwrap();
    assert!(part == content[100_000..=200_000]);
}

#[test]
fn a_range_of_what_is_no_file_is_the_whole_entity() {
    let (blocks, root) = sample();
    let many = resolve(&blocks, &root, "many").unwrap().cid;
    let span = Scope::Bytes("0:1".parse().unwrap());
    let found = sections(CarExport::new(&blocks, many, Vec::new(), span));
    assert_eq!(found, sections(CarExport::new(&blocks, many, Vec::new(), Scope::Entity)));
    assert!(found.len() > 100, "all shards");

    // dag-pb that is no UnixFS is one block, whatever it links to.
    let mut blocks = MemoryBlocks::default();
    let leaf = file(b"leaf", &mut blocks).cid;
    let node = dag_pb::Node {
        links: vec![dag_pb::Link { cid: leaf, name: String::new(), tsize: 4 }],
        data: Some(b"no UnixFS".to_vec()),
    };
    let other = node.encode();
    let cid = cid_v1(DAG_PB, &other);
    blocks.put(&cid, &other).unwrap();
    for scope in [Scope::Entity, span] {
        assert_eq!(sections(CarExport::new(&blocks, cid, Vec::new(), scope)), [(cid, other.len())]);
    }
}

#[test]
fn duplicates_come_as_often_as_they_are_linked() {
    let mut blocks = MemoryBlocks::default();
    // Five equal leaves: one block, met five times.
    let profile = Profile::custom(1 << 10, 1_024, true, cid::Version::V1).unwrap();
    let mut builder = FileBuilder::new(profile);
    builder.write(&[7; 5 << 10], &mut blocks).unwrap();
    let root = builder.finish(&mut blocks).unwrap().cid;
    for scope in [Scope::All, Scope::Entity, Scope::Bytes("0:*".parse().unwrap())] {
        let export = || CarExport::new(&blocks, root, Vec::new(), scope);
        assert_eq!(
            (sections(export()).len(), sections(export().with_duplicates()).len()),
            (2, 6),
            "{scope:?}"
        );
    }
    let two = Scope::Bytes("1000:1100".parse().unwrap());
    assert_eq!(sections(CarExport::new(&blocks, root, Vec::new(), two).with_duplicates()).len(), 3);
    let block = CarExport::new(&blocks, root, Vec::new(), Scope::Block).with_duplicates();
    assert_eq!(sections(block).len(), 1);
}

/// 40 levels of which each links twice to the next: 2^40 ways and 2^40 bytes, but 41 blocks.
#[test]
fn a_range_over_a_doubling_file_meets_each_block_a_few_times() {
    let mut blocks = MemoryBlocks::default();
    let leaf = cid_v1(RAW, b"x");
    blocks.put(&leaf, b"x").unwrap();
    let (mut cid, mut bytes) = (leaf, 1_u64);
    for _ in 0..40 {
        let link = || dag_pb::Link { cid, name: String::new(), tsize: 0 };
        let mut data = Data::new(Kind::File);
        (data.block_bytes, data.file_bytes) = (vec![bytes; 2], Some(bytes * 2));
        let node = dag_pb::Node { links: vec![link(), link()], data: Some(data.encode()) };
        let node = node.encode();
        (cid, bytes) = (cid_v1(DAG_PB, &node), bytes * 2);
        blocks.put(&cid, &node).unwrap();
    }
    let span = |text: &str| Scope::Bytes(text.parse().unwrap());
    for text in ["0:*", "1:-2", "12345:-12345"] {
        assert_eq!(sections(CarExport::new(&blocks, cid, Vec::new(), span(text))).len(), 41, "{text}");
    }
    assert_eq!(sections(CarExport::new(&blocks, cid, Vec::new(), span("5:5")).with_duplicates()).len(), 41);
}

#[test]
fn a_missing_block_stops_an_export() {
    let (mut blocks, root) = sample();
    let small = resolve(&blocks, &root, "small").unwrap().cid;
    assert!(blocks.remove(&small));
    assert!(CarExport::new(&blocks, root, Vec::new(), Scope::All).any(|chunk| chunk.is_err()));
}

#[test]
fn faults_are_told_apart() {
    let (blocks, root) = sample();
    let (good, _) = export(&blocks, root, Vec::new(), Scope::All);
    let fault = |bytes: &[u8], expected: Option<&Cid>| copy(bytes, expected).unwrap_err().fault();

    let mut wrong = good.clone();
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    assert_eq!(fault(&wrong, Some(&root)), Fault::WrongBytes);
    assert_eq!(fault(&good[..good.len() - 1], Some(&root)), Fault::Truncated);
    assert_eq!(fault(&[], Some(&root)), Fault::Truncated);
    assert_eq!(fault(&good[..20], Some(&root)), Fault::Truncated);
    let other = cid_v1(RAW, b"other");
    assert_eq!(fault(&good, Some(&other)), Fault::WrongBytes);

    // Cut exactly between sections, and zeros in place of the rest: complete CARs, incomplete DAGs.
    let header = Header::new(vec![root]).to_file_bytes();
    assert_eq!(fault(&header, Some(&root)), Fault::Truncated);
    let root_block = blocks.get(&root).unwrap().unwrap();
    let mut short = car(vec![root], &[(root, &root_block)]);
    short.extend_from_slice(&[0; 1000]);
    assert_eq!(fault(&short, Some(&root)), Fault::Truncated);

    // Caps.
    for limits in [
        Limits { total_bytes: 1000, ..Limits::default() },
        Limits { blocks: 2, ..Limits::default() },
        Limits { block_bytes: 1000, ..Limits::default() },
        Limits { header_bytes: 10, ..Limits::default() },
        Limits { depth: 1, ..Limits::default() },
        Limits { links: 2, ..Limits::default() },
    ] {
        let error = copy_verified(&good[..], Cursor::new(Vec::new()), Some(&root), limits).unwrap_err();
        assert_eq!(error.fault(), Fault::TooLarge, "{limits:?}: {error}");
    }
    // A claim of a huge section is refused before memory is taken.
    let mut huge = header.clone();
    huge.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(fault(&huge, Some(&root)), Fault::TooLarge);

    // CARv2 pragma alone, version 3, no root, two roots, other hashes.
    let version = |version: &str| hex::decode(format!("0aa16776657273696f6e{version}")).unwrap();
    assert_eq!(fault(&version("02"), None), Fault::Truncated);
    assert!(matches!(copy(&version("03"), None), Err(CopyError::Source(CarError::Version(3)))));
    assert!(matches!(copy(&car(vec![], &[]), None), Err(CopyError::Roots(0))));
    assert!(matches!(copy(&car(vec![root, other], &[]), None), Err(CopyError::Roots(2))));
    let blake = Cid::new_v1(RAW, multihash::Multihash::wrap(0xb220, &[7; 32]).unwrap());
    assert_eq!(fault(&car(vec![root], &[(blake, b"x")]), Some(&root)), Fault::Unsupported);
    let json = cid_v1(0x0129, b"{}");
    assert_eq!(fault(&car(vec![json], &[(json, b"{}")]), None), Fault::Unsupported);
    // A block of 2 MiB is fine, one byte more is not.
    let edge = vec![1; 2 << 20];
    let cid = cid_v1(RAW, &edge);
    assert!(copy(&car(vec![cid], &[(cid, &edge)]), None).is_ok());
    let over = vec![1; (2 << 20) + 1];
    let cid = cid_v1(RAW, &over);
    assert_eq!(fault(&car(vec![cid], &[(cid, &over)]), None), Fault::TooLarge);
}

#[test]
fn identity_and_dag_cbor_links_are_followed() {
    let leaf = cid_v1(RAW, b"leaf");
    let inside = Cid::new_v1(RAW, multihash::Multihash::wrap(0, b"inline").unwrap());
    let map = BTreeMap::from([("a", vec![leaf]), ("b", vec![inside])]);
    let node = serde_ipld_dagcbor::to_vec(&map).unwrap();
    let root = cid_v1(DAG_CBOR, &node);
    let whole = car(vec![root], &[(root, &node), (leaf, b"leaf")]);
    assert_eq!(copy(&whole, None).unwrap().0.unreached_blocks, 0);
    let cut = car(vec![root], &[(root, &node)]);
    assert_eq!(copy(&cut, None).unwrap_err().fault(), Fault::Truncated);
    // An identity root needs no block at all; a wrong identity section is found.
    assert!(copy(&car(vec![inside], &[]), None).is_ok());
    assert_eq!(
        copy(&car(vec![inside], &[(inside, b"other!")]), None).unwrap_err().fault(),
        Fault::WrongBytes
    );
    let extra = car(vec![leaf], &[(leaf, b"leaf"), (cid_v1(RAW, b"more"), b"more"), (leaf, b"leaf")]);
    let (copied, bytes) = copy(&extra, None).unwrap();
    assert_eq!((copied.unreached_blocks, copied.blocks, bytes), (1, 3, extra));
}
