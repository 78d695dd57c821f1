//! Decoders meet arbitrary bytes: errors are fine, panics and endless work are not.

use std::io::Cursor;

use cid::Cid;
use proptest::prelude::*;
use raas_piece::block::{BlockSink, Blocks, DAG_CBOR, DAG_PB, MemoryBlocks, RAW, cid_v1, links};
use raas_piece::car::{
    CarError, CarStore, CopyError, Header, Index, Limits, Reader, copy_verified, section_prefix,
};
use raas_piece::cid::{PieceCidError, decode_v2};
use raas_piece::unixfs::PbError;
use raas_piece::unixfs::dag_pb::{Link, Node, NodeError};
use raas_piece::unixfs::data::{Data, DataError, Kind};
use raas_piece::unixfs::{
    ExtractError, ExtractLimits, FileReader, ReadError, UnixNode, entity_links, extract, list, resolve,
};

fn read_all(car: &[u8]) {
    if let Ok(mut reader) = Reader::new(car, Limits::default()) {
        while let Ok(Some(_)) = reader.next_block() {}
    }
    let _ = copy_verified(car, Cursor::new(Vec::new()), None, Limits::default());
}

fn read_node(bytes: &[u8]) {
    let cid = cid_v1(DAG_PB, bytes);
    let mut blocks = MemoryBlocks::default();
    blocks.put(&cid, bytes).unwrap();
    let _ = UnixNode::decode(&cid, bytes.to_vec());
    let _ = entity_links(&cid, bytes);
    let _ = list(&blocks, &cid, 100);
    let _ = resolve(&blocks, &cid, "a/b");
    if let Ok(mut reader) = FileReader::open(&blocks, cid) {
        reader.seek_to(3);
        while let Ok(Some(_)) = reader.next_chunk() {}
    }
    let _ = links(&cid, bytes);
    let _ = links(&cid_v1(DAG_CBOR, bytes), bytes);
}

/// Strategy: a node that is nearly right, so that the checks behind the decoder are reached.
fn near_node() -> impl Strategy<Value = Vec<u8>> {
    let link = ("[0-9A-F]{0,3}[a-z]{0,2}", any::<u64>(), any::<u8>());
    let kind =
        prop::sample::select(vec![Kind::Raw, Kind::Directory, Kind::File, Kind::Symlink, Kind::HamtShard]);
    let sizes = prop::collection::vec(prop::sample::select(vec![0, 1, 5, u64::MAX]), 0..4);
    let fanout = prop::option::of(prop::sample::select(vec![0u64, 1, 2, 8, 16, 255, 256, 1024, u64::MAX]));
    (prop::collection::vec(link, 0..4), kind, sizes, fanout, prop::option::of(any::<u64>()), any::<Vec<u8>>())
        .prop_map(|(links, kind, block_bytes, fanout, file_bytes, bytes)| {
            let data = Data {
                kind,
                bytes: Some(bytes),
                file_bytes: file_bytes.filter(|size| size % 2 == 0),
                block_bytes,
                hash_type: Some(0x22),
                fanout,
            };
            let links = links
                .into_iter()
                .map(|(name, tsize, seed)| Link { cid: cid_v1(RAW, &[seed]), name, tsize })
                .collect();
            Node { links, data: Some(data.encode()) }.encode()
        })
}

proptest! {
    #[test]
    fn car_readers_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
        let mut with_header = Header::new(vec![cid_v1(RAW, b"x")]).to_file_bytes();
        with_header.extend_from_slice(&bytes);
        read_all(&with_header);
        let _ = Header::decode(bytes);
    }

    #[test]
    fn a_changed_or_cut_car_gives_the_right_blocks_or_an_error(at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
        let (cid, other) = (cid_v1(RAW, b"some data"), cid_v1(RAW, b"more data"));
        let node = serde_ipld_dagcbor::to_vec(&vec![cid, other]).unwrap();
        let root = cid_v1(DAG_CBOR, &node);
        let mut car = Header::new(vec![root]).to_file_bytes();
        for (cid, data) in [(root, &node[..]), (cid, b"some data"), (other, b"more data")] {
            car.extend_from_slice(&section_prefix(&cid, data.len()));
            car.extend_from_slice(data);
        }
        prop_assert!(copy_verified(&car[..], Cursor::new(Vec::new()), Some(&root), Limits::default()).is_ok());
        let at = at.index(car.len());
        if cut { car.truncate(at) } else { car[at] ^= 1 << bit }
        // A flip in the header's root or a section's codec changes no block; what is taken is still right.
        if let Ok((copied, out)) = copy_verified(&car[..], Cursor::new(Vec::new()), Some(&root), Limits::default()) {
            prop_assert!(!cut);
            let store = CarStore::new(out.into_inner(), copied.index.into());
            prop_assert_eq!(store.get(&root).unwrap().unwrap(), node);
            prop_assert_eq!(store.get(&cid).unwrap().unwrap(), b"some data");
            prop_assert_eq!(store.get(&other).unwrap().unwrap(), b"more data");
        }
    }

    #[test]
    fn node_readers_take_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), near in near_node()) {
        read_node(&bytes);
        read_node(&near);
        let _ = Data::decode(&bytes);
    }

    #[test]
    fn dag_pb_and_unixfs_round_trip(near in near_node()) {
        let node = Node::decode(&near).unwrap();
        prop_assert_eq!(node.encode(), near);
        let data = node.data.unwrap();
        prop_assert_eq!(Data::decode(&data).unwrap().encode(), data);
    }

    #[test]
    fn index_takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0u64..4) {
        let _ = Index::from_bytes(&bytes);
        let mut with_magic = b"RAASIDX1".to_vec();
        with_magic.extend_from_slice(&count.to_le_bytes());
        with_magic.extend_from_slice(&bytes);
        if let Ok(index) = Index::from_bytes(&with_magic) {
            prop_assert_eq!(index.to_bytes(), with_magic);
            let digest: [u8; 32] = bytes.get(..32).map_or([0; 32], |b| b.try_into().unwrap());
            let cid = Cid::new_v1(RAW, multihash::Multihash::wrap(0x12, &digest).unwrap());
            let _ = CarStore::new(vec![0; 100], index.into()).get(&cid);
        }
    }
}

