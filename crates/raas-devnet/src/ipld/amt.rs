//! Arrays as the chain stores them: a root `[bit width, height, count, node]` over nodes `[bitmap, links, values]`.

use super::blocks::Put;
use crate::codec::to_cbor;
use cid::Cid;
use ipld_core::ipld::Ipld;
use std::collections::BTreeMap;

/// Stores an array of values by rising index and answers the CID of its root.
pub(super) fn array(put: &mut impl Put, bit_width: u32, values: &BTreeMap<u64, Ipld>) -> Cid {
    let last = values.keys().next_back().copied().unwrap_or(0);
    let mut height = 0;
    while span(bit_width, height + 1).is_some_and(|span| last >= span) {
        height += 1;
    }
    let entries: Vec<(u64, &Ipld)> = values.iter().map(|(index, value)| (*index, value)).collect();
    let root = Ipld::List(vec![
        Ipld::from(i128::from(bit_width)),
        Ipld::from(i128::from(height)),
        Ipld::from(i128::from(values.len() as u64)),
        node(put, bit_width, height, &entries),
    ]);
    put.put(encode(&root))
}

/// The number of values below a node of `height`; `None` when that is more than can be counted.
fn span(bit_width: u32, height: u32) -> Option<u64> {
    1_u64.checked_shl(bit_width.checked_mul(height)?).filter(|span| *span > 0)
}

/// A node over entries whose indexes are relative to it.
fn node(put: &mut impl Put, bit_width: u32, height: u32, entries: &[(u64, &Ipld)]) -> Ipld {
    let mut bitmap = vec![0_u8; if bit_width <= 3 { 1 } else { 1 << (bit_width - 3) }];
    let (mut links, mut values) = (Vec::new(), Vec::new());
    let below = span(bit_width, height).unwrap_or(u64::MAX);
    for group in entries.chunk_by(|a, b| a.0 / below == b.0 / below) {
        let Some((first, value)) = group.first() else { continue };
        let slot = first / below;
        if let Some(byte) = usize::try_from(slot / 8).ok().and_then(|byte| bitmap.get_mut(byte)) {
            *byte |= 1 << (slot % 8);
        }
        if height == 0 {
            values.push((*value).clone());
        } else {
            let inner: Vec<(u64, &Ipld)> =
                group.iter().map(|(index, value)| (index % below, *value)).collect();
            let child = node(put, bit_width, height - 1, &inner);
            links.push(Ipld::Link(put.put(encode(&child))));
        }
    }
    Ipld::List(vec![Ipld::Bytes(bitmap), Ipld::List(links), Ipld::List(values)])
}

/// The DAG-CBOR of a value made here.
pub(super) fn encode(value: &Ipld) -> Vec<u8> {
    to_cbor(value).expect("lists, numbers, bytes and links have CBOR")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::from_cbor;

    #[derive(Default)]
    struct Store(BTreeMap<Cid, Vec<u8>>);

    impl Put for Store {
        fn put(&mut self, block: Vec<u8>) -> Cid {
            let cid = crate::codec::dag_cbor_blake2b(&block);
            self.0.insert(cid, block);
            cid
        }
    }

    /// Reads an array back as a client would.
    fn read(store: &Store, root: Cid) -> Vec<(u64, Ipld)> {
        fn walk(store: &Store, width: u32, height: u32, node: &Ipld, base: u64, out: &mut Vec<(u64, Ipld)>) {
            let Ipld::List(parts) = node else { panic!("no node") };
            let [Ipld::Bytes(bitmap), Ipld::List(links), Ipld::List(values)] = parts.as_slice() else {
                panic!("no node")
            };
            let slots = (0..1_u64 << width).filter(|slot| bitmap[(slot / 8) as usize] >> (slot % 8) & 1 == 1);
            for (place, slot) in slots.enumerate() {
                let index = base + (slot << (width * height));
                if height == 0 {
                    out.push((index, values[place].clone()));
                } else {
                    let Ipld::Link(link) = links[place] else { panic!("no link") };
                    walk(store, width, height - 1, &from_cbor(&store.0[&link]).unwrap(), index, out);
                }
            }
        }
        let (width, height, count, node): (u32, u32, u64, Ipld) = from_cbor(&store.0[&root]).unwrap();
        let mut out = Vec::new();
        walk(store, width, height, &node, 0, &mut out);
        assert_eq!(out.len() as u64, count);
        out
    }

    #[test]
    fn what_is_stored_reads_back() {
        for width in [2, 3, 4, 5, 6] {
            for indexes in
                [vec![], vec![0], vec![0, 7, 8], vec![5_000_123], vec![1, 63, 64, 4_096, 5_120_959]]
            {
                let values: BTreeMap<u64, Ipld> =
                    indexes.iter().map(|index| (*index, Ipld::from(i128::from(index * 3)))).collect();
                let mut store = Store::default();
                let root = array(&mut store, width, &values);
                assert_eq!(read(&store, root), values.into_iter().collect::<Vec<_>>(), "width {width}");
            }
        }
    }

    #[test]
    fn an_empty_array_has_the_bytes_of_the_reference_implementation() {
        let mut store = Store::default();
        let root = array(&mut store, 3, &BTreeMap::new());
        assert_eq!(hex::encode(&store.0[&root]), "84030000834100".to_owned() + "8080");
    }
}
