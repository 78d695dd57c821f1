//! UnixFS importing against the vectors, and reading back what was imported.

use std::io::Read;

use cid::Version;
use raas_piece::block::{BlockSink, Blocks, MemoryBlocks, SinkError};
use raas_piece::unixfs::dag_pb::Node;
use raas_piece::unixfs::{
    DirBuilder, Entry, FileBuilder, FileReader, Profile, ReadError, TreeBuilder, extract, list, resolve,
    symlink,
};
use serde_json::Value;

use crate::support::{ChaCha20, chacha20, long, number, rows, sha256_counter, text, vectors};

/// Counts distinct blocks without keeping them.
#[derive(Default)]
struct Counter {
    seen: std::collections::HashSet<cid::Cid>,
}

impl BlockSink for Counter {
    fn put(&mut self, cid: &cid::Cid, data: &[u8]) -> Result<(), SinkError> {
        raas_piece::block::verify(cid, data)?;
        self.seen.insert(*cid);
        Ok(())
    }
}

fn add_file(bytes: &[u8], profile: Profile, sink: &mut impl BlockSink) -> Entry {
    let mut file = FileBuilder::new(profile);
    // Odd pieces, so that chunks are cut inside and across writes.
    for piece in bytes.chunks(777_777) {
        file.write(piece, sink).unwrap();
    }
    file.finish(sink).unwrap()
}

fn profile_of(row: &Value) -> Profile {
    let size = |field| usize::try_from(number(row, field)).unwrap();
    let (raw, version) = (row["raw_leaves"].as_bool().unwrap(), number(row, "cid_version"));
    let version = if version == 0 { Version::V0 } else { Version::V1 };
    let custom = Profile::custom(size("chunk_size"), size("max_links"), raw, version).unwrap();
    // A named profile has the parameters of its rows; files do not depend on more than these.
    if let Some(named) = Profile::by_name(text(row, "config")) {
        assert_eq!((named.chunk_bytes(), named.version()), (custom.chunk_bytes(), custom.version()));
        return named;
    }
    custom
}

#[test]
fn parameters_that_make_no_dag_are_refused() {
    for (chunk, links, raw, version) in [
        (0, 174, true, Version::V1),
        (2 << 20, 174, true, Version::V1),
        (1024, 1, true, Version::V1),
        (1024, 20_000, true, Version::V1),
        (1024, 174, true, Version::V0),
    ] {
        assert!(Profile::custom(chunk, links, raw, version).is_err(), "{chunk} {links} {raw}");
    }
}

#[test]
fn files_give_the_roots_of_the_vectors_and_read_back() {
    let file = vectors("unixfs/files.json");
    let rows = rows(&file, "vectors");
    let longest = rows.iter().map(|row| number(row, "size")).max().unwrap();
    let stream = sha256_counter("raas-unixfs-v1", usize::try_from(longest).unwrap());
    for row in rows {
        let bytes = &stream[..usize::try_from(number(row, "size")).unwrap()];
        let mut blocks = MemoryBlocks::default();
        let entry = add_file(bytes, profile_of(row), &mut blocks);
        assert_eq!(entry.cid.to_string(), text(row, "root"), "{row}");
        assert_eq!(blocks.len() as u64, number(row, "unique_blocks"), "{row}");
        assert_eq!(entry.content_bytes, number(row, "size"));
        let root_block = blocks.get(&entry.cid).unwrap().unwrap();
        assert_eq!(root_block.len() as u64, number(row, "root_block_bytes"), "{row}");
        if row.get("root_cumulative_dag_size").is_some() {
            assert_eq!(entry.dag_bytes, number(row, "root_cumulative_dag_size"), "{row}");
        }
        let mut back = Vec::new();
        FileReader::open(&blocks, entry.cid).unwrap().read_to_end(&mut back).unwrap();
        assert!(back == bytes, "{row}");
        for from in [0, 1, bytes.len() / 3, bytes.len().saturating_sub(1), bytes.len(), bytes.len() + 5] {
            let mut reader = FileReader::open(&blocks, entry.cid).unwrap();
            reader.seek_to(from as u64);
            let mut head = vec![0; bytes.len().saturating_sub(from).min(1000)];
            reader.read_exact(&mut head).unwrap();
            assert!(head == bytes[from.min(bytes.len())..][..head.len()], "from {from} of {row}");
        }
    }
}

