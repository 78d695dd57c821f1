//! What hostile CARs cost: each kind ends in an error that names it, in memory that does not grow with the CAR.
//!
//! Allocations are counted, so this is a process of its own with one test. CARs are made while they are read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![deny(clippy::undocumented_unsafe_blocks)]

mod counted;

use std::io::{self, Read};
use std::iter::once;

use cid::Cid;
use multihash::Multihash;
use raas_piece::block::{BlockSink, DAG_CBOR, DAG_PB, MAX_LINKS, MemoryBlocks, RAW, cid_v1, sha256};
use raas_piece::car::{
    CarExport, Copied, CopyError, ExportError, Header, Limits, Scope, copy_verified, section_prefix,
};
use raas_piece::unixfs::dag_pb::{Link, Node};
use raas_piece::unixfs::data::{Data, Kind};
use raas_piece::unixfs::{FileReader, list};

/// What a CAR of any length may take: a few blocks and what is decoded of one, 2 MiB each before.
const FLAT: usize = 32 << 20;

/// Gives what is done, and checks that it took no more memory than that.
fn within<T>(name: &str, bytes: usize, work: impl FnOnce() -> T) -> T {
    let (done, grown) = counted::grown(work);
    eprintln!("{name}: {} KiB", grown >> 10);
    assert!(grown <= bytes, "{name} took {} KiB, over {} KiB", grown >> 10, bytes >> 10);
    done
}

/// Chunks of bytes as one stream.
struct Stream<I> {
    chunks: I,
    current: io::Cursor<Vec<u8>>,
}

impl<I: Iterator<Item = Vec<u8>>> Read for Stream<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.current.read(buffer)? {
                0 => match self.chunks.next() {
                    Some(chunk) => self.current = io::Cursor::new(chunk),
                    None => return Ok(0),
                },
                read => return Ok(read),
            }
        }
    }
}

fn copy(chunks: impl Iterator<Item = Vec<u8>>) -> Result<Copied, CopyError> {
    let stream = Stream { chunks, current: io::Cursor::default() };
    copy_verified(stream, tempfile::tempfile().unwrap(), None, Limits::default()).map(|(copied, _)| copied)
}

/// The words of the error a CAR ends in, causes included.
fn refused(name: &str, chunks: impl Iterator<Item = Vec<u8>>) -> String {
    let error = within(name, FLAT, || copy(chunks)).expect_err(name);
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    eprintln!("  {words}");
    words
}

fn header(root: Cid) -> Vec<u8> {
    Header::new(vec![root]).to_file_bytes()
}

fn section(cid: &Cid, data: &[u8]) -> Vec<u8> {
    [section_prefix(cid, data.len()), data.to_vec()].concat()
}

fn varint(value: u64) -> Vec<u8> {
    unsigned_varint::encode::u64(value, &mut unsigned_varint::encode::u64_buffer()).to_vec()
}

fn dag_cbor(links: &[Cid]) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(&links).unwrap()
}

fn dag_pb(links: impl Iterator<Item = Cid>) -> Vec<u8> {
    let links = links.map(|cid| Link { cid, name: String::new(), tsize: 0 }).collect();
    Node { links, data: None }.encode()
}

fn identity(codec: u64, inside: &[u8]) -> Cid {
    Cid::new_v1(codec, Multihash::wrap(0, inside).unwrap())
}

/// A chain of blocks with its leaf, the lowest first; `node` makes a block over the one below.
fn chain(
    codec: u64,
    levels: usize,
    leaf: Cid,
    node: impl Fn(Cid) -> Vec<u8> + Clone,
) -> (Cid, impl Iterator<Item = Vec<u8>>) {
    let above = move |below: &mut Cid| {
        let data = node(*below);
        *below = cid_v1(codec, &data);
        data
    };
    let mut root = leaf;
    (0..levels).for_each(|_| drop(above.clone()(&mut root)));
    let mut below = leaf;
    (
        root,
        (0..levels).map(move |_| {
            let data = above(&mut below);
            section(&below, &data)
        }),
    )
}

