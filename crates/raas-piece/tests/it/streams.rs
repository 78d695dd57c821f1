//! What else can be packed: tar streams, CARv2, and data over the piece limit.

use std::fs::{File, OpenOptions};
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use raas_piece::block::fetch;
use raas_piece::car::{
    BlockSet, CarError, CarStore, CopyError, Index, Limits, Reader, check_parts, copy_part, copy_split,
    copy_verified,
};
use raas_piece::commp::of_reader;
use raas_piece::pack::{
    PackError, PackOptions, TarError, pack_car, pack_path, pack_reader, pack_split, pack_tar,
};
use raas_piece::unixfs::{DiskOptions, FileReader, Profile, resolve};

use crate::support::sha256_counter;

fn fresh(dir: &Path, name: &str) -> File {
    OpenOptions::new().read(true).write(true).create_new(true).open(dir.join(name)).unwrap()
}

fn tree(dir: &Path) {
    std::fs::create_dir_all(dir.join("a/empty")).unwrap();
    std::fs::create_dir_all(dir.join("a/many")).unwrap();
    for i in 0..150 {
        std::fs::write(dir.join(format!("a/many/{i}")), sha256_counter(&i.to_string(), 37 * i)).unwrap();
    }
    std::fs::write(dir.join("large"), sha256_counter("large", 3_500_000)).unwrap();
    std::fs::write(dir.join("none"), b"").unwrap();
    std::fs::write(dir.join(".hidden"), b"x").unwrap();
    std::os::unix::fs::symlink("a/many/7", dir.join("link")).unwrap();
}

fn tar_of(dir: &Path, extra: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.follow_symlinks(false);
    builder.append_dir_all(".", dir).unwrap();
    extra(&mut builder);
    builder.into_inner().unwrap()
}

#[test]
fn a_tar_stream_has_the_root_of_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path());
    let tar = tar_of(dir.path(), |_| {});
    for profile in Profile::ALL {
        for hidden in [false, true] {
            let options = PackOptions { profile, disk: DiskOptions { hidden }, ..PackOptions::default() };
            let (disk, _) = pack_path(dir.path(), Cursor::new(Vec::new()), &options).unwrap();
            let (packed, car) = pack_tar(&tar[..], Cursor::new(Vec::new()), &options).unwrap();
            assert_eq!(packed.root, disk.root, "{} {hidden}", profile.name());
            assert_eq!(packed.payload_bytes, disk.payload_bytes);
            assert_eq!(of_reader(&car.get_ref()[..]).unwrap(), packed.piece);
        }
    }
}

#[test]
fn odd_tar_streams_are_errors_or_links() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), b"content").unwrap();
    let pack = |tar: &[u8]| pack_tar(tar, Cursor::new(Vec::new()), &PackOptions::default());
    let entry = |kind: tar::EntryType, name: &str, target: &str| {
        let (name, target) = (name.to_owned(), target.to_owned());
        move |builder: &mut tar::Builder<Vec<u8>>| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            if target.is_empty() {
                // `set_path` refuses what a hostile stream may have.
                header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
                header.set_cksum();
                builder.append(&header, &[][..]).unwrap();
            } else {
                builder.append_link(&mut header, name, target).unwrap();
            }
        }
    };
    let linked = tar_of(dir.path(), entry(tar::EntryType::Link, "again", "file"));
    let (packed, car) = pack(&linked).unwrap();
    let store = CarStore::new(car.into_inner(), Arc::new(packed.index.clone()));
    let [file, again] = ["file", "again"].map(|name| resolve(&store, &packed.root, name).unwrap().cid);
    assert_eq!(file, again);

    let error = |tar: Vec<u8>| pack(&tar).unwrap_err();
    let unknown = error(tar_of(dir.path(), entry(tar::EntryType::Link, "again", "nothing")));
    assert!(matches!(unknown, PackError::Tar(TarError::HardLink { .. })), "{unknown}");
    let device = error(tar_of(dir.path(), entry(tar::EntryType::Char, "dev", "")));
    assert!(matches!(device, PackError::Tar(TarError::Special { .. })), "{device}");
    let twice = error(tar_of(dir.path(), entry(tar::EntryType::Regular, "file", "")));
    assert!(twice.to_string().contains("twice"), "{twice}");
    for name in ["../outside", "/root", "x/../../y"] {
        let outside = error(tar_of(dir.path(), entry(tar::EntryType::Regular, name, "")));
        assert!(matches!(outside, PackError::Import(_)), "{name}: {outside}");
    }
    let whole = tar_of(dir.path(), |_| {});
    assert!(matches!(error(whole[..700].to_vec()), PackError::Tar(TarError::Read { .. })));
    assert!(matches!(error(vec![7; 2000]), PackError::Tar(TarError::Read { .. })));
}