#[test]
fn deep_cbor_is_an_error() {
    for byte in [0x81, 0xa1, 0xd8, 0x9f] {
        let deep = vec![byte; 1 << 20];
        let _ = links(&cid_v1(DAG_CBOR, &deep), &deep);
        let _ = Header::decode(deep);
    }
}

/// Found while the fuzz target `varint` was written: of the tenth byte the bits that do not fit were dropped, so that
/// a number had many forms, and the copy of a CAR was not the CAR.
#[test]
fn numbers_of_more_than_64_bits_are_refused() {
    let over = |low: u8| [&[low | 0x80][..], &[0x80; 8], &[0x02]].concat();
    let leaf = cid_v1(RAW, b"leaf");
    let header = Header::new(vec![leaf]);
    let refused =
        |car: Vec<u8>| copy_verified(&car[..], Cursor::new(Vec::new()), None, Limits::default()).unwrap_err();
    let long_header = [over(u8::try_from(header.raw.len()).unwrap()), header.raw.clone()].concat();
    assert!(matches!(refused(long_header), CopyError::Source(CarError::Varint { offset: 0 })));
    let start = header.to_file_bytes();
    let long_section = [start.clone(), over(40), leaf.to_bytes(), b"leaf".to_vec()].concat();
    assert!(matches!(refused(long_section), CopyError::Source(CarError::Varint { .. })));
    let long_cid = [over(1), leaf.to_bytes()[1..].to_vec()].concat();
    let length = vec![u8::try_from(long_cid.len()).unwrap() + 4];
    let section = [start, length, long_cid.clone(), b"leaf".to_vec()].concat();
    assert!(matches!(refused(section), CopyError::Source(CarError::Cid { .. })));

    let data = [&[0x0a][..], &over(1), &[7]].concat();
    assert_eq!(Node::decode(&data), Err(NodeError::Wire(PbError::Varint)));
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let hash = [&[0x0a, length(&long_cid)][..], &long_cid].concat();
    let link = [&[0x12, length(&hash)][..], &hash].concat();
    assert_eq!(Node::decode(&link), Err(NodeError::Cid { index: 0 }));
    for field in [vec![0x18], vec![0x22, 10]] {
        let message = [&[0x08, 0x02][..], &field, &over(5)].concat();
        assert_eq!(Data::decode(&message), Err(DataError::Wire(PbError::Varint)));
    }
    let digest = [&over(0)[..], &[2], &[1; 32]].concat();
    let piece = Cid::new_v1(RAW, multihash::Multihash::wrap(0x1011, &digest).unwrap());
    assert_eq!(decode_v2(&piece), Err(PieceCidError::PaddingVarint));
}

fn put(blocks: &mut MemoryBlocks, links: Vec<Link>, data: Data) -> Cid {
    let bytes = Node { links, data: Some(data.encode()) }.encode();
    let cid = cid_v1(DAG_PB, &bytes);
    blocks.put(&cid, &bytes).unwrap();
    cid
}

fn link(cid: Cid, name: &str) -> Link {
    Link { cid, name: name.to_owned(), tsize: 1 }
}

