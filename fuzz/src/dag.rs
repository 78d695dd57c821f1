//! DAGs that an input describes, with right hashes, so that what lies behind the hash checks is reached: closure and
//! order against recursive models, and UnixFS readers over whole files and directories.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use cid::Cid;
use multihash::Multihash;
use raas_piece::block::{
    BlockSink, Blocks, DAG_CBOR, DAG_PB, IDENTITY, MemoryBlocks, RAW, cid_v0, cid_v1, identity_bytes, links,
};
use raas_piece::car::{
    CarExport, CopyError, Header, Index, Limits, Scope, check_parts, copy_verified, section_prefix,
};
use raas_piece::unixfs::dag_pb::{Link, Node};
use raas_piece::unixfs::data::{Data, Kind};
use raas_piece::unixfs::{ByteSpan, FileReader, list};

use crate::input::Input;

/// Blocks in the order they were made; what links to others was made after them.
struct Dag {
    named: Vec<Cid>,
    /// File bytes below each, as far as anybody knows.
    file_bytes: Vec<u64>,
    blocks: Vec<(Cid, Vec<u8>)>,
}

pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mut dag = Dag { named: Vec::new(), file_bytes: Vec::new(), blocks: Vec::new() };
    for _ in 0..1 + input.below(24) {
        dag.grow(&mut input);
    }
    let root = *dag.named.last().expect("one at least");
    // Some blocks are left out, some stand there twice.
    let kept: Vec<&(Cid, Vec<u8>)> = dag
        .blocks
        .iter()
        .flat_map(|block| {
            let times = match input.byte() {
                250.. => 0,
                200.. => 2,
                _ => 1,
            };
            std::iter::repeat_n(block, times)
        })
        .collect();
    let mut car = Header::new(vec![root]).to_file_bytes();
    let mut blocks = MemoryBlocks::default();
    for (cid, data) in &kept {
        car.extend(section_prefix(cid, data.len()));
        car.extend(data);
        blocks.put(cid, data).expect("memory takes every block");
    }
    closure(&car, root, &blocks);
    order(root, &blocks);
    read(root, &blocks);
    changed(car, root, &mut input);
}

impl Dag {
    fn grow(&mut self, input: &mut Input<'_>) {
        let kind = input.byte();
        let (data, file_bytes, codec) = match kind % 8 {
            0 => {
                let data = input.bytes(usize::from(kind / 8)).to_vec();
                let len = data.len() as u64;
                (data, len, RAW)
            }
            1 => {
                let links: Vec<Cid> = (0..input.below(12)).map(|_| self.link(input).0).collect();
                (serde_ipld_dagcbor::to_vec(&links).expect("CIDs in memory"), 0, DAG_CBOR)
            }
            2 => {
                let links = (0..input.below(12)).map(|_| Link {
                    cid: self.link(input).0,
                    name: String::new(),
                    tsize: 0,
                });
                (Node { links: links.collect(), data: None }.encode(), 0, DAG_PB)
            }
            3 | 4 => self.file(input),
            5 => self.directory(input, Data::new(Kind::Directory), |input| format!("{}", input.byte() % 8)),
            6 => {
                let data = Data { hash_type: Some(0x22), fanout: Some(16), ..Data::new(Kind::HamtShard) };
                self.directory(input, data, |input| {
                    let (slot, name) = (input.byte() % 16, input.byte() % 4);
                    if name == 0 { format!("{slot:X}") } else { format!("{slot:X}{name}") }
                })
            }
            _ => return self.identity(input),
        };
        let codec = if kind >= 248 { [RAW, DAG_PB, DAG_CBOR, 0x0129][usize::from(kind % 4)] } else { codec };
        let cid = if codec == DAG_PB && kind & 0x80 != 0 { cid_v0(&data) } else { cid_v1(codec, &data) };
        self.add(cid, file_bytes);
        self.blocks.push((cid, data));
    }

    fn add(&mut self, cid: Cid, file_bytes: u64) {
        self.named.push(cid);
        self.file_bytes.push(file_bytes);
    }