#[test]
fn fault_14_hostile_cars_end_in_clear_errors_in_flat_memory() {
    let leaf = cid_v1(RAW, b"leaf");
    let with_leaf = move |root: Cid| [header(root), section(&leaf, b"leaf")].into_iter();

    // A header that claims a terabyte, one of very many roots, a CARv2 whose inside is far away.
    let claims = once([varint(1 << 40), vec![0xa2; 100]].concat());
    assert!(refused("header claims much", claims).contains("the CAR header claims 1099511627776 bytes"));
    let roots = once(Header::new(vec![leaf; 1500]).to_file_bytes());
    assert!(refused("many roots", roots).contains("the CAR names 1500 roots"));
    let many = once(Header::new(vec![leaf; 20_000]).to_file_bytes());
    assert!(refused("header is long", many).contains("over the limit of 65536"));
    let far = [&b"\x0a\xa1\x67version\x02"[..], &[0; 16], &(1u64 << 40).to_le_bytes(), &[9; 16]].concat();
    assert!(refused("CARv2 far away", once(far)).contains("over the limit of 65536"));

    // Lengths: without end, not minimal, of more than there can be.
    let endless = with_leaf(leaf).chain(std::iter::repeat(vec![0x80; 1 << 16]));
    assert!(refused("varint without end", endless).contains("is no valid varint"));
    let long = with_leaf(leaf).chain(once(vec![0x84, 0x00]));
    assert!(refused("varint not minimal", long).contains("is no valid varint"));
    let huge = with_leaf(leaf).chain(once(varint(u64::MAX)));
    assert!(
        refused("section of any length", huge).contains("claims 18446744073709551615 bytes, over the limit")
    );

    // Depth: one level more than may be.
    let levels = usize::try_from(Limits::default().depth).unwrap();
    let deep = |levels| {
        let (root, blocks) = chain(DAG_CBOR, levels, leaf, |below| dag_cbor(&[below]));
        with_leaf(root).chain(blocks)
    };
    let index = 80 * (levels + 1);
    let copied = within("deep enough", FLAT + index, || copy(deep(levels))).unwrap();
    assert_eq!(copied.blocks as usize, levels + 1);
    assert!(refused("depth", deep(levels + 1)).contains("links more than 262144 levels below the root"));

    // Width: more links than a block may have, in both codecs.
    let tiny = identity(RAW, b"");
    let too_wide = format!("more than {MAX_LINKS} links");
    for (name, codec, data) in [
        ("width in dag-cbor", DAG_CBOR, dag_cbor(&vec![tiny; 260_000])),
        ("width in dag-pb", DAG_PB, dag_pb(vec![tiny; 120_000].into_iter())),
    ] {
        let root = cid_v1(codec, &data);
        assert!(refused(name, with_leaf(root).chain(once(section(&root, &data)))).contains(&too_wide));
    }
    // What such CIDs hold is no more than what they are long, and empty ones name nothing.
    let seven = identity(DAG_CBOR, &dag_cbor(&[tiny; 7]));
    let data = dag_pb(vec![seven; 25_000].into_iter());
    let root = cid_v1(DAG_PB, &data);
    let many = || copy([header(root), section(&root, &data)].into_iter());
    assert_eq!(within("width by identities", FLAT, many).unwrap().blocks, 1);

    // Wide blocks below one another, with one link over and over, and with the same ones on each level: whole
    // DAGs, and without the leaf that the last of them names.
    let equal = || chain(DAG_PB, 60, leaf, |below| dag_pb(std::iter::repeat_n(below, 40_000)));
    let (root, blocks) = equal();
    assert_eq!(within("equal links", FLAT, || copy(with_leaf(root).chain(blocks))).unwrap().blocks, 61);
    let (root, blocks) = equal();
    let missing = format!("block {leaf} is missing");
    assert!(refused("equal links, no leaf", once(header(root)).chain(blocks)).contains(&missing));
    let names: Vec<[u8; 4]> = (0..20_000u32).map(u32::to_le_bytes).collect();
    let leaves: Vec<Cid> = names.iter().map(|name| cid_v1(RAW, name)).collect();
    let same = |leaves: &[Cid]| {
        let leaves = leaves.to_vec();
        chain(DAG_PB, 60, leaf, move |below| dag_pb(once(below).chain(leaves.clone())))
    };
    let (root, blocks) = same(&leaves);
    let all = names.iter().zip(&leaves).map(|(name, cid)| section(cid, name));
    let copied = within("same links", FLAT, || copy(with_leaf(root).chain(all).chain(blocks))).unwrap();
    assert_eq!((copied.blocks, copied.unreached_blocks), (20_061, 0));
    let (root, blocks) = same(&leaves);
    assert!(refused("same links, no leaves", with_leaf(root).chain(blocks)).contains("is missing"));

    // Blocks: one over and over, and many different ones, which cost what the index of honest ones would.
    let over = with_leaf(leaf).chain(std::iter::repeat(section(&leaf, b"leaf").repeat(1000)));
    assert!(refused("duplicates", over).contains("more than 4194304 blocks"));
    let different = (0..1u32 << 20).map(|i| section(&cid_v1(RAW, &i.to_le_bytes()), &i.to_le_bytes()));
    let copied =
        within("a million blocks", FLAT + (80 << 20), || copy(with_leaf(leaf).chain(different))).unwrap();
    assert_eq!(copied.unreached_blocks, 1 << 20);

    // Identity CIDs: other bytes than their own, longer than a CID may be, without end, and one inside the other
    // around a block that is not there.
    let other = with_leaf(leaf).chain(once(section(&identity(RAW, b"this"), b"that")));
    assert!(refused("identity of other bytes", other).contains("does not match its hash"));
    let long = [varint(4 + 65 + 1), vec![0x01, 0x55, 0x00, 65], vec![7; 66]].concat();
    assert!(
        refused("identity too long", with_leaf(leaf).chain(once(long))).contains("start with a valid CID")
    );
    let endless = with_leaf(leaf).chain(std::iter::repeat(section(&identity(RAW, b"x"), b"x").repeat(1000)));
    assert!(refused("identities without end", endless).contains("more than 4194304 blocks"));
    let nested = identity(DAG_CBOR, &dag_cbor(&[identity(DAG_CBOR, &dag_cbor(&[leaf]))]));
    assert!(refused("nested identities", once(header(nested))).contains(&missing));

    // Cut short in a block, in a length, after the header, and between two blocks.
    let whole = section(&leaf, b"leaf");
    for cut in 1..whole.len() {
        let cut = [header(leaf), whole[..cut].to_vec()].into_iter();
        assert!(refused("cut short", cut).contains("cut short at byte"));
    }
    assert!(refused("nothing after the header", once(header(leaf))).contains(&missing));

    // Other bytes than the CID's, in the first block and behind a wide front.
    let wrong = [header(leaf), section(&leaf, b"lead")].into_iter();
    assert!(refused("wrong hash", wrong).contains(&format!("block {leaf} does not match its hash")));

    cycles();
    exports(leaf);
    files(leaf);
}