/// A CARv2 around a CARv1, with padding before it and an index's worth of bytes after.
fn v2(car: &[u8], data_offset: u64, data_bytes: u64) -> Vec<u8> {
    let mut bytes = b"\x0a\xa1\x67version\x02".to_vec();
    bytes.extend([0; 16]);
    bytes.extend(data_offset.to_le_bytes());
    bytes.extend(data_bytes.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.resize(64, 0);
    bytes.extend(car);
    bytes.extend([0xff; 200]);
    bytes
}

#[test]
fn of_a_carv2_the_carv1_inside_is_taken() {
    let content = sha256_counter("v2", 2_500_000);
    let (packed, car) = pack_reader(&content[..], Cursor::new(Vec::new()), &PackOptions::default()).unwrap();
    let car = car.into_inner();
    let len = car.len() as u64;
    let (again, copy) =
        pack_car(&v2(&car, 64, len)[..], Cursor::new(Vec::new()), None, Limits::default()).unwrap();
    assert!(copy.into_inner() == car);
    assert_eq!((again.root, again.piece, &again.index), (packed.root, packed.piece, &packed.index));

    let read =
        |bytes: &[u8]| copy_verified(bytes, Cursor::new(Vec::new()), None, Limits::default()).map(drop);
    // A length that ends inside a block, one past the end of the file, and one that hides the last block.
    assert!(matches!(read(&v2(&car, 64, len - 7)), Err(CopyError::Source(CarError::Truncated { .. }))));
    assert!(read(&v2(&car, 64, len + 10_000)).is_err());
    let root_block = packed.index.get(&packed.root).unwrap();
    assert!(read(&v2(&car, 64, len - u64::from(root_block.len) - 38)).is_err());
    for (offset, bytes) in [(0, len), (50, len), (64, 0), (u64::MAX, len), (1 << 40, len), (64, u64::MAX)] {
        assert!(read(&v2(&car, offset, bytes)).is_err(), "{offset} {bytes}");
    }
    // A CARv2 inside a CARv2 is none.
    let nested = v2(&v2(&car, 64, len), 64, len + 264);
    assert!(matches!(Reader::new(&nested[..], Limits::default()).unwrap_err(), CarError::Version(2)));
}

#[test]
fn data_over_the_limit_is_split_into_linked_cars_and_joined_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("in")).unwrap();
    tree(&dir.path().join("in"));
    let input = dir.path().join("in");
    let limit = 1_200_000;
    let options = PackOptions { max_car_bytes: limit, ..PackOptions::default() };
    let two = NonZero::new(2).unwrap();
    let (whole, _) =
        pack_path(&input, Cursor::new(Vec::new()), &PackOptions { threads: two, ..PackOptions::default() })
            .unwrap();
    assert!(matches!(pack_path(&input, Cursor::new(Vec::new()), &options), Err(PackError::Disk(_))));
    let (entry, parts) =
        pack_split(&input, |number| Ok(fresh(dir.path(), &format!("part.{number}"))), &options).unwrap();
    assert_eq!(entry.cid, whole.root);
    assert!(parts.len() >= 4, "{}", parts.len());
    let mut blocks = 0;
    let mut stores = Vec::new();
    let mut files = Vec::new();
    for (written, mut file) in parts {
        assert!(written.car_bytes <= limit);
        blocks += written.blocks;
        file.seek(SeekFrom::Start(0)).unwrap();
        assert_eq!(of_reader(&file).unwrap(), written.piece);
        file.seek(SeekFrom::Start(0)).unwrap();
        let reader = Reader::new(&file, Limits::default()).unwrap();
        assert_eq!(reader.header().roots, [whole.root]);
        stores.push(CarStore::new(file.try_clone().unwrap(), Arc::new(written.index.clone())));
        files.push((file, written.index));
    }
    assert_eq!(blocks, whole.blocks);
    let mut checked: Vec<(&File, &Index)> = files.iter().map(|(file, index)| (file, index)).collect();
    assert_eq!(check_parts(&mut checked, whole.root).unwrap(), whole.blocks);
    assert!(matches!(check_parts(&mut checked[1..], whole.root), Err(CopyError::Missing { .. })));

    let joined = BlockSet::new(stores);
    let large = resolve(&joined, &whole.root, "large").unwrap();
    let mut back = Vec::new();
    FileReader::open(&joined, large.cid).unwrap().read_to_end(&mut back).unwrap();
    assert!(back == sha256_counter("large", 3_500_000));
    let small = resolve(&joined, &whole.root, "a/many/149").unwrap();
    assert!(fetch(&joined, &small.cid).unwrap() == sha256_counter("149", 37 * 149));
    let tiny = PackOptions { max_car_bytes: 1 << 20, ..PackOptions::default() };
    let refused = pack_split(&input, |number| Ok(fresh(dir.path(), &format!("tiny.{number}"))), &tiny);
    assert!(refused.is_err(), "a block of 1 MiB does not fit a part of 1 MiB with its header");
}