    /// A link to something made before; at times to nothing.
    fn link(&self, input: &mut Input<'_>) -> (Cid, u64) {
        let choice = usize::from(input.byte());
        if self.named.is_empty() || choice == 255 {
            return (cid_v1(RAW, b"nowhere"), 7);
        }
        let at = choice % self.named.len();
        (self.named[at], self.file_bytes[at])
    }

    fn file(&self, input: &mut Input<'_>) -> (Vec<u8>, u64, u64) {
        let wrong = input.byte();
        let inline = input.bytes(usize::from(wrong % 32)).to_vec();
        let parts: Vec<(Cid, u64)> = (0..input.below(10)).map(|_| self.link(input)).collect();
        let sizes: Vec<u64> = parts.iter().map(|(_, size)| size + u64::from(wrong == 255)).collect();
        let total = sizes.iter().fold(inline.len() as u64, |sum, &size| sum.saturating_add(size));
        let data = Data {
            bytes: Some(inline),
            file_bytes: (wrong % 3 != 0).then_some(total),
            block_bytes: sizes,
            ..Data::new(Kind::File)
        };
        let links = parts.into_iter().map(|(cid, _)| Link { cid, name: String::new(), tsize: 1 }).collect();
        (Node { links, data: Some(data.encode()) }.encode(), total, DAG_PB)
    }