/// A block that is below itself needs a CID that two blocks have: one cut so short that anybody finds such two, one of
/// no cryptographic hash, or one that is simply wrong.
fn cycles() {
    let cut = |codec, data: &[u8]| Cid::new_v1(codec, Multihash::wrap(0x12, &sha256(data)[..2]).unwrap());
    // A block that names a CID of two bytes of its own hash.
    let (cycle, data) = (0u16..=u16::MAX)
        .map(|hash| Cid::new_v1(DAG_CBOR, Multihash::wrap(0x12, &hash.to_be_bytes()).unwrap()))
        .flat_map(|link| {
            (0..16u8).map(move |salt| (link, serde_ipld_dagcbor::to_vec(&(link, salt)).unwrap()))
        })
        .find(|(link, data)| cut(DAG_CBOR, data) == *link)
        .expect("each try has the chance of one hash in so many");
    let short = [header(cycle), section(&cycle, &data)].into_iter();
    assert!(refused("cycle by a cut hash", short).contains("uses hash 0x12; only sha2-256 (32 bytes)"));
    let murmur = Cid::new_v1(DAG_CBOR, Multihash::wrap(0x22, &[7; 8]).unwrap());
    let data = dag_cbor(&[murmur]);
    let other = [header(murmur), section(&murmur, &data)].into_iter();
    assert!(refused("cycle by a weak hash", other).contains("uses hash 0x22"));
    let (a, b) = (cid_v1(DAG_CBOR, b"a"), cid_v1(DAG_CBOR, b"b"));
    let claimed = [header(a), section(&a, &dag_cbor(&[b])), section(&b, &dag_cbor(&[a]))].into_iter();
    assert!(refused("cycle by a claim", claimed).contains("does not match its hash"));
    // The link alone is enough, without its block.
    let data = dag_cbor(&[murmur]);
    let root = cid_v1(DAG_CBOR, &data);
    let link = [header(root), section(&root, &data)].into_iter();
    assert!(refused("link by a weak hash", link).contains("uses hash 0x22"));
    // One hash under two codecs is two blocks, and no cycle: bytes that are a node of both, or of one alone.
    let data = b"\x80";
    let (cbor, pb) = (cid_v1(DAG_CBOR, data), cid_v1(DAG_PB, data));
    let node = dag_cbor(&[cbor, pb]);
    let root = cid_v1(DAG_CBOR, &node);
    let both = [header(root), section(&root, &node), section(&cbor, data)].into_iter();
    assert!(refused("one hash, two codecs", both).contains("is not valid for its codec"));
}

