//! The index of a deal (FRC-0058), and our own index of the blocks of a CAR.

use raas_piece::PaddedSize;
use raas_piece::car::Index;
use raas_piece::segment::{DESCRIPTOR_BYTES, DealLayout, Descriptor, IndexEntry, Segment, parse_index};

use crate::input::Input;

pub fn check(data: &[u8]) {
    if let Ok(descriptor) = Descriptor::from_cbor(data) {
        assert_eq!(descriptor.to_cbor(), data);
        assert_eq!(Descriptor::decode(&descriptor.encode()), Ok(descriptor));
    }
    if let Ok(index) = Index::from_bytes(data) {
        assert_eq!(index.to_bytes(), data);
    }
    check_deal(data);
}

/// The first byte is the size of the deal, the second whether checksums are made right.
fn check_deal(data: &[u8]) {
    let mut input = Input::new(data);
    let height = 2 + input.byte() % 57;
    let repaired = input.byte() % 4 != 0;
    let Ok(layout) = PaddedSize::from_height(height).map_err(drop).and_then(|size| {
        DealLayout::new(size).map_err(|_| assert!(height < 4, "only the smallest have no room for an index"))
    }) else {
        return;
    };
    let mut slots = input.rest().to_vec();
    if repaired {
        for slot in slots.as_chunks_mut::<DESCRIPTOR_BYTES>().0 {
            repair(slot, &layout);
        }
    }
    let entries = parse_index(&layout, &slots);
    check_entries(&layout, &slots, &entries);
}

/// Makes of any bytes an entry that is nearly right: the checksum always, offset and size most times.
fn repair(slot: &mut [u8; DESCRIPTOR_BYTES], layout: &DealLayout) {
    if slot.iter().all(|&byte| byte == 0) {
        return;
    }
    let mut input = Input::new(&slot[..]);
    let mut commitment: [u8; 32] = input.array();
    let (mut offset, mut size, choice) = (input.number(), input.number(), input.byte());
    if choice & 1 == 0 {
        commitment[31] &= 0x3f;
    }
    if choice & 2 == 0 {
        size = 128 << (size % u64::from(layout.index_start().ilog2() - 6));
    }
    if choice & 4 == 0 {
        offset = offset % (layout.index_start() / 128) * 128;
    }
    if choice & 8 == 0 && size > 0 {
        offset -= offset % size;
    }
    *slot = Descriptor { commitment, offset, size }.encode();
}

fn check_entries(layout: &DealLayout, slots: &[u8], entries: &[IndexEntry]) {
    let slots = slots.as_chunks::<DESCRIPTOR_BYTES>().0;
    let used = slots.iter().take(usize::try_from(layout.max_entries()).unwrap_or(usize::MAX)).enumerate();
    let used = used.filter(|(_, slot)| slot.iter().any(|&byte| byte != 0));
    assert!(used.map(|(position, _)| position).eq(entries.iter().map(|entry| entry.position)));
    let mut good: Vec<Segment> = Vec::new();
    for entry in entries {
        let slot = &slots[entry.position];
        let alone = Descriptor::decode(slot).and_then(|descriptor| descriptor.segment(layout));
        let free = |segment: &Segment| good.iter().all(|other| apart(segment, other));
        match entry.segment {
            Ok(segment) => {
                assert_eq!(alone, Ok(segment));
                assert_eq!(Descriptor::from(&segment).encode(), *slot);
                assert!(segment.size.get().is_power_of_two() && segment.offset % segment.size.get() == 0);
                assert!(segment.end() <= layout.index_start() && free(&segment));
                good.push(segment);
            }
            // Refused for itself, or for an earlier one.
            Err(_) => assert!(alone.is_err() || alone.is_ok_and(|segment| !free(&segment))),
        }
    }
}

fn apart(a: &Segment, b: &Segment) -> bool {
    a.end() <= b.offset || b.end() <= a.offset
}