#[test]
fn fault_14_files_shards_and_directories_that_repeat_end() {
    let mut blocks = MemoryBlocks::default();
    // 1000^60 empty parts, and a chain deeper than any file.
    let mut cid = put(&mut blocks, Vec::new(), Data { file_bytes: Some(0), ..Data::new(Kind::File) });
    for _ in 0..60 {
        let data = Data { file_bytes: Some(0), block_bytes: vec![0; 1000], ..Data::new(Kind::File) };
        cid = put(&mut blocks, vec![link(cid, ""); 1000], data);
    }
    assert!(FileReader::open(&blocks, cid).unwrap().next_chunk().unwrap().is_none());
    let leaf = Data { bytes: Some(vec![1]), file_bytes: Some(1), ..Data::new(Kind::File) };
    let mut cid = put(&mut blocks, Vec::new(), leaf);
    for _ in 0..200 {
        let data = Data { file_bytes: Some(1), block_bytes: vec![1], ..Data::new(Kind::File) };
        cid = put(&mut blocks, vec![link(cid, "")], data);
    }
    assert!(matches!(FileReader::open(&blocks, cid).unwrap().next_chunk(), Err(ReadError::Limit { .. })));
    // Shards that repeat one sub-shard 256 times on each level.
    let shard = || Data {
        bytes: Some(vec![1]),
        hash_type: Some(0x22),
        fanout: Some(256),
        ..Data::new(Kind::HamtShard)
    };
    let mut cid = put(&mut blocks, Vec::new(), shard());
    for _ in 0..8 {
        let links = (0..256).map(|slot| link(cid, &format!("{slot:02X}"))).collect();
        cid = put(&mut blocks, links, shard());
    }
    assert!(matches!(list(&blocks, &cid, 1000), Err(ReadError::Limit { .. })));
    // Directories that repeat: 2^100 entries on disk.
    let mut cid = put(&mut blocks, Vec::new(), Data::new(Kind::Directory));
    for _ in 0..100 {
        cid = put(&mut blocks, vec![link(cid, "a"), link(cid, "b")], Data::new(Kind::Directory));
    }
    let dir = tempfile::tempdir().unwrap();
    let limits = ExtractLimits { entries: 500, bytes: 100 };
    assert!(extract(&blocks, &cid, &dir.path().join("bomb"), limits).is_err());
}

#[test]
fn a_part_that_does_not_hold_what_its_parent_says_is_found() {
    let mut blocks = MemoryBlocks::default();
    let leaf = cid_v1(RAW, b"four");
    blocks.put(&leaf, b"four").unwrap();
    let data = Data { file_bytes: Some(3), block_bytes: vec![3], ..Data::new(Kind::File) };
    let cid = put(&mut blocks, vec![link(leaf, "")], data);
    assert!(matches!(
        FileReader::open(&blocks, cid).unwrap().next_chunk(),
        Err(ReadError::Inconsistent { .. })
    ));
    let data = Data { file_bytes: Some(5), block_bytes: vec![4], ..Data::new(Kind::File) };
    let cid = put(&mut blocks, vec![link(leaf, "")], data);
    assert!(matches!(FileReader::open(&blocks, cid), Err(ReadError::Inconsistent { .. })));
}

#[test]
fn extraction_stays_inside_its_target() {
    let dir = tempfile::tempdir().unwrap();
    let mut blocks = MemoryBlocks::default();
    let leaf = cid_v1(RAW, b"evil");
    blocks.put(&leaf, b"evil").unwrap();
    for (i, name) in ["..", ".", "/", "", "a/b", "/abs", "../evil", "a\0"].into_iter().enumerate() {
        let cid = put(&mut blocks, vec![link(leaf, name)], Data::new(Kind::Directory));
        let target = dir.path().join(i.to_string());
        let refused = extract(&blocks, &cid, &target, ExtractLimits::default()).unwrap_err();
        assert!(matches!(refused, ExtractError::Read(ReadError::Name(_))), "{name:?}: {refused}");
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0);
    }
    for (i, to) in ["/etc/passwd", "..", "../x", "a/../../x", "s/s/../../x", "./../x", "a/..", ""]
        .into_iter()
        .enumerate()
    {
        let data = Data { bytes: Some(to.into()), ..Data::new(Kind::Symlink) };
        let symlink = put(&mut blocks, Vec::new(), data);
        let cid = put(&mut blocks, vec![link(symlink, "l")], Data::new(Kind::Directory));
        let target = dir.path().join(format!("l{i}"));
        let done = extract(&blocks, &cid, &target, ExtractLimits::default()).unwrap();
        assert_eq!((done.entries, done.left_out), (1, vec![("l".into(), to.to_owned())]));
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0, "{to:?}");
    }
    // The same name twice: the second cannot go through the first.
    let data = Data { bytes: Some("elsewhere".into()), ..Data::new(Kind::Symlink) };
    let symlink = put(&mut blocks, Vec::new(), data);
    let sub = put(&mut blocks, vec![link(leaf, "f")], Data::new(Kind::Directory));
    let cid = put(&mut blocks, vec![link(symlink, "x"), link(sub, "x")], Data::new(Kind::Directory));
    assert!(extract(&blocks, &cid, &dir.path().join("twice"), ExtractLimits::default()).is_err());
    assert!(!dir.path().join("evil").exists());
}