#[test]
fn kubo_profiles() {
    for row in rows(&vectors("unixfs/kubo-profiles.json"), "vectors") {
        if row["size"].as_u64().unwrap_or(0) > 1 << 28 && !long() {
            eprintln!("SKIPPED {} of {}: RAAS_LONG=1 runs it", row["size"], row["profile"]);
            continue;
        }
        let profile = Profile::by_name(text(row, "profile")).unwrap();
        let mut sink = Counter::default();
        let entry = match text(row, "recipe") {
            "utf8" => add_file(text(row, "text").as_bytes(), profile, &mut sink),
            "chacha20" => {
                add_stream(&mut chacha20(text(row, "seed")), number(row, "size"), profile, &mut sink)
            }
            "chacha20-names" => add_named_files(row, profile, &mut sink),
            other => panic!("unknown recipe {other}"),
        };
        assert_eq!(entry.cid.to_string(), text(row, "root"), "{row}");
        assert_eq!(sink.seen.len() as u64, number(row, "blocks"), "{row}");
    }
}

fn add_stream(rng: &mut ChaCha20, size: u64, profile: Profile, sink: &mut Counter) -> Entry {
    let mut file = FileBuilder::new(profile);
    let mut buffer = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        let take = usize::try_from(left.min(1 << 20)).unwrap();
        rng.fill(&mut buffer[..take]);
        file.write(&buffer[..take], sink).unwrap();
        left -= take as u64;
    }
    file.finish(sink).unwrap()
}

fn add_named_files(row: &Value, profile: Profile, sink: &mut Counter) -> Entry {
    const ALPHABET: &[u8; 39] = b"abcdefghijklmnopqrstuvwxyz01234567890-_";
    let mut stream = vec![0; 1 << 20];
    chacha20(text(row, "seed")).fill(&mut stream);
    let content = add_file(text(row, "file_content_utf8").as_bytes(), profile, sink);
    let mut dir = DirBuilder::new(profile);
    let mut rest = &stream[..];
    let count = number(row, "count");
    for i in 0..count {
        let len = if i + 1 == count { number(row, "last_name_len") } else { number(row, "name_len") };
        let (name, later) = rest.split_at(usize::try_from(len).unwrap());
        let name: String =
            name.iter().map(|&b| char::from(ALPHABET[usize::from(b) % ALPHABET.len()])).collect();
        dir.add(&name, &content).unwrap();
        rest = later;
    }
    dir.finish(sink).unwrap()
}

/// The files of a directory vector as (path, bytes); a directory has no bytes.
fn entries_of(row: &Value) -> Vec<(String, Option<Vec<u8>>)> {
    let size = |n: u64| usize::try_from(n).unwrap();
    match text(row, "name") {
        "300-files" => (0..300u64)
            .map(|i| (format!("file-{i:05}.bin"), Some(sha256_counter(&format!("raas-d-n{i}"), size(i)))))
            .collect(),
        "6000-files-hamt" => {
            (0..6000).map(|i| (format!("file-{i:05}.bin"), Some(sha256_counter("raas-d-same", 1)))).collect()
        }
        _ => row["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let bytes = (entry.get("type").is_none())
                    .then(|| sha256_counter(text(entry, "seed"), size(number(entry, "size"))));
                (text(entry, "path").to_owned(), bytes)
            })
            .collect(),
    }
}

fn add_tree(entries: &[(String, Option<Vec<u8>>)], sink: &mut impl BlockSink) -> Entry {
    let mut tree = TreeBuilder::new(Profile::default());
    for (path, bytes) in entries {
        match bytes {
            Some(bytes) => tree.add(path, add_file(bytes, Profile::default(), sink)).unwrap(),
            None => tree.add_dir(path).unwrap(),
        }
    }
    tree.finish(sink).unwrap()
}