/// What was taken once is sent again in flat memory, too.
fn exports(leaf: Cid) {
    let blocks_of = |sections: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut blocks = MemoryBlocks::default();
        blocks.put(&leaf, b"leaf").unwrap();
        for section in sections {
            let (_, rest) = unsigned_varint::decode::usize(&section).unwrap();
            let mut data = rest;
            let cid = Cid::read_bytes(&mut data).unwrap();
            blocks.put(&cid, data).unwrap();
        }
        blocks
    };
    let export = |blocks: &MemoryBlocks, root| {
        let mut sections = 0;
        for chunk in CarExport::new(blocks, root, Vec::new(), Scope::All) {
            chunk.map(drop)?;
            sections += 1;
        }
        Ok::<_, ExportError>(sections)
    };
    let leaves: Vec<Cid> = (0..20_000u32).map(|i| cid_v1(RAW, &i.to_le_bytes())).collect();
    let of_leaves = leaves.clone();
    let (root, mut sections) =
        chain(DAG_PB, 60, leaf, move |below| dag_pb(once(below).chain(of_leaves.clone())));
    let mut blocks = blocks_of(&mut sections);
    (0..20_000u32).for_each(|i| blocks.put(&leaves[i as usize], &i.to_le_bytes()).unwrap());
    assert_eq!(within("export of same links", FLAT, || export(&blocks, root)).unwrap(), 20_062);

    // Different links on every level, none of them there: the walk goes down first, and would hold them all.
    let (root, mut sections) = chain(DAG_PB, 30, leaf, |below| {
        let names = (0..40_000u32).map(|i| [below.hash().digest(), &i.to_le_bytes()].concat());
        dag_pb(once(below).chain(names.map(|name| cid_v1(RAW, &name))))
    });
    let blocks = blocks_of(&mut sections);
    let error = within("export of different links", 3 * FLAT, || export(&blocks, root)).unwrap_err();
    assert!(error.to_string().contains("more than 262144 different links wait"), "{error}");
}

/// Files and directories with very many parts on every level, of which somebody asks for a part.
fn files(leaf: Cid) {
    let mut blocks = MemoryBlocks::default();
    blocks.put(&leaf, b"leaf").unwrap();
    let mut put = |links: Vec<Link>, data: Data| {
        let bytes = Node { links, data: Some(data.encode()) }.encode();
        let cid = cid_v1(DAG_PB, &bytes);
        blocks.put(&cid, &bytes).unwrap();
        cid
    };
    let (mut file, mut size, count) = (leaf, 4, 35_000);
    for _ in 0..20 {
        let links = once(file).chain(std::iter::repeat_n(leaf, count));
        let links = links.map(|cid| Link { cid, name: String::new(), tsize: 0 }).collect();
        let block_bytes: Vec<u64> = once(size).chain(std::iter::repeat_n(4, count)).collect();
        size += 4 * count as u64;
        file = put(links, Data { file_bytes: Some(size), block_bytes, ..Data::new(Kind::File) });
    }
    let shard = || Data { hash_type: Some(0x22), fanout: Some(256), ..Data::new(Kind::HamtShard) };
    let below = put(Vec::new(), shard());
    let wide = put(vec![Link { cid: below, name: "00".to_owned(), tsize: 0 }; 30_000], shard());
    let first = || FileReader::open(&blocks, file).and_then(|mut reader| reader.next_chunk());
    let error = within("a file of wide nodes", 2 * FLAT, first).unwrap_err();
    assert!(error.to_string().contains("more than 262144 parts that wait to be read"), "{error}");
    let error = within("a wide shard", FLAT, || list(&blocks, &wide, 1 << 20)).unwrap_err();
    assert!(error.to_string().contains("more links than slots"), "{error}");
}