/// A CAR that is given is copied as it is where one part takes it, and else cut where it stands.
#[test]
fn a_car_over_the_limit_is_copied_into_linked_cars() {
    let bytes = sha256_counter("cut", 5 << 20);
    let one = NonZero::<usize>::MIN;
    let (packed, car) = pack_reader(&bytes[..], Cursor::new(Vec::new()), &PackOptions::default()).unwrap();
    let car = car.into_inner();
    let split = |part_bytes, expected| {
        let next = |_| Ok(Cursor::new(Vec::new()));
        copy_split(&car[..], next, expected, Limits::default(), part_bytes, one)
    };
    let whole = split(u64::MAX, None).unwrap();
    assert_eq!((whole.root, whole.parts.len()), (packed.root, 1));
    assert!(*whole.parts[0].1.get_ref() == car && whole.parts[0].0.piece == packed.piece);

    let cut = split(2_200_000, Some(&packed.root)).unwrap();
    assert_eq!((cut.root, cut.parts.len(), cut.block_bytes), (packed.root, 3, whole.block_bytes));
    assert_eq!(cut.parts.iter().map(|(written, _)| written.blocks).sum::<u64>(), packed.blocks);
    for (written, file) in &cut.parts {
        assert!(written.car_bytes <= 2_200_000);
        assert_eq!(of_reader(&file.get_ref()[..]).unwrap(), written.piece);
        let limits = Limits::default();
        let (root, again, _) = copy_part(&file.get_ref()[..], Cursor::new(Vec::new()), limits).unwrap();
        assert_eq!((root, again.piece), (packed.root, written.piece));
        let alone = copy_verified(&file.get_ref()[..], Cursor::new(Vec::new()), None, limits);
        assert!(matches!(alone, Err(CopyError::Missing { .. } | CopyError::OtherRoot { .. })), "a part");
    }
    // A block that is missing is found missing in all of them together.
    let short = &car[..car.len() - 300_000];
    let next = |_| Ok(Cursor::new(Vec::new()));
    assert!(copy_split(short, next, None, Limits::default(), 2_200_000, one).is_err());
    assert!(split(1 << 20, None).is_err(), "no block fits");
}
