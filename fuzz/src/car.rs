//! CARs of both versions as they come: what is read is what stands there, and a copy of it is the same again.

use std::io::Cursor;

use cid::Cid;
use raas_piece::block::{Blocks, verify};
use raas_piece::car::{CarError, CarStore, Copied, Header, Index, Limits, Reader, Writer, copy_verified};
use raas_piece::commp::of_reader;

type Sections = Vec<(Cid, Vec<u8>, u64)>;

const LIMITS: fn() -> Limits = || Limits { blocks: 200, depth: 50, links: 500, ..Limits::default() };

pub fn check(data: &[u8]) {
    let read = read(data);
    let copied = copy_verified(data, Cursor::new(Vec::new()), None, LIMITS());
    match (&read, copied) {
        (Ok((header, blocks, car)), Ok((copied, out))) => {
            assert!(out.get_ref() == car, "the copy is the CARv1 as it stood there");
            check_copy(&copied, out.into_inner(), blocks);
            assert_eq!(Header::decode(header.raw.clone()).expect("it was read").roots, header.roots);
        }
        (Err(_), Ok(_)) => panic!("a copy of what cannot be read"),
        (Ok((_, _, car)), Err(error)) => {
            // A good CAR of no whole DAG, or of not one root; it has an index all the same.
            assert!(!error.to_string().is_empty());
            Index::scan(&car[..], LIMITS()).expect("it was read");
        }
        (Err(_), Err(error)) => drop(error.fault()),
    }
}

/// All blocks, and the CAR written again from them.
fn read(data: &[u8]) -> Result<(Header, Sections, Vec<u8>), CarError> {
    let mut reader = Reader::new(data, LIMITS())?;
    let header = reader.header().clone();
    let mut writer =
        Writer::with_header(Cursor::new(Vec::new()), &header, u64::MAX).expect("memory takes everything");
    let mut blocks = Vec::new();
    while let Some(block) = reader.next_block()? {
        verify(&block.cid, block.data).expect("only good blocks are given");
        writer.put_again(&block.cid, block.data).expect("the reader takes the same hashes");
        blocks.push((block.cid, block.data.to_vec(), block.offset));
    }
    let (written, out) = writer.finish_as_is().expect("memory takes everything");
    let out = out.into_inner();
    assert_eq!((written.car_bytes, reader.end()), (out.len() as u64, out.len() as u64));
    assert_eq!(written.blocks, blocks.len() as u64);
    let start = data.len().min(inside(data));
    assert!(data[start..].starts_with(&out), "what was read is what stands there, in one form only");
    Ok((header, blocks, out))
}

/// Where the CARv1 of a CARv2 begins: the header of that is 11 bytes, and the place stands after 16 more.
fn inside(data: &[u8]) -> usize {
    match data.strip_prefix(b"\x0a\xa1\x67version\x02").and_then(|rest| rest.get(16..24)) {
        Some(offset) => u64::from_le_bytes(offset.try_into().expect("eight bytes")) as usize,
        None => 0,
    }
}

fn check_copy(copied: &Copied, car: Vec<u8>, blocks: &Sections) {
    assert_eq!(copied.blocks, blocks.len() as u64);
    assert_eq!(copied.block_bytes, blocks.iter().map(|(_, data, _)| data.len() as u64).sum::<u64>());
    assert_eq!(of_reader(&car[..]).expect("a small payload"), copied.piece);
    assert_eq!(Index::scan(&car[..], LIMITS()).expect("a good CAR"), copied.index);
    assert_eq!(Index::from_bytes(&copied.index.to_bytes()), Ok(copied.index.clone()));
    for (_, data, offset) in blocks {
        let from = *offset as usize;
        assert_eq!(&car[from..from + data.len()], &data[..]);
    }
    let store = CarStore::new(car, copied.index.clone().into());
    for (cid, data, _) in blocks {
        assert_eq!(store.get(cid).expect("a good block").as_ref(), Some(data));
    }
}