    fn directory(
        &self,
        input: &mut Input<'_>,
        data: Data,
        name: impl Fn(&mut Input<'_>) -> String,
    ) -> (Vec<u8>, u64, u64) {
        let links = (0..input.below(12)).map(|_| {
            let name = name(input);
            Link { cid: self.link(input).0, name, tsize: 1 }
        });
        (Node { links: links.collect(), data: Some(data.encode()) }.encode(), 0, DAG_PB)
    }

    /// A block made before as an identity CID, if it is short enough.
    fn identity(&mut self, input: &mut Input<'_>) {
        let Some(at) = self.blocks.len().checked_sub(1).map(|last| usize::from(input.byte()) % (last + 1))
        else {
            return self.add(cid_v1(RAW, b"nowhere"), 7);
        };
        let (cid, data) = &self.blocks[at];
        match Multihash::wrap(IDENTITY, data) {
            Ok(hash) => self.add(Cid::new_v1(cid.codec(), hash), data.len() as u64),
            Err(_) => self.add(*cid, 0),
        }
    }
}

type Key = (Vec<u8>, u64);

fn key(cid: &Cid) -> Key {
    (cid.hash().digest().to_vec(), cid.codec())
}

/// What a walk by recursion meets, in its order. An error ends it as it ends the real ones.
fn visit(cid: &Cid, blocks: &MemoryBlocks, seen: &mut BTreeSet<Key>, order: &mut Vec<Key>) -> Result<(), ()> {
    if let Some(inside) = identity_bytes(cid) {
        return links(cid, inside)
            .map_err(drop)?
            .iter()
            .try_for_each(|link| visit(link, blocks, seen, order));
    }
    if !seen.insert(key(cid)) {
        return Ok(());
    }
    order.push(key(cid));
    let data = blocks.get(cid).map_err(drop)?.ok_or(())?;
    links(cid, &data).map_err(drop)?.iter().try_for_each(|link| visit(link, blocks, seen, order))
}

fn model(root: Cid, blocks: &MemoryBlocks) -> Result<Vec<Key>, ()> {
    let mut order = Vec::new();
    visit(&root, blocks, &mut BTreeSet::new(), &mut order).map(|()| order)
}

/// A CAR is taken if and only if the DAG is whole, and everything that is told of it is right.
fn closure(car: &[u8], root: Cid, blocks: &MemoryBlocks) {
    let copied = copy_verified(car, Cursor::new(Vec::new()), Some(&root), Limits::default());
    match (copied, model(root, blocks)) {
        (Ok((copied, out)), Ok(order)) => {
            assert!(out.get_ref() == car);
            let reached = order.iter().map(|(digest, _)| digest).collect::<BTreeSet<_>>().len();
            assert_eq!(copied.unreached_blocks, (copied.index.len() - reached) as u64);
            assert_eq!(copied.index.len(), blocks.len());
            let empty = Index::default();
            let mut parts = [(Cursor::new(&[][..]), &empty), (Cursor::new(car), &copied.index)];
            assert_eq!(check_parts(&mut parts, root).ok(), Some(reached as u64));
        }
        (Err(error), Err(())) => {
            assert!(!matches!(error, CopyError::ReadBack(_) | CopyError::Sink(_)), "{error}");
        }
        (Ok(_), Err(())) => panic!("a DAG that is not whole was taken"),
        (Err(error), Ok(_)) => panic!("a whole DAG was refused: {error}"),
    }
}

/// An export has each block once, at the place where a walk by recursion first meets it.
fn order(root: Cid, blocks: &MemoryBlocks) {
    let mut sent = Vec::new();
    let whole = CarExport::new(blocks, root, Vec::new(), Scope::All).skip(1).try_for_each(|chunk| {
        let chunk = chunk.map_err(drop)?;
        let (len, mut section) = varint(&chunk);
        assert_eq!(len, section.len());
        sent.push(key(&Cid::read_bytes(&mut section).expect("a section begins with its CID")));
        Ok::<(), ()>(())
    });
    match model(root, blocks) {
        Ok(order) => assert!(whole.is_ok() && sent == order, "{sent:?} instead of {order:?}"),
        Err(()) => assert!(whole.is_err()),
    }
    let span = ByteSpan { from: 1, to: Some(-2) };
    for scope in [Scope::Block, Scope::Entity, Scope::Bytes(span)] {
        let _ = CarExport::new(blocks, root, Vec::new(), scope)
            .try_for_each(|chunk| chunk.map(drop).map_err(drop));
    }
}

fn varint(bytes: &[u8]) -> (usize, &[u8]) {
    match crate::varint::model(bytes) {
        crate::varint::Read::Number(value, used) => (value as usize, &bytes[used..]),
        other => panic!("a section begins with its length, not {other:?}"),
    }
}

/// A file is as long as it says and the same from any place; a list is sorted.
fn read(root: Cid, blocks: &MemoryBlocks) {
    if let Ok(entries) = list(blocks, &root, 1000) {
        assert!(entries.is_sorted_by(|a, b| a.name <= b.name) && entries.len() <= 1000);
    }
    let Ok(mut reader) = FileReader::open(blocks, root) else { return };
    let total = reader.file_bytes();
    // The same part may stand in a file very many times.
    if total > 100_000 {
        reader.seek_to(total - 100);
        while let Ok(Some(_)) = reader.next_chunk() {}
        return;
    }
    let Some(whole) = rest(&mut reader) else { return };
    assert_eq!(whole.len() as u64, total);
    for offset in [0, 1, total / 2, total.saturating_sub(1), total, total + 1] {
        reader.seek_to(offset);
        let from = whole.len().min(offset as usize);
        assert_eq!(rest(&mut reader).as_deref(), Some(&whole[from..]), "from {offset}");
    }
}

fn rest(reader: &mut FileReader<&MemoryBlocks>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.next_chunk().ok()? {
        bytes.extend(chunk);
    }
    Some(bytes)
}

/// One changed bit, or an end too early: the same blocks, fewer, or an error.
fn changed(mut car: Vec<u8>, root: Cid, input: &mut Input<'_>) {
    let before: BTreeMap<Vec<u8>, Vec<u8>> = blocks_of(&car);
    let at = input.below(car.len().min(1 << 16));
    match input.byte() {
        choice if choice < 64 => car.truncate(at),
        choice => car[at] ^= 1 << (choice % 8),
    }
    if copy_verified(&car[..], Cursor::new(Vec::new()), Some(&root), Limits::default()).is_ok() {
        for (digest, data) in blocks_of(&car) {
            // An identity CID is as good as any other bytes, so a changed one is another block.
            assert!(before.get(&digest).is_none_or(|same| *same == data));
        }
    }
}

fn blocks_of(car: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut blocks = BTreeMap::new();
    let Ok(mut reader) = raas_piece::car::Reader::new(car, Limits::default()) else { return blocks };
    while let Ok(Some(block)) = reader.next_block() {
        blocks.insert(block.cid.hash().digest().to_vec(), block.data.to_vec());
    }
    blocks
}