#[test]
fn directories_give_the_roots_of_the_vectors_and_resolve() {
    for row in rows(&vectors("unixfs/directories.json"), "vectors") {
        let entries = entries_of(row);
        let mut blocks = MemoryBlocks::default();
        let root = add_tree(&entries, &mut blocks);
        assert_eq!(root.cid.to_string(), text(row, "root"), "{row}");
        assert_eq!(blocks.len() as u64, number(row, "unique_blocks"), "{row}");
        assert_eq!(root.dag_bytes, number(row, "cumulative_dag_size"), "{row}");
        let root_block = blocks.get(&root.cid).unwrap().unwrap();
        if row.get("root_block_hex").is_some() {
            assert_eq!(hex::encode(&root_block), text(row, "root_block_hex"));
            let node = Node::decode(&root_block).unwrap();
            assert_eq!(node.encode(), root_block);
            for (link, wanted) in node.links.iter().zip(row["root_links"].as_array().unwrap()) {
                assert_eq!(link.name, text(wanted, "name"));
                assert_eq!(link.cid.to_string(), text(wanted, "cid"));
                assert_eq!(link.tsize, number(wanted, "tsize"));
            }
        }
        for (path, bytes) in &entries {
            let found = resolve(&blocks, &root.cid, &format!("/{path}/")).unwrap();
            assert_eq!(found.via.first(), Some(&root.cid));
            let Some(bytes) = bytes else { continue };
            let mut back = Vec::new();
            FileReader::open(&blocks, found.cid).unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(&back, bytes, "{path}");
        }
        let missing = resolve(&blocks, &root.cid, "no such name");
        assert!(matches!(missing, Err(ReadError::NotFound { .. })));
        let top: std::collections::BTreeSet<&str> =
            entries.iter().filter_map(|(path, _)| path.split('/').next()).collect();
        let listed = list(&blocks, &root.cid, 10_000).unwrap();
        assert!(listed.iter().map(|entry| entry.name.as_str()).eq(top.iter().copied()), "{row}");
        let capped = list(&blocks, &root.cid, listed.len() as u64 - u64::from(!listed.is_empty()));
        assert!(listed.is_empty() || matches!(capped, Err(ReadError::Limit { .. })));
    }
}

#[test]
fn a_tree_survives_disk_dag_and_disk_again() {
    let from = tempfile::tempdir().unwrap();
    let root = from.path().join("data");
    std::fs::create_dir_all(root.join("sub/empty")).unwrap();
    std::fs::write(root.join("a.txt"), sha256_counter("a", 3_000_000)).unwrap();
    std::fs::write(root.join("sub/b"), b"").unwrap();
    std::fs::write(root.join(".hidden"), b"not taken").unwrap();
    std::os::unix::fs::symlink("../a.txt", root.join("sub/link")).unwrap();
    let mut blocks = MemoryBlocks::default();
    let options = raas_piece::unixfs::DiskOptions::default();
    let entry = raas_piece::unixfs::import_path(&root, &Profile::default(), options, &mut blocks).unwrap();

    let mut tree = TreeBuilder::new(Profile::default());
    tree.add("a.txt", add_file(&sha256_counter("a", 3_000_000), Profile::default(), &mut blocks)).unwrap();
    tree.add("sub/b", add_file(b"", Profile::default(), &mut blocks)).unwrap();
    tree.add("sub/link", symlink(&Profile::default(), "../a.txt", &mut blocks).unwrap()).unwrap();
    tree.add_dir("sub/empty").unwrap();
    assert_eq!(tree.finish(&mut blocks).unwrap().cid, entry.cid);

    let to = from.path().join("out");
    let done = extract(&blocks, &entry.cid, &to, raas_piece::unixfs::ExtractLimits::default()).unwrap();
    assert_eq!((done.entries, done.bytes), (6, 3_000_000));
    assert_eq!(std::fs::read(to.join("sub/link")).unwrap(), sha256_counter("a", 3_000_000));
    assert!(to.join("sub/empty").is_dir() && !to.join(".hidden").exists());
    let again = raas_piece::unixfs::import_path(&to, &Profile::default(), options, &mut blocks).unwrap();
    assert_eq!(again.cid, entry.cid);
    // What exists is never touched.
    assert!(extract(&blocks, &entry.cid, &to, raas_piece::unixfs::ExtractLimits::default()).is_err());
}

#[test]
fn paths_that_cannot_be_are_refused() {
    let mut blocks = MemoryBlocks::default();
    let entry = add_file(b"x", Profile::default(), &mut blocks);
    let mut tree = TreeBuilder::new(Profile::default());
    for path in ["", "/a", "a/", "a//b", "..", "a/../b", ".", "a\0b", &"d/".repeat(200)] {
        assert!(tree.add(path, entry).is_err(), "{path:?}");
    }
    tree.add("a/b", entry).unwrap();
    for path in ["a/b", "a", "a/b/c"] {
        assert!(tree.add(path, entry).is_err(), "{path:?}");
    }
    // The refused paths left nothing behind.
    let root = tree.finish(&mut blocks).unwrap();
    assert_eq!(list(&blocks, &root.cid, 10).unwrap().len(), 1);
}
