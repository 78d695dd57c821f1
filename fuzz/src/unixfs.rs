//! The bytes of one node: dag-pb, the UnixFS message in it, and dag-cbor.

use raas_piece::block::{BlockSink, DAG_CBOR, DAG_PB, MemoryBlocks, cid_v0, cid_v1, links};
use raas_piece::unixfs::dag_pb::Node;
use raas_piece::unixfs::data::Data;
use raas_piece::unixfs::{FileReader, UnixNode, check_name, entity_links, list, resolve};

pub fn check(data: &[u8]) {
    let _ = Data::decode(data).map(|message| check_message(&message));
    let _ = links(&cid_v1(DAG_CBOR, data), data);
    let cid = cid_v1(DAG_PB, data);
    let node = match Node::decode(data) {
        Ok(node) => node,
        Err(_) => {
            assert!(links(&cid, data).is_err());
            assert!(UnixNode::decode(&cid, data.to_vec()).is_err());
            return;
        }
    };
    // Writing puts the links first; what is written is read back the same.
    let written = node.encode();
    assert_eq!(Node::decode(&written).as_ref(), Ok(&node));
    assert_eq!(written.len(), encoded_len(&node));
    let named: Vec<_> = node.links.iter().map(|link| link.cid).collect();
    assert_eq!(links(&cid, data).ok(), Some(named.clone()));
    assert_eq!(links(&cid_v0(data), data).ok(), Some(named.clone()));
    if let Some(message) = node.data.as_deref().and_then(|data| Data::decode(data).ok()) {
        check_message(&message);
    }
    let Ok(unix) = UnixNode::decode(&cid, data.to_vec()) else { return };
    let within = entity_links(&cid, data).expect("the node was decoded");
    assert!(within.iter().all(|link| named.contains(link)));
    check_reading(data, &unix);
}

fn encoded_len(node: &Node) -> usize {
    let links: usize = node.links.iter().map(|link| link.encoded_len()).sum();
    // What is left is the data with its key and length.
    let alone = Node { links: Vec::new(), data: node.data.clone() };
    links + alone.encode().len()
}

fn check_message(message: &Data) {
    assert_eq!(Data::decode(&message.encode()).as_ref(), Ok(message));
}

/// The node alone, none of its links at hand.
fn check_reading(data: &[u8], unix: &UnixNode) {
    let cid = cid_v1(DAG_PB, data);
    let mut blocks = MemoryBlocks::default();
    blocks.put(&cid, data).expect("memory takes every block");
    match unix {
        UnixNode::Bytes(bytes) => {
            let mut reader = FileReader::open(&blocks, cid).expect("a file");
            assert_eq!(reader.file_bytes(), bytes.len() as u64);
            let chunk = reader.next_chunk().expect("its bytes are inside");
            assert_eq!(chunk.unwrap_or_default(), *bytes);
        }
        UnixNode::File { file_bytes, .. } => {
            let mut reader = FileReader::open(&blocks, cid).expect("a file");
            assert_eq!(reader.file_bytes(), *file_bytes);
            reader.seek_to(*file_bytes / 2);
            while let Ok(Some(chunk)) = reader.next_chunk() {
                assert!(!chunk.is_empty());
            }
        }
        UnixNode::Directory(links) => {
            let entries = list(&blocks, &cid, 10_000).expect("fewer entries than bytes");
            assert_eq!(entries.len(), links.len());
            assert!(entries.is_sorted_by(|a, b| a.name <= b.name));
            for entry in entries.iter().take(20).filter(|entry| check_name(&entry.name).is_ok()) {
                let found = resolve(&blocks, &cid, &entry.name).expect("it was listed");
                assert!(links.iter().any(|link| link.name == entry.name && link.cid == found.cid));
            }
        }
        UnixNode::Shard(_) => {
            let _ = list(&blocks, &cid, 10_000);
            let _ = resolve(&blocks, &cid, "name");
        }
        UnixNode::Symlink(_) => assert!(FileReader::open(&blocks, cid).is_err()),
    }
}
